"""Checks that a value is a number. Each caller says in its own error message what would be right."""

from __future__ import annotations

import sys
from typing import TypeGuard


def is_real(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite ``int`` or ``float`` within the range of a float.

    Booleans do not count, nor do strings that hold numbers.
    """
    # The comparison is exact: it does not convert an int to a float, for which it may be too large.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(abs(value) <= sys.float_info.max)


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Return whether a value is an ``int`` of any size, and not a boolean.

    Args:
        least: the smallest that counts; None for no limit.
    """
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
