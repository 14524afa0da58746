"""Checks of the values in a matrix; error messages name the place and say what would be right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from memkit.checks import is_whole
from memkit.errors import MemkitError, suggestion
from memkit.study.settings import Settings

MAX_NAME_BYTES = 120
"""The maximum length of a name: a folder's name may contain two, and most file systems limit it to 255 bytes."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def check_keys(given: Settings, known: Iterable[str], where: str) -> None:
    """Raise if a mapping has an unknown key."""
    for name in given:
        if name not in known:
            raise MemkitError(f"{where}{': ' if where else ''}there is no {name!r}{suggestion(name, known)}")


def mapping(given: Any, where: str, expected: str = "a mapping, name: value") -> Settings:
    """Return a mapping, or raise an error with the message that it must be ``expected``."""
    if not isinstance(given, Mapping):
        raise MemkitError(f"{where}: {given!r} must be {expected}")
    return given


def text(given: Any, where: str) -> str:
    """Return a text on one line, or raise."""
    if not isinstance(given, str):
        raise MemkitError(f"{where}: {given!r} must be a text")
    return " ".join(given.split())


def flag(given: Any, where: str) -> bool:
    """Return a boolean, or raise."""
    if not isinstance(given, bool):
        raise MemkitError(f"{where}: {given!r} must be true or false")
    return given


def count(given: Any, where: str, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number from ``least`` to ``most``, or raise."""
    if not is_whole(given, least) or (most is not None and given > most):
        limit = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise MemkitError(f"{where}: {given!r} must be a whole number {limit}")
    return given


def metric(given: Any, where: str, has_default_score: bool) -> str:
    """Return the name of a metric, or raise; the default score has two."""
    name = text(given, where)
    if not name:
        raise MemkitError(f"{where}: {given!r} is empty; name a metric of the score")
    known = ("accuracy", "loss")
    if has_default_score and name not in known:
        raise MemkitError(f"{where}: the default score has no {name!r}{suggestion(name, known)}")
    return name


def check_length(name: str, where: str) -> None:
    """Raise if a name is too long for the study's files and folders that are named after it."""
    if (length := len(os.fsencode(name))) > MAX_NAME_BYTES:
        raise MemkitError(
            f"{where}: {name[:40]!r}… is {length} bytes long, and the maximum is {MAX_NAME_BYTES}, since files and "
            "folders are named after it; give a shorter name"
        )


def check_name(name: str, where: str) -> None:
    """Raise if a name is too long or is not valid as part of a claim's id."""
    check_length(name, where)
    if not _NAME.fullmatch(name):
        raise MemkitError(
            f"{where}: {name!r} must consist of lower-case letters, digits, '-', '_' and '.', since it is part of the "
            "ids of claims"
        )
