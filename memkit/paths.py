"""Paths that users give, and the root folder of a project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from memkit.errors import MemkitError

LOCK = "claims.lock"
"""The file that registers claims, in the project's folder ``claims`` or in its root folder."""
_ROOT_MARKERS = ("pyproject.toml", "pytest.ini", ".git")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def named_path(text: str, here: Path, *, label: str) -> Path:
    """Return the absolute path that a user gave.

    Args:
        text: the path as given; ``~`` stands for the home directory.
        here: the directory that a relative path is relative to.
        label: the name of the option for messages, such as ``--memkit-store``.

    Raises:
        MemkitError: if it is empty, names an unknown user (``~user``), or is a Windows path on another system, where it
            would create a file of that name.
    """
    if not text:
        raise MemkitError(f"{label} is empty; give a path")
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        raise MemkitError(f"{label}: {text} is a Windows path; on this system, write a path such as ~/memkit")
    try:
        return here / Path(text).expanduser()
    except RuntimeError as error:  # ~user of an unknown user, or ~ without a home directory
        raise MemkitError(f"{label}: {text} cannot be found ({error}); write the full path") from None


def is_url(text: str) -> bool:
    """Return whether a user gave a URL; a Windows path with a drive letter is not one."""
    return "://" in text and not _WINDOWS_PATH.match(text)


def locked_root(folder: Path) -> Path | None:
    """Return the root of the project that contains a folder and has a lock; None if there is no lock.

    The root is the folder that contains ``claims/claims.lock`` or ``claims.lock``.

    Args:
        folder: absolute, without symbolic links.
    """
    for parent in (folder, *folder.parents):
        # lexists: a broken link counts as a lock, so that reading it raises an error.
        if os.path.lexists(parent / "claims" / LOCK):
            return parent
        if os.path.lexists(parent / LOCK):
            return root_of_lock(parent / LOCK)
    return None


def root_of_lock(lock: Path) -> Path:
    """Return the root of the project that a lock belongs to: its folder, or the parent folder of ``claims``."""
    return lock.parent.parent if lock.parent.name == "claims" else lock.parent


def project_root(places: Iterable[Path]) -> Path:
    """Return the root of the project that files and folders belong to.

    With a lock, it is the root that :func:`locked_root` returns. Without one, it is the nearest common parent folder
    that contains ``pyproject.toml``, ``pytest.ini`` or ``.git``; otherwise the parent folder of ``claims``; otherwise
    the nearest common parent folder.

    Args:
        places: the files and folders, which need not exist.

    Raises:
        MemkitError: if they belong to different locks.
    """
    folders = [_folder(place.resolve()) for place in places] or [Path.cwd()]
    roots = list(dict.fromkeys(filter(None, map(locked_root, folders))))
    if len(roots) > 1:
        raise MemkitError(
            f"{folders[0]} and the other paths belong to two locks, of {roots[0]} and of {roots[1]}; run the claims of "
            "one project at a time"
        )
    if roots:
        return roots[0]
    common = Path(os.path.commonpath(folders))
    candidates = (common, *common.parents)
    with_marker = (folder for folder in candidates if _has_root_marker(folder))
    parents_of_claims = (folder.parent for folder in candidates if folder.name == "claims")
    return next(with_marker, None) or next(parents_of_claims, common)


def _folder(path: Path) -> Path:
    """Return the path itself if it is a folder, else its nearest parent that is one."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _has_root_marker(folder: Path) -> bool:
    return any((folder / marker).exists() for marker in _ROOT_MARKERS)


def settings_file(root: Path) -> Path | None:
    """Return the ``pyproject.toml`` with a project's settings, in its root or a parent folder; None if none exists."""
    files = (folder / "pyproject.toml" for folder in (root, *root.parents))
    return next((file for file in files if file.is_file()), None)
