"""Checks whether a value is a number; callers write the error message, which says what would be right."""

from __future__ import annotations

import sys
from typing import TypeGuard


def is_real(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite ``int`` or ``float`` within the range of a float.

    Booleans do not count, nor do strings that contain numbers.
    """
    # Python compares exactly: it does not convert the int, which may be too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(abs(value) <= sys.float_info.max)


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Return whether a value is an ``int`` of any size, but not a boolean.

    Args:
        least: the minimum, inclusive; None for no minimum.
    """
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
