"""Checks of every part of a matrix; refusals name the place, and what would be right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from memkit.checks import is_whole
from memkit.errors import MemkitError, nearest
from memkit.study.settings import Settings

LONGEST = 120
"""Bytes of a name. Two of them make the name of a folder, which may have 255 on most disks."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def known(given: Settings, known: Iterable[str], where: str) -> None:
    """Refuse a misspelt key."""
    for name in given:
        if name not in known:
            raise MemkitError(f"{where}{': ' if where else ''}there is no {name!r}{nearest(name, known)}")


def mapping(given: Any, where: str, or_: str = "a mapping, name: value") -> Settings:
    if not isinstance(given, Mapping):
        raise MemkitError(f"{where}: {given!r} must be {or_}")
    return given


def text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise MemkitError(f"{where}: {given!r} must be a text")
    return " ".join(given.split())


def flag(given: Any, where: str) -> bool:
    if not isinstance(given, bool):
        raise MemkitError(f"{where}: {given!r} must be true or false")
    return given


def count(given: Any, where: str, *, least: int = 1, most: int | None = None) -> int:
    if not is_whole(given, least) or (most is not None and given > most):
        limit = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise MemkitError(f"{where}: {given!r} must be a whole number {limit}")
    return given


def metric(given: Any, where: str, default: bool) -> str:
    name = text(given, where)
    if not name:
        raise MemkitError(f"{where}: name a metric of the score")
    known = ("accuracy", "loss")
    if default and name not in known:
        raise MemkitError(f"{where}: the default score has no {name!r}{nearest(name, known)}")
    return name


def short_enough(name: str, where: str) -> None:
    """Refuse a name that is too long for what is named by it: files and folders of the study."""
    if (length := len(os.fsencode(name))) > LONGEST:
        raise MemkitError(
            f"{where}: {name[:40]!r}… is {length} bytes long, and {LONGEST} is the most, since files and folders are "
            "named by it; give a shorter name"
        )


def valid_name(name: str, where: str) -> None:
    short_enough(name, where)
    if not _NAME.fullmatch(name):
        raise MemkitError(
            f"{where}: {name!r} must be in lower case, digits, '-', '_' and '.': it is a part of claims' ids"
        )
