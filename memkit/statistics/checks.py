"""What arguments must be like: each check returns the clean value, or says in a sentence what is wrong."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError

Floats = NDArray[np.float64]


def sample(x: ArrayLike, *, name: str = "x") -> Floats:
    """``x`` as finite floats, shape (..., n): n >= 1 seeds on the last axis, any experiments before it."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise MemkitError(
            f"{name} must hold at least one value along its last axis, the seeds; its shape is {values.shape}"
        )
    if not np.isfinite(values).all():
        raise MemkitError(
            f"{name} must be finite, but holds {values[~np.isfinite(values)][0]}; score failed seeds first"
        )
    return values


def single(x: ArrayLike, *, name: str = "x") -> Floats:
    """``x`` as finite floats, shape (n,): the seeds of one experiment."""
    values = sample(x, name=name)
    if values.ndim != 1:
        raise MemkitError(f"{name} must have one axis, the seeds; its shape is {values.shape}")
    return values


def within_bounds(values: Floats, bounds: tuple[float, float], *, name: str = "x") -> Floats:
    """``values`` clipped to ``bounds``, correcting rounding alone (1e-12 of the bounds' magnitude)."""
    low, high = bounds
    tolerance = 1e-12 * max(abs(low), abs(high))
    outside = (values < low - tolerance) | (values > high + tolerance)
    if outside.any():
        raise MemkitError(
            f"{name} must lie within bounds ({low:g}, {high:g}), but holds {values[outside].flat[0]!s}; "
            "declare the least and greatest value that can occur, or clip before averaging"
        )
    return np.clip(values, low, high)


def bounds_pair(bounds: tuple[float, float]) -> tuple[float, float]:
    """``bounds`` as two finite floats, the lower first."""
    low, high = map(float, bounds)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise MemkitError(f"bounds must be two finite numbers, the lower first; they are ({low:g}, {high:g})")
    return low, high


def finite(value: float, *, name: str) -> float:
    """``value`` as a float that is neither infinite nor nan."""
    if not math.isfinite(value):
        raise MemkitError(f"{name} must be a finite number; it is {value!r}")
    return float(value)


def positive(value: float, *, name: str) -> float:
    """``value`` as a finite float above zero."""
    if not (math.isfinite(value) and value > 0):
        raise MemkitError(f"{name} must be a finite number above 0; it is {value!r}")
    return float(value)


def probability(value: float, *, name: str) -> float:
    """``value`` strictly between 0 and 1."""
    if not 0 < value < 1:
        raise MemkitError(f"{name} must lie strictly between 0 and 1; it is {value!r}")
    return float(value)


def count(value: int, *, name: str, least: int = 1) -> int:
    """``value`` as a whole number of at least ``least``."""
    if not math.isfinite(value) or value != int(value) or value < least:
        raise MemkitError(f"{name} must be a whole number of at least {least}; it is {value!r}")
    return int(value)
