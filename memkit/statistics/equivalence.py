"""Equivalence by two one-sided t tests: is the mean inside an interval that was named beforehand?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # which loads `scipy.special` when it is used
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, finite, sample, single
from memkit.statistics.moments import moments, t_statistic


@dataclass(frozen=True, kw_only=True)
class Tost:
    """Two one-sided t tests (Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15: 657–680).

    Attributes:
        p: the larger of the two; below α, the mean is declared inside (low, high) with error probability α.
        p_low: one-sided p-value against "mean <= low".
        p_high: one-sided p-value against "mean >= high".
    """

    p: float
    p_low: float
    p_high: float


def tost_pvalues(x: ArrayLike, *, low: float, high: float) -> tuple[Floats, Floats]:
    """Return both p-values of :func:`tost` for many experiments at once: ``x`` is (..., n), each p is (...)."""
    if not finite(low, name="low") < finite(high, name="high"):
        raise MemkitError(f"low must be below high; they are {low!r} and {high!r}")
    m = moments(sample(x))
    above_low = scipy.special.stdtr(m.df, -t_statistic(m, low))
    below_high = scipy.special.stdtr(m.df, t_statistic(m, high))
    return np.asarray(above_low), np.asarray(below_high)


def tost(x: ArrayLike, *, low: float, high: float) -> Tost:
    """Test that the mean of ``x``, shape (n,), lies between ``low`` and ``high``, in units of ``x``.

    Equal values give p-values of 0 or 1 (0.5 at a limit itself); a single value gives 0.5, which shows
    nothing.

    Raises:
        MemkitError: ``x`` is empty or not finite, or the limits are not in order.
    """
    p_low, p_high = (float(p) for p in tost_pvalues(single(x), low=low, high=high))
    return Tost(p=max(p_low, p_high), p_low=p_low, p_high=p_high)
