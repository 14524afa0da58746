"""The dependencies of a measurement: its key in the store, and the files that it has read.

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
from memkit.pytest_plugin.file_watcher import files_opened, opened_of, recorded_from_the_start
from memkit.pytest_plugin.other_plugins import plugin_files, unusual_plugins
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.source import (
    acts_on_import,
    callable_digest,
    file_digest,
    imported_names,
    is_installed,
    reused_claims,
    source_digest,
    source_files,
)
from memkit.store.dependencies import MAX_FILES
from memkit.store.measurements import known_files, measurement_key
from memkit.versions import versions_behind

T = TypeVar("T")

_RECORDS = pytest.StashKey[dict[tuple[str, int], set[str]]]()
_RESULTS = pytest.StashKey[dict[tuple[Hashable, ...], Any]]()


def key_of(item: Any, claim: Claim) -> str:
    """Return the key of a claim's measurements."""
    return once(item.config, ("key", claim.id), lambda: _make_key(item, claim))


def once(config: pytest.Config, name: tuple[Hashable, ...], make: Callable[[], T]) -> T:
    """Return the result of ``make``, which is called once per name and process."""
    results = config.stash.setdefault(_RESULTS, {})
    if name not in results:
        results[name] = make()
    result: T = results[name]
    return result


def _make_key(item: Any, claim: Claim) -> str:
    settings: Settings = settings_of(item.config)
    functions = _functions(item, claim)
    covered = _code_files(item, claim)
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
        "packages": once(item.config, ("packages", covered), lambda: _package_digests(covered)),
        "reused": once(item.config, ("reused", covered), lambda: reused_claims(covered)),
        "versions": _versions(item.config, claim, covered),
        "device": settings.device,
        "plugins": once(item.config, ("plugins",), lambda: unusual_plugins(item.config)),
        "watched": recorded_from_the_start(item.config),
        "data": {name: settings.files.folder_checksum(name) for name in claim.data},
        "environment": {name: _hashed(os.environ.get(name)) for name in claim.environment},
    }
    return measurement_key(content)


def _versions(config: pytest.Config, claim: Claim, covered: tuple[Path, ...]) -> dict[str, str]:
    """Return package → version for the code of a claim's test and of its recipes."""

    def versions_of_modules(modules: tuple[str, ...]) -> dict[str, str]:
        return once(config, ("versions", modules), lambda: versions_behind(source_files(modules)))

    versions = once(config, ("versions", covered), lambda: versions_behind(covered))
    for arm in claim.arms.values():
        if arm.recipe is not None:
            versions = {**versions, **versions_of_modules(arm.recipe.modules)}
    return versions


def _hashed(value: str | None) -> str | None:
    """Return the SHA-256 of an environment variable's value, which may be a secret; None for None."""
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _package_digests(covered: tuple[Path, ...]) -> list[str]:
    """Return digests of the ``__init__.py`` files that do something: they run when a module in the package is imported.

    Text that an ``__init__.py`` holds for the report, such as descriptions of metrics, does not count.
    """
    return [file_digest(file) for file in covered if file.name == "__init__.py" and acts_on_import(file)]


def code_of(item: Any, claim: Claim) -> str:
    """Return a digest of the code behind a claim: 16 hex digits that depend on no machine, only on Python's version."""
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    callables = [arm.intervention for arm in claim.arms.values() if callable(arm.intervention)] + list(claim.figures)
    functions = _functions(item, claim) | set(callables)
    source = _source(item.config, *_sources(item, functions)) + "".join(map(callable_digest, callables))
    return measurement_key({"arms": recipes, "source": source})[:16]


def figures_digest(item: Any, claim: Claim, seed: int) -> str:
    """Return the digest of a claim's figure functions; "" on all seeds but the first, for which figures are drawn."""
    if not claim.figures or seed != planned_seeds(item.config, claim)[0]:
        return ""
    modules = tuple(sorted({figure.__module__ for figure in claim.figures}))
    files = tuple(sorted({figure.__code__.co_filename for figure in claim.figures if hasattr(figure, "__code__")}))
    return measurement_key(
        {"source": _source(item.config, modules, files), "figures": list(map(callable_digest, claim.figures))}
    )


def _functions(item: Any, claim: Claim) -> set[Callable[..., Any]]:
    """Return the functions that a claim's test uses: fixtures, interventions, the score of a staged study."""
    functions = {definition.func for group in item._fixtureinfo.name2fixturedefs.values() for definition in group}
    functions = {function for function in functions if not is_installed(function.__code__.co_filename)}
    functions |= {arm.intervention for arm in claim.arms.values() if callable(arm.intervention)}
    if (scoring := scoring_of(item.function)) is not None:
        functions |= {type(scoring), scoring.score}
    return functions


def _sources(item: Any, functions: set[Callable[..., Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the modules and files that define the functions and their test, with all conftests above the test."""
    modules = {function.__module__ for function in functions} | {item.function.__module__}
    files = {function.__code__.co_filename for function in functions if hasattr(function, "__code__")}
    files |= _conftests(item.config, item.path.parent)
    return tuple(sorted(modules)), tuple(sorted(files))


def _code_files(item: Any, claim: Claim) -> tuple[Path, ...]:
    """Return the code files that the key of a claim's measurements covers."""
    modules, files = _sources(item, _functions(item, claim))
    return once(item.config, ("covered", modules, files), lambda: tuple(source_files(modules, files)))


def _conftests(config: pytest.Config, folder: Path) -> set[str]:
    """Return the files of all conftests in a folder and above it, since a test may request any fixture while it runs.

    They are identified by their files, since several conftests may share one module name.
    """

    def find() -> set[str]:
        files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
        above = {folder, *folder.parents}
        return {file for file in files if file and Path(file).name == "conftest.py" and Path(file).parent in above}

    return once(config, ("conftests", folder), find)


def _source(config: pytest.Config, modules: tuple[str, ...], files: tuple[str, ...]) -> str:
    """Return the digest of the source of modules and files."""
    return once(config, ("source", modules, files), lambda: source_digest(modules, files))


def file_dependencies(item: pytest.Item, claim: Claim, key: str, seed: int) -> dict[str, str]:
    """Return file → checksum for the files that a measurement depends on in addition to its key.

    Raises:
        MemkitError: the files are too many to be recorded.
    """
    settings = settings_of(item.config)
    store, files = settings.store_of_run, settings.files
    opened = opened_of(item.config)
    from_training: dict[str, str] = {}
    for arm in claim.arms.values():
        if arm.recipe is not None:
            from_training |= store.depends(arm.recipe.digest, seed)
    # The files are determined again only if a file was opened since, because most items open no new file.
    records = item.config.stash.setdefault(_RECORDS, {})
    name = (claim.id, opened.count)
    if name not in records:
        covered = _code_files(item, claim)
        names = once(item.config, ("imported", covered), lambda: frozenset().union(*map(imported_names, covered)))
        records[name] = files_opened(item, [*map(str, covered), *plugin_files(item.config)], names)
    recorded = once(item.config, ("known files", key), lambda: known_files(store, key))
    if not (recorded or from_training or records[name]):
        return {}
    record = {**recorded, **from_training, **files.record(opened, records[name])}
    if len(record) > MAX_FILES:
        folders = tuple(f"{name.rstrip('/')}/" for name in claim.data)  # the key covers their contents
        record = {label: checksum for label, checksum in record.items() if not label.startswith(folders)}
    if len(record) > MAX_FILES:
        raise MemkitError(
            f"claim {claim.id!r} opened {len(record)} files of the project, of which at most {MAX_FILES} can be "
            'recorded, so it will be measured again; name the folder of the files in the claim, as in data=["data"]'
        )
    return record
