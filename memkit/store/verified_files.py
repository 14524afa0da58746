"""Files that are verified when they are read: JSON with a checksum, and checks of its values."""

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
from memkit.errors import short_repr, warn
from memkit.files import remove_all

T = TypeVar("T")

DAMAGED = "is damaged"
_CHECKED_JSON = re.compile(rb'\{"sha256": "(?P<sha256>[0-9a-f]{64})",\n"content": (?P<content>.*)\}', re.DOTALL)


def from_bytes(data: bytes) -> Any:
    """Return the content that was passed to :func:`to_bytes`.

    Raises:
        ValueError: if the bytes are damaged; the message continues a sentence that begins with the name of the file.
    """
    match = _CHECKED_JSON.fullmatch(data)
    if match is None:
        raise ValueError(f"{DAMAGED}: it is not JSON with a checksum")
    # The checksum covers the text as it was written, so the content need not be serialised again to verify it.
    if hashlib.sha256(match["content"]).hexdigest().encode() != match["sha256"]:
        raise ValueError(f"{DAMAGED}: its checksum does not match")
    try:
        return json.loads(match["content"])
    except (ValueError, RecursionError) as error:
        raise ValueError(describe_damage(error)) from error


def parse_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a file contains.

    Raises:
        ValueError: if it contains something else.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"it contains {short_repr(value)} instead of an object")
    return value


def typed_entry(data: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return an entry of a JSON object, checked to be of a type.

    Raises:
        ValueError: if it is missing, or of another type.
    """
    if name not in data:
        raise ValueError(f"{name!r} is missing")
    if not isinstance(data[name], kind):
        raise ValueError(f"{name!r} is {short_repr(data[name])}, not a {kind.__name__}")
    value: T = data[name]
    return value


def checked_count(value: Any) -> int:
    """Check that a value is a whole number from 0 to 2**53 - 1, which every JSON reader represents exactly; return it.

    Raises:
        ValueError: if it is not.
    """
    if not is_whole(value, 0) or not value < 2**53:
        raise ValueError(f"{short_repr(value)} is not a count")
    return value


def checked_finite(value: Any) -> float:
    """Check that a value is a finite number; return it.

    Raises:
        ValueError: if it is not.
    """
    if not is_real(value):
        raise ValueError(f"{short_repr(value)} is not a finite number")
    return value


def checked_seconds(value: Any) -> float:
    """Check that a value is a plausible duration in seconds, from 0 to a few thousand years; return it as a float.

    Raises:
        ValueError: if it is not.
    """
    if not 0 <= checked_finite(value) <= 1e11:
        raise ValueError(f"{short_repr(value)} is not a duration in seconds")
    return float(value)


def parse_number(value: Any) -> float:
    """Return a number; nan and the infinities may be written as strings, since JSON lacks them.

    Raises:
        ValueError: if it is not a number.
    """
    if value in ("nan", "inf", "-inf") or (type(value) is float and not math.isfinite(value)):
        return float(value)
    return checked_finite(value)


def parse_curve(rows: Any, value_of: Callable[[Any], T]) -> tuple[tuple[int, T], ...]:
    """Return a learning curve, as (step, ``value_of(value)``) for each row [step, value].

    Raises:
        ValueError: if it has another form, or if its steps do not increase.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise ValueError(f"a learning curve must be a list of [step, value], not {short_repr(rows)}")
    points = tuple((checked_count(step), value_of(value)) for step, value in rows)
    if any(following <= step for (step, _), (following, _) in pairwise(points)):
        raise ValueError("the steps of a learning curve do not increase")
    return points


def to_bytes(content: Any) -> bytes:
    """Return JSON with its checksum."""
    # Without indentation, which Python's fast encoder does not support.
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    return b'{"sha256": "%s",\n"content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


UNUSABLE_FILE = (errno.EFBIG, errno.EINVAL, errno.ENXIO)
"""The error numbers, of the system or of :func:`read_regular_file`, for files that are not regular, or too large."""
_MAX_SIZE = 1 << 30


def read_regular_file(path: str) -> bytes:
    """Return the content of a file of a store.

    Raises:
        OSError: if it cannot be read, is larger than a gigabyte, or is a pipe or a device, which might never end.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(file, "rb") as opened:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        if status.st_size > _MAX_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return opened.read()


def append_line(path: str, line: bytes, store_folder: Path) -> None:
    """Append a line to a file in one system call; create the file and its folder if they do not exist.

    Args:
        path: the file.
        line: the line, with its line breaks.
        store_folder: a folder that contains only files of the store; see :func:`make_folder`.

    Raises:
        OSError: if the line was not written, or only part of it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.open(path, flags, 0o666)
    except (FileNotFoundError, NotADirectoryError):
        make_folder(Path(path).parent, store_folder)
        file = os.open(path, flags, 0o666)
    try:
        # Not synced, for there are thousands of lines; the checksum reveals one that a power failure left incomplete.
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def describe_damage(error: Exception) -> str:
    """Return what is wrong with a file or folder, as the rest of a sentence that begins with its name."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{DAMAGED}: {Path(error.filename).name} is missing"
    if isinstance(error, KeyError):
        return f"{DAMAGED}: {short_repr(error.args[0])} is missing"
    message = str(error) or type(error).__name__
    return message if message.startswith((DAMAGED, "has version")) else f"{DAMAGED}: {message}"


def indented_json(data: Any) -> bytes:
    """Return JSON that is indented for readers."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1).encode()


def make_folder(path: Path, store_folder: Path) -> None:
    """Create a folder and its parents; a file in the place of one of these folders is removed.

    Args:
        path: the folder.
        store_folder: a folder that contains only files of the store; nothing outside it is removed.

    Raises:
        OSError: if the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for folder in (path, *path.parents):
            if store_folder in folder.parents and os.path.lexists(folder) and not os.path.isdir(folder):
                warn(f"{folder} {DAMAGED}: it is not a folder; its contents are created again")
                remove_all(folder)
        path.mkdir(parents=True, exist_ok=True)
