"""Fixtures shared with the tests of training and scheduling."""

from pathlib import Path

import pytest

from memkit.store.store import Store
from tests.machines.fixtures import (  # noqa: F401
    _server,
    anywhere,
    elsewhere,
    no_sync,
    one_thread,
    server,
    url,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", session="first")
    made.prepare()
    return made
