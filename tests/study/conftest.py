"""Fixtures for studies in temporary projects, each of which has a module with its own name."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memkit.study.loading import load_matrix
from memkit.study.matrix import Matrix
from tests.study.lab import MATRIX, write_project

_COUNT = itertools.count()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("MEMKIT_STORE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[..., Matrix]]:
    """A function that writes a project with the documentation's model and returns its matrix, read from the file.

    Its argument ``more`` is appended to the module of the project.
    """
    module = f"xor_of_tests_{next(_COUNT)}"

    def write_and_load(text: str = MATRIX, *, more: str = "") -> Matrix:
        path = write_project(tmp_path, text, module)
        if more:
            with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as file:
                file.write(more)
            sys.modules.pop(module, None)
        return load_matrix(path)

    yield write_and_load
    sys.modules.pop(module, None)
