"""The part of pytest that a measurement depends on: plugins that may change what is measured."""

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
"""Plugins that report or schedule: top-level names of their modules."""
_KNOWN = pytest.StashKey[dict[tuple[str, ...], list[tuple[str, str]]]]()


def unusual_plugins(config: pytest.Config) -> list[str]:
    """Return the active plugins other than the usual ones and conftests: name and version, or digest of the source."""
    found = set()
    for module, file in _unusual(config):
        name = module.partition(".")[0]
        # An installed plugin may consist of several, and a worker may lack some of them.
        own = version_of(name) if not file or is_installed(file) else ""
        found.add(f"{name} {own}" if own else f"{module} {source_digest([module], [file] if file else [])}")
    return sorted(found)


def plugin_files(config: pytest.Config) -> list[str]:
    """Return the files of those plugins that belong to the project."""
    return [os.path.realpath(file) for _, file in _unusual(config) if file and not is_installed(file)]


def _unusual(config: pytest.Config) -> list[tuple[str, str]]:
    """Return module and file of the unusual plugins; a conftest counts with the code behind the claims below it."""
    plugins = config.pluginmanager.list_name_plugin()
    # It is asked for each of many claims, and a plugin seldom comes or goes during a run.
    known = config.stash.setdefault(_KNOWN, {})
    names = tuple(name for name, _ in plugins)
    if names not in known:
        known[names] = list(_find_unusual(plugin for _, plugin in plugins if plugin is not None))
    return known[names]


def _find_unusual(plugins: Iterable[object]) -> Iterator[tuple[str, str]]:
    for plugin in plugins:
        module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
        file = getattr(plugin if isinstance(plugin, ModuleType) else sys.modules.get(module), "__file__", None) or ""
        if module.partition(".")[0] not in USUAL and os.path.basename(file) != "conftest.py":
            yield module, file
