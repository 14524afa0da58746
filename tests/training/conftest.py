"""One thread, as in a training process: the toys are too small for more; and URLs that stores may lie at."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from memkit.training.remote import Remote

if TYPE_CHECKING:
    from tests.training.servers import Server


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from tests.training.servers import Server  # its packages take a second to import, and few tests need them

    made = Server()
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("s3fs.core.S3FileSystem.read_timeout", 2)  # seconds, not 15
    yield made
    made.close()


@pytest.fixture
def url(server: Server) -> str:
    return f"s3://lab/{uuid.uuid4().hex}"


@pytest.fixture(params=["s3", "file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """A URL of each kind; whoever holds a lease there is soon taken for dead."""
    if request.param == "s3":
        return Remote(request.getfixturevalue("url"), lease=0.6)
    return Remote(f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{uuid.uuid4().hex}", lease=0.6)
