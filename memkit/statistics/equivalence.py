"""Equivalence by two one-sided t tests (TOST): does the mean lie inside an interval that was declared beforehand?"""

from __future__ import annotations

import numpy as np
import scipy  # it loads `scipy.special` on first use
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, finite, sample
from memkit.statistics.moments import moments, t_statistic


def tost_pvalues(x: ArrayLike, *, low: float, high: float) -> tuple[Floats, Floats]:
    """Return the p-values of two one-sided t tests, against "mean <= low" and against "mean >= high".

    If both are below α, the mean is declared inside (low, high) with error probability α (Schuirmann 1987,
    J. Pharmacokinetics and Biopharmaceutics 15: 657–680). If all values are equal, each p-value is 0 or 1, or 0.5 if
    they equal its limit; a single value gives 0.5.

    >>> p_low, p_high = tost_pvalues([[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]], low=-3, high=3)
    >>> print(p_low.round(4), p_high.round(4))
    [0.0175 0.0046] [0.0175 0.5   ]

    Args:
        x: one value per seed, (..., n); each p-value is (...).
        low, high: the limits, in units of ``x``.

    Raises:
        MemkitError: ``x`` is empty or not finite, or the limits are not in order.
    """
    if not finite(low, name="low") < finite(high, name="high"):
        raise MemkitError(f"low must be below high; they are {low!r} and {high!r}")
    m = moments(sample(x))
    above_low = scipy.special.stdtr(m.df, -t_statistic(m, low))
    below_high = scipy.special.stdtr(m.df, t_statistic(m, high))
    return np.asarray(above_low), np.asarray(below_high)
