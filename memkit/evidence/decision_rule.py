"""The decision rule: a pure function from a claim and its observations to a verdict.

The verdict is the one at the first n, of at least six, at which the rule decides, with the planned seeds in their order
and without gaps, whatever order they ran in. A claim that assumes normality is judged only at the looks of Student's t.
The same rule decides during a run, says which seeds the run needs next, and recomputes an evidence file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memkit.errors import MemkitError, count_of
from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.observation import Observation
from memkit.evidence.verdict import Finding, Judgement, Verdict
from memkit.statistics import (
    LEAST_SEEDS,
    LOOKS,
    Decision,
    Thresholds,
    decide,
    minimum_detectable_effect,
    reached,
    seeds_needed,
    seeds_to_reach,
    smallest_constant,
    smallest_effect,
    t_test,
)
from memkit.statistics.betting import log_path_above, log_path_below

__all__ = [
    "Finding",
    "Judgement",
    "Verdict",
    "capital_paths",
    "differences",
    "judge",
    "judgements_at_looks",
    "next_seeds",
]

FUTILE_CHANCE = 0.05
"""A claim whose predictive chance of a verdict lies below this stops before it has used all its seeds."""
FUTILE_FROM = 16
"""The least number of seeds from which the chance of a verdict is predicted."""
CLIPPED = "the metric is clipped to"
"""The beginning of the note on a contrast that clips its metric."""
_RESAMPLES = 100
_FIRST_ATTEMPT = Thresholds()
_MOST_SEEDS = 10_000  # more seeds than anybody can afford; a larger number needed is reported as infinite

_Table = Mapping[int, Mapping[tuple[str, str], float]]
"""seed → (arm, metric) → value"""
_Range = tuple[tuple[float, ...], tuple[float, ...]]
"""The least and the greatest signed difference that the values of each seed allow: (n,) each."""
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


def judge(
    claim: Claim,
    observations: Iterable[Observation],
    *,
    planned: Sequence[int],
    thresholds: Thresholds = _FIRST_ATTEMPT,
    development: bool = False,
) -> Judgement:
    """Judge a claim by its observations.

    Args:
        claim: the claim.
        observations: observations in any order; those of seeds that were not planned and those of other claims are
            ignored.
        planned: the seeds that the claim may use, in order.
        thresholds: what the capital has to reach, from the claim's registration; the rule sets ``contrasts``.
        development: whether these are development seeds, which decide nothing: the verdict stays INCONCLUSIVE.

    Returns:
        The judgement at the first n at which the rule decides, otherwise at the last seed; INCOMPLETE if a seed of the
        next look was not observed. Planned seeds beyond the deciding n do not count as missing.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, judge
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> observations = [Observation(seed=seed, value=0.9 + seed / 1000, **row) for seed in range(8)]
    >>> judgement = judge(claim, observations, planned=range(16))
    >>> judgement.verdict.value, judgement.decided_at
    ('SUPPORTED', 8)
    """
    case = _Case(claim, _table(o for o in observations if o.claim == claim.id), tuple(planned), thresholds)
    judgement = case.with_planning(case.judgement())
    return _undecided(judgement, "development seeds decide nothing") if development else judgement


def judgements_at_looks(
    claim: Claim,
    observations: Iterable[Observation],
    *,
    planned: Sequence[int],
    thresholds: Thresholds = _FIRST_ATTEMPT,
) -> tuple[Judgement, ...]:
    """Return the judgement at every look that was taken, in order; the last one is the result.

    Args:
        claim, observations, planned, thresholds: as for :func:`judge`.

    Returns:
        One judgement per look before the deciding n, and the final one; empty if seeds of the first look are missing.
    """
    case = _Case(claim, _table(o for o in observations if o.claim == claim.id), tuple(planned), thresholds)
    final = case.judgement()
    earlier = [
        Judgement(verdict=Verdict.INCONCLUSIVE, decided_at=None, n=n, findings=case.findings(n))
        for n in case.looks
        if n < final.n or (n == final.n and final.missing)
    ]
    return (*earlier, *([] if final.missing else [case.with_planning(final)]))


def next_seeds(
    claim: Claim,
    observations: Iterable[Observation],
    *,
    planned: Sequence[int],
    thresholds: Thresholds = _FIRST_ATTEMPT,
) -> tuple[int, ...]:
    """Return the seeds that the verdict needs next: those of the next look that have not been observed yet.

    A run that measures these seeds, calls this function again, and ends when it returns none reaches the same judgement
    as a run that measures all planned seeds, unless it ends because further seeds have hardly any chance of a verdict.
    Development seeds are treated in the same way.

    Args:
        claim: the claim.
        observations: the observations so far; as for :func:`judge`.
        planned: the seeds that the claim may use, in order.
        thresholds: as for :func:`judge`.

    Returns:
        Planned seeds, in order; none once the claim is decided or has hardly any chance of a verdict, after the last
        look, or if a value is not finite and no bounds are declared. A seed that failed without an observation is
        returned again, so the caller has to stop.

    >>> from memkit.evidence import Arm, Claim, Contrast, next_seeds
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> next_seeds(claim, [], planned=range(10_000, 10_016))
    (10000, 10001, 10002, 10003, 10004, 10005, 10006, 10007)
    """
    table = _table(o for o in observations if o.claim == claim.id)
    case = _Case(claim, table, tuple(planned), thresholds)
    return case.missing


def differences(claim: Claim, contrast: Contrast, observations: Iterable[Observation]) -> dict[int, float]:
    """Return seed → signed difference, for every seed that was observed, in units of the metric.

    The difference is nan if a value is not finite.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, differences
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> differences(claim, contrast, [Observation(seed=0, value=0.75, **row), Observation(seed=1, value=0.25, **row)])
    {0: 0.25, 1: -0.25}
    """
    table = _table(o for o in observations if o.claim == claim.id)
    return {seed: contrast.difference(*_values(contrast, table[seed])) for seed in sorted(table)}


def capital_paths(
    claim: Claim, contrast: Contrast, observations: Iterable[Observation], *, planned: Sequence[int]
) -> dict[Verdict, _Floats]:
    """Return what the bets of a contrast had won after each seed: verdict → the log of the capital, (n,).

    Args:
        claim: the claim.
        contrast: one of its contrasts.
        observations: as for :func:`judge`.
        planned: the seeds that the claim may use, in order; seeds after the first that was not observed are left out.

    Returns:
        The paths for SUPPORTED and REFUTED, and for EQUIVALENT if a sesoi is declared and no bound decides it; empty if
        Student's t decides, and if no seed was observed.
    """
    bounds = contrast.difference_bounds
    case = _Case(claim, _table(o for o in observations if o.claim == claim.id), tuple(planned), _FIRST_ATTEMPT)
    if contrast.assume == "normal" or bounds is None or not case.observed:
        return {}
    low, high = (np.array(ends) for ends in case.range_of(contrast))
    paths = {
        Verdict.SUPPORTED: log_path_above(low, mean=contrast.margin, bounds=bounds),
        Verdict.REFUTED: log_path_below(high, mean=contrast.margin, bounds=bounds),
    }
    if contrast.sesoi is not None and bounds[0] < -contrast.sesoi and contrast.sesoi < bounds[1]:
        above = log_path_above(low, mean=-contrast.sesoi, bounds=bounds)
        below = log_path_below(high, mean=contrast.sesoi, bounds=bounds)
        paths[Verdict.EQUIVALENT] = np.minimum(above, below)
    return paths


# Where a claim stands -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    """A contrast in its role, with what it has to reach; all of them together are what the rule depends on."""

    contrast: Contrast
    role: str
    thresholds: Thresholds
    of_mutant: bool


@dataclass(frozen=True)
class _Case:
    """A claim with the values of its seeds."""

    claim: Claim
    table: _Table
    planned: tuple[int, ...]
    thresholds: Thresholds

    @cached_property
    def observed(self) -> tuple[int, ...]:
        """The seeds that were observed, in order, up to the first that is missing."""
        return tuple(takewhile(self.table.__contains__, self.planned))

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds after which the verdict is looked at."""
        return self.claim.looks(len(self.planned))

    @cached_property
    def comparisons(self) -> tuple[_Comparison, ...]:
        """The contrasts, the preconditions and the positive control."""
        several = replace(self.thresholds, contrasts=len(self.claim.contrasts))
        single = replace(self.thresholds, contrasts=1)
        parts = [_Comparison(c, "contrast", several, self.claim.is_mutant) for c in self.claim.contrasts]
        parts += [_Comparison(c, "requires", single, self.claim.is_mutant) for c in self.claim.requires]
        if (control := self.claim.judged_positive_control) is not None:
            parts.append(_Comparison(control, "positive control", single, self.claim.is_mutant))
        return tuple(parts)

    @cached_property
    def ranges(self) -> tuple[_Range, ...]:
        """The differences of the observed seeds, for each comparison."""
        return tuple(self.range_of(comparison.contrast) for comparison in self.comparisons)

    @cached_property
    def judgeable(self) -> int:
        """The number of observed seeds before the first whose values cannot be judged."""
        rows = zip(*(zip(low, high, strict=True) for low, high in self.ranges), strict=True)
        return sum(1 for _ in takewhile(self._is_judgeable, rows))

    def _is_judgeable(self, row: Iterable[tuple[float, float]]) -> bool:
        return not any(math.isnan(low) or (self.claim.is_mutant and low != high) for low, high in row)

    @cached_property
    def decision(self) -> tuple[Verdict, int] | None:
        """The first verdict, and the number of seeds at which it is reached; None if there is none yet."""
        n = self.judgeable
        if n < LEAST_SEEDS:
            return None
        return _first_decision(self.comparisons, tuple((low[:n], high[:n]) for low, high in self.ranges))

    @cached_property
    def problem(self) -> str:
        """Why the values cannot be judged; "" if they can."""
        n = len(self.observed)
        if n >= LEAST_SEEDS and not self.claim.deterministic and self._is_constant():
            return (
                f"every arm gave the same value on all {n} seeds, as if a random state had been fixed by mistake; make "
                "the measurement depend on the seed, or declare deterministic=True if it cannot"
            )
        if self.judgeable == n or self.decision:
            return ""
        if any(math.isnan(low[self.judgeable]) for low, _ in self.ranges):
            return "a value is not finite, and no bounds are declared within which it must lie"
        return "the mutant diverged, which does not show that the measurement notices the break"

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds of the next look that were not observed; none if no further look is taken."""
        n = len(self.observed)
        following = next((size for size in self.looks if size > n), None)
        if following is None or self.problem or self.decision or self._is_futile():
            return ()
        return tuple(seed for seed in self.planned[:following] if seed not in self.table)

    def judgement(self) -> Judgement:
        """Return the judgement, without planning."""
        n = len(self.observed)
        if self.problem:
            return self._judgement(Verdict.INCOMPLETE, n, [self.problem])
        if self.decision:
            verdict, n = self.decision
            is_short = verdict is Verdict.INCONCLUSIVE
            notes = ["the effect of the mutant is shown to be smaller than any that would matter"] if is_short else []
            return self._judgement(verdict, n, notes, decided_at=n)
        if missing := self.missing:
            return self._judgement(Verdict.INCOMPLETE, n, [], missing=missing)
        return self._inconclusive(n)

    def _judgement(self, verdict: Verdict, n: int, notes: Iterable[str], **fields: Any) -> Judgement:
        options = {"decided_at": None, **fields}
        return Judgement(verdict=verdict, n=n, findings=self.findings(n), notes=tuple(notes), **options)

    def _inconclusive(self, n: int) -> Judgement:
        """Return the judgement with all seeds that are used, if they decide nothing."""
        findings, notes = self.findings(n), []
        verdicts = {finding.verdict for finding in findings if finding.role == "contrast"}
        unmet = {
            role: [f.contrast.label for f in findings if f.role == role and f.verdict is not Verdict.SUPPORTED]
            for role in ("requires", "positive control")
        }
        if verdicts == {Verdict.SUPPORTED, Verdict.EQUIVALENT}:
            notes.append("some contrasts are SUPPORTED and some EQUIVALENT; split the claim to decide each")
        if verdicts == {Verdict.EQUIVALENT} and unmet["positive control"]:
            notes.append(
                "the positive control is not SUPPORTED at a margin of the sesoi, so the measurement may only be too "
                "insensitive"
            )
        if unmet["requires"]:
            return self._judgement(
                Verdict.INCOMPLETE, n, [*notes, *(f"precondition not met: {label}" for label in unmet["requires"])]
            )
        if n < self.looks[-1]:
            notes.append(
                f"stopped at {n} of {len(self.planned)} seeds, as further seeds like these have a chance of a verdict "
                f"below {100 * FUTILE_CHANCE:.0f} %"
            )
        judgement = self._judgement(Verdict.INCONCLUSIVE, n, notes)
        if self.claim.assumes_normality and n < LOOKS[0].n:
            return _undecided(judgement, f"{count_of(n, 'seed')} cannot decide; Student’s t needs {LOOKS[0].n}")
        if n < LEAST_SEEDS:
            return _undecided(judgement, f"{count_of(n, 'seed')} cannot decide; the rule needs {LEAST_SEEDS}")
        return judgement

    def _is_futile(self) -> bool:
        """Return whether further seeds have hardly any chance of a verdict, if they are like the observed ones."""
        if len(self.observed) < FUTILE_FROM or self.claim.expect == "not_supported":
            return False
        # Normal theory needs variation, and resamples of values that have not varied so far cannot predict any.
        if any(c.contrast.assume == "normal" and max(low) - min(low) < 1e-12 for c, (low, _) in self._compared()):
            return False
        return _chance_of_verdict(self.comparisons, self.ranges, self.looks[-1]) < FUTILE_CHANCE

    def _compared(self) -> Iterable[tuple[_Comparison, _Range]]:
        return zip(self.comparisons, self.ranges, strict=True)

    def _is_constant(self) -> bool:
        """Return whether no compared value varies over the seeds, and at least one of them lies inside its bounds."""
        any_inside = False
        for contrast in self.claim.all_contrasts:
            for name in contrast.names:
                values = {self.table[seed].get((name, contrast.metric), math.nan) for seed in self.observed}
                if len(values) > 1 or not all(map(math.isfinite, values)):
                    return False
                any_inside = any_inside or not values <= set(contrast.bounds or ())
        return any_inside

    def range_of(self, contrast: Contrast) -> _Range:
        """Return the differences of the observed seeds in a contrast."""
        ranges = [contrast.difference_range(*_values(contrast, self.table[seed])) for seed in self.observed]
        return tuple(low for low, _ in ranges), tuple(high for _, high in ranges)

    def findings(self, n: int) -> tuple[Finding, ...]:
        """Return the findings with the first ``n`` seeds; a contrast of which no value is known has none."""
        found = []
        for comparison, (low, high) in self._compared():
            if (finding := _finding(comparison, (low[:n], high[:n]))) is not None:
                notes = (*finding.notes, *self._clipped_note(comparison.contrast, n))
                found.append(replace(finding, notes=notes) if notes else finding)
        return tuple(found)

    def _clipped_note(self, contrast: Contrast, n: int) -> list[str]:
        if not contrast.clip or contrast.bounds is None:
            return []
        rows = [_values(contrast, self.table[seed]) for seed in self.observed[:n]]
        clipped = sum(any(v == v and contrast.clipped(v) != v for v in row) for row in rows)
        low, high = contrast.bounds
        return [f"{CLIPPED} {low:g} to {high:g}, which concerns {clipped} of {count_of(n, 'seed')}"]

    def with_planning(self, judgement: Judgement) -> Judgement:
        """Add to each inconclusive finding what a larger run would need to decide it.

        Computing this takes longer than the verdict itself, so it is done once, at the end.
        """
        parts = {(c.role, c.contrast): (c, r) for c, r in self._compared()}

        def plan(finding: Finding) -> Finding:
            if finding.verdict is not Verdict.INCONCLUSIVE:
                return finding
            comparison, (low, high) = parts[finding.role, finding.contrast]
            return replace(finding, planning=_planning(comparison, finding, (low[: finding.n], high[: finding.n])))

        return replace(judgement, findings=tuple(map(plan, judgement.findings)))


def _undecided(result: Judgement, note: str) -> Judgement:
    """Return a judgement that decides nothing, with the verdict as its indication and ``note`` as the reason."""
    is_incomplete = result.verdict is Verdict.INCOMPLETE
    return replace(
        result,
        verdict=Verdict.INCOMPLETE if is_incomplete else Verdict.INCONCLUSIVE,
        decided_at=None,
        indication=None if result.missing else result.verdict,
        notes=(*result.notes, note),
    )


# The rule: functions of differences ---------------------------------------------------------------


@lru_cache(maxsize=1024)  # a run needs it for the next seeds, for the verdict and for the list of looks
def _first_decision(comparisons: tuple[_Comparison, ...], ranges: tuple[_Range, ...]) -> tuple[Verdict, int] | None:
    """Return the first verdict, and the number of seeds at which it is reached; None if there is none.

    A mutant whose effect is shown to be smaller than any that would matter is decided, but INCONCLUSIVE.
    """
    samples = [(np.array(low), np.array(high)) for low, high in ranges]
    verdicts = _verdicts(comparisons, samples)
    decided = np.logical_or.reduce(list(verdicts.values()))
    if not decided.any():
        return None
    index = int(decided.argmax())
    return next(verdict for verdict, holds in verdicts.items() if holds[index]), index + 1


@lru_cache(maxsize=1024)
def _chance_of_verdict(comparisons: tuple[_Comparison, ...], ranges: tuple[_Range, ...], most: int) -> float:
    """Return the share of resamples, with up to ``most`` seeds, in which the claim would be decided.

    Further seeds are drawn from the observed ones, with replacement. The generator is fixed and its stream is frozen
    by NumPy, so that the result is a function of the observations.
    """
    n = len(ranges[0][0])
    drawn = np.random.RandomState(0).randint(n, size=(_RESAMPLES, most - n))
    order = np.concatenate([np.broadcast_to(np.arange(n), (_RESAMPLES, n)), drawn], axis=-1)
    samples = [(np.array(low), np.array(high)) for low, high in ranges]
    decided = np.logical_or.reduce(list(_verdicts(comparisons, samples, order).values()))
    return float(decided.any(axis=-1).mean())


def _verdicts(
    comparisons: Sequence[_Comparison],
    samples: Sequence[tuple[_Floats, _Floats]],
    order: NDArray[np.int64] | None = None,
) -> dict[Verdict, _Bools]:
    """Return whether each verdict on the claim is reached after each seed, (..., n), in order of precedence.

    INCONCLUSIVE is reached by a mutant whose effect is shown to be smaller than any that would matter.

    Args:
        comparisons: what is compared.
        samples: for each of them, the least and the greatest differences, (n,).
        order: for resamples, the indices of the differences that their seeds have, (..., n).
    """
    shape = samples[0][0].shape if order is None else order.shape
    supported, equivalent, possible = (np.ones(shape, dtype=np.bool_) for _ in range(3))
    refuted, short = (np.zeros(shape, dtype=np.bool_) for _ in range(2))
    for comparison, (low, high) in zip(comparisons, samples, strict=True):
        contrast, options = comparison.contrast, _options(comparison)
        result = reached(low, optimistic=high, order=order, **options)
        if comparison.role == "requires":
            possible &= result.supported
        elif comparison.role == "positive control":
            equivalent &= result.supported
        else:
            supported &= result.supported
            refuted |= result.refuted
            equivalent &= result.equivalent
            bounds, relevant = contrast.difference_bounds, contrast.margin + contrast.least_relevant
            if comparison.of_mutant and (bounds is None or relevant < bounds[1]):
                short |= reached(low, optimistic=high, order=order, **{**options, "margin": relevant}).refuted
    if any(comparison.contrast.assume == "normal" for comparison in comparisons):
        possible &= np.isin(np.arange(1, shape[-1] + 1), [look.n for look in LOOKS])
    return {
        Verdict.SUPPORTED: supported & possible,
        Verdict.REFUTED: refuted & possible,
        Verdict.EQUIVALENT: equivalent & possible,
        Verdict.INCONCLUSIVE: short & possible,
    }


def _options(comparison: _Comparison) -> dict[str, Any]:
    contrast = comparison.contrast
    return {
        "bounds": contrast.difference_bounds,
        "margin": contrast.margin,
        "sesoi": contrast.sesoi,
        "assume": contrast.assume,
        "thresholds": comparison.thresholds,
    }


@lru_cache(maxsize=1024)
def _finding(comparison: _Comparison, differences: _Range) -> Finding | None:
    """Return the finding for the least and the greatest differences of each seed; None if none is a number."""
    low, high = (np.array(x, dtype=np.float64) for x in differences)
    is_known = ~np.isnan(low)
    if not is_known.any():
        return None
    low, high = low[is_known], high[is_known]
    decision = decide(low, optimistic=None if (low == high).all() else high, **_options(comparison))
    contrast, thresholds = comparison.contrast, comparison.thresholds
    return Finding(
        contrast=contrast,
        role=comparison.role,
        verdict=Verdict(decision.outcome.upper()) if is_known.all() else Verdict.INCOMPLETE,
        n=len(low),
        interval=decision.interval,
        capital=decision.capital,
        thresholds=thresholds,
        p=_p_value(decision, contrast, low) if len(low) > 1 else 1.0,
        sd=_sd((low + high) / 2),
        negligible=decision.negligible,
        notes=tuple(decision.notes),
    )


def _sd(x: _Floats) -> float | None:
    with np.errstate(over="ignore"):
        sd = float(np.std(x, ddof=1)) if len(x) > 1 else math.nan
    return sd if math.isfinite(sd) else None


def _p_value(decision: Decision, contrast: Contrast, low: _Floats) -> float:
    """Return a p-value for the verdict EQUIVALENT if that is the outcome, and otherwise a two-sided one for the margin.

    By betting, it is at most α where either capital has reached what a single contrast needs at the first attempt.
    """
    if decision.capital is None:
        is_equivalent = decision.outcome == "equivalent" and decision.tost_p is not None
        return decision.tost_p if is_equivalent and decision.tost_p else t_test(low, null=contrast.margin).p
    if decision.outcome == "equivalent" and decision.capital.equivalence is not None:
        return min(1.0, 1 / decision.capital.equivalence)
    return min(1.0, 2 / max(decision.capital.above, decision.capital.below))


def _planning(comparison: _Comparison, finding: Finding, differences: _Range) -> dict[str, float]:
    """Compute what a larger run would need to decide a contrast, from its differences so far."""
    contrast, interval = comparison.contrast, finding.interval
    low, high = (np.array(x) for x in differences)
    bounds, margin = contrast.difference_bounds, contrast.margin
    if contrast.assume == "normal" or bounds is None:
        return _planning_by_t(contrast, low, 2 * (1 - interval.low_level))
    thresholds = comparison.thresholds
    plan = {"seeds_needed": _seeds_needed(contrast, bounds, thresholds, interval.estimate, (low, high))}
    least = {
        "mde": smallest_effect(low, bounds=bounds, null=margin, threshold=thresholds.support),
        "least_constant": smallest_constant(len(low), bounds=bounds, null=margin, threshold=thresholds.support),
    }
    # They are infinite if the seeds are too few to show anything.
    return {**{name: value for name, value in least.items() if math.isfinite(value)}, **plan}


def _seeds_needed(
    contrast: Contrast,
    bounds: tuple[float, float],
    thresholds: Thresholds,
    estimate: float,
    differences: tuple[_Floats, _Floats],
) -> float:
    """Return how many seeds like these decide a contrast, for the verdict that takes the fewest; inf if none does."""

    def above(mean: float, threshold: float) -> float:
        return seeds_to_reach(differences[0], mean=mean, bounds=bounds, threshold=threshold)

    def below(mean: float, threshold: float) -> float:
        mirrored = (-bounds[1], -bounds[0])
        return seeds_to_reach(-differences[1], mean=-mean, bounds=mirrored, threshold=threshold)

    margin, sesoi = contrast.margin, contrast.sesoi
    needed = above(margin, thresholds.support) if estimate >= margin else below(margin, thresholds.refute)
    if sesoi is not None and bounds[0] < -sesoi < estimate < sesoi < bounds[1]:
        sides = above(-sesoi, thresholds.equivalence), below(sesoi, thresholds.equivalence)
        needed = min(needed, max(sides))
    return needed


def _planning_by_t(contrast: Contrast, x: _Floats, alpha: float) -> dict[str, float]:
    """Compute what Student's t needs at level ``alpha``."""
    n = len(x)
    if n < 2 or float(np.ptp(x)) == 0:
        return {}
    with np.errstate(over="ignore"):
        sd = float(np.std(x, ddof=1))
    effect = abs(float(np.mean(x)) - contrast.margin)
    try:
        needed = float(seeds_needed(x, effect=effect, alpha=alpha))
    except MemkitError:  # the effect is zero, or so close to zero that no number of seeds is enough
        needed = math.inf
    mde = minimum_detectable_effect(sd, n, alpha=alpha) if math.isfinite(sd) else math.inf
    return {"mde": mde, "seeds_needed": needed if needed <= _MOST_SEEDS else math.inf}


# Values -------------------------------------------------------------------------------------------


def _table(observations: Iterable[Observation]) -> _Table:
    table: dict[int, dict[tuple[str, str], float]] = {}
    for o in observations:
        table.setdefault(o.seed, {})[o.arm, o.metric] = o.value
    return table


def _values(contrast: Contrast, row: Mapping[tuple[str, str], float]) -> tuple[float, float]:
    """Return the values of the treatment and of the control for one seed."""
    over = contrast.over
    control = row[over, contrast.metric] if isinstance(over, str) else float(over)
    return row[contrast.treatment, contrast.metric], control
