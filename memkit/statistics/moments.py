"""Mean, standard deviation and Student's t statistic, with two special cases that all callers treat alike.

The spread of a single seed is unknown, and infinite here, not zero. The spread of equal seeds is exactly zero, even
where rounding would give a little more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memkit.statistics.argument_checks import Floats


class Moments(NamedTuple):
    """The mean and standard deviation along the last axis of a sample of shape (..., n).

    Attributes:
        mean: (...).
        sd: (...), the standard deviation with denominator n − 1; ``inf`` for n = 1, and 0 if all values are equal.
        n: the number of seeds.
    """

    mean: Floats
    sd: Floats
    n: int

    @property
    def standard_error(self) -> Floats:
        """The standard error of the mean, (...)."""
        return np.asarray(self.sd / np.sqrt(self.n))

    @property
    def df(self) -> int:
        """The degrees of freedom, n − 1; 1 at n = 1, where t must be defined and the infinite spread decides."""
        return max(self.n - 1, 1)


def moments(x: Floats) -> Moments:
    """Return the moments of ``x``, shape (..., n), n >= 1."""
    n = x.shape[-1]
    if n == 1:
        return Moments(x[..., 0], np.full(x.shape[:-1], np.inf), 1)
    # The computed mean of n copies of 0.1 need not be 0.1: their computed spread would not be 0, and t about 10^16.
    constant = np.ptp(x, axis=-1) <= 8 * np.finfo(np.float64).eps * np.abs(x).max(axis=-1)
    mean = np.where(constant, x[..., 0], x.mean(axis=-1))
    sd = np.where(constant, 0.0, x.std(axis=-1, ddof=1))
    return Moments(mean, sd, n)


def t_statistic(m: Moments, null: float) -> Floats:
    """Return (mean − null) / standard error, (...); without spread it is ±inf, or 0 where the mean equals the null."""
    distance = np.asarray(m.mean - null)
    error = m.standard_error
    has_spread = error > 0
    without_spread = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    return np.where(has_spread, distance / np.where(has_spread, error, 1.0), without_spread)
