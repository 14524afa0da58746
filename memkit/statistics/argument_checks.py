"""Checks of arguments: each returns the converted value, or raises a :class:`MemkitError` that names the argument.

Numbers may be Python's or NumPy's. Where a single number is expected, booleans and strings are refused.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memkit.checks import is_real
from memkit.errors import MemkitError, short_repr
from memkit.plain_values import plain

Floats = NDArray[np.float64]


def floats(x: ArrayLike, *, name: str = "x") -> Floats:
    """Return ``x`` as floats of any shape, finite or not."""
    with suppress(TypeError, ValueError, OverflowError):
        values = np.asarray(x)
        is_object_array = values.dtype.kind == "O"
        if values.dtype.kind in "biuf" or (is_object_array and all(map(_converts_to_float, values.flat))):
            return np.asarray(values, dtype=np.float64)
    raise MemkitError(f"{name} must hold numbers; it is {short_repr(x)}")


def sample(x: ArrayLike, *, name: str = "x") -> Floats:
    """Return ``x`` as finite floats of shape (..., n): n >= 1 seeds on the last axis, experiments on the others."""
    values = floats(x, name=name)
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
    """Return ``x`` as finite floats of shape (n,): the seeds of one experiment."""
    values = sample(x, name=name)
    if values.ndim != 1:
        raise MemkitError(f"{name} must have one axis, the seeds; its shape is {values.shape}")
    return values


def within_bounds(values: Floats, bounds: tuple[float, float], *, name: str = "x") -> Floats:
    """Return ``values`` clipped to ``bounds``; only rounding errors (1e-12 of the larger bound) are clipped away."""
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
    """Return ``bounds`` as two finite floats, the lower first."""
    ends: tuple[Any, ...] = ()
    with suppress(TypeError):
        ends = tuple(map(_number, bounds))
    if len(ends) == 2 and all(map(is_real, ends)) and ends[0] < ends[1]:
        return float(ends[0]), float(ends[1])
    are_numbers = len(ends) == 2 and all(is_real(end) or isinstance(end, float) for end in ends)
    given = f"({ends[0]:g}, {ends[1]:g})" if are_numbers else short_repr(bounds)
    raise MemkitError(f"bounds must be two finite numbers, the lower first; they are {given}")


def finite(value: float, *, name: str) -> float:
    """Return ``value`` as a float that is neither infinite nor nan."""
    number = _number(value)
    if not is_real(number):
        raise MemkitError(f"{name} must be a finite number; it is {short_repr(value)}")
    return float(number)


def not_negative(value: float, *, name: str) -> float:
    """Return ``value`` as a finite float of at least zero."""
    number = _number(value)
    if not (is_real(number) and number >= 0):
        raise MemkitError(f"{name} must be a finite number of at least 0; it is {short_repr(value)}")
    return float(number)


def positive(value: float, *, name: str) -> float:
    """Return ``value`` as a finite float above zero."""
    number = _number(value)
    if not (is_real(number) and number > 0):
        raise MemkitError(f"{name} must be a finite number above 0; it is {short_repr(value)}")
    return float(number)


def magnitude(value: float, *, name: str) -> float:
    """Return the absolute value of ``value`` as a finite float above zero."""
    number = _number(value)
    return positive(abs(number) if is_real(number) else value, name=name)


def probability(value: float, *, name: str) -> float:
    """Return ``value`` as a float strictly between 0 and 1."""
    number = _number(value)
    if not (is_real(number) and 0 < number < 1):
        raise MemkitError(f"{name} must lie strictly between 0 and 1; it is {short_repr(value)}")
    return float(number)


def count(value: int, *, name: str, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least``; a float without a fractional part is accepted."""
    number = _number(value)
    if not (is_real(number) and number == int(number) and number >= least):
        raise MemkitError(f"{name} must be a whole number of at least {least}; it is {short_repr(value)}")
    return int(number)


def _number(value: Any) -> Any:
    """Return a number as a Python number, and anything else unchanged."""
    if isinstance(value, (np.timedelta64, np.ndarray)) and value.dtype.kind == "m":
        return value  # NumPy may convert a duration to the integer number of its units
    number = plain(value)
    if isinstance(number, (int, float)) or not isinstance(number, Real):
        return number
    try:
        return float(number)  # a Fraction, or a NumPy float with more than 64 bits
    except OverflowError:
        return number


def _converts_to_float(value: Any) -> bool:
    """Return whether an object array's element is a number, or None, which becomes nan. NumPy would parse strings."""
    return value is None or isinstance(_number(value), (Real, Decimal))
