"""What a user of memkit is told: the one exception that one can cause, warnings, and the words that sentences need."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class MemkitError(ValueError):
    """Bad input. The message is one sentence for the user; the plugin and the command line print it alone."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known name nearest to ``name``, else the list of known names."""
    names = sorted(known)
    if name in names:  # the sentence is made before it is known whether it is needed, and a search takes long
        return ""
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def check_fields(kind: type[Any], given: Iterable[str], hint: str = "") -> None:
    """See that a dataclass has the fields that it is made with, before it says so less clearly itself.

    Raises:
        MemkitError: it names the field, and the nearest that there is.
    """
    known = {field.name for field in dataclasses.fields(kind) if field.init} - {"_"}
    for name in given:
        if name not in known:
            raise MemkitError(f"{kind.__name__} has no field {name!r}{nearest(name, known)}{hint}")


class MemkitWarning(UserWarning):
    """Something was mended or done differently, and the run goes on: a damaged run was trained again."""


def many(count: int, noun: str) -> str:
    """``1 seed``, ``8 seeds``, ``1 464 measurements``."""
    return f"{count:,} {noun}".replace(",", " ") + ("" if count == 1 else "s")


def shown(value: Any) -> str:
    """Return a value in a few words on one line, however large it is."""
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # a whole number of thousands of digits
        return f"this {type(value).__name__}"


def told(text: str) -> None:
    """Warn, also where warnings are errors, of what costs time alone and must not end a run: a server that is down."""
    try:
        warnings.warn(text, MemkitWarning, stacklevel=3)
    except MemkitWarning:
        print(f"memkit: {text}", file=sys.stderr)
