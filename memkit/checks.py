"""Checks of numbers that authors give."""

from __future__ import annotations

import math
from typing import Any


def is_real(value: Any) -> bool:
    """Return whether a value is a finite number that a float can hold, and no truth value."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that is too large
        return False


def is_whole(value: Any, least: int | None = None) -> bool:
    """Return whether a value is a whole number, and no truth value; of at least ``least``, where that is given."""
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
