"""A fixture with the path of an evidence file, as a run would have written it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .entries import MANY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reports" / "evidence.json"
    MANY.save(path)
    return path
