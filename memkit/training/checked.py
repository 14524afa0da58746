"""Files that are written whole and verified when they are read: JSON with its checksum, and what that takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

DAMAGED = "is damaged"


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
    try:
        read = json.loads(data)
        content, checksum = read["content"], read["sha256"]
        found = hashlib.sha256(dump(content)).hexdigest()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(why(error)) from error
    if found != checksum:
        raise ValueError(f"{DAMAGED}: its checksum does not verify")
    return content


def to_bytes(content: Any) -> bytes:
    """JSON with its checksum."""
    text = dump(content)
    return b'{"sha256": "%s",\n"content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with its checksum, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # Not synced: there are thousands, and one that a loss of power leaves behind does not verify.
        write(aside, to_bytes(content), sync=False)
        aside.replace(path)
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
    """JSON as the checksums are computed of."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1).encode()


def write(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file, by default to the disk itself."""
    with path.open("wb") as file:
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
