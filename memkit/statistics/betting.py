"""Capital won by betting against a candidate mean, seed after seed, and the confidence interval that follows.

For values x_1 … x_n in [L, U] and a candidate m, with z_i = (x_i − m) / (m − L), the capital is

    E_n(m) = Σ_{j ≥ 0} 2^−(j+1) Π_i (1 + 0.7^j z_i).

Half of a capital of 1 bets everything, a quarter bets 70 % of what it has, an eighth bets 49 %, and so on. The mirror
image bets that the mean is below m, with z_i = (m − x_i) / (U − m).

If the mean is at most m, every factor has an expectation of at most 1, so E is a non-negative supermartingale that
starts at 1. By Ville's inequality, the probability that it ever reaches 1/ε is at most ε. This holds at every n,
however often the capital is looked at; it assumes only that the seeds are independent and that the declared bounds are
true.

Every factor decreases in m, so the candidates against which the capital has not reached a threshold form an interval.
The capital does not depend on the order of the values. Large bets suit an effect that appears in every seed, and small
ones suit a small effect among large variation.

Source: J. Ville (1939), Étude critique de la notion de collectif; I. Waudby-Smith and A. Ramdas (2024), Estimating
means of bounded random variables by betting, JRSSB 86: 1–27, with constant bets that share the capital.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

Order = NDArray[np.int64]

BETS: Floats = np.power(0.7, np.arange(50), dtype=np.float64)
"""(50,): the share of the capital that each part bets. Later terms of the sum cannot change it in double precision."""
_LOG_WEIGHTS: Floats = np.arange(1, len(BETS) + 1) * np.log(np.full(len(BETS), 0.5))

_SMALLEST_DISTANCE = 1e-200
"""A value closer to a bound than this share of the bounds' width counts as lying at the bound."""
_MOST_SEEDS = 10_000
"""More seeds than anybody can afford."""
_CHUNK = 4096
"""How many seeds are computed at a time."""


class LogCapital(NamedTuple):
    """The natural logarithms of the capital that both bets against a candidate mean have won, from a capital of 1.

    >>> scores = [0.8, 0.9, 0.85, 0.8, 0.9, 0.95, 0.8, 0.9]
    >>> capital = log_capital(scores, mean=0.5, bounds=(0, 1))
    >>> isinstance(capital, LogCapital)
    True
    >>> print(f"{capital.above:.2f} {capital.below:.2f}")
    3.85 -3.44

    Attributes:
        above: log capital of the bet that the mean is above the candidate, (...); large values rule out the candidate
            and every smaller mean.
        below: log capital of the bet that the mean is below the candidate, (...); large values rule out the candidate
            and every greater mean.
    """

    above: Floats
    below: Floats


def log_capital(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float]) -> LogCapital:
    """Return the log capital of the bets above and below a candidate mean, after all seeds.

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
    if np.shape(x)[-1:] and np.shape(x)[-1] <= _CHUNK:  # sums in the same order, so that both functions round alike
        path = log_capital_path(x, mean=mean, bounds=bounds)
        return LogCapital(path.above[..., -1], path.below[..., -1])
    relative = _relative(x, mean, bounds)
    return LogCapital(*(_log_mixture(_log_products(r)) for r in relative))


def log_capital_path(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float]) -> LogCapital:
    """Return the log capital after every seed: as :func:`log_capital`, but (..., n) instead of (...).

    >>> path = log_capital_path([0.8, 0.9, 0.85], mean=0.5, bounds=(0, 1))
    >>> print(path.above.round(2))
    [0.38 0.87 1.33]
    """
    return LogCapital(*map(_log_path, _relative(x, mean, bounds)))


def log_path_above(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float], order: Order | None = None) -> Floats:
    """Return ``above`` of :func:`log_capital_path` alone, (..., n), in half the time.

    Args:
        x, mean, bounds: as there.
        order: for resamples of ``x``, (m,): the index of the value that each seed has, (..., n).
    """
    return _log_path(_relative(x, mean, bounds)[0], order)


def log_path_below(x: ArrayLike, *, mean: ArrayLike, bounds: tuple[float, float], order: Order | None = None) -> Floats:
    """Return ``below`` of :func:`log_capital_path` alone; as :func:`log_path_above`."""
    return _log_path(_relative(x, mean, bounds)[1], order)


def _log_path(relative: Floats, order: Order | None = None) -> Floats:
    """Return the log capital after every seed, (..., n), for (x − L) / (m − L)."""
    factors = _log_factors(relative)
    if order is not None:  # the logarithms take most of the time, and each value has few of them
        factors = np.moveaxis(factors[:, order], 0, -2)
    products = np.cumsum(factors, axis=-1).swapaxes(-1, -2)
    # The order of a sum, and with it its rounding, depends on the layout in memory.
    return _log_mixture(np.ascontiguousarray(products))


def betting_limits(
    x: ArrayLike, *, bounds: tuple[float, float], thresholds: tuple[float, float] = (40.0, 40.0)
) -> tuple[Floats, Floats]:
    """Return the limits of the interval for many experiments at once: ``x`` is (..., n), each limit is (...).

    Args:
        x: one value per seed, within ``bounds``.
        bounds: the least and the greatest value that can occur.
        thresholds: the capital at which the bets above and below rule out a candidate, each above 1; the lower limit
            has an error probability of one over the first, and the upper limit of one over the second.

    >>> low, high = betting_limits([[0.5] * 8, [0.4, 0.6] * 4], bounds=(0, 1))
    >>> print(low.round(3), high.round(3))
    [0.297 0.291] [0.703 0.709]
    """
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    if not all(finite(threshold, name="thresholds") > 1 for threshold in thresholds):
        raise MemkitError(f"thresholds must be above 1, the capital at the start; they are {thresholds!r}")
    distances = _from_bounds(values, low, high)
    log_thresholds = np.log(thresholds).reshape(2, *[1] * (values.ndim - 1))
    from_low, from_high = _lowest_mean(distances, np.broadcast_to(log_thresholds, distances.shape[:-1]))
    # A weighted mean of the bounds, since their width may exceed the largest float.
    lower = low * (1 - from_low) + high * from_low
    upper = high * (1 - from_high) + low * from_high
    return np.clip(lower, low, high), np.clip(upper, low, high)


def betting(
    x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05, thresholds: tuple[float, float] | None = None
) -> Interval:
    """Return the betting interval for the mean of independent seeds, valid at every n and at every look.

    >>> interval = betting([0.8, 0.9, 0.85, 0.8, 0.9, 0.95, 0.8, 0.9], bounds=(0, 1))
    >>> print(f"{interval.estimate:.4f}, 95 % interval {interval.low:.2f} to {interval.high:.2f}")
    0.8625, 95 % interval 0.51 to 0.93

    Args:
        x: one value per seed, (n,), within ``bounds``.
        bounds: the least and the greatest value that can occur; the interval never extends beyond them. Tighter
            bounds, if they are true, give a shorter interval.
        alpha: two-sided error probability over all looks together, half of it for each limit.
        thresholds: the capital that each limit corresponds to, instead of ``alpha``; as for :func:`betting_limits`.

    Raises:
        MemkitError: ``x`` is empty, not finite or outside ``bounds``, ``bounds`` are not in order, or
            ``alpha`` is not between 0 and 1.
    """
    values = single(x)
    both = thresholds or (2 / probability(alpha, name="alpha"),) * 2
    low, high = (float(limit) for limit in betting_limits(values, bounds=bounds, thresholds=both))
    # In exact arithmetic the limits enclose the mean, since the capital against the mean itself is at most 1.
    # Rounding can place it just outside, so it is clipped.
    estimate = min(max(_mean(values), low), high)
    return Interval(
        estimate=estimate,
        low=low,
        high=high,
        level=_level(1 / both[0] + 1 / both[1]),
        method="betting",
        n=len(values),
        low_level=_level(1 / both[0]),
        high_level=_level(1 / both[1]),
    )


def _mean(x: Floats) -> float:
    with np.errstate(over="ignore"):
        total = float(x.sum())
    return total / len(x) if math.isfinite(total) else float((x / len(x)).sum())


def _level(error: float) -> float:
    """Return a confidence level; an error too small for a float still leaves it below 1."""
    return min(1 - error, math.nextafter(1.0, 0.0))


def smallest_constant(n: int, *, bounds: tuple[float, float], threshold: float = 40.0, null: float = 0.0) -> float:
    """Return the smallest effect that ``n`` seeds can show to exceed ``null``, if every seed has exactly that effect.

    No valid test can show less than 40^(1/n) − 1 on (−1, 1): 0.586, 0.259 and 0.122.

    >>> [round(smallest_constant(n, bounds=(-1, 1)), 3) for n in (8, 16, 32)]
    [0.685, 0.3, 0.14]

    Args:
        n: the number of seeds.
        bounds: the least and the greatest value that can occur, with ``null`` strictly between them.
        threshold: the capital that rules out the null.
        null: the value that the interval has to exclude.

    Returns:
        A value above ``null``, in units of the metric; ``inf`` if even seeds at the upper bound are too few.

    Raises:
        MemkitError: ``n`` is not a positive whole number, or ``null`` is not inside ``bounds``.
    """
    low, high = bounds_pair(bounds)
    if not low < finite(null, name="null") < high:
        raise MemkitError(f"null must lie strictly inside bounds ({low:g}, {high:g}); it is {null!r}")
    constant = low + (null - low) / _lower_limit_of_ones(count(n, name="n"), threshold)
    return constant if constant <= high else math.inf


def smallest_effect(x: ArrayLike, *, bounds: tuple[float, float], threshold: float = 40.0, null: float = 0.0) -> float:
    """Return the smallest mean that seeds with the spread of ``x`` would have shown to exceed ``null``.

    All values are raised by the same amount, up to the upper bound, until the capital reaches the threshold.

    >>> round(smallest_effect([-0.1, 0.1] * 8, bounds=(-1, 1)), 3), round(smallest_effect([0] * 16, bounds=(-1, 1)), 3)
    (0.303, 0.3)

    Args:
        x: one value per seed, (n,), whose capital has not reached the threshold.
        bounds: the least and the greatest value that can occur, with ``null`` strictly between them.
        threshold: the capital that rules out the null.
        null: the value that the mean has to exceed.

    Returns:
        At least :func:`smallest_constant`; ``inf`` if even seeds at the upper bound are too few.
    """
    low, high = bounds_pair(bounds)
    y = _from_bounds(within_bounds(single(x), (low, high)), low, high)[0]
    ((m, _),) = _from_bounds(np.array([finite(null, name="null")]), low, high).T

    def is_shown(raised: Floats) -> bool:
        return bool(_log_mixture(_log_products(raised / m)) >= math.log(threshold))

    if not is_shown(np.ones(len(y))):
        return math.inf
    too_little, enough = 0.0, 1.0
    for _ in range(40):
        middle = (too_little + enough) / 2
        too_little, enough = (too_little, middle) if is_shown(np.minimum(y + middle, 1)) else (middle, enough)
    share = _mean(np.minimum(y + enough, 1))
    return low * (1 - share) + high * share


def smallest_sesoi(n: int, *, bounds: tuple[float, float], threshold: float = 20.0) -> float:
    """Return the smallest effect size of interest within which ``n`` seeds can show equivalence, at no variation.

    >>> [round(smallest_sesoi(n, bounds=(-1, 1)), 2) for n in (16, 32, 64)]
    [0.19, 0.1, 0.05]

    Args:
        n: the number of seeds, each of which shows a difference of exactly 0.
        bounds: the least and the greatest difference that can occur, with 0 between them.
        threshold: the capital that either side needs.
    """
    low, high = bounds_pair(bounds)
    ends = betting_limits(np.zeros(count(n, name="n")), bounds=(low, high), thresholds=(threshold, threshold))
    # A side whose limit lies at the bound itself is decided by the bound.
    return float(max(-ends[0], ends[1]))


def seeds_to_reach(x: ArrayLike, *, mean: float, bounds: tuple[float, float], threshold: float = 40.0) -> float:
    """Return how many seeds like these the bet above ``mean`` needs to reach a capital of ``threshold``.

    "Like these" means that the seeds repeat ``x`` over and over. Mirrored values and bounds give the bet below.

    >>> seeds_to_reach([0.1, 0.3, 0.2, 0.2], mean=0.0, bounds=(-1, 1))
    24.0

    Returns:
        A whole number; ``inf`` if it exceeds 10,000.
    """
    relative, _ = _relative(single(x), mean, bounds)
    log_growth = _log_products(relative) / relative.shape[-1]  # per seed, for each bet

    def reaches(n: int) -> bool:
        return bool(_log_mixture(n * log_growth) >= math.log(threshold))

    # The capital starts at 1 and is convex in the number of seeds, so it stays above a threshold that it has reached.
    sizes = range(1, _MOST_SEEDS + 1)
    return float(sizes[bisect_left(sizes, True, key=reaches)]) if reaches(_MOST_SEEDS) else math.inf


@lru_cache(maxsize=1024)
def _lower_limit_of_ones(n: int, threshold: float) -> float:
    """Return the lower limit for n seeds with the value 1.

    The capital of equal seeds depends on y/m only, so this one limit can be rescaled to every null.
    """
    low, _ = betting_limits(np.ones(n), bounds=(0.0, 1.0), thresholds=(threshold, threshold))
    return float(low)


def _relative(x: ArrayLike, mean: ArrayLike, bounds: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return (x − L) / (m − L) and (U − x) / (U − m), each (..., n).

    Where m lies at the bound, a value above it gives infinity. A value at the bound itself gives 1, which neither
    adds to the capital nor takes from it.
    """
    low, high = bounds_pair(bounds)
    values = within_bounds(sample(x), (low, high))
    candidate = within_bounds(sample(np.atleast_1d(mean), name="mean"), (low, high), name="mean")
    candidate = np.broadcast_to(candidate.reshape(np.shape(mean)), values.shape[:-1])
    y, m = _from_bounds(values, low, high), _from_bounds(candidate, low, high)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = np.where((m == 0) & (y == 0), 1.0, y / m)
    return above, below


def _from_bounds(values: Floats, low: float, high: float) -> Floats:
    """Return the distances from both bounds in units of their width: (...) gives (2, ...), all in [0, 1].

    The upper limit is the lower limit of mirrored values, so both are computed by the same code.
    """
    scale = 1.0 if math.isfinite(high - low) else 0.5  # the width of finite bounds may exceed the largest float
    low, high, values = low * scale, high * scale, values * scale
    distances = np.stack([values - low, high - values]) / (high - low)
    # This keeps y/m from overflowing, and never adds to the capital.
    return np.where(distances < _SMALLEST_DISTANCE, 0.0, distances)


def _log_factors(relative: Floats) -> Floats:
    """Return the log of every bet's factor, (..., 50, n), for (x − L) / (m − L), (..., n)."""
    bets = BETS[:, None]
    with np.errstate(divide="ignore"):  # the first part bets everything, and may lose it: log 0 = −inf
        return np.asarray(np.log((1 - bets) + bets * relative[..., None, :]))


def _log_products(relative: Floats) -> Floats:
    """Return the log capital of every bet after all seeds, (..., 50), in chunks that fit into memory."""
    starts = range(0, relative.shape[-1], _CHUNK)
    total = np.zeros((*relative.shape[:-1], len(BETS)))
    for start in starts:
        total += _log_factors(relative[..., start : start + _CHUNK]).sum(axis=-1)
    return total


def _log_mixture(log_products: Floats) -> Floats:
    """Return the log of the weighted sum of all bets' capital: (..., 50) gives (...)."""
    terms = log_products + _LOG_WEIGHTS
    largest = terms.max(axis=-1)
    with np.errstate(invalid="ignore"):  # where the capital is infinite
        mixture = largest + np.log(np.exp(terms - largest[..., None]).sum(axis=-1))
    return np.where(np.isposinf(largest), np.inf, mixture)


def _log_capital_and_slope(y: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Return log E(m) and its derivative by log m, (...); ``y`` (..., n) in [0, 1], ``m`` (...) in (0, 1]."""
    bets = BETS[:, None]
    log_products, slopes = (np.zeros((*y.shape[:-1], len(BETS))) for _ in range(2))
    for start in range(0, y.shape[-1], _CHUNK):
        won = bets * (y[..., start : start + _CHUNK] / m[..., None])[..., None, :]  # (..., 50, n)
        factors = (1 - bets) + won
        with np.errstate(divide="ignore", invalid="ignore"):
            log_products += np.log(factors).sum(axis=-1)
            slopes -= (won / factors).sum(axis=-1)
    # If the first part has lost everything, it no longer counts, and its slope is 0/0.
    slopes = np.where(np.isnan(slopes), 0.0, slopes)
    terms = log_products + _LOG_WEIGHTS
    largest = terms.max(axis=-1, keepdims=True)
    scaled = np.exp(terms - largest)
    total = scaled.sum(axis=-1)
    return np.log(total) + largest[..., 0], (scaled * slopes).sum(axis=-1) / total


def _lowest_mean(y: Floats, log_threshold: Floats) -> Floats:
    """Return the m at which log E(m) = ``log_threshold`` > 0, for ``y`` (..., n) in [0, 1]; 0 where all y are 0.

    log E is decreasing and convex in s = log m, since it is a log-sum-exp of sums of log(1 − λ + λ y e^−s), each
    convex in s. Newton's method that starts left of the root therefore approaches it from the left and never
    overshoots, so no bracket is needed.
    """
    all_zero = (y == 0).all(axis=-1)
    y = np.where(all_zero[..., None], 1.0, y)
    n = y.shape[-1]
    # A start left of the root: there the best single bet would reach the threshold with the largest seed alone, even
    # if all others were 0.
    log_one_win = np.max(_LOG_WEIGHTS[1:] + np.log(BETS[1:]) + (n - 1) * np.log1p(-BETS[1:]))
    s = np.log(y.max(axis=-1)) + log_one_win - log_threshold
    for _ in range(200):
        value, slope = _log_capital_and_slope(y, np.exp(s))
        step = (log_threshold - value) / slope
        s += step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return np.where(all_zero, 0.0, np.exp(s))
