"""One thread, as in a training process: the toys are too small for more; a process to try things in; and URLs."""

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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for disks, for nobody pulls the plug here. Child processes still wait."""
    monkeypatch.setattr("os.fsync", os.fstat)  # which fails as well where no file is open


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    """Another process. It is shared, for it takes seconds to start."""
    made = Elsewhere()
    yield made
    made.close()


def without_cloud(patch: pytest.MonkeyPatch) -> None:
    """Forget the caller's account, and the proxies between here and there."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name)


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    from tests.machines.servers import Server  # its packages take a second to import, and few tests need them

    with pytest.MonkeyPatch.context() as patch:
        without_cloud(patch)
        made = Server()
    yield made
    made.close()


@pytest.fixture
def server(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server on which all is well. It is shared: what other tests have put there lies in folders of their own."""
    from tests.machines.servers import LOADER

    _server.reset()
    without_cloud(monkeypatch)
    for name, value in _server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.session.create_loader", lambda path: LOADER)
    pause = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: pause(0))  # the packages' rest before they try again
    return _server


@pytest.fixture
def url(server: Server) -> str:
    return f"s3://lab/{uuid.uuid4().hex}"


@pytest.fixture(params=["s3", "file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """A URL of each kind."""
    if request.param == "s3":
        return Remote(request.getfixturevalue("url"), clock=Skipping())
    place = f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{uuid.uuid4().hex}"
    return Remote(place, clock=Skipping())
