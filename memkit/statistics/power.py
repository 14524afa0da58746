"""Power analysis: power of the paired t test, minimum detectable effect, and the number of seeds needed.

A standardised effect d is the mean of the paired differences over their standard deviation. Power is exact and counts
both tails of the noncentral t distribution (Cohen 1988, Statistical Power Analysis for the Behavioral Sciences,
section 2).
"""

from __future__ import annotations

import bisect
import math

import scipy  # it loads `scipy.special` on first use
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import count, finite, magnitude, not_negative, probability, single
from memkit.statistics.moments import moments

_MOST_SEEDS = 2**50
"""Beyond this number of seeds the noncentral t distribution is no longer computed accurately."""


def paired_power(effect_size_d: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the power of a two-sided paired t test at level ``alpha`` for a standardised effect with ``n`` seeds.

    With a single seed the power is 0. The sign of ``effect_size_d`` does not matter.

    >>> round(paired_power(0.5, 34), 3)
    0.808

    Raises:
        MemkitError: the effect is not finite, ``n`` is below 1, or ``alpha`` is not between 0 and 1.
    """
    effect = abs(finite(effect_size_d, name="effect_size_d"))
    n = count(n, name="n")
    alpha = probability(alpha, name="alpha")
    if n == 1:
        return 0.0
    critical = float(scipy.special.stdtrit(n - 1, 1 - alpha / 2))
    noncentrality = effect * math.sqrt(n)
    missed = float(scipy.special.nctdtr(n - 1, noncentrality, critical))
    if math.isnan(missed):  # SciPy returns nan far out in a tail
        missed = float(noncentrality < critical)
    # Beyond a noncentrality of 7 the opposite tail is below 1e-11, and SciPy may return nan for it too.
    opposite_tail = float(scipy.special.nctdtr(n - 1, noncentrality, -critical)) if noncentrality < 7 else 0.0
    return 1 - missed + (0.0 if math.isnan(opposite_tail) else opposite_tail)


def seeds_for_power(effect_size_d: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the smallest number of seeds, at least 2, with which a paired t test has at least the given ``power``.

    Cohen's large, medium and small effects need, at 80 % power:

    >>> [seeds_for_power(d) for d in (0.8, 0.5, 0.2)]
    [15, 34, 199]

    Raises:
        MemkitError: the effect is zero or not finite, or would need more than 2^50 seeds; ``power`` or
            ``alpha`` is not between 0 and 1.
    """
    effect = magnitude(effect_size_d, name="effect_size_d")
    power = probability(power, name="power")

    def power_with(n: int) -> float:
        return paired_power(effect, n, alpha=alpha)

    enough = 2
    while power_with(enough) < power:
        enough *= 2
        if enough > _MOST_SEEDS:
            raise MemkitError(
                f"effect_size_d must be large enough for {_MOST_SEEDS} seeds to show; it is {effect_size_d!r}"
            )
    candidates = range(enough // 2 + 1 if enough > 2 else 2, enough + 1)
    return candidates[bisect.bisect_left(candidates, power, key=power_with)]


def minimum_detectable_effect(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest mean difference that ``n`` seeds detect with probability ``power``, in the unit of ``sd``.

    >>> round(minimum_detectable_effect(sd=2.0, n=34), 2)
    0.99

    Args:
        sd: standard deviation of the paired differences, at least 0.
        n: number of seeds; for a single seed the result is ``inf``.
        alpha: two-sided level of the t test, such as that of a look.
        power: the target power, above ``alpha``, which is the power at an effect of 0.

    Raises:
        MemkitError: an argument is out of its range.
    """
    sd = not_negative(sd, name="sd")
    n = count(n, name="n")
    alpha = probability(alpha, name="alpha")
    if not probability(power, name="power") > alpha:
        raise MemkitError(f"power must exceed alpha = {alpha:g}, the power at an effect of 0; it is {power!r}")
    if n == 1:
        return math.inf
    low, high = 0.0, 1.0
    while paired_power(high, n, alpha=alpha) < power:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if paired_power(middle, n, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high * sd


def sd_upper_limit(x: ArrayLike, *, confidence: float = 0.8) -> float:
    """Return the one-sided upper confidence limit of the standard deviation of normal ``x``, (n,), in units of ``x``.

    A study planned with the estimated standard deviation itself misses its power about half the time; with this limit,
    one time in five (Browne 1995, Statistics in Medicine 14: 1933–1940). The limit is ``inf`` for a single value.

    >>> sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # standard deviation 1.23
    >>> round(sd_upper_limit(sleep), 2)
    1.59

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``confidence`` is not between 0 and 1.
    """
    m = moments(single(x))
    confidence = probability(confidence, name="confidence")
    if m.n == 1:
        return math.inf
    return float(m.sd) * math.sqrt(m.df / float(scipy.special.chdtri(m.df, confidence)))


def seeds_needed(x: ArrayLike, *, effect: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many seeds a t test needs to detect a mean difference of ``effect``, given a sample ``x``, (n,).

    The spread is the upper 80 % limit of the standard deviation of ``x``. Without any spread the result is 2, the
    smallest number possible; betting then needs more (:func:`memkit.statistics.smallest_constant`).

    >>> seeds_needed([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4], effect=1.0)
    22

    Raises:
        MemkitError: ``x`` holds fewer than two values or one that is not finite, or ``effect`` is zero or not finite.
    """
    values = single(x)
    if len(values) < 2:
        raise MemkitError("x must hold at least two values; a single one says nothing about the spread")
    effect = magnitude(effect, name="effect")
    spread = sd_upper_limit(values)
    if spread == 0:
        return 2
    return seeds_for_power(effect / spread, power=power, alpha=alpha)


def collapse_bound(n: int, *, confidence: float = 0.95) -> float:
    """Return the highest rate of collapse that ``n`` seeds, none of which collapsed, do not rule out.

    It is 1 − (1 − confidence)^(1/n), the exact one-sided binomial limit at zero events (Clopper and Pearson 1934,
    Biometrika 26: 404–413).

    >>> [round(collapse_bound(n), 2) for n in (8, 16, 32)]
    [0.31, 0.17, 0.09]

    Raises:
        MemkitError: ``n`` is below 1, or ``confidence`` is not between 0 and 1.
    """
    n = count(n, name="n")
    return float(1 - (1 - probability(confidence, name="confidence")) ** (1 / n))
