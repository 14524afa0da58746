"""The gate: the rule that turns a verdict into passed, failed or skipped, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memkit.evidence.claim import Claim
from memkit.evidence.registration import Registration
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Judgement, Verdict

Mode = Literal["verdict", "drift", "none"]
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Gate:
    """An outcome, in pytest's terms, and the reason for it.

    >>> from memkit.evidence import Gate
    >>> Gate("passed", "expected supported, found SUPPORTED").outcome
    'passed'
    """

    outcome: Outcome
    reason: str


def gate(
    claim: Claim,
    judgement: Judgement,
    *,
    registration: Registration,
    failures: dict[int, str],
    mode: Mode = "verdict",
    drift: Sequence[str] = (),
) -> Gate:
    """Decide whether a claim's verdict passes the run, fails it, or has no effect on it ("skipped").

    Args:
        claim: the claim.
        judgement: the claim's judgement.
        registration: what the lock says of the claim.
        failures: seed → reason, for seeds whose test raised or whose worker died.
        mode: "verdict": any verdict other than the registered one fails the run. "drift": so does any change of a
            verdict or an effect since the accepted run. "none": verdicts are only reported, and only failed seeds fail
            the run.
        drift: sentences on what changed since the accepted run.

    >>> from memkit.evidence import Arm, Claim, Contrast, Judgement, Registration, Verdict, gate
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> judgement = Judgement(verdict=Verdict.REFUTED, decided_at=8, n=8, findings=())
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> gate(claim, judgement, registration=registration, failures={})
    Gate(outcome='failed', reason='expected supported, found REFUTED')
    """
    verdict, enabled = judgement.verdict, mode != "none"
    # This comes first: an edited claim is a different claim, even if the edit makes it one that gates nothing.
    if edited := _edited(registration):
        return Gate("failed" if enabled else "skipped", f"{verdict}, but {edited}")
    if failures:
        seed, reason = next(iter(sorted(failures.items())))
        more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
        return Gate("failed", f"seed {seed}{more} failed: {reason}")
    notes = "; ".join(judgement.notes)
    if judgement.missing:
        return Gate("skipped", f"INCOMPLETE: not run: seeds {seed_ranges(judgement.missing)}")
    if judgement.indication is not None:
        indicated = str(verdict)
        if verdict is not Verdict.INCOMPLETE:
            indicated += f" (looks like {judgement.indication})"
        if registration.status == "unregistered":
            return Gate("skipped", f"{indicated}: not registered, run `memkit register`; {notes}")
        return Gate("skipped", f"{indicated}: {notes}")
    if verdict is Verdict.INCOMPLETE:
        return Gate("failed" if claim.gates and enabled else "skipped", f"INCOMPLETE: {notes}")
    if claim.expect == "open":
        return Gate("skipped", f"{verdict}; an open question, gates nothing")
    is_met = agrees(claim.expect, verdict) and (not claim.is_mutant or mutant_failed(judgement))
    comparison = f"expected {claim.expect.replace('_', ' ')}, found {verdict}"
    if not claim.gates:
        return Gate("skipped", f"{comparison}; gates nothing")
    if _has_too_few_seeds(claim, judgement):
        return Gate(
            "skipped", f"{comparison}, but on only {judgement.n} of {claim.planned(None)} seeds, which shows nothing"
        )
    if not enabled:
        return Gate("skipped", f"{comparison}; gates nothing (--gate none)")
    if is_met and drift and mode == "drift":
        return Gate("failed", f"{comparison}; drift since the accepted run: {'; '.join(drift)}")
    if claim.is_mutant and not is_met and verdict is not Verdict.SUPPORTED:
        comparison += ", which is not clear enough: an effect that would matter is not ruled out"
    if is_met:
        return Gate("passed", comparison)
    return Gate("failed", comparison + (f"; {notes}" if notes else ""))


def _edited(registration: Registration) -> str:
    """Say what was edited in a claim since it was registered, and what to do; "" if there is nothing to do."""
    if registration.explores:
        return ""
    if registration.status == "changed":
        return "the claim was changed since it was registered; `memkit register` moves it to fresh seeds"
    if registration.status == "reworded":
        fields = registration.edited
        verb = "were" if "," in fields or fields == "seeds" else "was"
        others, _, last = fields.rpartition(", ")
        fields = f"{others} and {last}" if others else last
        return (
            f"its {fields} {verb} edited since it was registered; `memkit register` registers the edit, which costs no "
            "attempt"
        )
    return ""


def _has_too_few_seeds(claim: Claim, judgement: Judgement) -> bool:
    """Return whether a claim that is expected not to be supported is undecided on fewer seeds than it declares."""
    undecided = claim.expect == "not_supported" and judgement.verdict is Verdict.INCONCLUSIVE
    return undecided and not claim.is_mutant and judgement.n < claim.planned(None)


def apply_strict_mode(result: Gate, claim: Claim, judgement: Judgement, *, registration: Registration) -> Gate:
    """Return the result of the gate in a strict run, such as in CI, where a claim that decides nothing fails.

    A claim decides nothing if it is not registered, if seeds or its data are missing, or if it ran on too few seeds.

    Args:
        result: the result of the gate without ``--memkit-strict``.
    """
    undecided = judgement.verdict is Verdict.INCOMPLETE or judgement.missing or judgement.indication is not None
    undecided = undecided or (claim.gates and _has_too_few_seeds(claim, judgement))
    if result.outcome == "skipped" and (undecided or registration.status == "unregistered"):
        return Gate("failed", f"{result.reason} (--memkit-strict)")
    return result


def mutant_failed(judgement: Judgement) -> bool:
    """Return whether a mutant failed clearly enough to show that the break matters.

    It did if it is REFUTED or EQUIVALENT, or if a contrast is shown to lie below the margin plus the smallest effect of
    interest (``NEGLIGIBLE`` if none is declared). A mutant that is merely undecided, for lack of seeds, did not.
    """
    return judgement.decided_at is not None and judgement.verdict is not Verdict.SUPPORTED


def agrees(expect: str, verdict: Verdict) -> bool:
    """Return whether a verdict agrees with the registered expectation.

    "not_supported" agrees with every verdict except SUPPORTED and INCOMPLETE.
    """
    if expect == "not_supported":
        return verdict in (Verdict.REFUTED, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
    return verdict.value.lower() == expect
