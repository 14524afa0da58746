"""The dependencies of a stored result beside its key: files below the project, with the checksums that they had.

They are written as label → checksum. A label is a file's path relative to the project's root, with slashes. A checksum
is ``sha256:…`` of the file's bytes, ``code:…`` of what a Python file computes (without comments and layout), or
``absent`` where there was no such file when it was asked for.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from memkit.errors import MemkitError
from memkit.opened_files import Opened, State, listener, state_of, unheard
from memkit.source import file_digest, source_files

ABSENT = "absent"
_CHANGING = "changed while it was read"
_UNREADABLE = "unreadable"
MOST = 10_000
"""The most files in a record."""
_LONGEST = 4096  # the longest path that systems allow


class ProjectFiles:
    """The files below a project as they are now.

    Args:
        root: of the project.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._known: dict[tuple[str, str], tuple[State, str]] = {}

    def label(self, file: str) -> str:
        """Return a file's name in a record."""
        return Path(file).relative_to(self.root).as_posix()

    def checksum(self, label: str, kind: str = "sha256") -> str:
        """Return the checksum of a file.

        Args:
            label: its path, relative to the root or absolute.
            kind: "code" for what a Python file computes, else "sha256".
        """
        path = os.path.join(self.root, label)
        state = state_of(path)
        if state is None:
            return ABSENT
        if not os.path.isfile(path):  # a pipe might never end
            return _UNREADABLE
        known = self._known.get((label, kind))
        if known is None or known[0] != state:
            with unheard():
                known = self._known[label, kind] = (state, _checksum(Path(path), kind))
        return known[1]

    def changed(self, depends: Mapping[str, str]) -> str:
        """Return the label of a file that is not as it was, or ""."""
        for label, before in depends.items():
            if self.checksum(label, before.partition(":")[0]) != before:
                return label
        return ""

    def folder_checksum(self, name: str) -> str:
        """Return the checksum of a file, or of all files in a folder with their names."""
        path = self.root / name
        if not path.is_dir():
            return self.checksum(name)
        parts, seen = [], set()
        for folder, below, files in os.walk(path, followlinks=True):
            if (place := os.path.realpath(folder)) in seen:  # links may lead around in a circle
                below.clear()
                continue
            seen.add(place)
            parts += [f"{os.path.relpath(file, path)} {self.checksum(file)}" for file in _joined(folder, files)]
        parts.sort()
        return "sha256:" + hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def record(self, opened: Opened, files: Iterable[str]) -> dict[str, str]:
        """Return the checksums of files that were opened, as they were when they were opened first."""
        files = list(files)
        imported = _imported(files)
        found = {}
        for file in sorted(files):
            label = self.label(file)
            kind = "code" if file in imported or (file in opened.started and file.endswith(".py")) else "sha256"
            before = opened.states.get(file)
            if before is None:
                found[label] = ABSENT
                continue
            checksum = self.checksum(label, kind)
            # It is not known any more what was read, so the result is not used again.
            found[label] = checksum if state_of(file) == before else _CHANGING
        return found


@contextmanager
def noting(
    files: ProjectFiles | None, name: Hashable, modules: Iterable[str]
) -> Iterator[Callable[[], dict[str, str]]]:
    """Note which files are opened meanwhile; yield a function that returns their record, without the modules' source.

    The record is empty where nobody listens in this process.

    Args:
        files: of the project, or None where there is none.
        name: what the files count for, see :meth:`memkit.opened_files.Opened.within`.
        modules: modules whose source counts already, see :func:`memkit.source.source_files`.
    """
    opened = listener(files.root) if files is not None else None
    if files is None or opened is None:
        yield dict
        return
    covered = list(map(str, source_files(modules)))
    with opened.within(name):
        yield lambda: files.record(opened, opened.files([name], covered))


def depends_of(value: object) -> dict[str, str]:
    """Check a record of files and checksums that was read, and return it.

    Raises:
        ValueError: it is no such record.
    """
    if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError("what it depends on is no record of files and checksums")
    if len(value) > MOST:
        raise ValueError(f"what it depends on are {len(value)} files, and {MOST} is the most")
    for label in value:
        if len(label) > _LONGEST or "\0" in label or label.startswith("/") or ".." in label.split("/"):
            raise ValueError(f"what it depends on is no file of the project: {label:.80}")
    return dict(value)


def _checksum(file: Path, kind: str) -> str:
    try:
        if kind == "code":
            return f"code:{file_digest(file)}"
        with file.open("rb") as opened:
            return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    except (MemkitError, OSError, ValueError, RecursionError, MemoryError):  # the last two: deeply nested code
        return _UNREADABLE


def _joined(folder: str, files: Iterable[str]) -> list[str]:
    return [os.path.join(folder, file) for file in files]


def _imported(files: Iterable[str]) -> set[str]:
    """Return those of the files that are modules of this process."""
    sources = {file for file in files if file.endswith(".py")}
    return sources & _modules(len(sys.modules), next(reversed(sys.modules))) if sources else set()


@functools.lru_cache(1)
def _modules(count: int, last: str) -> frozenset[str]:
    """Return the files of this process's modules; their number and the last one's name tell a stale cache."""
    paths = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return frozenset(os.path.realpath(path) for path in paths if isinstance(path, str))
