"""A record of the files below a project that a process opens, and of the code that opened them.

CPython calls audit hooks for every file that Python code opens, including imported modules, and for every command that
it starts (PEP 578). A hook cannot be removed, so each process installs at most one, which does nothing while there are
no listeners.

A file is attributed to the test or the fixture that was running when it was opened
(:meth:`OpenedFiles.attributing_to`), to the files of the code on the stack, and to the modules that the test uses,
since code may keep the contents of a file for the next caller. Files that native code or another process opens are not
recorded.
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

_MEMKIT_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CACHES = frozenset({".git", ".hg", ".hypothesis", ".memkit", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_IMPORT_CODE = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_COMMANDS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")

_EVENTS = frozenset({"open", "import", "os.rename", "sqlite3.connect", *_COMMANDS})

State = tuple[int, int, int] | None
"""A file's modification time in ns, its size and its inode; None if the file does not exist."""


class OpenedFiles:
    """The files that this process opens below a project's root.

    Args:
        root: the root of the project.

    Attributes:
        count: a number that increases with every change of the record; while it is unchanged, so is the result of
            :meth:`files`.
        states: file → its state when it was first opened.
        command_files: the files that were named in commands.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.count = 0
        self.states: dict[str, State] = {}
        self.command_files: set[str] = set()
        self._named = os.path.join(os.path.abspath(root), "")  # the root may be reached by symbolic links
        self._ignored: tuple[str, ...] = ()
        self._by_code: dict[str, set[str]] = {}
        self._by_name: dict[Hashable, set[str]] = {}
        self._written: dict[Hashable, set[str]] = {}
        self._modules: set[str] = set()
        self._for_every_test: set[str] = set()
        self._contexts: list[tuple[Hashable, CodeType | None]] = []
        self._is_project_code: dict[str, bool] = {}
        self._callers: frozenset[CodeType] = frozenset()

    def listen(self) -> OpenedFiles:
        """Start to record, and return this object.

        No file is attributed to code of the project that is already on the stack, such as a script that runs pytest.
        """
        global _hooked
        frames = _frames(sys._getframe(1))
        self._callers = frozenset(code for code in frames if self._belongs_to_project(code.co_filename))
        if not _hooked:
            _hooked = True
            sys.addaudithook(_on_event)
        _listeners.append(self)
        return self

    def ignore_folder(self, folder: Path) -> None:
        """Ignore the files in a folder, such as the store."""
        self._ignored += (os.path.join(os.path.realpath(folder), ""),)

    def ignores(self, path: Any) -> bool:
        """Return whether an unresolved path lies in an ignored folder; a quick test that may miss some paths."""
        return isinstance(path, str) and path.startswith(self._ignored) and ".." not in path

    def close(self) -> None:
        """Stop recording."""
        with contextlib.suppress(ValueError):
            _listeners.remove(self)

    @contextmanager
    def attributing_to(self, name: Hashable, code: CodeType | None = None) -> Iterator[None]:
        """Attribute the files that are opened in this context to a name.

        Args:
            code: the code of the function that the name stands for. The files that it opens are not attributed to the
                file that defines it, since other functions in that file do not depend on them.
        """
        entry = (name, code)
        self._contexts.append(entry)
        try:
            yield
        finally:
            self._contexts.remove(entry)

    def has_files(self, name: Hashable) -> bool:
        """Return whether any file was attributed to a name."""
        return name in self._by_name

    def attribute_to_modules(self, name: Hashable, modules: Iterable[str]) -> None:
        """Attribute the files of a name to modules as well, any of which may have kept their contents.

        Args:
            modules: the code files that a test shares with other tests.
        """
        for file in self._by_name.get(name, set()) - self._written.get(name, set()):
            for module in modules:
                self._add(self._by_code, module, file)

    def files(self, names: Iterable[Hashable], covered: Iterable[str], imported: Collection[str] = ()) -> set[str]:
        """Return the files that are attributed to names, or to code in the files ``covered``, except the latter.

        Args:
            names: names that were passed to :meth:`within`.
            covered: code files that a digest covers already.
            imported: the names in the import statements of the covered files.
        """
        names, known = list(names), set(covered)
        files = set(self._for_every_test)
        # A module that another test imported from a folder that was not on the path before is not covered.
        files |= {file for file in self._modules if _module_name(file) in imported}
        for name in names:
            files |= self._by_name.get(name, set())
        todo = [*known, *files]
        while todo:
            for file in self._by_code.get(todo.pop(), ()):
                if file not in files:
                    files.add(file)
                    todo.append(file)
        written = set().union(*(self._written.get(name, ()) for name in (*names, None)))
        return files - known - written

    def record_opening(self, path: str, frame: FrameType | None, *, reads: bool = True, writes: bool = False) -> None:
        """Record that a file is about to be opened."""
        file = self._recorded_path(path)
        if file is None:
            return
        if writes and not reads:
            for name in [name for name, _ in self._contexts] or [None]:
                if file not in self._by_name.get(name, ()):
                    self._written.setdefault(name, set()).add(file)
            return
        self._record(file, frame)

    def record_command(self, words: Iterable[str], folder: str | None, frame: FrameType | None) -> None:
        """Record the files among the words of a command."""
        for word in words:
            file = self._recorded_path(os.path.join(folder, word) if folder else word)
            if file is not None and os.path.isfile(file):
                self.command_files.add(file)
                self._record(file, frame)

    def _recorded_path(self, path: str) -> str | None:
        """Return the path under which a file is recorded, resolved if it is code; None if it is not recorded."""
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
        if not file.endswith(".py") or not file.startswith(
            self.root
        ):  # not resolved: a link may point elsewhere the next time
            file = path
        elif file.startswith(_MEMKIT_FOLDER):  # digests cover the source of memkit
            return None
        return None if os.path.isdir(file) else file

    def _record(self, file: str, frame: FrameType | None) -> None:
        """Attribute a file to the active names, and to the code of the project on the stack."""
        if file not in self.states:
            self.states[file] = state_of(file)
            self.count += 1
        within = self._contexts.copy()
        boundaries = {code for _, code in within if code is not None}
        importer, imports = "", False
        while frame is not None and frame.f_code not in self._callers:
            code = frame.f_code.co_filename
            imports = imports or (not importer and code in _IMPORT_CODE)
            in_project = code != file and self._belongs_to_project(code)
            importer = importer or (code if in_project else "")
            if frame.f_code in boundaries:
                break
            if in_project:
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
            # Later imports of the module cause no event, so it counts for every test.
            self._for_every_test.add(file)
            self.count += 1

    def _add(self, table: dict[Any, set[str]], name: Hashable, file: str) -> None:
        files = table.setdefault(name, set())
        if file not in files:
            files.add(file)
            self.count += 1

    def _belongs_to_project(self, file: str) -> bool:
        """Return whether a code file belongs to the project, and not to memkit or an installed package."""
        if file not in self._is_project_code:
            path = os.path.abspath(file)  # the path of a script may be relative, as on the command line
            is_below = path.startswith((self.root, self._named)) and not path.startswith(_MEMKIT_FOLDER)
            self._is_project_code[file] = is_below and not file.startswith("<") and not is_installed(path)
        return self._is_project_code[file]

    def _is_hidden(self, importer: str, file: str) -> bool:
        """Return whether the text of the importing code lacks the name of the module, or cannot be read."""
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
    """Return the source file of a compiled file in ``__pycache__``; the compiled file itself if there is none."""
    folder, name = os.path.split(path)
    source = os.path.join(os.path.dirname(folder), name.partition(".")[0] + ".py")
    return source if os.path.basename(folder) == "__pycache__" and os.path.isfile(source) else path


def listener(root: Path) -> OpenedFiles | None:
    """Return the active record of the files below a project in this process, or None."""
    name = os.path.join(os.path.realpath(root), "")
    return next((opened for opened in _listeners if opened.root == name), None)


def state_of(file: str) -> State:
    """Return a file's state, which shows a change without reading the file."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):  # ValueError: no file can have that name
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


_listeners: list[OpenedFiles] = []
_hooked = False
_quiet = threading.local()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Hide the files that this thread opens within the context from all listeners."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


def _on_event(event: str, args: tuple[Any, ...]) -> None:
    """Pass an event on to the listeners; an exception here would make the audited call fail."""
    if not _listeners or event not in _EVENTS or getattr(_quiet, "on", False):
        return
    if event == "open" and all(listener.ignores(args[0]) for listener in _listeners):  # the store's files: very many
        return
    with contextlib.suppress(Exception), unrecorded():
        frame = sys._getframe(1)
        if event in _COMMANDS:
            words, folder = _command(event, args)
            for listener in tuple(_listeners):
                listener.record_command(words, folder, frame)
        elif (access := _file_access(event, args)) is not None:
            path, reads, writes = access
            for listener in tuple(_listeners):
                listener.record_opening(path, frame, reads=reads, writes=writes)


def _file_access(event: str, args: tuple[Any, ...]) -> tuple[str, bool, bool] | None:
    """Return (file, whether it is read, whether it is written) for an event; None if there is no file."""
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
    """Return the words of a command, and the folder that it runs in, or None for the current one."""
    if event == "os.system":
        return os.fsdecode(args[0]).split(), None
    program, given = (args[1], args[2]) if event == "os.spawn" else (args[0], args[1])
    arguments = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given or ())
    words = [os.fsdecode(word) for word in [program, *arguments] if isinstance(word, (str, bytes, os.PathLike))]
    folder = os.fsdecode(args[2]) if event == "subprocess.Popen" and args[2] else None
    return [part for word in words for part in (word, *word.split())], folder  # a word may be a shell command
