"""Files that are written whole and verified when they are read: JSON with its checksum, and what that takes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from memkit.checks import is_real, is_whole
from memkit.errors import shown, told
from memkit.files import remove_all

T = TypeVar("T")

DAMAGED = "is damaged"
_FORM = re.compile(rb'\{"sha256": "(?P<sha256>[0-9a-f]{64})",\n"content": (?P<content>.*)\}', re.DOTALL)


def from_bytes(data: bytes) -> Any:
    """Return what :func:`to_bytes` was given.

    Raises:
        ValueError: the bytes are damaged; the message continues a sentence that begins with the name of their file.
    """
    form = _FORM.fullmatch(data)
    if form is None:
        raise ValueError(f"{DAMAGED}: it is no JSON with a checksum")
    # The checksum is that of the text as it was written, so the content need not be written again to verify it.
    if hashlib.sha256(form["content"]).hexdigest().encode() != form["sha256"]:
        raise ValueError(f"{DAMAGED}: its checksum does not verify")
    try:
        return json.loads(form["content"])
    except (ValueError, RecursionError) as error:
        raise ValueError(why(error)) from error


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Raises:
        ValueError: it holds something else.
    """
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds {shown(found)} in the place of an object")
    return found


def part(data: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return what an object of JSON has under a name, once it is of its type.

    Raises:
        ValueError: it is missing, or of another type.
    """
    if name not in data:
        raise ValueError(f"{name!r} is missing")
    if not isinstance(data[name], kind):
        raise ValueError(f"{name!r} is {shown(data[name])}, not a {kind.__name__}")
    found: T = data[name]
    return found


def whole(value: Any) -> int:
    """Return a whole number that is not negative, and that a number of JSON holds to the last digit.

    Raises:
        ValueError: it is none.
    """
    if not is_whole(value, 0) or not value < 2**53:
        raise ValueError(f"{shown(value)} is no count")
    return value


def finite(value: Any) -> float:
    """Return a finite number, whole or not.

    Raises:
        ValueError: it is none.
    """
    if not is_real(value):
        raise ValueError(f"{shown(value)} is no finite number")
    return value


def seconds(value: Any) -> float:
    """Return a time that something can have taken: from 0 to some thousand years.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= finite(value) <= 1e11:
        raise ValueError(f"{shown(value)} is no time in seconds")
    return float(value)


def number(value: Any) -> float:
    """Return a number; JSON has no nan and no infinity, so they may be written as their names.

    Raises:
        ValueError: it is none.
    """
    if value in ("nan", "inf", "-inf") or (type(value) is float and not math.isfinite(value)):
        return float(value)
    return finite(value)


def curve(rows: Any, value_of: Callable[[Any], T]) -> tuple[tuple[int, T], ...]:
    """Return a learning curve, rows of a step and of what ``value_of`` makes of the value beside it.

    Raises:
        ValueError: it has another form, or its steps do not rise.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise ValueError(f"a learning curve is {shown(rows)}")
    points = tuple((whole(step), value_of(value)) for step, value in rows)
    if any(after <= before for (before, _), (after, _) in pairwise(points)):
        raise ValueError("the steps of a learning curve do not rise")
    return points


def to_bytes(content: Any) -> bytes:
    """Return JSON with its checksum."""
    # Without indentation: Python's fast encoder knows none.
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    return b'{"sha256": "%s",\n"content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


UNFIT = (errno.EFBIG, errno.EINVAL, errno.ENXIO)
"""The error numbers of the system, or of :func:`read_ordinary`, for no ordinary file, or one too large for a store."""
_LARGEST = 1 << 30


def read_ordinary(path: str) -> bytes:
    """Return the content of a file of a store.

    Raises:
        OSError: it cannot be read; it is a pipe or a device, which might never end, or larger than a gigabyte.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(file, "rb") as opened:
        found = os.fstat(file)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", path)
        if found.st_size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return opened.read()


def append(path: str, line: bytes, below: Path) -> None:
    """Append a line to a file by one call of the operating system, and make the file and its folder where missing.

    Args:
        below: a folder that is the store's alone, see :func:`make_folder`.

    Raises:
        OSError: it was not written, or not all of it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.open(path, flags, 0o666)
    except (FileNotFoundError, NotADirectoryError):
        make_folder(Path(path).parent, below)
        file = os.open(path, flags, 0o666)
    try:
        # Not synced: there are thousands, and one that a loss of power leaves behind does not verify.
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def why(error: Exception) -> str:
    """Return what is wrong with a file or folder, in words that follow its name."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{DAMAGED}: {Path(error.filename).name} is missing"
    if isinstance(error, KeyError):
        return f"{DAMAGED}: {shown(error.args[0])} is missing"
    said = str(error) or type(error).__name__
    return said if said.startswith((DAMAGED, "has version")) else f"{DAMAGED}: {said}"


def dump(data: Any) -> bytes:
    """Return JSON for readers."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1).encode()


def make_folder(path: Path, below: Path) -> None:
    """Make a folder and those above it; a file that stands in the place of one is removed.

    Args:
        below: a folder that is the store's alone: nothing but what is in it is removed.

    Raises:
        OSError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for place in (path, *path.parents):
            if below in place.parents and os.path.lexists(place) and not os.path.isdir(place):
                told(f"{place} {DAMAGED}: it is no folder; what was in it is made again")
                remove_all(place)
        path.mkdir(parents=True, exist_ok=True)
