"""The dependencies of a stored result that its key does not cover: files of the project, and their checksums.

They are recorded as label → checksum. A label is a file's path relative to the project's root, with slashes. A checksum
is ``sha256:…`` for the file's bytes, ``code:…`` for the code of a Python file (without comments and layout), or
``absent`` if the file did not exist when it was opened.
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
from memkit.opened_files import OpenedFiles, State, listener, state_of, unrecorded
from memkit.source import file_digest, source_files

ABSENT = "absent"
_CHANGING = "changed while it was read"
_UNREADABLE = "unreadable"
MAX_FILES = 10_000
"""The maximum number of files in a record."""
_MAX_PATH_LENGTH = 4096  # the longest path that operating systems allow


class ProjectFiles:
    """The present state of a project's files.

    Args:
        root: the root folder of the project.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._cache: dict[tuple[str, str], tuple[State, str]] = {}

    def label(self, file: str) -> str:
        """Return the label of a file in a record."""
        return Path(file).relative_to(self.root).as_posix()

    def checksum(self, label: str, kind: str = "sha256") -> str:
        """Return the checksum of a file.

        Args:
            label: the file's path, relative to the root or absolute.
            kind: "code" for the code of a Python file, or "sha256" for the bytes of any file.
        """
        path = os.path.join(self.root, label)
        state = state_of(path)
        if state is None:
            return ABSENT
        if not os.path.isfile(path):  # reading a pipe might never end
            return _UNREADABLE
        cached = self._cache.get((label, kind))
        if cached is None or cached[0] != state:
            with unrecorded():
                cached = self._cache[label, kind] = (state, _checksum(Path(path), kind))
        return cached[1]

    def changed(self, depends: Mapping[str, str]) -> str:
        """Return the label of the first file whose checksum differs from its recorded one; "" if there is none."""
        for label, recorded in depends.items():
            if self.checksum(label, recorded.partition(":")[0]) != recorded:
                return label
        return ""

    def folder_checksum(self, name: str) -> str:
        """Return the checksum of a file, or of the names and contents of all files in a folder."""
        path = self.root / name
        if not path.is_dir():
            return self.checksum(name)
        lines, visited = [], set()
        for folder, subfolders, files in os.walk(path, followlinks=True):
            if (real_path := os.path.realpath(folder)) in visited:  # links may form a cycle
                subfolders.clear()
                continue
            visited.add(real_path)
            lines += [f"{os.path.relpath(file, path)} {self.checksum(file)}" for file in _joined(folder, files)]
        lines.sort()
        return "sha256:" + hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def record(self, opened: OpenedFiles, files: Iterable[str]) -> dict[str, str]:
        """Return label → checksum for files that were opened, with the checksums at the time of the first opening."""
        files = list(files)
        imported = _imported(files)
        record = {}
        for file in sorted(files):
            label = self.label(file)
            kind = "code" if file in imported or (file in opened.command_files and file.endswith(".py")) else "sha256"
            state_when_opened = opened.states.get(file)
            if state_when_opened is None:
                record[label] = ABSENT
                continue
            checksum = self.checksum(label, kind)
            # If the file has changed since, its content at the time is unknown. _CHANGING never matches a checksum, so
            # the result will not be used again.
            record[label] = checksum if state_of(file) == state_when_opened else _CHANGING
        return record


@contextmanager
def recording_opened_files(
    files: ProjectFiles | None, name: Hashable, modules: Iterable[str]
) -> Iterator[Callable[[], dict[str, str]]]:
    """Record which files are opened within the context; yield a function that returns label → checksum.

    The record does not include the source of the given modules. It is empty if no listener is active in this process.

    Args:
        files: the files of the project, or None without a project.
        name: the name for :meth:`memkit.opened_files.OpenedFiles.attributing_to`.
        modules: the modules that a digest already covers; see :func:`memkit.source.source_files`.
    """
    opened = listener(files.root) if files is not None else None
    if files is None or opened is None:
        yield dict
        return
    covered = list(map(str, source_files(modules)))
    with opened.attributing_to(name):
        yield lambda: files.record(opened, opened.files([name], covered))


def parse_dependencies(value: object) -> dict[str, str]:
    """Check a record of files and checksums that was read from JSON, and return it.

    Raises:
        ValueError: if it is not such a record.
    """
    if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError("its dependencies are not a record of files and checksums")
    if len(value) > MAX_FILES:
        raise ValueError(f"it depends on {len(value)} files, and the maximum is {MAX_FILES}")
    for label in value:
        if len(label) > _MAX_PATH_LENGTH or "\0" in label or label.startswith("/") or ".." in label.split("/"):
            raise ValueError(f"it depends on {label:.80}, which is not a file of the project")
    return dict(value)


def _checksum(file: Path, kind: str) -> str:
    try:
        if kind == "code":
            return f"code:{file_digest(file)}"
        with file.open("rb") as opened:
            return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    # RecursionError and MemoryError mean that the code is nested too deeply.
    except (MemkitError, OSError, ValueError, RecursionError, MemoryError):
        return _UNREADABLE


def _joined(folder: str, files: Iterable[str]) -> list[str]:
    return [os.path.join(folder, file) for file in files]


def _imported(files: Iterable[str]) -> set[str]:
    """Return the files among these that are imported modules of this process."""
    sources = {file for file in files if file.endswith(".py")}
    return sources & _modules(len(sys.modules), next(reversed(sys.modules))) if sources else set()


@functools.lru_cache(1)
def _modules(count: int, last: str) -> frozenset[str]:
    """Return the files of this process's modules; the count and the last name invalidate the cache after an import."""
    paths = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return frozenset(os.path.realpath(path) for path in paths if isinstance(path, str))
