"""The dependencies of a measurement: the key that the store finds it by, and the files beside it.

``docs/dependencies.md`` describes all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.derived.copies import scoring_of
from memkit.pytest_plugin.file_watcher import files_opened, from_the_start, opened_of
from memkit.pytest_plugin.other_plugins import plugin_files, unusual_plugins
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.source import (
    WITHOUT_CODE,
    callable_digest,
    file_digest,
    imported_names,
    is_installed,
    reused_claims,
    source_digest,
    source_files,
)
from memkit.store.dependencies import MOST
from memkit.store.measurements import known_files, measurement_key
from memkit.versions import versions_behind

T = TypeVar("T")

_RECORDS = pytest.StashKey[dict[tuple[str, int], set[str]]]()
_KNOWN = pytest.StashKey[dict[tuple[Hashable, ...], Any]]()


def key_of(item: Any, claim: Claim) -> str:
    """Return the key of a claim's measurements."""
    return once(item.config, ("key", claim.id), lambda: _make_key(item, claim))


def once(config: pytest.Config, name: tuple[Hashable, ...], make: Callable[[], T]) -> T:
    """Return what ``make`` returns, computed once per run for each name."""
    known = config.stash.setdefault(_KNOWN, {})
    if name not in known:
        known[name] = make()
    found: T = known[name]
    return found


def _make_key(item: Any, claim: Claim) -> str:
    settings: Settings = settings_of(item.config)
    functions = _functions(item, claim)
    covered = _covered(item, claim)
    arms = {
        name: [
            arm.recipe.digest if arm.recipe is not None else None,
            callable_digest(arm.intervention) if callable(arm.intervention) else arm.intervention,
        ]
        for name, arm in claim.arms.items()
    }
    content = {
        "form": 2,
        "test": claim.test,
        "cell": dict(claim.cell),
        "arms": arms,
        "source": _source(item.config, *_sources(item, functions)),
        "packages": once(item.config, ("packages", covered), lambda: _packages_of(covered)),
        "reused": once(item.config, ("reused", covered), lambda: reused_claims(covered)),
        "versions": _versions(item.config, claim, covered),
        "device": settings.device,
        "plugins": once(item.config, ("plugins",), lambda: unusual_plugins(item.config)),
        "watched": from_the_start(item.config),
        "data": {name: settings.files.folder_checksum(name) for name in claim.data},
        "environment": {name: _hidden(os.environ.get(name)) for name in claim.environment},
    }
    return measurement_key(content)


def _versions(config: pytest.Config, claim: Claim, covered: tuple[Path, ...]) -> dict[str, str]:
    """The versions behind a claim's test, and behind its recipes."""

    def behind(modules: tuple[str, ...]) -> dict[str, str]:
        return once(config, ("versions", modules), lambda: versions_behind(source_files(modules)))

    found = once(config, ("versions", covered), lambda: versions_behind(covered))
    for arm in claim.arms.values():
        if arm.recipe is not None:
            found = {**found, **behind(arm.recipe.modules)}
    return found


def _hidden(value: str | None) -> str | None:
    """Return the SHA-256 of a variable's value, which may be a secret."""
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _packages_of(covered: tuple[Path, ...]) -> list[str]:
    """The code of the files that make packages of folders: it runs when a module in them is imported."""
    files = (file for file in covered if file.name == "__init__.py")
    return [digest for file in files if (digest := file_digest(file)) != WITHOUT_CODE]


def code_of(item: Any, claim: Claim) -> str:
    """Return 16 hex digits for the code behind a claim, the same on any machine with this minor version of Python."""
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    given = [arm.intervention for arm in claim.arms.values() if callable(arm.intervention)] + list(claim.figures)
    functions = _functions(item, claim) | set(given)
    source = _source(item.config, *_sources(item, functions)) + "".join(map(callable_digest, given))
    return measurement_key({"arms": recipes, "source": source})[:16]


def drawn_by(item: Any, claim: Claim, seed: int) -> str:
    """Return the digest of a claim's figure functions, where it is the seed that they draw; else ""."""
    if not claim.figures or seed != planned_seeds(item.config, claim)[0]:
        return ""
    modules = tuple(sorted({figure.__module__ for figure in claim.figures}))
    files = tuple(sorted({figure.__code__.co_filename for figure in claim.figures if hasattr(figure, "__code__")}))
    return measurement_key(
        {"source": _source(item.config, modules, files), "figures": list(map(callable_digest, claim.figures))}
    )


def _functions(item: Any, claim: Claim) -> set[Callable[..., Any]]:
    """Return the functions behind a claim's test: the project's fixtures, interventions, a staged study's score."""
    functions = {definition.func for group in item._fixtureinfo.name2fixturedefs.values() for definition in group}
    functions = {function for function in functions if not is_installed(function.__code__.co_filename)}
    functions |= {arm.intervention for arm in claim.arms.values() if callable(arm.intervention)}
    if (scoring := scoring_of(item.function)) is not None:
        functions |= {type(scoring), scoring.score}
    return functions


def _sources(item: Any, functions: set[Callable[..., Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules and files that functions and their test are defined in, and every conftest that may count."""
    modules = {function.__module__ for function in functions} | {item.function.__module__}
    files = {function.__code__.co_filename for function in functions if hasattr(function, "__code__")}
    files |= _conftests(item.config, item.path.parent)
    return tuple(sorted(modules)), tuple(sorted(files))


def _covered(item: Any, claim: Claim) -> tuple[Path, ...]:
    """The files of code that the key of a claim's measurements covers."""
    modules, files = _sources(item, _functions(item, claim))
    return once(item.config, ("covered", modules, files), lambda: tuple(source_files(modules, files)))


def _conftests(config: pytest.Config, folder: Path) -> set[str]:
    """Every conftest on the way to a folder: a fixture may be asked for while the test runs.

    Several of them share one module name, so they count by file.
    """

    def found() -> set[str]:
        files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
        above = {folder, *folder.parents}
        return {file for file in files if file and Path(file).name == "conftest.py" and Path(file).parent in above}

    return once(config, ("conftests", folder), found)


def _source(config: pytest.Config, modules: tuple[str, ...], files: tuple[str, ...]) -> str:
    """The digest of modules and files."""
    return once(config, ("source", modules, files), lambda: source_digest(modules, files))


def depends_on(item: pytest.Item, claim: Claim, key: str, seed: int) -> dict[str, str]:
    """Return what a measurement of an item depends on beside its key: files, with their checksums.

    Raises:
        MemkitError: they are too many to be recorded.
    """
    settings = settings_of(item.config)
    store, files = settings.store_of_run, settings.files
    opened = opened_of(item.config)
    found: dict[str, str] = {}
    for arm in claim.arms.values():
        if arm.recipe is not None:
            found |= store.depends(arm.recipe.digest, seed)
    # Most items open nothing new, and there are very many.
    known = item.config.stash.setdefault(_RECORDS, {})
    name = (claim.id, opened.count)
    if name not in known:
        covered = _covered(item, claim)
        names = once(item.config, ("imported", covered), lambda: frozenset().union(*map(imported_names, covered)))
        known[name] = files_opened(item, [*map(str, covered), *plugin_files(item.config)], names)
    before = once(item.config, ("known files", key), lambda: known_files(store, key))
    if not (before or found or known[name]):
        return {}
    record = {**before, **found, **files.record(opened, known[name])}
    if len(record) > MOST:
        folders = tuple(f"{name.rstrip('/')}/" for name in claim.data)  # whose contents are in the key
        record = {label: checksum for label, checksum in record.items() if not label.startswith(folders)}
    if len(record) > MOST:
        raise MemkitError(
            f"claim {claim.id!r} opened {len(record)} files of the project, and {MOST} are recorded at most, so it is "
            'measured again the next time; name their folder in the claim, as in data=["data"]'
        )
    return record
