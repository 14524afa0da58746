"""What counts as a number where one is asked for. Each caller says in a sentence of its own what would be right."""

from __future__ import annotations

import sys
from typing import TypeGuard


def is_real(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number of Python's, whole or not, that a float can hold.

    Truth values are none, nor are numbers in texts.
    """
    # The comparison is exact: it makes no float of a whole number, which may be too large for one.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(abs(value) <= sys.float_info.max)


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Tell whether a value is a whole number of Python's, of whatever size.

    Args:
        least: the smallest that counts; None for no limit.
    """
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
