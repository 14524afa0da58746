"""Watching which files of the project claims' tests open, from the start of a run."""

from __future__ import annotations

from collections.abc import Collection, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memkit.paths import locked_root
from memkit.pytest_plugin.settings import settings_of

if TYPE_CHECKING:
    from memkit.opened_files import Opened

_OPENED = pytest.StashKey["Opened"]()
_FROM_THE_START = pytest.StashKey[bool]()
_USES = pytest.StashKey[dict[Any, set[Any]]]()
"""Fixture → fixtures that were set up when it was."""
_USED = pytest.StashKey[set[Any]]()
"""The fixtures that an item has used."""


def begin(config: pytest.Config) -> None:
    """Listen before the first conftest is loaded, where the project has a lock.

    Elsewhere nobody listens before the first claim is found: a project without claims is left alone, and what is not
    registered decides nothing.
    """
    here = config.invocation_params.dir
    given = getattr(config.known_args_namespace, "file_or_dir", None) or [""]
    roots = {locked_root((here / str(name).partition("::")[0]).resolve()) for name in given} - {None}
    for root in roots:
        if root is not None:
            _listen(config, root)


def _listen(config: pytest.Config, root: Path) -> Opened:
    from memkit.opened_files import Opened

    opened = Opened(root).listen()
    config.add_cleanup(opened.close)
    return opened


def opened_of(config: pytest.Config) -> Opened:
    """Return who listens to what is opened below the project's root."""
    if _OPENED not in config.stash:
        from memkit.opened_files import listener

        settings = settings_of(config)
        opened = listener(Path(settings.root))
        config.stash[_FROM_THE_START] = opened is not None
        config.stash[_OPENED] = opened or _listen(config, Path(settings.root))
        config.stash[_OPENED].leave_out(Path(settings.store))
    return config.stash[_OPENED]


def from_the_start(config: pytest.Config) -> bool:
    """Return whether it was listened before the first conftest was loaded."""
    opened_of(config)
    return config.stash[_FROM_THE_START]


_OF_PYTEST = ("_pytest.fixtures", "_pytest.python")
"""Modules whose fixtures open nothing."""


class FileWatcher:
    """Says which test or fixture is running, for whom what is opened counts."""

    def __init__(self, config: pytest.Config) -> None:
        self._opened = opened_of(config)
        self._uses = config.stash.setdefault(_USES, {})
        self._shared: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Count what a fixture opens for the fixture, and note which others it may have asked for."""
        if fixturedef.func.__module__ in _OF_PYTEST:  # such as those of parameters, of which there are very many
            return (yield)
        with self._opened.within(("fixture", fixturedef.func), getattr(fixturedef.func, "__code__", None)):
            try:
                return (yield)
            finally:
                self._uses[fixturedef.func] = _active(request) - {fixturedef.func}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note which fixtures an item has used, also by a name that came up while it ran."""
        try:
            return (yield)
        finally:
            item.stash[_USED] = _active(getattr(item, "_request", None))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Count what an item opens for its test, and for the modules that it shares with others."""
        function, name = getattr(item, "function", None), name_of(item)
        with self._opened.within(name, getattr(function, "__code__", None)):
            result = yield
        if self._opened.heard(name):
            module = getattr(getattr(item, "module", None), "__name__", "")
            if module not in self._shared:
                self._shared[module] = _shared(module)
            self._opened.keeps(name, self._shared[module])
        return result


def _active(request: Any) -> set[Any]:
    """The functions of the fixtures that are set up for a request."""
    return {definition.func for definition in getattr(request, "_fixture_defs", {}).values()}


def _shared(module: str) -> list[str]:
    """The files of code that a module's tests use and others may use, without conftests, by which all would."""
    from memkit.source import source_files

    files = source_files([module]) if module else []
    return [str(file) for file in files if file.name not in ("conftest.py", "__init__.py")]


def name_of(item: pytest.Item) -> tuple[str, str]:
    """Return what an item's test is called by, on whatever seed."""
    return ("test", item.nodeid[: item.nodeid.rindex("[")] if hasattr(item, "callspec") else item.nodeid)


def files_opened(item: pytest.Item, covered: list[str], imported: Collection[str]) -> set[str]:
    """Return the files that an item's test is known to have opened, itself or by its fixtures, on any seed.

    Args:
        covered: files of code that count already.
        imported: names that their import statements show.
    """
    fixtures: Any = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    todo: list[Any] = [definition.func for group in fixtures.values() for definition in group]
    known: set[Any] = item.stash.get(_USED, set())
    todo += known
    used, uses = set[Any](), item.config.stash[_USES]
    while todo:
        if (function := todo.pop()) not in used:
            used.add(function)
            todo += uses.get(function, ())
    names = [name_of(item), *(("fixture", function) for function in used)]
    return opened_of(item.config).files(names, covered, imported)
