"""What the command line asked for, resolved once on the controller and handed to the workers."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pytest

from memkit.errors import MemkitError
from memkit.evidence.gate import Mode
from memkit.evidence.registration import lock_path
from memkit.training.remote import Remote
from memkit.training.store import Store

SETTINGS = pytest.StashKey["Settings"]()
DATA = "MEMKIT_DATA"
"""The environment variable that tasks find their data by; see ``memkit.tasks.images.datasets``."""


def _lock(config: pytest.Config) -> Path:
    try:
        return lock_path(config.rootpath)
    except MemkitError as error:
        raise pytest.UsageError(str(error)) from error


def _data(config: pytest.Config) -> str:
    """The folder that ``--data`` names, or "" without it."""
    if config.option.data is None:
        return ""
    folder = config.invocation_params.dir / Path(config.option.data).expanduser()
    if not folder.is_dir():
        raise pytest.UsageError(
            f"--data {config.option.data}: there is no such folder; name the one that holds the data"
        )
    return str(folder)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options, with absolute paths.

    Attributes:
        store: the folder of the store.
        shared: the URL of a store that machines share, which that folder is in front of; or "".
        data: the folder that data sets are read from; "" to leave it as the environment has it.
        session: names this run of the suite.
        exchange: a folder in which workers leave the plan (or the reason why there is none) for the controller;
            "" without workers.
    """

    seeds: int | None
    headline: bool
    sweeps: str
    development: bool
    fresh: bool
    retrain: bool
    store: str
    shared: str
    data: str
    evidence: str
    lock: str
    device: str
    gate: Mode
    session: str
    exchange: str = ""

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """From the command line; on a worker, from the controller."""
        handed: Any = getattr(config, "workerinput", {}).get("memkit")
        if handed is not None:
            return cls(**handed)
        option = config.option
        here = config.invocation_params.dir
        named = option.store or ""
        shared = named if "://" in named else ""
        distributed = bool(getattr(option, "tx", None)) and getattr(option, "dist", "no") != "no"
        return cls(
            seeds=option.seeds,
            headline=option.headline,
            sweeps=option.sweeps,
            development=option.development,
            fresh=option.fresh or option.retrain,
            retrain=option.retrain,
            store=str(config.rootpath / ".memkit" if shared or not named else here / Path(named).expanduser()),
            shared=shared,
            data=_data(config),
            evidence=str(here / option.evidence if option.evidence else config.rootpath / "reports" / "evidence.json"),
            lock=str(_lock(config)),
            device=option.device,
            gate=option.gate,
            session=uuid.uuid4().hex,
            exchange=tempfile.mkdtemp(prefix="memkit-") if distributed else "",
        )

    def to_worker(self) -> dict[str, Any]:
        """Plain types, for ``workerinput``."""
        return asdict(self)

    def publish_data(self, config: pytest.Config) -> None:
        """Tell tasks where their data are, in this process and those that it starts, until the run ends."""
        if self.data:
            environment = pytest.MonkeyPatch()
            environment.setenv(DATA, self.data)
            config.add_cleanup(environment.undo)

    def open_store(self) -> Store:
        """The store of this run."""
        return Store(Path(self.store), session=self.session, retrain=self.retrain, remote=self._remote)

    @cached_property
    def _remote(self) -> Remote | None:
        return Remote(self.shared) if self.shared else None

    def refuse(self, message: str) -> NoReturn:
        """Stop the run for bad input: exit code 4, and the message alone. A worker leaves it for the controller."""
        if self.exchange:
            (Path(self.exchange) / "refused").write_text(message, encoding="utf-8")
        raise pytest.UsageError(message)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Turn a :class:`MemkitError` into the end of the run."""
        try:
            yield
        except MemkitError as error:
            self.refuse(str(error))

    def refused(self) -> str:
        """What a worker refused, or ""."""
        file = Path(self.exchange) / "refused"
        return file.read_text(encoding="utf-8") if self.exchange and file.is_file() else ""

    def close(self) -> None:
        """Remove the exchange folder."""
        if self.exchange:
            shutil.rmtree(self.exchange, ignore_errors=True)
