"""Damaged runs: they are moved out of the way, reported with a warning, and trained again."""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path

from memkit.errors import MemkitWarning
from memkit.files import remove_all
from memkit.store.verified_files import make_folder


def temporary_folder(runs: Path) -> Path:
    """Return the folder of entries that are being written or deleted.

    It is inside the folder of runs, which may be a link to another disk: files cannot be renamed across disks.
    """
    return runs / "tmp"


def discard(entry: Path, runs: Path) -> bool:
    """Move an entry out of the way in one step, then delete it; return whether it is gone.

    An entry that cannot be moved is deleted in place, as far as possible.

    Args:
        entry: the folder of the run.
        runs: the store's folder of runs.
    """
    discarded = temporary_folder(runs) / f"discarded-{uuid.uuid4().hex}"
    try:
        make_folder(discarded.parent, runs)
        entry.rename(discarded)
    except (FileNotFoundError, NotADirectoryError):  # the entry does not exist
        return True
    except OSError:
        remove_all(entry)
        return not os.path.lexists(entry)
    remove_all(discarded)
    return True


def warn_of_damaged_run(entry: Path, damage: str) -> None:
    """Warn that a run is damaged and is trained again.

    Args:
        entry: the folder of the run.
        damage: the rest of a sentence that begins with the name of the folder.
    """
    warnings.warn(f"the stored run {entry} {damage}; it is trained again", MemkitWarning, stacklevel=4)
