"""Fixtures for tests of training, stores and scheduling: one thread, another process, and remote stores."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from memkit.store.remote import Remote
from tests.machines.clocks import Skipping
from tests.machines.elsewhere import Elsewhere

if TYPE_CHECKING:
    from tests.machines.servers import Server


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread, as a training process does; the models here are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip syncing to disk, as no test is about a loss of power. Child processes still sync."""
    monkeypatch.setattr("os.fsync", os.fstat)  # it also fails if the file is not open


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    """Another process, shared by all tests because it takes seconds to start."""
    process = Elsewhere()
    yield process
    process.close()


def without_cloud(patch: pytest.MonkeyPatch) -> None:
    """Remove the caller's cloud account and proxies from the environment."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name)


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    from tests.machines.servers import Server  # its packages take a second to import, and few tests need them

    with pytest.MonkeyPatch.context() as patch:
        without_cloud(patch)
        shared = Server()
    yield shared
    shared.close()


@pytest.fixture
def server(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server without faults. It is shared by all tests, each of which writes to its own folder."""
    from tests.machines.servers import LOADER

    _server.reset()
    without_cloud(monkeypatch)
    for name, value in _server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.session.create_loader", lambda path: LOADER)
    pause = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: pause(0))  # the packages wait before they retry
    return _server


@pytest.fixture
def url(server: Server) -> str:
    """The URL of an empty folder on the server."""
    return f"s3://lab/{uuid.uuid4().hex}"


@pytest.fixture(params=["s3", "file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """A remote store of each kind of URL."""
    if request.param == "s3":
        return Remote(request.getfixturevalue("url"), clock=Skipping())
    address = f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{uuid.uuid4().hex}"
    return Remote(address, clock=Skipping())
