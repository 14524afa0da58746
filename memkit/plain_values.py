"""Conversion of NumPy's numbers to Python's in the declarations of authors: recipes, contrasts, claims and grids.

A declaration has the same digest and the same JSON whether its numbers came from Python or from NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value with NumPy's scalars as Python numbers, booleans or strings, and NumPy's arrays as lists.

    Lists, tuples and mappings are converted recursively. All other values are returned unchanged, including masked
    arrays, whose masked entries are not numbers, and NumPy numbers that no float represents exactly.
    """
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return _number(value)
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value


def plain_fields(instance: Any, *names: str) -> None:
    """Convert fields of a frozen dataclass by :func:`plain`; for its ``__post_init__``."""
    for name in names:
        value = getattr(instance, name)
        if (converted := plain(value)) is not value:
            object.__setattr__(instance, name, converted)


def plain_task(task: Any) -> Any:
    """Return a task with Python's numbers in place of NumPy's scalars; arrays stay, since tasks may compute with them.

    A task without such scalars is returned unchanged.
    """
    if isinstance(task, np.generic):
        return _number(task)
    if type(task) in (list, tuple):
        items = [plain_task(item) for item in task]
        return task if all(a is b for a, b in zip(items, task, strict=True)) else type(task)(items)
    if not is_dataclass(task) or isinstance(task, type):
        return task
    values = {field.name: getattr(task, field.name) for field in fields(task) if field.init}
    changed = {name: new for name, value in values.items() if (new := plain_task(value)) is not value}
    return replace(task, **changed) if changed else task


def _number(value: np.generic) -> Any:
    number = value.item()
    if isinstance(number, np.floating):  # a long double
        return float(number) if float(number) == number else number
    return number
