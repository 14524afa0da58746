"""Modules of projects that lie in temporary folders, each under a name of its own."""

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
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("MEMKIT_STORE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[..., Matrix]]:
    """Reads a matrix of the documentation's model; what was written anew is found by its own module name."""
    module = f"xor_of_tests_{next(_COUNT)}"

    def made(text: str = MATRIX, *, more: str = "") -> Matrix:
        path = write_project(tmp_path, text, module)
        if more:
            with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as file:
                file.write(more)
            sys.modules.pop(module, None)
        return load_matrix(path)

    yield made
    sys.modules.pop(module, None)
