"""Files that are replaced whole: what goes wrong on the way, a full disk, say, leaves what was there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from pathlib import Path

_NO_TEXT = re.compile("[\ud800-\udfff]")


def encoded(text: str) -> bytes:
    """Return a text in UTF-8, with U+FFFD for what is no text in it, as there may be in the name of a file."""
    return _NO_TEXT.sub("\ufffd", text).encode("utf-8")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; its folder is made where it is missing.

    Args:
        content: bytes, or a text, which is written as :func:`encoded` says.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    data = content if isinstance(content, bytes) else encoded(content)
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():  # /dev/stdout, say, which nothing can be put in the place of
            target.write_bytes(data)
            return
        _replace(target, data)
    except OSError as error:  # of the file that was asked for, not of the one beside it
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(target: Path, data: bytes) -> None:
    aside = target.with_name(f".memkit-{uuid.uuid4().hex}")
    try:
        aside.write_bytes(data)
        with contextlib.suppress(OSError):  # a new file has the mode of new files
            shutil.copymode(target, aside)
        os.replace(aside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
