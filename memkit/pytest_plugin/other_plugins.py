"""The pytest plugins that may change a measurement, and that its key in the store therefore covers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

import pytest

from memkit.source import is_installed, source_digest
from memkit.versions import version_of

USUAL = frozenset(
    {
        *(
            "_pytest",
            "pytest",
            "pluggy",
            "xdist",
            "execnet",
            "__channelexec__",
            "memkit",
            "_hypothesis_pytestplugin",
            "hypothesis",
        ),
        *("pytest_html", "pytest_metadata", "pytest_cov", "pytest_timeout", "pytest_sugar", "pytest_rerunfailures"),
    }
)
"""Plugins that only report or schedule: the top-level names of their modules."""
_UNUSUAL = pytest.StashKey[dict[tuple[str, ...], list[tuple[str, str]]]]()


def unusual_plugins(config: pytest.Config) -> list[str]:
    """Return the active plugins other than the usual ones and conftests, as "name version" or "module digest"."""
    labels = set()
    for module, file in _unusual(config):
        name = module.partition(".")[0]
        # By package: an installed plugin may consist of several modules, some of which a worker may lack.
        version = version_of(name) if not file or is_installed(file) else ""
        labels.add(f"{name} {version}" if version else f"{module} {source_digest([module], [file] if file else [])}")
    return sorted(labels)


def plugin_files(config: pytest.Config) -> list[str]:
    """Return the files of the unusual plugins that belong to the project."""
    return [os.path.realpath(file) for _, file in _unusual(config) if file and not is_installed(file)]


def _unusual(config: pytest.Config) -> list[tuple[str, str]]:
    """Return (module, file) of the unusual plugins; file is "" if it is unknown.

    Conftests are not among them, since they count as code of the claims below them.
    """
    plugins = config.pluginmanager.list_name_plugin()
    # Cached, since every claim needs them, and plugins are seldom added or removed during a run.
    cache = config.stash.setdefault(_UNUSUAL, {})
    names = tuple(name for name, _ in plugins)
    if names not in cache:
        cache[names] = list(_find_unusual(plugin for _, plugin in plugins if plugin is not None))
    return cache[names]


def _find_unusual(plugins: Iterable[object]) -> Iterator[tuple[str, str]]:
    for plugin in plugins:
        module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
        file = getattr(plugin if isinstance(plugin, ModuleType) else sys.modules.get(module), "__file__", None) or ""
        if module.partition(".")[0] not in USUAL and os.path.basename(file) != "conftest.py":
            yield module, file
