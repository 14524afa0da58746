"""Mean, standard deviation and Student's t statistic, their two corner cases settled once for all callers.

One seed has an unknown spread (infinite, not zero); equal seeds have none (exactly zero, whatever rounding
says).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memkit.statistics.argument_checks import Floats


class Moments(NamedTuple):
    """First two moments along the last axis of a sample of shape (..., n).

    Attributes:
        mean: (...).
        sd: (...), the standard deviation with n − 1 below the line; ``inf`` for n = 1, 0 where all values are
            equal.
        n: the number of seeds.
    """

    mean: Floats
    sd: Floats
    n: int

    @property
    def standard_error(self) -> Floats:
        """(...), of the mean."""
        return np.asarray(self.sd / np.sqrt(self.n))

    @property
    def df(self) -> int:
        """Degrees of freedom; 1 at n = 1 too, where the infinite spread decides and t must be defined."""
        return max(self.n - 1, 1)


def moments(x: Floats) -> Moments:
    """Return the moments of ``x``, shape (..., n), n >= 1."""
    n = x.shape[-1]
    if n == 1:
        return Moments(x[..., 0], np.full(x.shape[:-1], np.inf), 1)
    # The computed mean of n copies of 0.1 is not 0.1, so their spread is not 0, and t would be about 10^16.
    constant = np.ptp(x, axis=-1) <= 8 * np.finfo(np.float64).eps * np.abs(x).max(axis=-1)
    mean = np.where(constant, x[..., 0], x.mean(axis=-1))
    sd = np.where(constant, 0.0, x.std(axis=-1, ddof=1))
    return Moments(mean, sd, n)


def t_statistic(m: Moments, null: float) -> Floats:
    """(mean − null) / standard error, (...); without spread ±inf, and 0 where the mean is the null itself."""
    distance = np.asarray(m.mean - null)
    error = m.standard_error
    spread = error > 0
    without_spread = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    return np.where(spread, distance / np.where(spread, error, 1.0), without_spread)
