"""Adjusted p-values for many claims at once: a column of the report, never the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, floats


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjustment: holds the chance of any false claim, under any dependence.

    Args:
        p: p-values, (k,), in any order.

    Returns:
        Adjusted p-values, (k,), in the order given (Holm 1979, Scandinavian Journal of Statistics 6: 65–70).

    Raises:
        MemkitError: a p-value is not between 0 and 1.
    """
    values = _pvalues(p)
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    stepped = np.maximum.accumulate(factors * values[order])
    return _restored(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini and Hochberg's step-up adjustment: holds the share of false claims among those made.

    Args:
        p: p-values, (k,), in any order; independent, or positively dependent.

    Returns:
        Adjusted p-values, (k,), in the order given (Benjamini & Hochberg 1995, JRSSB 57: 289–300).

    Raises:
        MemkitError: a p-value is not between 0 and 1.
    """
    values = _pvalues(p)
    order = np.argsort(values)[::-1]
    factors = len(values) / np.arange(len(values), 0, -1)
    stepped = np.minimum.accumulate(factors * values[order])
    return _restored(np.minimum(stepped, 1.0), order)


def _pvalues(p: ArrayLike) -> Floats:
    values = floats(p, name="p")
    if values.ndim != 1:
        raise MemkitError(f"p must have one axis, the claims; its shape is {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():  # nan fails this too
        raise MemkitError(
            "p must hold p-values between 0 and 1; give undecided claims a p-value of 1, or leave them out"
        )
    return values


def _restored(ordered: Floats, order: np.ndarray) -> Floats:
    """Return ``ordered`` put back into the order that was given."""
    restored = np.empty_like(ordered)
    restored[order] = ordered
    return restored
