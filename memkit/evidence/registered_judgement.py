"""Judgements of registered claims: the decision rule, and what code that was changed after the registration may do.

The code behind a claim may be changed on the same seeds, but a change must not turn a claim that failed into one that
holds. So it can do one of two things: leave every value as it was, or confirm a verdict that was reached before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from memkit.evidence.claim import Claim
from memkit.evidence.decision_rule import judge
from memkit.evidence.gate import agrees, mutant_failed
from memkit.evidence.observation import Observation
from memkit.evidence.registration import Registration
from memkit.evidence.verdict import Judgement, Verdict

NOT_REPRODUCED = "not reproduced by this code"
NEEDS_ATTEMPT = (
    "its seeds were measured without a verdict before the code or the data behind it changed, and their values have "
    "changed, too; `memkit register` moves it to fresh seeds, which is a new attempt"
)


def judge_registered(
    claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int], registration: Registration
) -> Judgement:
    """Judge a claim by its observations, under its registration.

    Args:
        claim: the claim.
        observations, planned: as for :func:`memkit.evidence.judge`.
        registration: what the lock says of the claim, with ``same_values``.

    Returns:
        The judgement of the rule; or, if the code behind the claim has changed since an outcome was recorded, and the
        values have changed, too: INCONCLUSIVE if that outcome was a verdict that this code does not reach again, and
        INCOMPLETE if it was none.
    """
    development = registration.development
    judgement = judge(claim, observations, planned=planned, thresholds=registration.thresholds, development=development)
    recorded = registration.recorded
    if recorded is None or registration.same_values or development or judgement.verdict is Verdict.INCOMPLETE:
        return judgement
    if not (recorded.decides or (claim.is_mutant and recorded.verdict == Verdict.INCONCLUSIVE)):
        return replace(judgement, verdict=Verdict.INCOMPLETE, decided_at=None, notes=(NEEDS_ATTEMPT, *judgement.notes))
    if mutant_failed(judgement) if claim.is_mutant else agrees(recorded.verdict.lower(), judgement.verdict):
        return judgement
    notes = (
        f"{recorded} was found earlier, and is {NOT_REPRODUCED}, which finds {judgement.verdict}; restore the code, or "
        f"give the claim fresh seeds with `memkit register --new-attempt {claim.id}`",
        *judgement.notes,
    )
    return replace(judgement, verdict=Verdict.INCONCLUSIVE, decided_at=None, notes=notes)
