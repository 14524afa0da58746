"""NumPy's numbers as Python's, in what authors declare: recipes, contrasts, claims, grids.

A declaration has one digest and one JSON, whether its numbers came from Python or from NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return NumPy's scalars as the numbers, truth values or texts that they are, and its arrays as lists.

    Also within lists, tuples and mappings. What is none of these stays what it is, and so do masked arrays, which have
    no number where they are masked, and numbers of NumPy's that no float holds exactly.
    """
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return _number(value)
    if isinstance(value, Mapping):
        return {plain(name): plain(held) for name, held in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value


def plain_fields(made: Any, *names: str) -> None:
    """Set fields of a frozen dataclass to what :func:`plain` makes of them; for its ``__post_init__``."""
    for name in names:
        given = getattr(made, name)
        if (own := plain(given)) is not given:
            object.__setattr__(made, name, own)


def plain_task(task: Any) -> Any:
    """Return a task with Python's numbers in the place of NumPy's scalars; arrays stay, for it may calculate with them.

    It is the same task if there are none.
    """
    if isinstance(task, np.generic):
        return _number(task)
    if type(task) in (list, tuple):
        items = [plain_task(item) for item in task]
        return task if all(a is b for a, b in zip(items, task, strict=True)) else type(task)(items)
    if not is_dataclass(task) or isinstance(task, type):
        return task
    own = {f.name: getattr(task, f.name) for f in fields(task) if f.init}
    changed = {name: made for name, held in own.items() if (made := plain_task(held)) is not held}
    return replace(task, **changed) if changed else task


def _number(value: np.generic) -> Any:
    made = value.item()
    if isinstance(made, np.floating):  # longer than a float
        return float(made) if float(made) == made else made
    return made
