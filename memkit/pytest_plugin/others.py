"""What of pytest a measurement depends on: plugins that may change what is measured."""

from __future__ import annotations

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


def unusual_plugins(config: pytest.Config) -> list[str]:
    """Return the active plugins other than the usual ones and conftests: name and version, or digest of the source."""
    found = set()
    for _, plugin in config.pluginmanager.list_name_plugin():
        if plugin is None:
            continue
        module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
        file = getattr(plugin, "__file__", None) or ""
        name = module.partition(".")[0]
        if name in USUAL or name.endswith("conftest") or file.endswith("conftest.py"):
            continue  # a conftest counts with the code behind the claims below it
        # An installed plugin may consist of several, of which a worker has not all.
        own = version_of(name) if not file or is_installed(file) else ""
        found.add(f"{name} {own}" if own else f"{module} {source_digest([module], [file] if file else [])}")
    return sorted(found)
