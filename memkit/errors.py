"""Messages to the user: the exception for bad input, the warning, and functions that format parts of messages."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class MemkitError(ValueError):
    """An error in the user's input; the plugin and the command line print its message without a traceback.

    >>> from memkit import Contrast, MemkitError
    >>> try:
    ...     Contrast("memory", over="memory", metric="accuracy", bounds=(0, 1))
    ... except MemkitError as error:
    ...     print(error)
    Contrast('memory', over='memory'): treatment and control are the same arm; name two different ones
    """


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` with the known name most similar to ``name``, or else the list of known names."""
    names = sorted(known)
    if name in names:  # callers may build the message before they know whether they need it, and the search is slow
        return ""
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def check_fields(kind: type[Any], given: Iterable[str], hint: str = "") -> None:
    """Check that a dataclass has the fields that a caller passes, with a clearer message than Python's own.

    Args:
        kind: the dataclass.
        given: the names of the fields that are passed.
        hint: appended to the message.

    Raises:
        MemkitError: if there is no such field; the message names the most similar one, or the known ones.
    """
    known = {field.name for field in dataclasses.fields(kind) if field.init} - {"_"}
    for name in given:
        if name not in known:
            raise MemkitError(f"{kind.__name__} has no field {name!r}{suggestion(name, known)}{hint}")


class MemkitWarning(UserWarning):
    """A warning about a problem that did not end the run: for example, a damaged run was trained again.

    >>> import warnings
    >>> from memkit import MemkitWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", MemkitWarning)
    ...     warnings.warn("the store is read-only", MemkitWarning)
    Traceback (most recent call last):
    memkit.errors.MemkitWarning: the store is read-only
    """


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 seed``, ``8 seeds``, ``1 464 measurements``."""
    return f"{count:,} {noun}".replace(",", " ") + ("" if count == 1 else "s")


def short_repr(value: Any) -> str:
    """Return a short representation of a value, on one line, however large the value is."""
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # an int with thousands of digits, which Python refuses to print
        return f"this {type(value).__name__}"


def warn(text: str) -> None:
    """Warn about a problem that only costs time and must not end a run, such as an unreachable server.

    If warnings are errors, print the text to standard error instead.
    """
    try:
        warnings.warn(text, MemkitWarning, stacklevel=3)
    except MemkitWarning:
        print(f"memkit: {text}", file=sys.stderr)
