"""Adjusted p-values for many claims at once; they are reported and never decide a verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, floats


def holm(p: ArrayLike) -> Floats:
    """Return p-values adjusted by Holm's step-down procedure, which controls the family-wise error rate.

    It holds under any dependence (Holm 1979, Scandinavian Journal of Statistics 6: 65–70).

    >>> print(holm([0.01, 0.04, 0.03, 0.005]))
    [0.03 0.06 0.06 0.02]

    Args:
        p: p-values, (k,), in any order.

    Returns:
        Adjusted p-values, (k,), in the order given.

    Raises:
        MemkitError: a p-value is not between 0 and 1.
    """
    values = _pvalues(p)
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    adjusted = np.maximum.accumulate(factors * values[order])
    return _in_original_order(np.minimum(adjusted, 1.0), order)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return p-values adjusted by Benjamini and Hochberg's step-up procedure, which controls the false discovery rate.

    Source: Benjamini and Hochberg 1995, JRSSB 57: 289–300.

    >>> print(benjamini_hochberg([0.01, 0.04, 0.03, 0.005]))
    [0.02 0.04 0.04 0.02]

    Args:
        p: p-values, (k,), in any order; independent, or positively dependent.

    Returns:
        Adjusted p-values, (k,), in the order given.

    Raises:
        MemkitError: a p-value is not between 0 and 1.
    """
    values = _pvalues(p)
    order = np.argsort(values)[::-1]
    factors = len(values) / np.arange(len(values), 0, -1)
    adjusted = np.minimum.accumulate(factors * values[order])
    return _in_original_order(np.minimum(adjusted, 1.0), order)


def _pvalues(p: ArrayLike) -> Floats:
    """Return ``p`` as floats of shape (k,), each between 0 and 1."""
    values = floats(p, name="p")
    if values.ndim != 1:
        raise MemkitError(f"p must have one axis, the claims; its shape is {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():  # nan fails this too
        raise MemkitError(
            "p must hold p-values between 0 and 1; give undecided claims a p-value of 1, or leave them out"
        )
    return values


def _in_original_order(sorted_values: Floats, order: np.ndarray) -> Floats:
    """Return ``sorted_values`` in the order before sorting; ``order`` is the argsort that sorted them."""
    restored = np.empty_like(sorted_values)
    restored[order] = sorted_values
    return restored
