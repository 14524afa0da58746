"""Paths of the project's files, for commands that are run in any folder of the project."""

from __future__ import annotations

import os
from pathlib import Path

from memkit.evidence.lock_file import lock_path
from memkit.paths import project_root
from memkit.store.store import Store, named_store


def root() -> Path:
    """Return the root of the project that the working directory belongs to."""
    return project_root([Path.cwd()])


def in_project(name: str) -> Path:
    """Return the path of a file of the project, relative to the working directory."""
    return Path(os.path.relpath(root() / name, Path.cwd().resolve()))


def lock() -> Path:
    """Return the path of the project's lock, which need not exist.

    Raises:
        MemkitError: if there are two locks.
    """
    return lock_path(root())


def store(named: str | None, *, session: str = "") -> Store:
    """Return the store that the command line, MEMKIT_STORE or ``[tool.memkit]`` names; else the project's own.

    Args:
        named: the value of ``--store``, or None.
        session: see :class:`memkit.store.store.Store`.

    Raises:
        MemkitError: if the name is not a path, or a value in ``[tool.memkit]`` is invalid.
    """
    named, here, project = named or os.environ.get("MEMKIT_STORE"), Path.cwd(), root()
    if not named:
        from memkit.pytest_plugin.options import project_values

        file, values = project_values(project)
        named, here = values.get("store"), file.parent
    return named_store(named, here, project, session=session)
