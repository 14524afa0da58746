"""Equivalence by two one-sided t tests (TOST): does the mean lie inside an interval that was declared beforehand?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # it loads `scipy.special` on first use
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, finite, sample, single
from memkit.statistics.moments import moments, t_statistic


@dataclass(frozen=True, kw_only=True)
class Tost:
    """The result of two one-sided t tests (Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15: 657–680).

    >>> result = tost([0.02, -0.01, 0.03, 0.0, -0.02, 0.01, 0.02, -0.01], low=-0.1, high=0.1)
    >>> isinstance(result, Tost)
    True
    >>> result.p == max(result.p_low, result.p_high) < 0.05
    True

    Attributes:
        p: the larger of the two; if it is below α, the mean is declared inside (low, high) with error probability α.
        p_low: one-sided p-value against "mean <= low".
        p_high: one-sided p-value against "mean >= high".
    """

    p: float
    p_low: float
    p_high: float


def tost_pvalues(x: ArrayLike, *, low: float, high: float) -> tuple[Floats, Floats]:
    """Return both p-values of :func:`tost` for many experiments at once: ``x`` is (..., n), each p is (...).

    >>> p_low, p_high = tost_pvalues([[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]], low=-3, high=3)
    >>> print(p_low.round(4), p_high.round(4))
    [0.0175 0.0046] [0.0175 0.5   ]
    """
    if not finite(low, name="low") < finite(high, name="high"):
        raise MemkitError(f"low must be below high; they are {low!r} and {high!r}")
    m = moments(sample(x))
    above_low = scipy.special.stdtr(m.df, -t_statistic(m, low))
    below_high = scipy.special.stdtr(m.df, t_statistic(m, high))
    return np.asarray(above_low), np.asarray(below_high)


def tost(x: ArrayLike, *, low: float, high: float) -> Tost:
    """Test whether the mean of ``x``, shape (n,), lies between ``low`` and ``high``, in units of ``x``.

    If all values are equal, each p-value is 0 or 1, or 0.5 if they equal its limit; a single value gives 0.5.

    >>> sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # extra hours of sleep, Student (1908)
    >>> print(f"{tost(sleep, low=-2.5, high=2.5).p:.4f}")
    0.0211

    Raises:
        MemkitError: ``x`` is empty or not finite, or the limits are not in order.
    """
    p_low, p_high = (float(p) for p in tost_pvalues(single(x), low=low, high=high))
    return Tost(p=max(p_low, p_high), p_low=p_low, p_high=p_high)
