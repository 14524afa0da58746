"""Files and folders that are replaced whole: what goes wrong on the way, a full disk, say, leaves what was there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

_NO_TEXT = re.compile("[\ud800-\udfff]")


def encoded(text: str) -> bytes:
    """Return a text in UTF-8, with U+FFFD for what is no text in it, as there may be in the name of a file."""
    return _NO_TEXT.sub("\ufffd", text).encode("utf-8")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; its folder is made where it is missing, and its mode stays what it was.

    Args:
        content: bytes, or a text, which is written as :func:`encoded` says.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    data = content if isinstance(content, bytes) else encoded(content)
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():  # /dev/stdout, say, which nothing can replace
            target.write_bytes(data)
            return
        with replacing(target, target.parent) as aside:
            write(aside, data)
            with contextlib.suppress(OSError):  # a new file has the mode of new files
                shutil.copymode(target, aside)
    except OSError as error:  # of the file that was asked for, not of the one beside it
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def replacing(target: Path, folder: Path) -> Iterator[Path]:
    """Let a file or a folder be made under another name, and give it its own once the block has ended.

    A process that is killed before that leaves what it made under the other name. A link is replaced, not followed, and
    a folder takes the place of an empty one alone.

    Args:
        target: what is to be there, whole or not at all.
        folder: where it is made meanwhile, on the same disk as the target.

    Yields:
        The path at which to make it.

    Raises:
        OSError: it cannot take its place. Then, as after any error in the block, what was made is removed again.
    """
    aside = folder / f".memkit-{uuid.uuid4().hex}"
    try:
        yield aside
        os.replace(aside, target)
    except BaseException:
        remove_all(aside)
        raise


def write(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file that nobody looks for yet.

    Args:
        sync: wait until it is on the disk itself, so that it outlasts a loss of power.

    Raises:
        OSError: it cannot be written, or not all of it.
    """
    with open(path, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def remove_all(path: Path) -> None:
    """Remove a file, or a folder and all in it, as far as that can be done."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
