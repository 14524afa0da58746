"""Damaged runs: moved out of the way at once, told of, and trained again."""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path

from memkit.errors import MemkitWarning
from memkit.files import remove_all
from memkit.store.verified_files import make_folder


def unfinished(runs: Path) -> Path:
    """Return the folder of entries that are being written, and of those that are being thrown away.

    It is within the folder of runs: nothing can be renamed from one disk to another, and that may be a link to one.
    """
    return runs / "tmp"


def discard(entry: Path, runs: Path) -> bool:
    """Move an entry out of the way in one step, then delete it; return whether it is gone.

    What cannot be moved is deleted where it is, as far as that can be done.

    Args:
        runs: the store's folder of runs.
    """
    aside = unfinished(runs) / f"discarded-{uuid.uuid4().hex}"
    try:
        make_folder(aside.parent, runs)
        entry.rename(aside)
    except (FileNotFoundError, NotADirectoryError):  # there is none
        return True
    except OSError:
        remove_all(entry)
        return not os.path.lexists(entry)
    remove_all(aside)
    return True


def tell_of_damaged_run(entry: Path, wrong: str) -> None:
    """Warn that a run is damaged and is trained again.

    Args:
        wrong: what is wrong with it, in words that follow its name.
    """
    warnings.warn(f"the stored run {entry} {wrong}; it is trained again", MemkitWarning, stacklevel=4)
