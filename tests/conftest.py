"""What every test is shielded from: the caller's environment, deadlines, and the files of another test."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The engine needs no torch, and neither do its tests: CI runs them on every version of Python that it finds.
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

# The cores are shared, and no test here is about time. A gate must answer the same twice, so its examples are fixed;
# `--hypothesis-profile=search` looks for new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("gate")

DATA = os.environ.get("MEMKIT_DATA", "")
"""Where MNIST and tiny Shakespeare lie, for the tests that ask for ``real_data``."""


@pytest.fixture(scope="session", autouse=True)  # or fixtures of modules would still see the caller's
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave nothing to the caller's environment: settings of memkit and pytest, git's configuration, home."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("MEMKIT_", "GIT_", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "GITHUB_")):
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
        patch.setenv("COLUMNS", "250")  # inner runs write their summaries whole
        yield


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that MNIST and tiny Shakespeare lie in; skips the test where the caller's MEMKIT_DATA names none."""
    if not DATA:
        pytest.skip("needs MNIST and tiny Shakespeare; set MEMKIT_DATA to the folder that holds them")
    monkeypatch.setenv("MEMKIT_DATA", DATA)
    return Path(DATA)
