"""The interval type, and the two textbook intervals: Student's t for a mean, Wilson's for a proportion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # which loads `scipy.special` when it is used
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, count, finite, probability, sample, single
from memkit.statistics.moments import moments, t_statistic


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval, in units of what was measured.

    Attributes:
        estimate: the point estimate; inside the interval.
        low: lower limit, ``-inf`` where there is none.
        high: upper limit, ``inf`` where there is none.
        level: two-sided confidence level, between 0 and 1.
        method: "student-t", "betting" or "wilson".
        n: how many seeds (for "wilson": trials) it rests on.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    n: int

    def __post_init__(self) -> None:
        if not self.low <= self.estimate <= self.high:
            raise MemkitError(
                f"low, estimate, high must be in order; they are {self.low}, {self.estimate}, {self.high}"
            )
        probability(self.level, name="level")
        count(self.n, name="n")

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
    """A two-sided one-sample t test (paired, when given differences).

    Attributes:
        t: the statistic; ±inf where equal seeds differ from the null, 0 where they equal it, and 0 for one
            seed.
        df: degrees of freedom, n − 1.
        p: two-sided p-value; 1 for one seed, which tells nothing about spread.
    """

    t: float
    df: int
    p: float


def t_limits(x: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the limits of :func:`student_t` for many experiments at once: ``x`` is (..., n), each limit is (...)."""
    m = moments(sample(x))
    half = scipy.special.stdtrit(m.df, (1 + probability(level, name="level")) / 2) * m.standard_error
    return np.asarray(m.mean - half), np.asarray(m.mean + half)


def student_t(x: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return Student's t interval for the mean of ``x``, shape (n,) (Student 1908, Biometrika 6: 1–25).

    One value gives (-inf, inf); equal values give the degenerate interval at their value.

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``level`` is not between 0 and 1.
    """
    values = single(x)
    low, high = t_limits(values, level=level)
    estimate = float(moments(values).mean)
    return Interval(estimate=estimate, low=float(low), high=float(high), level=level, method="student-t", n=len(values))


def t_test(x: ArrayLike, *, null: float = 0.0) -> TTest:
    """Test by Student's t, two-sided, that the mean of ``x``, (n,), is ``null``; the dual of :func:`student_t`.

    Raises:
        MemkitError: ``x`` is empty or not finite, or ``null`` is not finite.
    """
    m = moments(single(x))
    t = float(t_statistic(m, finite(null, name="null")))
    return TTest(t=t, df=m.n - 1, p=float(2 * scipy.special.stdtr(m.df, -abs(t))))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for a proportion, uncorrected for continuity (Wilson 1927, JASA 22: 209–212).

    Args:
        successes: how many of the trials succeeded, 0 to n.
        n: the number of trials, at least 1.
        level: two-sided confidence level.

    Raises:
        MemkitError: the counts are not whole numbers in that order, or ``level`` is not between 0 and 1.
    """
    n = count(n, name="n")
    successes = count(successes, name="successes", least=0)
    if successes > n:
        raise MemkitError(f"successes must not exceed n; {successes} of {n} were given")
    z = float(scipy.special.ndtri((1 + probability(level, name="level")) / 2))
    share = successes / n
    shrink = 1 / (1 + z * z / n)
    centre = shrink * (share + z * z / (2 * n))
    half = shrink * z * float(np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2))
    # At 0 and at n the limit is the share itself, which rounding must not step over.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(estimate=share, low=low, high=high, level=level, method="wilson", n=n)
