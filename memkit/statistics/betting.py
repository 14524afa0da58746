"""The betting confidence interval for the mean of a bounded variable, measured on one seed after another.

A gambler bets, seed by seed, that the mean is above m. With the values rescaled to y in [0, 1], a bet of u in
[0, 1] turns a capital of 1 into

    K_u(m) = prod_i (1 + u (y_i − m) / m),

whose expectation is at most 1 if the mean is at most m. The same holds for every mixture of bets. The mixture used
here is

    K(m) = 0.8 · average of K_u(m) over 24 arcsine nodes u  +  0.2 · K_1(m).

By Ville's inequality the probability that K(m) ever reaches 1/ε is at most ε. The opposite bet, on a mean below m, is
the same with 1 − y and 1 − m. The two-sided interval at level 1 − α contains every m against which neither capital
reaches 2/α, which is 40 at α = 0.05. It is valid at every n, and assumes only that the seeds are independent and
that the declared bounds are true.

The arcsine nodes suit effects of any size; the all-in bet u = 1 suits an effect that appears in every seed. The
interval uses the capital at the look, not its running maximum, so that the order of the seeds does not matter. For
the same reason the bets are not tuned to earlier seeds.

Source: I. Waudby-Smith and A. Ramdas (2024), Estimating means of bounded random variables by betting, JRSSB
86: 1–27. Their capital process prod_i (1 + λ (y_i − m)) is used with constant bets λ = u / m and is averaged over a
grid of u.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import (
    Floats,
    bounds_pair,
    count,
    finite,
    probability,
    sample,
    single,
    within_bounds,
)
from memkit.statistics.intervals import Interval
from memkit.statistics.moments import moments

_NODES = 24
BETS: Floats = np.sin(np.pi * (2 * np.arange(1, _NODES + 1) - 1) / (4 * _NODES)) ** 2
"""(24,): the bets u, midpoints of the arcsine distribution on [0, 1]."""
WEIGHT_EACH = 0.8 / _NODES
"""Initial capital on each of ``BETS``."""
WEIGHT_ALL_IN = 0.2
"""Initial capital on the bet u = 1, which loses all of it at the first seed that lies at the bound."""

_SMALLEST_DISTANCE = 1e-200
"""A value closer to a bound than this share of the bounds' width counts as lying at the bound."""


class LogCapital(NamedTuple):
    """The natural logarithms of the capital that both bets against a candidate mean have won, from a capital of 1.

    >>> scores = [0.8, 0.9, 0.85, 0.8, 0.9, 0.95, 0.8, 0.9]
    >>> capital = log_capital(scores, mean=0.5, bounds=(0, 1))
    >>> isinstance(capital, LogCapital)
    True
    >>> print(f"{capital.above:.2f} {capital.below:.2f}")
    3.57 -1.68

    Attributes:
        above: log capital of the bet that the mean is above the candidate, (...); large values rule out the candidate
            and every smaller mean.
        below: log capital of the bet that the mean is below the candidate, (...); large values rule out the candidate
            and every greater mean.
    """

    above: Floats
    below: Floats


def log_capital(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float]) -> LogCapital:
    """Return the log capital of the bets above and below a candidate mean.

    A candidate is outside the 95 % interval of :func:`betting` if either capital has reached 40:

    >>> import math
    >>> scores = [0.8, 0.9, 0.85, 0.8, 0.9, 0.95, 0.8, 0.9]
    >>> limit = betting(scores, bounds=(0, 1)).low
    >>> print(f"{math.exp(log_capital(scores, mean=limit, bounds=(0, 1)).above):.3f}")
    40.000

    Args:
        x: one value per seed, (..., n), within ``bounds``.
        mean: the candidate, a number within ``bounds`` or an array that broadcasts to (...).
        bounds: the least and the greatest value that can occur.

    Raises:
        MemkitError: a value is not finite or lies outside ``bounds``, or ``bounds`` are not in order.
    """
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    candidate = within_bounds(sample(np.atleast_1d(mean), name="mean"), (low, high), name="mean")
    candidate = np.broadcast_to(candidate.reshape(np.shape(mean)), values.shape[:-1])
    above, below = _log_capital_above(_from_bounds(values, low, high), _from_bounds(candidate, low, high))
    return LogCapital(above=above, below=below)


def betting_limits(x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05) -> tuple[Floats, Floats]:
    """Return the limits of :func:`betting` for many experiments at once: ``x`` is (..., n), each limit is (...).

    >>> low, high = betting_limits([[0.5] * 8, [0.4, 0.6] * 4], bounds=(0, 1))
    >>> print(low.round(3), high.round(3))
    [0.286 0.28 ] [0.714 0.72 ]
    """
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    log_threshold = float(np.log(2 / probability(alpha, name="alpha")))
    from_low, from_high = (high - low) * _lowest_mean(_from_bounds(values, low, high), log_threshold)
    return np.clip(low + from_low, low, high), np.clip(high - from_high, low, high)


def betting(x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05) -> Interval:
    """Return the betting interval for the mean of independent seeds, valid at every n and at every look.

    >>> interval = betting([0.8, 0.9, 0.85, 0.8, 0.9, 0.95, 0.8, 0.9], bounds=(0, 1))
    >>> print(f"{interval.estimate:.4f}, 95 % interval {interval.low:.2f} to {interval.high:.2f}")
    0.8625, 95 % interval 0.49 to 0.93

    Args:
        x: one value per seed, (n,), within ``bounds``.
        bounds: the least and the greatest value that can occur; the interval never extends beyond them. Tighter
            bounds, if they are true, give a shorter interval.
        alpha: two-sided error probability over all looks together.

    Raises:
        MemkitError: ``x`` is empty, not finite or outside ``bounds``, ``bounds`` are not in order, or
            ``alpha`` is not between 0 and 1.
    """
    values = single(x)
    return interval_of(values, betting_limits(values, bounds=bounds, alpha=alpha), alpha=alpha)


def interval_of(values: Floats, limits: tuple[Floats, Floats], *, alpha: float) -> Interval:
    """Return the :class:`Interval` for the ``limits`` that :func:`betting_limits` gives for ``values``, (n,)."""
    low, high = (float(limit) for limit in limits)
    # In exact arithmetic the limits enclose the mean, since the capital against the mean itself is at most 1.
    # Rounding can place it just outside, so it is clipped.
    estimate = min(max(float(moments(values).mean), low), high)
    return Interval(estimate=estimate, low=low, high=high, level=1 - alpha, method="betting", n=len(values))


def smallest_constant(n: int, *, bounds: tuple[float, float], alpha: float = 0.05, null: float = 0.0) -> float:
    """Return the smallest effect that ``n`` seeds can show to exceed ``null``, if every seed has exactly that effect.

    >>> [round(smallest_constant(n, bounds=(-1, 1)), 2) for n in (8, 16, 32)]
    [0.75, 0.33, 0.15]

    Args:
        n: the number of seeds.
        bounds: the least and the greatest value that can occur, with ``null`` strictly between them.
        alpha: as for :func:`betting`.
        null: the value that the interval has to exclude.

    Returns:
        A value above ``null``, in units of the metric; ``inf`` if even seeds at the upper bound are too few.

    Raises:
        MemkitError: ``n`` is not a positive whole number, or ``null`` is not inside ``bounds``.
    """
    low, high = bounds_pair(bounds)
    if not low < finite(null, name="null") < high:
        raise MemkitError(f"null must lie strictly inside bounds ({low:g}, {high:g}); it is {null!r}")
    constant = low + (null - low) / _lower_limit_of_ones(count(n, name="n"), alpha)
    return constant if constant <= high else float("inf")


@lru_cache(maxsize=1024)
def _lower_limit_of_ones(n: int, alpha: float) -> float:
    """Return the lower limit for n seeds with the value 1.

    The capital of equal seeds depends on y/m only, so this one limit can be rescaled to every null.
    """
    low, _ = betting_limits(np.ones(n), bounds=(0.0, 1.0), alpha=alpha)
    return float(low)


def _from_bounds(values: Floats, low: float, high: float) -> Floats:
    """Return the distances from both bounds in units of their width: (...) gives (2, ...), all in [0, 1].

    The upper limit is the lower limit of mirrored values, so the two are stacked and computed together.
    """
    distances = np.stack([values - low, high - values]) / (high - low)
    # This keeps y/m from overflowing, and never adds to the capital.
    return np.where(distances < _SMALLEST_DISTANCE, 0.0, distances)


def _log_capital_above(y: Floats, m: Floats) -> Floats:
    """Return log K(m) for seeds ``y`` (..., n) and candidates ``m`` (...), all in [0, 1]."""
    at_zero = m == 0
    value, _ = _log_capital_and_slope(y, np.where(at_zero, 1.0, m))
    # At m = 0 a single seed above 0 gives every bet infinite capital. If all seeds are 0, K does not depend on m,
    # and the value at m = 1 is used.
    return np.where(at_zero & (y > 0).any(axis=-1), np.inf, value)


def _log_capital_and_slope(y: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Return log K(m) and its derivative by log m, (...); ``y`` (..., n) in [0, 1], ``m`` (...) in (0, 1]."""
    n = y.shape[-1]
    relative = ((y - m[..., None]) / m[..., None])[..., None, :]  # (..., 1, n)
    gains = BETS[:, None] * relative  # (..., 24, n), above −1 because every node is below 1
    log_nodes = np.log(WEIGHT_EACH) + np.log1p(gains).sum(axis=-1)  # (..., 24)
    node_slopes = -(BETS[:, None] * (1 + relative) / (1 + gains)).sum(axis=-1)
    with np.errstate(divide="ignore"):  # the all-in bet may have lost everything: log 0 = −inf
        log_all_in = np.log(WEIGHT_ALL_IN) + np.log1p(relative).sum(axis=-1)  # (..., 1)
    log_capitals = np.concatenate([log_nodes, log_all_in], axis=-1)  # (..., 25)
    slopes = np.concatenate([node_slopes, np.full_like(log_all_in, -n)], axis=-1)
    largest = log_capitals.max(axis=-1, keepdims=True)
    scaled = np.exp(log_capitals - largest)
    total = scaled.sum(axis=-1)
    return np.log(total) + largest[..., 0], (scaled * slopes).sum(axis=-1) / total


def _lowest_mean(y: Floats, log_threshold: float) -> Floats:
    """Return the m at which log K(m) = ``log_threshold`` > 0, for ``y`` (..., n) in [0, 1]; 0 where all y are 0.

    log K is decreasing and convex in s = log m, since it is a log-sum-exp of sums of log(1 − u + u y e^−s), each
    convex in s. Newton's method that starts left of the root therefore approaches it from the left and never
    overshoots, so no bracket is needed.
    """
    all_zero = (y == 0).all(axis=-1)
    y = np.where(all_zero[..., None], 1.0, y)
    n = y.shape[-1]
    # A start left of the root: there the best single bet would reach the threshold with the largest seed alone, even
    # if all others were 0.
    log_one_win = np.max(np.log(WEIGHT_EACH) + np.log(BETS) + (n - 1) * np.log1p(-BETS))
    s = np.log(y.max(axis=-1)) + log_one_win - log_threshold
    for _ in range(200):
        value, slope = _log_capital_and_slope(y, np.exp(s))
        step = (log_threshold - value) / slope
        s += step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return np.where(all_zero, 0.0, np.exp(s))
