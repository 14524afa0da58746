"""Files that are written whole and verified when they are read: JSON with its checksum, and what that takes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

DAMAGED = "is damaged"
_FORM = re.compile(rb'\{"sha256": "(?P<sha256>[0-9a-f]{64})",\n"content": (?P<content>.*)\}', re.DOTALL)


def from_bytes(data: bytes) -> Any:
    """What :func:`to_bytes` was given.

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


def to_bytes(content: Any) -> bytes:
    """Return JSON with its checksum."""
    # Without indentation: Python's fast encoder knows none.
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    return b'{"sha256": "%s",\n"content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


def append(path: str, line: bytes) -> None:
    """Append a line to a file by one call of the operating system, and make the file and its folder where missing.

    Raises:
        OSError: it was not written, or not all of it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        file = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = os.open(path, flags, 0o666)
    try:
        # Not synced: there are thousands, and one that a loss of power leaves behind does not verify.
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def why(error: Exception) -> str:
    """What is wrong with a file or folder, in words that follow its name."""
    if isinstance(error, FileNotFoundError):
        return f"{DAMAGED}: {Path(error.filename).name} is missing"
    said = str(error)
    return said if said.startswith((DAMAGED, "has version")) else f"{DAMAGED}: {said}"


def dump(data: Any) -> bytes:
    """Return JSON for readers."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1).encode()


def write(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file, by default to the disk itself."""
    with open(path, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def remove_all(path: Path) -> None:
    """Remove a file, or a folder and all in it, as far as that can be done."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
