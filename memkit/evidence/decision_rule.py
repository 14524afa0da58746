"""The decision rule: a pure function from a claim and its observations to a verdict.

The looks are evaluated in the order of the planned seeds, whatever order the seeds ran in, and end at the first
decisive look. The same rule decides during a run, says which seeds the run needs next, and recomputes an evidence file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.observation import Observation
from memkit.evidence.verdict import Finding, Judgement, Verdict
from memkit.statistics import (
    LOOKS,
    Look,
    decide,
    looks_within,
    minimum_detectable_effect,
    replay,
    seeds_needed,
    smallest_constant,
    t_test,
)

__all__ = ["Finding", "Judgement", "Verdict", "differences", "judge", "judgements_at_looks", "next_seeds"]

_MOST_SEEDS = 10_000  # more seeds than anybody can afford; a larger number needed is reported as infinite

_Table = Mapping[int, Mapping[tuple[str, str], float]]
"""seed → (arm, metric) → value"""


def judge(
    claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int], development: bool = False
) -> Judgement:
    """Judge a claim by its observations.

    Args:
        claim: the claim.
        observations: observations in any order; those of seeds that were not planned and those of other claims are
            ignored.
        planned: the seeds that the claim may use, in the order of the looks.
        development: whether these are development seeds, which decide nothing: the verdict stays INCONCLUSIVE.

    Returns:
        The judgement at the first decisive look, or at the last look; INCOMPLETE if a seed of the next look was not
        observed. Planned seeds beyond the decisive look do not count as missing.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, judge
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> observations = [Observation(seed=seed, value=0.9 + seed / 1000, **row) for seed in range(8)]
    >>> judgement = judge(claim, observations, planned=range(16))
    >>> judgement.verdict.value, judgement.look
    ('SUPPORTED', 8)
    """
    table = _table(o for o in observations if o.claim == claim.id)
    if not _looks(planned):
        return _judge_without_look(claim, table, planned)
    result = _judgement_or_next_look(claim, table, planned)
    if isinstance(result, Look):
        return _incomplete(claim, table, planned, result)
    judgement = _with_planning(claim, table, planned, result)
    if judgement.verdict is Verdict.INCONCLUSIVE:
        judgement = _check_requirements(judgement)
    return _undecided(judgement, "development seeds decide nothing") if development else judgement


def judgements_at_looks(
    claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int]
) -> tuple[Judgement, ...]:
    """Return the judgement at every look that was taken, in order; the last one is the result.

    Args:
        claim, observations, planned: as for :func:`judge`.

    Returns:
        One judgement per look; empty if the number of planned seeds is not the size of a look, or if seeds of the
        first look are missing.
    """
    table = _table(o for o in observations if o.claim == claim.id)
    results = _evaluate_looks(claim, table, planned)
    return tuple(_with_planning(claim, table, planned, result.judgement) for result in results)


def next_seeds(claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds that the verdict needs next: those of the next look that have not been observed yet.

    A run that measures these seeds, calls this function again, and ends when it returns none reaches the same judgement
    as a run that measures all planned seeds. Development seeds are treated in the same way.

    Args:
        claim: the claim.
        observations: the observations so far; as for :func:`judge`.
        planned: the seeds that the claim may use, in the order of the looks.

    Returns:
        Planned seeds, in order; none after a decisive look, after the last look, or if a value is not finite and no
        bounds are declared to score it. If the number of planned seeds is not the size of a look: all seeds that were
        not observed. A seed that failed without an observation is returned again, so the caller has to stop.

    >>> from memkit.evidence import Arm, Claim, Contrast, next_seeds
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> next_seeds(claim, [], planned=range(10_000, 10_016))
    (10000, 10001, 10002, 10003, 10004, 10005, 10006, 10007)
    """
    table = _table(o for o in observations if o.claim == claim.id)
    if not _looks(planned):
        return _unobserved(table, planned)
    result = _judgement_or_next_look(claim, table, planned)
    return _unobserved(table, planned[: result.n]) if isinstance(result, Look) else ()


def differences(claim: Claim, contrast: Contrast, observations: Iterable[Observation]) -> dict[int, float]:
    """Return seed → signed difference, for every seed that was observed, in units of the metric.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, differences
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> differences(claim, contrast, [Observation(seed=0, value=0.75, **row), Observation(seed=1, value=0.25, **row)])
    {0: 0.25, 1: -0.25}
    """
    table = _table(o for o in observations if o.claim == claim.id)
    return {seed: float(_differences(contrast, table, [seed])[0]) for seed in sorted(table)}


# The looks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LookResult:
    """The judgement at one look."""

    judgement: Judgement

    @property
    def decisive(self) -> bool:
        """True if the looks end here: after every verdict except INCONCLUSIVE, so also after INCOMPLETE."""
        return self.judgement.verdict is not Verdict.INCONCLUSIVE


def _looks(planned: Sequence[int]) -> tuple[Look, ...]:
    """Return the looks within the planned seeds; none if the number of seeds is not the size of a look."""
    return looks_within(len(planned)) if len(planned) in {look.n for look in LOOKS} else ()


def _judgement_or_next_look(claim: Claim, table: _Table, planned: Sequence[int]) -> Judgement | Look:
    """Return the final judgement, or, if the looks have not ended, the next look, of which seeds are missing."""
    looks, results = _looks(planned), _evaluate_looks(claim, table, planned)
    if results and (results[-1].decisive or len(results) == len(looks)):
        return results[-1].judgement
    return looks[len(results)]


def _evaluate_looks(claim: Claim, table: _Table, planned: Sequence[int]) -> tuple[_LookResult, ...]:
    """Return the results of all looks whose seeds were observed, up to the first decisive one."""
    observed = tuple(takewhile(table.__contains__, planned))
    return replay(observed, lambda used, look: _LookResult(_judge_at(claim, table, used, look)), looks=_looks(planned))


def _unobserved(table: _Table, seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(seed for seed in seeds if seed not in table)


def _incomplete(claim: Claim, table: _Table, planned: Sequence[int], look: Look) -> Judgement:
    """Return the judgement if seeds of ``look`` are missing, with the intervals of the seeds that were observed."""
    observed = [seed for seed in planned if seed in table]
    findings = _findings(claim, table, observed, Look(len(observed), look.alpha)) if observed else ()
    missing = _unobserved(table, planned[: look.n])
    judgement = Judgement(verdict=Verdict.INCOMPLETE, look=None, n=len(observed), findings=findings, missing=missing)
    return _with_planning(claim, table, observed, judgement)


def _judge_at(claim: Claim, table: _Table, used: Sequence[int], look: Look) -> Judgement:
    """Judge the claim at one look, on the seeds ``used``."""
    findings = _findings(claim, table, used, look)
    contrasts = [finding for finding in findings if finding.role == "contrast"]
    verdicts = {finding.verdict for finding in contrasts}
    preconditions = [finding for finding in findings if finding.role == "requires"]
    controls = [finding for finding in findings if finding.role == "positive control"]
    notes: list[str] = []
    verdict = Verdict.INCONCLUSIVE
    if len(findings) < len(claim.all_contrasts) or any(f.verdict is Verdict.INCOMPLETE for f in findings):
        return Judgement(
            verdict=Verdict.INCOMPLETE,
            look=None,
            n=len(used),
            findings=findings,
            notes=("a value is not finite, and no bounds are declared by which to score it",),
        )
    if not claim.deterministic and len(used) >= LOOKS[0].n and _is_constant(claim, table, used):
        return Judgement(
            verdict=Verdict.INCOMPLETE,
            look=None,
            n=len(used),
            findings=findings,
            notes=(
                f"every arm gave the same value on all {len(used)} seeds, as if a random state had been fixed by "
                "mistake; make the measurement depend on the seed, or declare deterministic=True if it cannot",
            ),
        )
    if verdicts == {Verdict.SUPPORTED}:
        verdict = Verdict.SUPPORTED
    elif verdicts == {Verdict.EQUIVALENT}:
        if all(finding.verdict is Verdict.SUPPORTED for finding in controls):
            verdict = Verdict.EQUIVALENT
        else:
            notes.append("the positive control is not SUPPORTED, so the measurement may only be too insensitive")
    elif verdicts == {Verdict.SUPPORTED, Verdict.EQUIVALENT}:
        notes.append("some contrasts are SUPPORTED and some EQUIVALENT; split the claim to decide each")
    elif (
        verdicts == {Verdict.REFUTED}
        if len(contrasts) == 1
        else any(_refutes(claim, table, used, look, finding.contrast) for finding in contrasts)
    ):
        verdict = Verdict.REFUTED
    elif Verdict.REFUTED in verdicts:
        notes.append(
            f"a contrast is REFUTED, but not at 1/{len(contrasts)} of the level, as one of {len(contrasts)} contrasts "
            "would have to be to refute the claim"
        )
    decisive = verdict is not Verdict.INCONCLUSIVE
    if decisive and any(finding.verdict is not Verdict.SUPPORTED for finding in preconditions):
        verdict, decisive = Verdict.INCONCLUSIVE, False
    return Judgement(
        verdict=verdict, look=look.n if decisive else None, n=len(used), findings=findings, notes=tuple(notes)
    )


def _is_constant(claim: Claim, table: _Table, used: Sequence[int]) -> bool:
    """Return whether no compared value varies over the seeds, and at least one of them lies inside its bounds."""
    any_inside = False
    for contrast in claim.all_contrasts:
        for name in contrast.names:
            values = {table[seed].get((name, contrast.metric), math.nan) for seed in used}
            if len(values) > 1 or not all(map(math.isfinite, values)):
                return False
            any_inside = any_inside or not values <= set(contrast.bounds or ())
    return any_inside


def _refutes(claim: Claim, table: _Table, used: Sequence[int], look: Look, contrast: Contrast) -> bool:
    """Return whether a contrast refutes the claim; as one of k contrasts is enough, each is tested at alpha / k."""
    decision = decide(
        _differences(contrast, table, used),
        look=look,
        bounds=contrast.difference_bounds,
        margin=contrast.margin,
        assume=contrast.assume,
        share=len(claim.contrasts),
    )
    return decision.outcome == "refuted"


def _findings(claim: Claim, table: _Table, used: Sequence[int], look: Look) -> tuple[Finding, ...]:
    if not used:
        return ()
    roles = [("contrast", contrast) for contrast in claim.contrasts]
    roles += [("requires", contrast) for contrast in claim.requires]
    if claim.positive_control is not None:
        roles.append(("positive control", claim.positive_control))
    results = (
        _finding(contrast, role, tuple(_differences(contrast, table, used).tolist()), look) for role, contrast in roles
    )
    return tuple(finding for finding in results if finding is not None)


@lru_cache(maxsize=1024)  # one run needs each finding for the next seeds, for the verdict and for the list of looks
def _finding(contrast: Contrast, role: str, differences: tuple[float, ...], look: Look) -> Finding | None:
    """Return the finding for signed differences [n], one per seed; None if none of them is a number."""
    x = np.array(differences, dtype=np.float64)
    has_nan = bool(np.isnan(x).any())  # a value is not finite, and there are no bounds by which to score it
    if has_nan:
        x = x[~np.isnan(x)]
        if not len(x):
            return None
        look = Look(len(x), look.alpha)
    decision = decide(
        x,
        look=look,
        bounds=contrast.difference_bounds,
        margin=contrast.margin,
        sesoi=contrast.sesoi,
        assume=contrast.assume,
    )
    verdict = Verdict.INCOMPLETE if has_nan else Verdict(decision.outcome.upper())
    return Finding(
        contrast=contrast,
        role=role,
        verdict=verdict,
        n=len(x),
        alpha=look.alpha,
        t=decision.t,
        betting=decision.betting,
        p=t_test(x, null=contrast.margin).p if len(x) > 1 else 1.0,
        tost_p=decision.tost_p,
        provisional=Verdict(decision.provisional.upper()) if decision.provisional else None,
        negligible=decision.negligible,
        notes=tuple(decision.notes),
    )


def _with_planning(claim: Claim, table: _Table, planned: Sequence[int], judgement: Judgement) -> Judgement:
    """Add to each inconclusive finding what a larger run would need to decide it.

    Computing this takes longer than the verdict itself, so it is done once, at the end.
    """
    seeds = [seed for seed in planned if seed in table][: judgement.n]

    def plan(finding: Finding) -> Finding:
        if finding.verdict is not Verdict.INCONCLUSIVE:
            return finding
        x = _differences(finding.contrast, table, seeds)
        return replace(finding, planning=_planning(finding.contrast, x, Look(finding.n, finding.alpha)))

    return replace(judgement, findings=tuple(map(plan, judgement.findings)))


def _planning(contrast: Contrast, x: NDArray[np.float64], look: Look) -> dict[str, float]:
    """Compute what a larger run would need to decide a contrast, from the differences [n] so far."""
    plan: dict[str, float] = {}
    n = len(x)
    if n > 1 and float(np.ptp(x)) > 0:
        with np.errstate(over="ignore"):
            sd = float(np.std(x, ddof=1))
        plan["mde"] = minimum_detectable_effect(sd, n, alpha=look.alpha) if math.isfinite(sd) else math.inf
        effect = abs(float(np.mean(x)) - contrast.margin)
        plan["seeds_needed"] = _seeds_needed(contrast, x, effect, look)
    if contrast.difference_bounds is not None:
        least = smallest_constant(n, bounds=contrast.difference_bounds, null=contrast.margin)
        if math.isfinite(least):  # it is infinite if the seeds are too few to show anything
            plan["betting_minimum"] = least
    return plan


def _seeds_needed(contrast: Contrast, x: NDArray[np.float64], effect: float, look: Look) -> float:
    """Return how many seeds both intervals need to show an effect of this size, or inf.

    For the betting interval this is a lower limit: it is computed for seeds without any spread.
    """
    try:
        needed = seeds_needed(x, effect=effect, alpha=look.alpha)
    except MemkitError:  # the effect is zero, or so close to zero that no number of seeds is enough
        return math.inf
    bounds, margin = contrast.difference_bounds, contrast.margin
    if contrast.assume == "bounded" and bounds is not None:
        while needed <= _MOST_SEEDS and smallest_constant(needed, bounds=bounds, null=margin) - margin > effect:
            needed += max(1, needed // 8)
    return float(needed) if needed <= _MOST_SEEDS else math.inf


def _check_requirements(result: Judgement) -> Judgement:
    """Return the judgement, INCOMPLETE if a precondition is not met."""
    unmet = [f for f in result.findings if f.role == "requires" and f.verdict is not Verdict.SUPPORTED]
    if not unmet:
        return result
    notes = (*result.notes, *(f"precondition not met: {finding.contrast.label}" for finding in unmet))
    return Judgement(verdict=Verdict.INCOMPLETE, look=None, n=result.n, findings=result.findings, notes=notes)


def _judge_without_look(claim: Claim, table: _Table, planned: Sequence[int]) -> Judgement:
    """Judge a number of seeds that is not the size of a look: with 95 % intervals, and without a decision."""
    sizes = ", ".join(str(look.n) for look in LOOKS)
    count = "1 seed decides" if len(planned) == 1 else f"{len(planned)} seeds decide"
    note = f"{count} nothing; looks are at {sizes}"
    if _unobserved(table, planned):
        return replace(_incomplete(claim, table, planned, Look(len(planned), 0.05)), notes=(note,))
    judgement = _judge_at(claim, table, planned, Look(len(planned), 0.05))
    return _undecided(_with_planning(claim, table, planned, judgement), note)


def _undecided(result: Judgement, note: str) -> Judgement:
    """Return a judgement that decides nothing, with the verdict as its indication and ``note`` as the reason."""
    is_incomplete = result.verdict is Verdict.INCOMPLETE
    return Judgement(
        verdict=Verdict.INCOMPLETE if is_incomplete else Verdict.INCONCLUSIVE,
        look=None,
        n=result.n,
        findings=result.findings,
        indication=result.verdict,
        notes=(*result.notes, note),
    )


def _table(observations: Iterable[Observation]) -> _Table:
    table: dict[int, dict[tuple[str, str], float]] = {}
    for o in observations:
        table.setdefault(o.seed, {})[o.arm, o.metric] = o.value
    return table


def _differences(contrast: Contrast, table: _Table, seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return the signed differences [n], one per seed."""
    values = []
    for seed in seeds:
        row = table[seed]
        treatment = row[contrast.treatment, contrast.metric]
        over = contrast.over
        control = row[over, contrast.metric] if isinstance(over, str) else float(over)
        values.append(contrast.difference(treatment, control))
    return np.array(values, dtype=np.float64)
