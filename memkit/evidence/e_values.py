"""E-values: the capital that a claim's seeds have won for what was registered, as one number per claim.

If the claim is false, its e-value has a mean of at most 1, whenever the run stops. It is the value at the n of the
verdict, and never the largest value on the way, which would not have this property. E-values of several claims, or of
runs on disjoint seeds, can be averaged, and those of independent runs multiplied (Vovk & Wang 2021, Annals of
Statistics 49: 1736–1754).
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from memkit.evidence.attempt import Attempt
from memkit.evidence.claim import Claim
from memkit.evidence.verdict import Finding, Judgement, Verdict

LARGEST = 1e299
"""A capital that is too large for a float counts as this."""


def e_value(claim: Claim, judgement: Judgement) -> float | None:
    """Return the e-value of a claim for its registered expectation.

    For "supported", it is the least capital of its contrasts, since all of them have to hold; for "refuted", the mean
    of their mirror images; for "equivalent", the least capital of both sides of all contrasts; for an open question,
    the mean of the first two.

    Returns:
        The e-value; None for claims that are expected not to be supported, for development seeds, for a claim that is
        INCOMPLETE, and where Student's t decides.
    """
    findings = [finding for finding in judgement.findings if finding.role == "contrast"]
    has_result = judgement.verdict is not Verdict.INCOMPLETE and judgement.indication is None
    if claim.expect == "not_supported" or claim.is_mutant or not findings or not has_result:
        return None
    if any(finding.capital is None for finding in findings):
        return None
    supported, refuted = min(map(_above, findings)), fmean(map(_below, findings))
    if claim.expect == "open":
        return supported / 2 + refuted / 2
    if claim.expect == "equivalent":
        return min(map(_equivalence, findings))
    return refuted if claim.expect == "refuted" else supported


def weighted_sum(e_values: Iterable[float | None]) -> float:
    """Return the e-value of a claim over its attempts: Σ e / 2^a over the attempts a = 1, 2, …; None counts as 0.

    The weights add up to at most 1, so this is an e-value for the hypothesis that the claim is false at each attempt.

    >>> weighted_sum([4, None, 40])
    7.0
    """
    return sum((value or 0.0) / 2.0**attempt for attempt, value in enumerate(e_values, 1))


def recorded_e_values(attempts: Iterable[Attempt]) -> list[float | None]:
    """Return the recorded e-values of the attempts that count, in order; None for one that is not known."""
    counted = (attempt for attempt in attempts if not attempt.unmeasured)
    return [attempt.outcome.e_value if attempt.outcome is not None else None for attempt in counted]


def _above(finding: Finding) -> float:
    assert finding.capital is not None
    return min(finding.capital.above, LARGEST)


def _below(finding: Finding) -> float:
    assert finding.capital is not None
    return min(finding.capital.below, LARGEST)


def _equivalence(finding: Finding) -> float:
    assert finding.capital is not None
    return min(finding.capital.equivalence or 0.0, LARGEST)
