"""Isolation of all tests from the caller's environment, from deadlines, and from each other's files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The engine and its tests need no torch: CI runs them without it, on several versions of Python.
collect_ignore = (
    []
    if importlib.util.find_spec("torch")
    else [
        *("demo", "fixtures", "machines", "memories", "mlx", "models", "recipes", "scheduling", "store", "study"),
        *("tasks", "training", "evidence/derived", "evidence/test_observation.py"),
        *(f"pytest_plugin/test_{name}.py" for name in ("beyond_one_machine", "replications", "two_suites")),
        *(f"test_{name}.py" for name in ("docs", "examples", "package", "readme")),
    ]
)

# The cores are shared, and no test here is about time. A gate must give the same answer every time, so its examples are
# fixed; `--hypothesis-profile=search` searches for new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("gate")

DATA = os.environ.get("MEMKIT_DATA", "")
"""The folder with MNIST and tiny Shakespeare, for the tests that use ``real_data``."""


@pytest.fixture(scope="session", autouse=True)  # otherwise fixtures of modules would still see the caller's
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Replace the caller's environment: settings of memkit and pytest, git's configuration, the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("MEMKIT_", "GIT_", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "GITHUB_")):
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
        patch.setenv("COLUMNS", "250")  # so that inner runs do not shorten their summaries
        yield


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with MNIST and tiny Shakespeare; the test is skipped if the caller's MEMKIT_DATA is not set."""
    if not DATA:
        pytest.skip("needs MNIST and tiny Shakespeare; set MEMKIT_DATA to the folder that contains them")
    monkeypatch.setenv("MEMKIT_DATA", DATA)
    return Path(DATA)
