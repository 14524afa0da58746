"""The reach of a number of seeds: power of the paired t test, minimum detectable effect, seeds needed.

Standardised effects d are mean difference over standard deviation of the paired differences. Power is exact,
by the noncentral t distribution (Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, section
2), both tails.
"""

from __future__ import annotations

import bisect
import math

import scipy  # which loads `scipy.special` when it is used
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import count, finite, magnitude, not_negative, probability, single
from memkit.statistics.moments import moments

_MOST_SEEDS = 2**50
"""Beyond this the noncentral t distribution is no longer computed well, and nobody counts seeds."""


def paired_power(effect_size_d: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the probability that a two-sided paired t test at ``alpha`` shows a standardised effect with ``n`` seeds.

    A single seed shows nothing, whatever the effect. The sign of ``effect_size_d`` does not matter.

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
    if math.isnan(missed):  # as SciPy answers far out in a tail
        missed = float(noncentrality < critical)
    # Beyond 7 the other tail holds less than 1e-11, and there, too, SciPy may answer nan.
    wrong_side = float(scipy.special.nctdtr(n - 1, noncentrality, -critical)) if noncentrality < 7 else 0.0
    return 1 - missed + (0.0 if math.isnan(wrong_side) else wrong_side)


def seeds_for_power(effect_size_d: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the least number of seeds, at least 2, with which a paired t test has at least ``power``.

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
    """Return the smallest mean difference that ``n`` seeds show with probability ``power``, in units of ``sd``.

    Args:
        sd: standard deviation of the paired differences, at least 0.
        n: number of seeds; with a single one the answer is ``inf``.
        alpha: two-sided level of the t test, that of the look.
        power: the probability aimed for, above ``alpha`` (which an effect of 0 already has).

    Raises:
        MemkitError: an argument is out of its range.
    """
    sd = not_negative(sd, name="sd")
    n = count(n, name="n")
    alpha = probability(alpha, name="alpha")
    if not probability(power, name="power") > alpha:
        raise MemkitError(f"power must exceed alpha = {alpha:g}, which an effect of 0 already has; it is {power!r}")
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
    """Upper confidence limit of the standard deviation of normal ``x``, (n,), one-sided, in units of ``x``.

    Planning with the estimate itself falls short of its power about half the time; with this limit, one time
    in five (Browne 1995, Statistics in Medicine 14: 1933–1940). ``inf`` for a single value.

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``confidence`` is not between 0 and 1.
    """
    m = moments(single(x))
    confidence = probability(confidence, name="confidence")
    if m.n == 1:
        return math.inf
    return float(m.sd) * math.sqrt(m.df / float(scipy.special.chdtri(m.df, confidence)))


def seeds_needed(x: ArrayLike, *, effect: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return with how many seeds a t test would show a mean difference of ``effect``, by the spread of ``x``, (n,).

    The spread is taken at its upper 80 % limit. Without any spread the answer is the least there is, 2; the
    betting interval then needs more (:func:`memkit.statistics.smallest_constant`).

    Raises:
        MemkitError: ``x`` holds fewer than two values or one not finite, or ``effect`` is zero or not finite.
    """
    values = single(x)
    if len(values) < 2:
        raise MemkitError("x must hold at least two values; one says nothing about spread")
    effect = magnitude(effect, name="effect")
    spread = sd_upper_limit(values)
    if spread == 0:
        return 2
    return seeds_for_power(effect / spread, power=power, alpha=alpha)


def collapse_bound(n: int, *, confidence: float = 0.95) -> float:
    """Return the rate of collapse that ``n`` seeds without one cannot rule out: 1 − (1 − confidence)^(1/n).

    The exact one-sided binomial limit at zero events (Clopper & Pearson 1934, Biometrika 26: 404–413).

    Raises:
        MemkitError: ``n`` is below 1, or ``confidence`` is not between 0 and 1.
    """
    n = count(n, name="n")
    return float(1 - (1 - probability(confidence, name="confidence")) ** (1 / n))
