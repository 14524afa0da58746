"""Messages to the user: the exception for bad input, the warning, and the words that messages need."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class MemkitError(ValueError):
    """Bad input. The message is one sentence for the user; the plugin and the command line print it alone.

    >>> from memkit import Contrast, MemkitError
    >>> try:
    ...     Contrast("memory", over="memory", metric="accuracy", bounds=(0, 1))
    ... except MemkitError as error:
    ...     print(error)
    Contrast('memory', over='memory'): treatment and control are the same arm; name two different ones
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known name nearest to ``name``, else the list of known names."""
    names = sorted(known)
    if name in names:  # callers make the sentence before they know whether they need it, and a search takes long
        return ""
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def check_fields(kind: type[Any], given: Iterable[str], hint: str = "") -> None:
    """Check that a dataclass has the fields that it is made with; its own error would be less clear.

    Raises:
        MemkitError: there is no such field; the message names the nearest one, or the known ones.
    """
    known = {field.name for field in dataclasses.fields(kind) if field.init} - {"_"}
    for name in given:
        if name not in known:
            raise MemkitError(f"{kind.__name__} has no field {name!r}{nearest(name, known)}{hint}")


class MemkitWarning(UserWarning):
    """Something was repaired or done differently, and the run goes on: a damaged run was trained again, for example.

    >>> import warnings
    >>> from memkit import MemkitWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", MemkitWarning)
    ...     warnings.warn("the store is read-only", MemkitWarning)
    Traceback (most recent call last):
    memkit.errors.MemkitWarning: the store is read-only
    """


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
    """Warn of a problem that costs only time and must not end a run, such as a server that is down.

    Where warnings are errors, print the text on standard error instead.
    """
    try:
        warnings.warn(text, MemkitWarning, stacklevel=3)
    except MemkitWarning:
        print(f"memkit: {text}", file=sys.stderr)
