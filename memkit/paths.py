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
        MemkitError: it is a path of Windows, and this is another system, which would make a file of that name.
    """
    if os.name != "nt" and _OF_WINDOWS.match(text):
        raise MemkitError(f"{what}: {text} is a path of Windows; on this system, write one such as ~/memkit")
    return here / Path(text).expanduser()
