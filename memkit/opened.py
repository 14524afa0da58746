"""Which files below a project a process opens, and on whose behalf.

CPython tells its audit hooks of every file that Python code opens, modules that it imports among them (PEP 578), and of
the commands that it starts. A hook cannot be taken away again, so there is one for the process, which does nothing
while nobody listens.

A file counts for what was running when it was opened: the test or the fixture (:meth:`Opened.within`), and the files
whose code was being executed, since what a function has read or imported once it may keep for its next caller. What
native code opens, and what another process opens, cannot be seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from memkit.source import imported_names, is_installed

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CACHES = frozenset({".git", ".hg", ".hypothesis", ".memkit", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_COMMANDS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")

State = tuple[int, int, int] | None
"""Of a file when it was opened first: time of change in ns, size, inode; None where there was none."""


class Opened:
    """Listens to what this process opens below a project.

    Args:
        root: of the project.

    Attributes:
        count: how much has been heard; as long as it stays the same, so does :meth:`files`.
        states: file → as it was when it was opened first.
        started: files that commands were given.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.count = 0
        self.states: dict[str, State] = {}
        self.started: set[str] = set()
        self._named = os.path.join(os.path.abspath(root), "")  # by links, perhaps
        self._besides: tuple[str, ...] = ()
        self._by_code: dict[str, set[str]] = {}
        self._by_name: dict[Hashable, set[str]] = {}
        self._written: set[str] = set()
        self._for_all: set[str] = set()
        self._within: list[tuple[Hashable, CodeType | None]] = []
        self._ours: dict[str, bool] = {}

    def listen(self) -> Opened:
        """Begin to listen."""
        global _hooked
        if not _hooked:
            _hooked = True
            sys.addaudithook(_heard)
        _listeners.append(self)
        return self

    def leave_out(self, folder: Path) -> None:
        """Let what lies in a folder not count, such as the store."""
        self._besides += (os.path.join(os.path.realpath(folder), ""),)

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(ValueError):
            _listeners.remove(self)

    @contextmanager
    def within(self, name: Hashable, code: CodeType | None = None) -> Iterator[None]:
        """Count what is opened meanwhile for a name.

        Args:
            code: of the function that the name stands for. What it opens does not count for its file, and so not for
                other functions there.
        """
        entry = (name, code)
        self._within.append(entry)
        try:
            yield
        finally:
            self._within.remove(entry)

    def files(self, names: Iterable[Hashable], covered: Iterable[str]) -> set[str]:
        """Return the files that were opened for these names, or by code in the files ``covered``, without these."""
        known = set(covered)
        found = set(self._for_all)
        for name in names:
            found |= self._by_name.get(name, set())
        todo = [*known, *found]
        while todo:
            for file in self._by_code.get(todo.pop(), ()):
                if file not in found:
                    found.add(file)
                    todo.append(file)
        return found - known - self._written

    def opened(self, path: str, writes: bool, frame: FrameType | None) -> None:
        """Note that a file is about to be opened."""
        file = self._own(path)
        if file is None:
            return
        if writes and file not in self.states:
            self._written.add(file)
        if file in self._written:
            return
        self._note(file, frame)

    def commanded(self, words: Iterable[str], folder: str | None, frame: FrameType | None) -> None:
        """Note the files that a command is given."""
        for word in words:
            file = self._own(os.path.join(folder, word) if folder else word)
            if file is not None and file not in self._written and os.path.isfile(file):
                self.started.add(file)
                self._note(file, frame)

    def _own(self, path: str) -> str | None:
        """The file by its true name, if it is one that counts; by the name below the project where it is a link."""
        path = os.path.abspath(path)
        if path.startswith(self._named):
            path = self.root + path[len(self._named) :]
        if not path.startswith(self.root):
            return None
        file = os.path.realpath(path)
        if file.startswith(self._besides) or is_installed(file):
            return None
        if not file.startswith(self.root):  # a link to data elsewhere, say
            file = path
        if file.endswith(".pyc"):
            folder, name = os.path.split(file)
            module = name.partition(".")[0] + ".py"
            file = os.path.join(os.path.dirname(folder), module)
            if os.path.basename(folder) != "__pycache__" or not os.path.isfile(file):
                return None
        if file.startswith(_OWN) and file.endswith(".py"):  # it counts by its source
            return None
        if _CACHES.intersection(file[len(self.root) :].split(os.sep)) or is_installed(file) or os.path.isdir(file):
            return None
        return file

    def _note(self, file: str, frame: FrameType | None) -> None:
        if file not in self.states:
            self.states[file] = state_of(file)
            self.count += 1
        within = self._within.copy()
        boundaries = {code for _, code in within if code is not None}
        importer, imports = "", False
        while frame is not None:
            code = frame.f_code.co_filename
            imports = imports or (not importer and code in _IMPORTING)
            own = code != file and self._is_own_code(code)
            importer = importer or (code if own else "")
            if frame.f_code in boundaries:
                break
            if own:
                self._add(self._by_code, code, file)
            frame = frame.f_back
        for name, _ in within:
            self._add(self._by_name, name, file)
        if imports and importer and file not in self._for_all and self._is_hidden(importer, file):
            # A second import of it would not be heard of, whoever it is by.
            self._for_all.add(file)
            self.count += 1

    def _add(self, table: dict[Any, set[str]], name: Hashable, file: str) -> None:
        found = table.setdefault(name, set())
        if file not in found:
            found.add(file)
            self.count += 1

    def _is_own_code(self, file: str) -> bool:
        """Whether code is the project's, and not memkit's or an installed package's."""
        if file not in self._ours:
            own = file.startswith((self.root, self._named)) and not file.startswith(_OWN)
            self._ours[file] = own and not is_installed(file)
        return self._ours[file]

    def _is_hidden(self, importer: str, file: str) -> bool:
        """Whether code imports a module by a name that its text does not show."""
        path = Path(file)
        name = path.parent.name if path.name == "__init__.py" else path.stem
        with contextlib.suppress(Exception):
            return name not in imported_names(Path(importer))
        return True


def listener(root: Path) -> Opened | None:
    """Return who listens in this process to what is opened below a project, if anybody does."""
    name = os.path.join(os.path.realpath(root), "")
    return next((one for one in _listeners if one.root == name), None)


def state_of(file: str) -> State:
    """Return what tells whether a file has changed, without reading it."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_listeners: list[Opened] = []
_hooked = False
_quiet = threading.local()


@contextmanager
def unheard() -> Iterator[None]:
    """Let nobody hear what this thread opens meanwhile."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


def _heard(event: str, args: tuple[Any, ...]) -> None:
    """Tell the listeners; an exception would fail what the process is about to do."""
    if not _listeners or (event != "open" and event != "sqlite3.connect" and event not in _COMMANDS):
        return
    if getattr(_quiet, "on", False):
        return
    with contextlib.suppress(Exception), unheard():
        if event == "open":
            path, mode, flags = args
            if isinstance(path, (str, bytes, os.PathLike)):
                writes = set("wax+") & set(mode) if mode else (flags or 0) & (os.O_WRONLY | os.O_RDWR)
                for listener in tuple(_listeners):
                    listener.opened(os.fsdecode(path), bool(writes), sys._getframe(1))
        elif event == "sqlite3.connect":
            path = os.fsdecode(args[0])
            if path and not path.startswith((":", "file:")):
                for listener in tuple(_listeners):
                    listener.opened(path, False, sys._getframe(1))
        else:
            words, folder = _command(event, args)
            for listener in tuple(_listeners):
                listener.commanded(words, folder, sys._getframe(1))


def _command(event: str, args: tuple[Any, ...]) -> tuple[list[str], str | None]:
    """The words of a command, and the folder that it runs in where that is another than this one."""
    if event == "os.system":
        return os.fsdecode(args[0]).split(), None
    program, given = (args[1], args[2]) if event == "os.spawn" else (args[0], args[1])
    several = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given or ())
    words = [os.fsdecode(word) for word in [program, *several] if isinstance(word, (str, bytes, os.PathLike))]
    folder = os.fsdecode(args[2]) if event == "subprocess.Popen" and args[2] else None
    return [part for word in words for part in (word, *word.split())], folder  # a word may be a line for the shell
