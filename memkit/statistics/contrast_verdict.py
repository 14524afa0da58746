"""The verdict on one contrast with a given number of seeds: a pure function of the paired differences.

A difference is positive if the treatment is better. The first of these that holds is the outcome:

    SUPPORTED     the capital of the bet that the mean is above ``margin`` has reached 2/α
    REFUTED       the capital of the bet that the mean is below ``margin`` has reached 2k/α, for k contrasts
    EQUIVALENT    the capitals of the bets above −``sesoi`` and below +``sesoi`` have both reached 1/α
    INCONCLUSIVE  otherwise

:mod:`memkit.statistics.betting` defines the capital, and :class:`~memkit.statistics.Thresholds` what it has to reach.
With ``assume="normal"``, which is declared beforehand, Student's t decides instead, at the three looks ``LOOKS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, bounds_pair, finite, positive, sample, single, within_bounds
from memkit.statistics.betting import Order, betting, log_path_above, log_path_below
from memkit.statistics.equivalence import tost_pvalues
from memkit.statistics.intervals import Interval, t_limits
from memkit.statistics.looks import LEAST_SEEDS, LOOKS
from memkit.statistics.moments import moments
from memkit.statistics.thresholds import ALPHA, Thresholds

Outcome = Literal["supported", "refuted", "equivalent", "inconclusive"]
Assumption = Literal["bounded", "normal"]

Bools = NDArray[np.bool_]

_FIRST_ATTEMPT = Thresholds()

NORMAL_THEORY = "normal theory: this rests on Student’s t, which assumes roughly normal seeds; the bounds do not decide"
NO_SPREAD = "the differences do not vary, and normal theory cannot judge differences without spread"


class Capital(NamedTuple):
    """The capital of the bets on one contrast, from a capital of 1: e-values at a given number of seeds.

    >>> capital = decide([0.8] * 8, bounds=(-1, 1)).capital
    >>> isinstance(capital, Capital), round(capital.above), f"{capital.below:.3f}", capital.equivalence
    (True, 66, '0.027', None)

    Attributes:
        above: of the bet that the mean is above the margin.
        below: of the bet that the mean is below the margin.
        equivalence: the smaller of those of the bets above −sesoi and below +sesoi; None if there is no sesoi.
    """

    above: float
    below: float
    equivalence: float | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision on one contrast with a given number of seeds.

    Attributes:
        outcome: "supported", "refuted", "equivalent" or "inconclusive".
        interval: the interval that the rule corresponds to, with the level of each limit: the values that the rule
            would not rule out if they were the margin (±sesoi for "equivalent").
        capital: the capital of the bets; None with ``assume="normal"``.
        tost_p: p-value of the two one-sided t tests within ±sesoi; None without a sesoi or without
            ``assume="normal"``.
        negligible: whether it is supported although the interval lies inside ±sesoi.
        assume: "bounded", or "normal" if Student's t decides.
        notes: what a report has to state beside the outcome, one sentence each.

    >>> decision = decide([0.68, 0.72, 0.70, 0.69, 0.71, 0.70, 0.70, 0.70], bounds=(-1, 1))
    >>> isinstance(decision, Decision), decision.outcome, decision.decisive
    (True, 'supported', True)
    """

    outcome: Outcome
    interval: Interval
    capital: Capital | None
    tost_p: float | None
    negligible: bool
    assume: Assumption
    notes: tuple[str, ...]

    @property
    def decisive(self) -> bool:
        """True if the contrast is decided."""
        return self.outcome != "inconclusive"


def decide(
    differences: ArrayLike,
    *,
    bounds: tuple[float, float] | None,
    margin: float = 0.0,
    sesoi: float | None = None,
    assume: Assumption = "bounded",
    thresholds: Thresholds = _FIRST_ATTEMPT,
    optimistic: ArrayLike | None = None,
) -> Decision:
    """Decide on one contrast with all the seeds given.

    >>> differences = [0.80, 0.82, 0.84, 0.85, 0.85, 0.86, 0.88, 0.90]  # accuracy over that of the control
    >>> decision = decide(differences, bounds=(-1, 1))
    >>> print(f"{decision.outcome}, capital {decision.capital.above:.0f}, mean above {decision.interval.low:.2f}")
    supported, capital 82, mean above 0.10

    Args:
        differences: treatment minus control, positive if the treatment is better; one per seed, (n,).
        bounds: the least and the greatest difference that can occur; ``None`` only with ``assume="normal"``.
        margin: the value that the mean difference has to exceed; inside ``bounds``.
        sesoi: the smallest effect size of interest, above 0; without it nothing is equivalent or negligible.
        assume: "normal" lets Student's t decide.
        thresholds: the capital that each verdict needs.
        optimistic: the differences with values that are not known replaced by the best instead of the worst possible
            ones; bets below use these. By default they are the same.

    Raises:
        MemkitError: ``differences`` are not finite values within ``bounds``, or an option is out of its range.
    """
    rule = _Rule(bounds, margin, sesoi, assume, thresholds)
    low = rule.checked(single(differences, name="differences"))
    high = low if optimistic is None else rule.checked(single(optimistic, name="optimistic"))
    return rule.decide_by_t(low, high) if assume == "normal" else rule.decide_by_betting(low, high)


class Reached(NamedTuple):
    """The verdicts that are reached after each seed, whatever else is reached; each array is (..., n).

    >>> reached([0.9] * 7, bounds=(-1, 1)).supported.tolist()
    [False, False, False, False, False, False, True]
    """

    supported: Bools
    refuted: Bools
    equivalent: Bools


def reached(
    differences: ArrayLike,
    *,
    bounds: tuple[float, float] | None,
    margin: float = 0.0,
    sesoi: float | None = None,
    assume: Assumption = "bounded",
    thresholds: Thresholds = _FIRST_ATTEMPT,
    optimistic: ArrayLike | None = None,
    order: Order | None = None,
) -> Reached:
    """Return which verdicts the first n seeds reach, for every n: (..., n) gives arrays (..., n).

    No verdict is reached with fewer than six seeds, or by Student's t at any n that is not one of its looks. The
    arguments and errors are those of :func:`decide`.

    Args:
        order: for resamples of differences (m,): the index of the difference that each seed has, (..., n).

    >>> with_noise = reached([0.1, 0.9] * 12, bounds=(-1, 1))
    >>> int(with_noise.supported.argmax()) + 1, bool(with_noise.refuted.any())
    (12, False)
    """
    rule = _Rule(bounds, margin, sesoi, assume, thresholds)
    low = rule.checked(sample(differences, name="differences"))
    high = low if optimistic is None else rule.checked(sample(optimistic, name="optimistic"))
    if assume == "normal":
        return rule.reached_by_t(low, high) if order is None else rule.reached_by_t(low[order], high[order])
    assert bounds is not None
    above = log_path_above(low, mean=margin, bounds=bounds, order=order)
    below = log_path_below(high, mean=margin, bounds=bounds, order=order)
    equivalent = rule.equivalence_paths(low, high, order)
    enough = np.arange(1, above.shape[-1] + 1) >= LEAST_SEEDS
    return Reached(
        supported=enough & (above >= math.log(thresholds.support)),
        refuted=enough & (below >= math.log(thresholds.refute)),
        equivalent=enough & (equivalent >= math.log(thresholds.equivalence)),
    )


def first_decisions(
    differences: ArrayLike,
    *,
    bounds: tuple[float, float],
    margin: float = 0.0,
    sesoi: float | None = None,
    thresholds: Thresholds = _FIRST_ATTEMPT,
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return the outcome of many experiments, (..., n), and the number of seeds at which each is decided, (...).

    An experiment that is not decided is "inconclusive" with all its n seeds. The arguments and errors are those of
    :func:`decide`.

    >>> outcomes, seeds = first_decisions([[0.9] * 16, [-0.9] * 16, [0.01] * 16], bounds=(-1, 1))
    >>> print(outcomes, seeds)
    ['supported' 'refuted' 'inconclusive'] [ 7  7 16]
    """
    verdicts = reached(differences, bounds=bounds, margin=margin, sesoi=sesoi, thresholds=thresholds)
    decided = np.logical_or.reduce(verdicts)
    first = np.where(decided.any(axis=-1), decided.argmax(axis=-1), decided.shape[-1] - 1)
    at_first = [np.take_along_axis(verdict, first[..., None], axis=-1)[..., 0] for verdict in verdicts]
    # np.select takes the first condition that holds, which gives the order of the verdicts.
    outcomes = np.select(at_first, ["supported", "refuted", "equivalent"], default="inconclusive")
    return outcomes, np.asarray(first + 1)


def decide_many_by_t(
    differences: ArrayLike,
    *,
    alpha: float,
    bounds: tuple[float, float] | None = None,
    margin: float = 0.0,
    sesoi: float | None = None,
) -> NDArray[np.str_]:
    """Return the outcomes that Student's t at level ``alpha`` gives many experiments, (..., n), at one look.

    It runs the same code as :func:`decide` with ``assume="normal"``, for calibration by simulation.

    >>> print(decide_many_by_t([[0.8, 0.9] * 4, [0.1, -0.1] * 4], alpha=0.0099))
    ['supported' 'inconclusive']
    """
    rule = _Rule(bounds, margin, sesoi, "normal", Thresholds())
    x = rule.checked(sample(differences, name="differences"))
    return rule.by_t(x, x, alpha).outcome


class _ByT(NamedTuple):
    """The results of Student's t; each array has the shape (...)."""

    outcome: NDArray[np.str_]
    reached: Reached
    tost_p: Floats | None
    varies: Bools
    limits: tuple[Floats, Floats]


@dataclass(frozen=True)
class _Rule:
    """The checked options of :func:`decide`, and the decision rule."""

    bounds: tuple[float, float] | None
    margin: float
    sesoi: float | None
    assume: Assumption
    thresholds: Thresholds

    def __post_init__(self) -> None:
        if self.assume not in ("bounded", "normal"):
            raise MemkitError(f'assume must be "bounded" or "normal"; it is {self.assume!r}')
        finite(self.margin, name="margin")
        if self.sesoi is not None:
            positive(self.sesoi, name="sesoi")
        if self.bounds is not None:
            low, high = bounds_pair(self.bounds)
            if not low < self.margin < high:
                raise MemkitError(f"margin must lie strictly inside bounds ({low:g}, {high:g}); it is {self.margin!r}")
        elif self.assume == "bounded":
            raise MemkitError(
                'bounds must be the least and greatest difference that can occur, unless assume is "normal"'
            )

    def checked(self, x: Floats) -> Floats:
        """Return ``x``, (..., n), or raise if it leaves the bounds."""
        return x if self.bounds is None else within_bounds(x, self.bounds, name="differences")

    # --- by betting ----------------------------------------------------------------------------------------------

    def equivalence_paths(self, low: Floats, high: Floats, order: Order | None = None) -> Floats:
        """Return the log of the smaller capital of the two bets within ±sesoi after each seed, (..., n)."""
        shape = low.shape if order is None else order.shape
        if self.sesoi is None:
            return np.full(shape, -np.inf)
        assert self.bounds is not None
        sides = [np.full(shape, np.inf)] * 2  # a side that the bounds decide has infinite capital
        if -self.sesoi > self.bounds[0]:
            sides[0] = log_path_above(low, mean=-self.sesoi, bounds=self.bounds, order=order)
        if self.sesoi < self.bounds[1]:
            sides[1] = log_path_below(high, mean=self.sesoi, bounds=self.bounds, order=order)
        return np.asarray(np.minimum(*sides))

    def decide_by_betting(self, low: Floats, high: Floats) -> Decision:
        """Return the decision for the pessimistic and the optimistic differences, each (n,)."""
        assert self.bounds is not None
        needed = self.thresholds
        above = float(log_path_above(low, mean=self.margin, bounds=self.bounds)[-1])
        below = float(log_path_below(high, mean=self.margin, bounds=self.bounds)[-1])
        equivalence = float(self.equivalence_paths(low, high)[-1])
        outcome: Outcome = "inconclusive"
        if len(low) >= LEAST_SEEDS:
            if above >= math.log(needed.support):
                outcome = "supported"
            elif below >= math.log(needed.refute):
                outcome = "refuted"
            elif equivalence >= math.log(needed.equivalence):
                outcome = "equivalent"
        pair = (needed.support, needed.refute)
        if outcome == "equivalent":
            pair = (needed.equivalence, needed.equivalence)
        interval = betting(low, bounds=self.bounds, thresholds=pair)
        if high is not low:
            interval = _joined(interval, betting(high, bounds=self.bounds, thresholds=pair))
        return Decision(
            outcome=outcome,
            interval=interval,
            capital=Capital(_exp(above), _exp(below), None if self.sesoi is None else _exp(equivalence)),
            tost_p=None,
            negligible=self._is_negligible(outcome, interval),
            assume="bounded",
            notes=(),
        )

    def _is_negligible(self, outcome: Outcome, interval: Interval) -> bool:
        return outcome == "supported" and self.sesoi is not None and interval.inside(-self.sesoi, self.sesoi)

    # --- by Student's t ------------------------------------------------------------------------------------------

    def by_t(self, low: Floats, high: Floats, alpha: float) -> _ByT:
        """Return the results of Student's t at level ``alpha`` for differences (..., n)."""
        share = alpha / self.thresholds.contrasts
        lower, _ = t_limits(low, level=1 - alpha)
        _, upper = t_limits(high, level=1 - share)
        within = np.zeros(low.shape[:-1], dtype=np.bool_)
        tost_p = None
        if self.sesoi is not None:
            p_low, _ = tost_pvalues(low, low=-self.sesoi, high=self.sesoi)
            _, p_high = tost_pvalues(high, low=-self.sesoi, high=self.sesoi)
            tost_p = np.maximum(p_low, p_high)
            if low.shape[-1] >= LOOKS[1].n:  # with eight seeds, the estimate of the spread is too uncertain
                within = tost_p < alpha
        varies = self._varies(low) & self._varies(high)
        holds = Reached(*(h & varies for h in (lower > self.margin, upper < self.margin, within)))
        outcome = np.select(list(holds), Reached._fields, default="inconclusive")
        return _ByT(outcome, holds, tost_p, varies, (lower, upper))

    def reached_by_t(self, low: Floats, high: Floats) -> Reached:
        """Return which verdicts Student's t reaches at its looks, for differences (..., n)."""
        verdicts = Reached(*(np.zeros(low.shape, dtype=np.bool_) for _ in Reached._fields))
        for look in LOOKS:
            if look.n <= low.shape[-1]:
                at_look = self.by_t(low[..., : look.n], high[..., : look.n], self._alpha(look.n)).reached
                for verdict, holds in zip(verdicts, at_look, strict=True):
                    verdict[..., look.n - 1] = holds
        return verdicts

    def _alpha(self, n: int) -> float:
        """Return the level of Student's t with n seeds, which each new attempt halves."""
        scale = self.thresholds.alpha / ALPHA / 2.0 ** (self.thresholds.attempt - 1)
        return next((look.alpha for look in LOOKS if look.n == n), ALPHA) * scale

    def decide_by_t(self, low: Floats, high: Floats) -> Decision:
        """Return the decision for the pessimistic and the optimistic differences, each (n,)."""
        alpha = self._alpha(len(low))
        result = self.by_t(low, high, alpha)
        is_look = any(look.n == len(low) for look in LOOKS)
        outcome = cast(Outcome, str(result.outcome) if is_look else "inconclusive")
        errors = (alpha, alpha / self.thresholds.contrasts)
        if outcome == "equivalent":
            errors = (2 * alpha, 2 * alpha)
        ends = t_limits(low, level=1 - errors[0])[0], t_limits(high, level=1 - errors[1])[1]
        interval = Interval(
            estimate=_middle(low, high),
            low=float(ends[0]),
            high=float(ends[1]),
            level=1 - sum(errors) / 2,
            method="student-t",
            n=len(low),
            low_level=1 - errors[0] / 2,
            high_level=1 - errors[1] / 2,
        )
        return Decision(
            outcome=outcome,
            interval=interval,
            capital=None,
            tost_p=None if result.tost_p is None else float(result.tost_p),
            negligible=self._is_negligible(outcome, interval),
            assume="normal",
            notes=(NORMAL_THEORY,) if result.varies else (NORMAL_THEORY, NO_SPREAD),
        )

    def _varies(self, x: Floats) -> Bools:
        """Return whether the seeds differ by more than rounding; 0.9 − 0.8 and 0.4 − 0.3 are not exactly equal."""
        scale = np.abs(x).max(axis=-1) if self.bounds is None else self.bounds[1] - self.bounds[0]
        return np.asarray(np.ptp(x, axis=-1) > 1e-12 * scale)


def _joined(low: Interval, high: Interval) -> Interval:
    """Return the interval from the lower limit of the pessimistic to the upper limit of the optimistic differences."""
    middle = low.estimate / 2 + high.estimate / 2  # halves, since the sum may exceed the largest float
    return Interval(
        estimate=min(max(middle, low.low), high.high),
        low=low.low,
        high=high.high,
        level=low.level,
        method=low.method,
        n=low.n,
        low_level=low.low_level,
        high_level=high.high_level,
    )


def _middle(low: Floats, high: Floats) -> float:
    return float(moments(low).mean) if high is low else float(moments(low / 2 + high / 2).mean)


def _exp(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf
