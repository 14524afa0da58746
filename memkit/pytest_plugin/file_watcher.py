"""Records which files of the project the tests of claims open, from the start of a run."""

from __future__ import annotations

from collections.abc import Collection, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memkit.paths import locked_root
from memkit.pytest_plugin.settings import settings_of

if TYPE_CHECKING:
    from memkit.opened_files import OpenedFiles

_OPENED = pytest.StashKey["OpenedFiles"]()
_RECORDED_FROM_THE_START = pytest.StashKey[bool]()
_USES = pytest.StashKey[dict[Any, set[Any]]]()
"""Fixture function → the functions of the other fixtures that were active after its setup."""
_USED = pytest.StashKey[set[Any]]()
"""The functions of the fixtures that an item has used."""


def start_recording(config: pytest.Config) -> None:
    """Start to record opened files before the first conftest is loaded, if the project has a lock.

    Without a lock, recording starts with the first claim: a project without claims is left alone, and claims that are
    not registered decide nothing.
    """
    here = config.invocation_params.dir
    arguments = getattr(config.known_args_namespace, "file_or_dir", None) or [""]
    roots = {locked_root((here / str(argument).partition("::")[0]).resolve()) for argument in arguments} - {None}
    for root in roots:
        if root is not None:
            _listen(config, root)


def _listen(config: pytest.Config, root: Path) -> OpenedFiles:
    from memkit.opened_files import OpenedFiles

    opened = OpenedFiles(root).listen()
    config.add_cleanup(opened.close)
    return opened


def opened_of(config: pytest.Config) -> OpenedFiles:
    """Return the record of the files below the project's root that were opened."""
    if _OPENED not in config.stash:
        from memkit.opened_files import listener

        settings = settings_of(config)
        opened = listener(Path(settings.root))
        config.stash[_RECORDED_FROM_THE_START] = opened is not None
        config.stash[_OPENED] = opened or _listen(config, Path(settings.root))
        config.stash[_OPENED].ignore_folder(Path(settings.store))
    return config.stash[_OPENED]


def recorded_from_the_start(config: pytest.Config) -> bool:
    """Return whether recording started before the first conftest was loaded."""
    opened_of(config)
    return config.stash[_RECORDED_FROM_THE_START]


_MODULES_OF_PYTEST = ("_pytest.fixtures", "_pytest.python")
"""Modules whose fixtures open nothing."""


class FileWatcher:
    """A plugin that attributes each opened file to the test or fixture that is running."""

    def __init__(self, config: pytest.Config) -> None:
        self._opened = opened_of(config)
        self._uses = config.stash.setdefault(_USES, {})
        self._shared: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Attribute opened files to a fixture during its setup, and record which other fixtures it may use."""
        if fixturedef.func.__module__ in _MODULES_OF_PYTEST:  # for example, one fixture per parameter of a test
            return (yield)
        with self._opened.attributing_to(("fixture", fixturedef.func), getattr(fixturedef.func, "__code__", None)):
            try:
                return (yield)
            finally:
                self._uses[fixturedef.func] = _active(request) - {fixturedef.func}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record which fixtures an item has used, including those that it requested while it ran."""
        try:
            return (yield)
        finally:
            item.stash[_USED] = _active(getattr(item, "_request", None))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Attribute opened files to the test of an item, and to the modules that it shares with other tests."""
        function, name = getattr(item, "function", None), name_of(item)
        with self._opened.attributing_to(name, getattr(function, "__code__", None)):
            result = yield
        if self._opened.has_files(name):
            module = getattr(getattr(item, "module", None), "__name__", "")
            if module not in self._shared:
                self._shared[module] = _shared_code(module)
            self._opened.attribute_to_modules(name, self._shared[module])
        return result


def _active(request: Any) -> set[Any]:
    """Return the functions of the fixtures that are set up for a request."""
    return {definition.func for definition in getattr(request, "_fixture_defs", {}).values()}


def _shared_code(module: str) -> list[str]:
    """Return the code files of a module's tests that other tests may also use.

    Conftests are excluded, since all tests share them.
    """
    from memkit.source import source_files

    files = source_files([module]) if module else []
    return [str(file) for file in files if file.name not in ("conftest.py", "__init__.py")]


def name_of(item: pytest.Item) -> tuple[str, str]:
    """Return the name under which the opened files of an item's test are recorded, the same for all seeds."""
    return ("test", item.nodeid[: item.nodeid.rindex("[")] if hasattr(item, "callspec") else item.nodeid)


def files_opened(item: pytest.Item, covered: list[str], imported: Collection[str]) -> set[str]:
    """Return the files that an item's test has opened, itself or through its fixtures, on any seed.

    Args:
        covered: the code files that the key of the measurement covers.
        imported: the names in the import statements of these files.
    """
    fixtures: Any = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    queue: list[Any] = [definition.func for group in fixtures.values() for definition in group]
    recorded: set[Any] = item.stash.get(_USED, set())
    queue += recorded
    used, uses = set[Any](), item.config.stash[_USES]
    while queue:
        if (function := queue.pop()) not in used:
            used.add(function)
            queue += uses.get(function, ())
    names = [name_of(item), *(("fixture", function) for function in used)]
    return opened_of(item.config).files(names, covered, imported)
