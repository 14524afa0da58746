"""The places of the project's files, in whatever folder of the project a command is given."""

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
    """Return a file of the project, relative to the working directory."""
    return Path(os.path.relpath(root() / name, Path.cwd().resolve()))


def lock() -> Path:
    """Return the project's lock, whether or not it is there.

    Raises:
        MemkitError: there are two.
    """
    return lock_path(root())


def store(named: str | None, *, session: str = "") -> Store:
    """Return the store that a command line, MEMKIT_STORE or ``[tool.memkit]`` names; else the project's own.

    Raises:
        MemkitError: what they name is no path, or ``[tool.memkit]`` has a value that is not accepted.
    """
    named, here, project = named or os.environ.get("MEMKIT_STORE"), Path.cwd(), root()
    if not named:
        from memkit.pytest_plugin.options import project_values

        file, values = project_values(project)
        named, here = values.get("store"), file.parent
    return named_store(named, here, project, session=session)
