"""Multiplicity: what many claims together allow to conclude; shown beside the verdicts, and never decides one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import Floats, count, floats


def e_bh_levels(e_values: ArrayLike, *, total: int | None = None) -> Floats:
    """Return, for each e-value, the least rate of false discoveries at which e-BH declares its hypothesis.

    The e-BH procedure at rate α declares the R largest e-values, for the largest R whose e-value is at least
    ``total`` / (R · α). So the level of the e-value of rank R is ``total`` / (R · e), or that of a later rank if it is
    lower. The rate holds under any dependence (Wang & Ramdas 2022, JRSS B 84: 822–852).

    >>> print(e_bh_levels([40, 100, 0.5, 80]))
    [0.03333333 0.025      1.         0.025     ]
    >>> print(e_bh_levels([40, 100], total=10))
    [0.125 0.1  ]

    Args:
        e_values: e-values, (k,), in any order; infinite values are allowed.
        total: the number of hypotheses, at least k; those that are not given have an e-value of 0. None means k.

    Returns:
        Levels, (k,), from 0 to 1, in the order given.

    Raises:
        MemkitError: an e-value is negative or not a number, or ``total`` is less than k.
    """
    values = floats(e_values, name="e_values")
    if values.ndim != 1:
        raise MemkitError(f"e_values must have one axis, the claims; its shape is {values.shape}")
    if not (values >= 0).all():  # nan fails this too
        raise MemkitError("e_values must be numbers of at least 0; give claims without an e-value 0")
    number = len(values) if total is None else count(total, name="total", least=0)
    if number < len(values):
        raise MemkitError(f"total must be at least {len(values)}, the number of e-values; it is {number}")
    order = np.argsort(-values)
    ranks = np.arange(1, len(values) + 1)
    with np.errstate(divide="ignore", over="ignore"):
        levels = np.minimum(number / (ranks * values[order]), 1.0)
    result = np.empty_like(values)
    result[order] = np.minimum.accumulate(levels[::-1])[::-1]
    return result
