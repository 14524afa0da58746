"""The betting confidence interval for the mean of bounded seeds.

A gambler bets, seed by seed, that the mean is above m. With the seeds rescaled to y in [0, 1], the bet u in
[0, 1] turns capital 1 into

    K_u(m) = prod_i (1 + u (y_i − m) / m),

which has expectation at most 1 as long as the mean is at most m. So has any mixture of bets, here

    K(m) = 0.8 · average of K_u(m) over 24 arcsine nodes u  +  0.2 · K_1(m),

and by Ville's inequality K(m) reaches 1/ε, at one look or ever, with probability at most ε. Betting the other
way, on y below m, is the same with 1 − y and 1 − m. A two-sided interval at level 1 − α holds the m against
which neither capital reaches 2/α: 40 at α = 0.05. Independent seeds and declared bounds are all it assumes,
at every n.

The arcsine nodes suit any effect, the all-in bet suits an effect in every seed. Capital is read at the look
and not as its running maximum, so that the order of seeds does not matter; for the same reason the bets are
not tuned to earlier seeds.

Source: I. Waudby-Smith and A. Ramdas (2024), Estimating means of bounded random variables by betting, JRSSB
86: 1–27: its capital process prod_i (1 + λ (y_i − m)) with constant bets λ = u / m, diversified over a grid
of u.
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
"""Starting capital on each of ``BETS``."""
WEIGHT_ALL_IN = 0.2
"""Starting capital on the bet u = 1, which loses everything at the first seed at the bound."""

_AT_BOUND = 1e-200


class LogCapital(NamedTuple):
    """Natural logarithm of the capital against a candidate mean, from a capital of 1.

    Attributes:
        above: of the bet that the mean is above the candidate, (...); large values exclude any mean up to it.
        below: of the bet that it is below, (...); large values exclude any mean from it upwards.
    """

    above: Floats
    below: Floats


def log_capital(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float]) -> LogCapital:
    """Compute the log capital on both sides against a candidate mean.

    Args:
        x: seeds, (..., n), within ``bounds``.
        mean: the candidate, a number within ``bounds`` or an array that broadcasts to (...).
        bounds: the least and the greatest value that a seed can take.

    Raises:
        MemkitError: a value is not finite or outside ``bounds``, or ``bounds`` are not in order.
    """
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    candidate = within_bounds(sample(np.atleast_1d(mean), name="mean"), (low, high), name="mean")
    candidate = np.broadcast_to(candidate.reshape(np.shape(mean)), values.shape[:-1])
    above, below = _log_capital_above(_from_bounds(values, low, high), _from_bounds(candidate, low, high))
    return LogCapital(above=above, below=below)


def betting_limits(x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05) -> tuple[Floats, Floats]:
    """Return the limits of :func:`betting` for many experiments at once: ``x`` is (..., n), each limit is (...)."""
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    log_threshold = float(np.log(2 / probability(alpha, name="alpha")))
    from_low, from_high = (high - low) * _lowest_mean(_from_bounds(values, low, high), log_threshold)
    return np.clip(low + from_low, low, high), np.clip(high - from_high, low, high)


def betting(x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05) -> Interval:
    """Return the betting interval for the mean of independent seeds, valid at every n and at every look.

    Args:
        x: seeds, (n,), within ``bounds``.
        bounds: the least and the greatest value that a seed can take; the interval never leaves them. Tighter
            ones, where they are true, sharpen it.
        alpha: two-sided error probability over all looks together.

    Raises:
        MemkitError: ``x`` is empty, not finite or outside ``bounds``, ``bounds`` are not in order, or
            ``alpha`` is not between 0 and 1.
    """
    values = single(x)
    return interval_of(values, betting_limits(values, bounds=bounds, alpha=alpha), alpha=alpha)


def interval_of(values: Floats, limits: tuple[Floats, Floats], *, alpha: float) -> Interval:
    """Return the interval with these limits, of :func:`betting_limits` for one experiment, (n,)."""
    low, high = (float(limit) for limit in limits)
    # The limits enclose the mean, against which the capital is at most 1; but for rounding, undone here.
    estimate = min(max(float(moments(values).mean), low), high)
    return Interval(estimate=estimate, low=low, high=high, level=1 - alpha, method="betting", n=len(values))


def smallest_constant(n: int, *, bounds: tuple[float, float], alpha: float = 0.05, null: float = 0.0) -> float:
    """Return the smallest effect that ``n`` seeds can show to exceed ``null``, where every seed shows that effect.

    Args:
        n: the number of seeds.
        bounds: the least and the greatest value that a seed can take, with ``null`` strictly between them.
        alpha: as for :func:`betting`.
        null: what is to be excluded.

    Returns:
        A value above null, in units of the metric; ``inf`` where not even the upper bound would do.

    Raises:
        MemkitError: ``n`` is not a positive whole number, or ``null`` is not inside ``bounds``.
    """
    low, high = bounds_pair(bounds)
    if not low < finite(null, name="null") < high:
        raise MemkitError(f"null must lie strictly inside bounds ({low:g}, {high:g}); it is {null!r}")
    constant = low + (null - low) / _lowest_of_ones(count(n, name="n"), alpha)
    return constant if constant <= high else float("inf")


@lru_cache(maxsize=1024)
def _lowest_of_ones(n: int, alpha: float) -> float:
    """Return the lower limit for n seeds of 1. Equal seeds' capital depends on y/m alone, so it serves every null."""
    lowest, _ = betting_limits(np.ones(n), bounds=(0.0, 1.0), alpha=alpha)
    return float(lowest)


def _from_bounds(values: Floats, low: float, high: float) -> Floats:
    """Return the distances from both bounds in units of their width: (...) gives (2, ...), all in [0, 1].

    The two sides of the interval are one problem, the second on mirrored seeds; stacked, they are solved at
    once.
    """
    distances = np.stack([values - low, high - values]) / (high - low)
    # A value closer to a bound than this counts as at the bound; this keeps y/m from overflowing, and never adds to
    # the capital.
    return np.where(distances < _AT_BOUND, 0.0, distances)


def _log_capital_above(y: Floats, m: Floats) -> Floats:
    """Return log K(m) for seeds ``y`` (..., n) and candidates ``m`` (...), all in [0, 1]."""
    at_zero = m == 0
    value, _ = _log_capital_and_slope(y, np.where(at_zero, 1.0, m))
    # As m falls to 0, one seed above 0 makes every bet infinitely rich. Seeds at 0 cost each bet its stake,
    # whatever m is, so that the value at m = 1 serves.
    return np.where(at_zero & (y > 0).any(axis=-1), np.inf, value)


def _log_capital_and_slope(y: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Return log K(m) and its derivative by log m, (...); ``y`` (..., n) in [0, 1], ``m`` (...) in (0, 1]."""
    n = y.shape[-1]
    gain = ((y - m[..., None]) / m[..., None])[..., None, :]  # (..., 1, n)
    stake = BETS[:, None] * gain  # (..., 24, n), above −1 because every node is below 1
    each = np.log(WEIGHT_EACH) + np.log1p(stake).sum(axis=-1)  # (..., 24)
    slope_each = -(BETS[:, None] * (1 + gain) / (1 + stake)).sum(axis=-1)
    with np.errstate(divide="ignore"):  # log 0 = −inf is what the all-in bet has left
        all_in = np.log(WEIGHT_ALL_IN) + np.log1p(gain).sum(axis=-1)  # (..., 1)
    parts = np.concatenate([each, all_in], axis=-1)
    slopes = np.concatenate([slope_each, np.full_like(all_in, -n)], axis=-1)
    largest = parts.max(axis=-1, keepdims=True)
    shares = np.exp(parts - largest)
    total = shares.sum(axis=-1)
    return np.log(total) + largest[..., 0], (shares * slopes).sum(axis=-1) / total


def _lowest_mean(y: Floats, log_threshold: float) -> Floats:
    """Return the m at which log K(m) = ``log_threshold`` > 0, for ``y`` (..., n) in [0, 1]; 0 where all y are 0.

    log K is decreasing and convex in s = log m (a log-sum-exp of sums of log(1 − u + u y e^−s), each convex
    in s), so Newton's method started left of the root climbs to it and cannot pass it; no bracket is needed.
    """
    nothing = (y == 0).all(axis=-1)
    y = np.where(nothing[..., None], 1.0, y)
    n = y.shape[-1]
    # Left of the root: the threshold is reached already by the best single bet, were all seeds but the
    # largest at 0.
    one_win = np.max(np.log(WEIGHT_EACH) + np.log(BETS) + (n - 1) * np.log1p(-BETS))
    s = np.log(y.max(axis=-1)) + one_win - log_threshold
    for _ in range(200):
        value, slope = _log_capital_and_slope(y, np.exp(s))
        step = (log_threshold - value) / slope
        s += step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return np.where(nothing, 0.0, np.exp(s))
