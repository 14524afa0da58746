"""Paths that users name, and where a project begins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from memkit.errors import MemkitError

LOCK = "claims.lock"
"""The file that registers claims: in a project's folder ``claims``, or at its root."""
_MARKS = ("pyproject.toml", "pytest.ini", ".git")
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


def locked_root(folder: Path) -> Path | None:
    """Return the root of the project whose lock a folder lies under; None where there is no lock.

    The root is the folder above ``claims/claims.lock``, or the one that holds ``claims.lock``.

    Args:
        folder: absolute, without symbolic links.
    """
    for place in (folder, *folder.parents):
        # A link to a lock that is gone is a lock, too, and whoever reads it says so.
        if os.path.lexists(place / "claims" / LOCK):
            return place
        if os.path.lexists(place / LOCK):
            return root_of_lock(place / LOCK)
    return None


def root_of_lock(lock: Path) -> Path:
    """Return the root of the project that a lock belongs to: the folder that holds it, or the one above ``claims``."""
    return lock.parent.parent if lock.parent.name == "claims" else lock.parent


def project_root(places: Iterable[Path]) -> Path:
    """Return the root of the project that files and folders belong to.

    It is the root that their lock gives. Without a lock it is the nearest folder above all of them that holds
    ``pyproject.toml``, ``pytest.ini`` or ``.git``; without any of these, the folder above ``claims``, or else the
    nearest folder above them.

    Raises:
        MemkitError: they belong to two locks.
    """
    folders = [_folder(place.resolve()) for place in places] or [Path.cwd()]
    roots = list(dict.fromkeys(filter(None, map(locked_root, folders))))
    if len(roots) > 1:
        raise MemkitError(
            f"{folders[0]} and what was named beside it belong to two locks, of {roots[0]} and of {roots[1]}; run the "
            "claims of one at a time"
        )
    if roots:
        return roots[0]
    common = Path(os.path.commonpath(folders))
    marked = (place for place in (common, *common.parents) if _marked(place))
    above_claims = (place.parent for place in (common, *common.parents) if place.name == "claims")
    return next(marked, None) or next(above_claims, common)


def _folder(place: Path) -> Path:
    """The place itself where it is a folder, else the nearest one above it."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def _marked(place: Path) -> bool:
    return any((place / mark).exists() for mark in _MARKS)


def settings_file(root: Path) -> Path | None:
    """Return the ``pyproject.toml`` that holds a project's settings, at its root or above; None where there is none."""
    files = (place / "pyproject.toml" for place in (root, *root.parents))
    return next((file for file in files if file.is_file()), None)
