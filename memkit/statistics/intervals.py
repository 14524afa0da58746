"""The interval type, and two textbook intervals: Student's t for a mean and Wilson's for a proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # it loads `scipy.special` on first use
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, count, finite, probability, sample, single
from memkit.statistics.moments import moments, t_statistic


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval, in units of what was measured.

    >>> interval = Interval(estimate=1.58, low=0.70, high=2.46, level=0.95, method="student-t", n=10)
    >>> interval.above(0), interval.above(1), interval.inside(-3, 3)
    (True, False, True)

    Attributes:
        estimate: the point estimate; it lies inside the interval.
        low: lower limit, ``-inf`` if there is none.
        high: upper limit, ``inf`` if there is none.
        level: two-sided confidence level, between 0 and 1.
        low_level, high_level: the one-sided confidence levels of the limits; by default (1 + level) / 2 each.
        method: "student-t", "betting", "wilson" or "bootstrap, BCa".
        n: the number of seeds, or of trials for "wilson".
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    n: int
    low_level: float = math.nan
    high_level: float = math.nan

    def __post_init__(self) -> None:
        if not self.low <= self.estimate <= self.high:
            raise MemkitError(
                f"low, estimate, high must be in order; they are {self.low}, {self.estimate}, {self.high}"
            )
        probability(self.level, name="level")
        count(self.n, name="n")
        for name in ("low_level", "high_level"):
            if math.isnan(getattr(self, name)):
                object.__setattr__(self, name, (1 + self.level) / 2)
            probability(getattr(self, name), name=name)

    def above(self, value: float) -> bool:
        """Return whether the whole interval lies above ``value``."""
        return self.low > value

    def below(self, value: float) -> bool:
        """Return whether the whole interval lies below ``value``."""
        return self.high < value

    def inside(self, low: float, high: float) -> bool:
        """Return whether the whole interval lies strictly between ``low`` and ``high``."""
        return low < self.low and self.high < high


@dataclass(frozen=True, kw_only=True)
class TTest:
    """The result of a two-sided one-sample t test, which is the paired test if the values are paired differences.

    >>> result = t_test([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    >>> isinstance(result, TTest), result.df
    (True, 9)

    Attributes:
        t: the statistic; if all values are equal it is ±inf, or 0 if they equal the null; it is 0 for one value.
        df: degrees of freedom, n − 1.
        p: two-sided p-value; 1 for a single value, which says nothing about the spread.
    """

    t: float
    df: int
    p: float


def t_limits(x: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the limits of :func:`student_t` for many experiments at once: ``x`` is (..., n), each limit is (...).

    >>> low, high = t_limits([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    >>> print(low.round(3), high.round(3))
    [-0.484  5.   ] [4.484 5.   ]
    """
    m = moments(sample(x))
    half_width = scipy.special.stdtrit(m.df, (1 + probability(level, name="level")) / 2) * m.standard_error
    return np.asarray(m.mean - half_width), np.asarray(m.mean + half_width)


def student_t(x: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return Student's t interval for the mean of ``x``, shape (n,) (Student 1908, Biometrika 6: 1–25).

    A single value gives (-inf, inf); equal values give an interval of width 0.

    >>> sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # extra hours of sleep, Student (1908)
    >>> interval = student_t(sleep)
    >>> print(f"{interval.estimate:.2f}, 95 % interval {interval.low:.4f} to {interval.high:.4f}")
    1.58, 95 % interval 0.7001 to 2.4599

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``level`` is not between 0 and 1.
    """
    values = single(x)
    low, high = t_limits(values, level=level)
    estimate = float(moments(values).mean)
    return Interval(estimate=estimate, low=float(low), high=float(high), level=level, method="student-t", n=len(values))


def t_test(x: ArrayLike, *, null: float = 0.0) -> TTest:
    """Test with Student's two-sided t test whether the mean of ``x``, (n,), differs from ``null``.

    The p-value is below α exactly when the interval of :func:`student_t` at level 1 − α excludes ``null``.

    >>> sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # extra hours of sleep, Student (1908)
    >>> result = t_test(sleep)
    >>> print(f"t = {result.t:.4f}, df = {result.df}, p = {result.p:.6f}")
    t = 4.0621, df = 9, p = 0.002833

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``null`` is not finite.
    """
    m = moments(single(x))
    t = float(t_statistic(m, finite(null, name="null")))
    return TTest(t=t, df=m.n - 1, p=float(2 * scipy.special.stdtr(m.df, -abs(t))))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for a proportion, without continuity correction (Wilson 1927, JASA 22: 209–212).

    >>> interval = wilson(81, 263)  # table I of Newcombe 1998, Statistics in Medicine 17: 857–872
    >>> print(f"{interval.low:.4f} to {interval.high:.4f}")
    0.2553 to 0.3662

    Args:
        successes: the number of successful trials, 0 to n.
        n: the number of trials, at least 1.
        level: two-sided confidence level.

    Raises:
        MemkitError: ``successes`` or ``n`` is not a whole number, ``successes`` exceeds ``n``, or ``level`` is not
            between 0 and 1.
    """
    n = count(n, name="n")
    successes = count(successes, name="successes", least=0)
    if successes > n:
        raise MemkitError(f"successes must not exceed n; {successes} of {n} were given")
    z = float(scipy.special.ndtri((1 + probability(level, name="level")) / 2))
    proportion = successes / n
    shrinkage = 1 / (1 + z * z / n)
    centre = shrinkage * (proportion + z * z / (2 * n))
    half_width = shrinkage * z * float(np.sqrt(proportion * (1 - proportion) / n + (z / (2 * n)) ** 2))
    # With 0 or n successes one limit equals the proportion itself; rounding must not move it past the proportion.
    low = 0.0 if successes == 0 else centre - half_width
    high = 1.0 if successes == n else centre + half_width
    return Interval(estimate=proportion, low=low, high=high, level=level, method="wilson", n=n)
