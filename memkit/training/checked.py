"""Files that are written whole and verified when they are read: JSON with its checksum, and what that takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

DAMAGED = "is damaged"
_FORM = re.compile(rb'\{"sha256": "(?P<sha256>[0-9a-f]{64})",\n"content": (?P<content>.*)\}', re.DOTALL)


def read_json(path: Path) -> Any:
    """Read what :func:`write_json` wrote; None where there is nothing.

    Raises:
        ValueError: the file is damaged; the message continues a sentence that begins with its name.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(why(error)) from error
    return from_bytes(data)


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


def write_json(path: Path, content: Any) -> None:
    """Write JSON with its checksum, whole or not at all."""
    write_bytes(path, to_bytes(content))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and make its folder where that is missing."""
    aside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        # Not synced: there are thousands, and one that a loss of power leaves behind does not verify.
        try:
            write(aside, content, sync=False)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(aside, content, sync=False)
        os.replace(aside, path)
    except OSError:
        remove_all(aside)
        raise


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
