"""A record of the files below a project that a process opens, and of the code that opened them.

CPython calls audit hooks for every file that Python code opens, including imported modules, and for every command
that it starts (PEP 578). A hook cannot be removed, so the process has one, which does nothing while nobody listens.

A file is attributed to what was running when it was opened: the test or fixture (:meth:`OpenedFiles.attributing_to`),
the files whose code was being executed, and the modules that the test uses, since code may keep what it has read or
imported for the next caller. Files that native code or another process opens are not seen.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from memkit.source import imported_names, is_installed

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CACHES = frozenset({".git", ".hg", ".hypothesis", ".memkit", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_COMMANDS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")

_EVENTS = frozenset({"open", "import", "os.rename", "sqlite3.connect", *_COMMANDS})

State = tuple[int, int, int] | None
"""A file's modification time in ns, its size and its inode; None where there is no file."""


class OpenedFiles:
    """The files that this process opens below a project's root.

    Args:
        root: the root of the project.

    Attributes:
        count: the number of events recorded; while it is unchanged, so is the result of :meth:`files`.
        states: file → its state when it was first opened.
        started: the files that commands were given.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.count = 0
        self.states: dict[str, State] = {}
        self.started: set[str] = set()
        self._named = os.path.join(os.path.abspath(root), "")  # the root may be reached by symbolic links
        self._ignored: tuple[str, ...] = ()
        self._by_code: dict[str, set[str]] = {}
        self._by_name: dict[Hashable, set[str]] = {}
        self._written: dict[Hashable, set[str]] = {}
        self._modules: set[str] = set()
        self._for_every_test: set[str] = set()
        self._contexts: list[tuple[Hashable, CodeType | None]] = []
        self._own_code: dict[str, bool] = {}
        self._callers: frozenset[CodeType] = frozenset()

    def listen(self) -> OpenedFiles:
        """Start listening. No file is attributed to the project's code that is already on the stack.

        That may be a script of the project that runs pytest, for example.
        """
        global _hooked
        frames = _frames(sys._getframe(1))
        self._callers = frozenset(code for code in frames if self._is_own_code(code.co_filename))
        if not _hooked:
            _hooked = True
            sys.addaudithook(_heard)
        _listeners.append(self)
        return self

    def ignore(self, folder: Path) -> None:
        """Ignore the files in a folder, such as the store."""
        self._ignored += (os.path.join(os.path.realpath(folder), ""),)

    def ignores(self, path: Any) -> bool:
        """Return whether a path, as it was written, lies in a folder that is ignored."""
        return isinstance(path, str) and path.startswith(self._ignored) and ".." not in path

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(ValueError):
            _listeners.remove(self)

    @contextmanager
    def attributing_to(self, name: Hashable, code: CodeType | None = None) -> Iterator[None]:
        """Attribute the files that are opened in this context to a name.

        Args:
            code: the code of the function that the name stands for. What it opens is not attributed to its file, and so
                not to other functions there.
        """
        entry = (name, code)
        self._contexts.append(entry)
        try:
            yield
        finally:
            self._contexts.remove(entry)

    def has_record(self, name: Hashable) -> bool:
        """Return whether any file was attributed to a name."""
        return name in self._by_name

    def add_shared_files(self, name: Hashable, modules: Iterable[str]) -> None:
        """Attribute the files of a name to modules as well, any of which may have kept what was read.

        Args:
            modules: the files of code that a test uses and shares with other tests.
        """
        for file in self._by_name.get(name, set()) - self._written.get(name, set()):
            for module in modules:
                self._add(self._by_code, module, file)

    def files(self, names: Iterable[Hashable], covered: Iterable[str], imported: Collection[str] = ()) -> set[str]:
        """Return the files that are attributed to names, or to code in the files ``covered``, without these.

        Args:
            imported: the names in the import statements of the covered files.
        """
        names, known = list(names), set(covered)
        found = set(self._for_every_test)
        # A module that another test imported, from a folder that was not on the path before, is not covered.
        found |= {file for file in self._modules if _module_name(file) in imported}
        for name in names:
            found |= self._by_name.get(name, set())
        todo = [*known, *found]
        while todo:
            for file in self._by_code.get(todo.pop(), ()):
                if file not in found:
                    found.add(file)
                    todo.append(file)
        written = set().union(*(self._written.get(name, ()) for name in (*names, None)))
        return found - known - written

    def opened(self, path: str, frame: FrameType | None, *, reads: bool = True, writes: bool = False) -> None:
        """Record that a file is about to be opened."""
        file = self._own(path)
        if file is None:
            return
        if writes and not reads:
            for name in [name for name, _ in self._contexts] or [None]:
                if file not in self._by_name.get(name, ()):
                    self._written.setdefault(name, set()).add(file)
            return
        self._note(file, frame)

    def record_command(self, words: Iterable[str], folder: str | None, frame: FrameType | None) -> None:
        """Record the files among the words of a command."""
        for word in words:
            file = self._own(os.path.join(folder, word) if folder else word)
            if file is not None and os.path.isfile(file):
                self.started.add(file)
                self._note(file, frame)

    def _own(self, path: str) -> str | None:
        """Return a file's path below the project, resolved if it is code; None if it is not recorded."""
        path = os.path.abspath(path)
        if path.startswith(self._named):
            path = self.root + path[len(self._named) :]
        if sys.pycache_prefix and path.startswith(os.path.abspath(sys.pycache_prefix)):
            path = importlib.util.source_from_cache(path)
        if not path.startswith(self.root) or path.startswith(self._ignored):
            return None
        if path[len(self.root) :].partition(os.sep)[0] in _CACHES:
            return None
        if path.endswith(".pyc"):
            path = _source_of(path)
        file = os.path.realpath(path)
        if file.startswith(self._ignored) or is_installed(file):
            return None
        if not file.endswith(".py") or not file.startswith(self.root):  # a link may point elsewhere the next time
            file = path
        elif file.startswith(_OWN):  # digests cover its source
            return None
        return None if os.path.isdir(file) else file

    def _note(self, file: str, frame: FrameType | None) -> None:
        if file not in self.states:
            self.states[file] = state_of(file)
            self.count += 1
        within = self._contexts.copy()
        boundaries = {code for _, code in within if code is not None}
        importer, imports = "", False
        while frame is not None and frame.f_code not in self._callers:
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
        if not imports or file in self._for_every_test:
            return
        if within and file not in self._modules:
            self._modules.add(file)
            self.count += 1
        if importer and self._is_hidden(importer, file):
            # A second import causes no event, whatever code it comes from.
            self._for_every_test.add(file)
            self.count += 1

    def _add(self, table: dict[Any, set[str]], name: Hashable, file: str) -> None:
        found = table.setdefault(name, set())
        if file not in found:
            found.add(file)
            self.count += 1

    def _is_own_code(self, file: str) -> bool:
        """Return whether a file of code belongs to the project, and not to memkit or an installed package."""
        if file not in self._own_code:
            path = os.path.abspath(file)  # a script has the path on the command line
            own = path.startswith((self.root, self._named)) and not path.startswith(_OWN)
            self._own_code[file] = own and not file.startswith("<") and not is_installed(path)
        return self._own_code[file]

    def _is_hidden(self, importer: str, file: str) -> bool:
        """Return whether the importing code does not show the name of the module in its text, or cannot be read."""
        with contextlib.suppress(Exception):
            return _module_name(file) not in imported_names(Path(importer))
        return True


def _frames(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def _module_name(file: str) -> str:
    """Return the last part of the name of a file's module."""
    path = Path(file)
    return path.parent.name if path.name == "__init__.py" else path.name.partition(".")[0]


def _source_of(path: str) -> str:
    """Return the source of a compiled file in ``__pycache__``; the compiled file itself if there is no source."""
    folder, name = os.path.split(path)
    source = os.path.join(os.path.dirname(folder), name.partition(".")[0] + ".py")
    return source if os.path.basename(folder) == "__pycache__" and os.path.isfile(source) else path


def listener(root: Path) -> OpenedFiles | None:
    """Return the active record of the files below a project in this process, or None."""
    name = os.path.join(os.path.realpath(root), "")
    return next((one for one in _listeners if one.root == name), None)


def state_of(file: str) -> State:
    """Return a file's state, which shows a change without reading the file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):  # ValueError: no file can have that name
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_listeners: list[OpenedFiles] = []
_hooked = False
_quiet = threading.local()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Hide from all listeners what this thread opens in this context."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


def _heard(event: str, args: tuple[Any, ...]) -> None:
    """Pass an event on to the listeners; an exception here would make the audited call fail."""
    if not _listeners or event not in _EVENTS or getattr(_quiet, "on", False):
        return
    if event == "open" and all(listener.ignores(args[0]) for listener in _listeners):  # the store, very often
        return
    with contextlib.suppress(Exception), unrecorded():
        frame = sys._getframe(1)
        if event in _COMMANDS:
            words, folder = _command(event, args)
            for listener in tuple(_listeners):
                listener.record_command(words, folder, frame)
        elif (found := _file(event, args)) is not None:
            path, reads, writes = found
            for listener in tuple(_listeners):
                listener.opened(path, frame, reads=reads, writes=writes)


def _file(event: str, args: tuple[Any, ...]) -> tuple[str, bool, bool] | None:
    """Return the file of an event, and whether it is read and written; None if there is no file."""
    path = args[1] if event in ("import", "os.rename") else args[0]
    if not path or not isinstance(path, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(path)
    if event == "os.rename":  # an atomic write ends with a rename into place
        return path, False, True
    if event == "sqlite3.connect":
        return None if path.startswith((":", "file:")) else (path, True, True)
    if event == "import":  # an extension module, which Python code does not open
        return path, True, False
    _, mode, flags = args
    if mode:
        return path, bool(set("r+") & set(mode)), bool(set("wax+") & set(mode))
    flags = flags or 0
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
    return path, not flags & (os.O_WRONLY | os.O_TRUNC), writes


def _command(event: str, args: tuple[Any, ...]) -> tuple[list[str], str | None]:
    """Return the words of a command, and the folder that it runs in, or None for the present one."""
    if event == "os.system":
        return os.fsdecode(args[0]).split(), None
    program, given = (args[1], args[2]) if event == "os.spawn" else (args[0], args[1])
    several = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given or ())
    words = [os.fsdecode(word) for word in [program, *several] if isinstance(word, (str, bytes, os.PathLike))]
    folder = os.fsdecode(args[2]) if event == "subprocess.Popen" and args[2] else None
    return [part for word in words for part in (word, *word.split())], folder  # a word may be a shell command
