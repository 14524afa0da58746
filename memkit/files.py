"""Atomic replacement of files and folders: if an error occurs, such as a full disk, the old content stays."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

_SURROGATES = re.compile("[\ud800-\udfff]")


def encoded(text: str) -> bytes:
    """Return a text in UTF-8, with U+FFFD for lone surrogates, which may occur in file names."""
    return _SURROGATES.sub("\ufffd", text).encode("utf-8")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all; create its folder if necessary, and keep the mode of an existing file.

    Args:
        path: the file; if it is a link, the file that it points to is written.
        content: bytes, or a text, which is encoded by :func:`encoded`.

    Raises:
        OSError: if the file cannot be written; an existing file is then unchanged.
    """
    data = content if isinstance(content, bytes) else encoded(content)
    target = Path(os.path.realpath(path))  # so that a link is not replaced
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():  # such as /dev/stdout, which cannot be replaced
            target.write_bytes(data)
            return
        with replacing(target, target.parent) as temporary:
            write(temporary, data)
            with contextlib.suppress(OSError):  # if there is no old file, the mode is the default
                shutil.copymode(target, temporary)
    except OSError as error:  # name the file that was requested, not the temporary one
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def replacing(target: Path, folder: Path) -> Iterator[Path]:
    """Create a file or a folder under a temporary name, and rename it to its target at the end of the block.

    A process that is killed within the block leaves the temporary file or folder behind. A link is replaced, not
    followed. A folder can only replace an empty folder.

    Args:
        target: the file or folder that is to exist completely or not at all.
        folder: where the temporary file or folder is created, on the same disk as the target.

    Yields:
        The temporary path.

    Raises:
        OSError: if the target cannot be replaced. After this or any other error, the temporary path is removed.
    """
    temporary = folder / f".memkit-{uuid.uuid4().hex}"
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        remove_all(temporary)
        raise


def write(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file that no other process reads yet, since this is not atomic.

    Args:
        path: the file.
        content: its content.
        sync: wait until the content is physically on the disk, so that it survives a power failure.

    Raises:
        OSError: if the file cannot be written completely.
    """
    with open(path, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def remove_all(path: Path) -> None:
    """Remove a file, or a folder with its contents, as far as possible; raise no error."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
