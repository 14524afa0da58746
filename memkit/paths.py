"""Paths that users name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from memkit.errors import MemkitError

_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def named_path(text: str, here: Path, *, what: str) -> Path:
    """Return the path that a user named, absolute.

    Args:
        text: as it was given; ``~`` stands for the home directory.
        here: the directory that a relative path is relative to.
        what: how it was given, for the message: ``--memkit-store``.

    Raises:
        MemkitError: it is empty, of a user who is not known, or a path of Windows on another system, which would make a
            file of that name.
    """
    if not text:
        raise MemkitError(f"{what} is empty; give a path")
    if os.name != "nt" and _OF_WINDOWS.match(text):
        raise MemkitError(f"{what}: {text} is a path of Windows; on this system, write one such as ~/memkit")
    try:
        return here / Path(text).expanduser()
    except RuntimeError as error:  # ~ of a user that does not exist, or of nobody
        raise MemkitError(f"{what}: {text} cannot be found ({error}); write the path out") from None


def is_url(text: str) -> bool:
    """Return whether a user named a URL; a drive of Windows is none."""
    return "://" in text and not _OF_WINDOWS.match(text)
