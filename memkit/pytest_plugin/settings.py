"""The settings of a run: the options, which the controller resolves once and passes to the workers."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from memkit.errors import MemkitError
from memkit.paths import is_url
from memkit.pytest_plugin.options import config_values, data_option, root_of

if TYPE_CHECKING:
    from memkit.evidence.gate import Mode
    from memkit.store.dependencies import ProjectFiles
    from memkit.store.remote import Remote
    from memkit.store.store import Store

SETTINGS = pytest.StashKey["Settings"]()
DATA = "MEMKIT_DATA"
"""The environment variable from which tasks read the folder of their data; see ``memkit.tasks.images.datasets``."""


def refusal(message: str) -> pytest.UsageError:
    """Return the exception that stops a run because of bad input; its attribute ``by_memkit`` marks it as memkit's."""
    error = pytest.UsageError(message)
    error.by_memkit = True  # type: ignore[attr-defined]
    return error


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings of a run, which are resolved on first use, since a run without claims never needs them.

    Raises:
        pytest.UsageError: an option has a value that memkit does not accept.
    """
    if SETTINGS not in config.stash:
        try:
            config.stash[SETTINGS] = Settings.of(config)
        except MemkitError as error:
            raise refusal(str(error)) from error
    return config.stash[SETTINGS]


def publish_data_folder(config: pytest.Config) -> None:
    """Set the environment variable of the data folder, for this process and its children, until the run ends.

    Raises:
        pytest.UsageError: the folder that the command line or the project names does not exist.
    """
    from_controller: Any = getattr(config, "workerinput", {}).get("memkit")
    if from_controller is None:
        try:
            root_of(config)
        except MemkitError:  # the paths belong to two locks, which is reported only if the run has claims
            return
    try:
        folder = from_controller["data"] if from_controller is not None else _data_folder(config, data_option(config))
    except MemkitError as error:
        raise pytest.UsageError(str(error)) from error
    if folder:
        environment = pytest.MonkeyPatch()
        environment.setenv(DATA, folder)
        config.add_cleanup(environment.undo)


def _data_folder(config: pytest.Config, path: str | None) -> str:
    """Return the data folder that ``--memkit-data`` or the project names; "" if the environment determines it."""
    if path is None or (config.option.memkit_data is None and os.environ.get(DATA)):
        return ""
    if not Path(path).is_dir():
        raise MemkitError(f"--memkit-data {path}: there is no such folder; name the one that holds the data")
    return path


def _make_exchange_folder(store: Path) -> str:
    from memkit.pytest_plugin.exchange_folder import make_exchange_folder

    return make_exchange_folder(store / "tmp")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a run, with absolute paths.

    Attributes:
        store: the folder of the store.
        shared: the URL of a store that several machines share, for which the folder is a cache; or "".
        data: the folder that data sets are read from; "" if the environment determines it.
        root: the root of the project, see :func:`memkit.pytest_plugin.options.root_of`.
        laboratory: the laboratory that makes the run, on seeds of its own; "" for the project itself.
        strict: whether a claim that decides nothing fails the run.
        session: a unique identifier of this run.
        exchange: the folder in which workers write the plan, or the reason why there is none, for the controller;
            "" without workers.
    """

    seeds: int | None
    headline: bool
    sweeps: str
    development: bool
    laboratory: str
    fresh: bool
    retrain: bool
    store: str
    shared: str
    data: str
    evidence: str
    root: str
    device: str
    executor: str
    ray_address: str
    gate: Mode
    strict: bool
    session: str
    exchange: str = ""

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """Resolve the options; on a worker, return the settings that the controller resolved.

        Raises:
            MemkitError: an option has a value that memkit does not accept.
        """
        from_controller: Any = getattr(config, "workerinput", {}).get("memkit")
        if from_controller is not None:
            return cls(**from_controller)
        value = config_values(config)
        root = root_of(config)
        shared = value["store"] if is_url(value["store"] or "") else ""
        evidence = Path(value["evidence"] or root / "reports" / "evidence.json")
        if evidence.suffix in (".csv", ".html"):
            raise MemkitError(
                f"--memkit-evidence {evidence} would be overwritten by its own {evidence.suffix} file; choose a name "
                "that ends in .json"
            )
        if value["strict"] and (value["development"] or value["gate"] == "none"):
            conflicting = "--memkit-development" if value["development"] else "--memkit-gate none"
            raise MemkitError(f"--memkit-strict and {conflicting} contradict each other; omit one of them")
        if evidence.is_dir():
            raise MemkitError(f"--memkit-evidence {evidence} is a folder; name a file in it, such as evidence.json")
        store = str(root / ".memkit") if shared or not value["store"] else value["store"]
        distributed = bool(getattr(config.option, "tx", None)) and getattr(config.option, "dist", "no") != "no"
        return cls(
            seeds=value["seeds"],
            headline=value["headline"],
            sweeps=value["sweeps"],
            development=value["development"],
            laboratory=value["laboratory"],
            fresh=value["fresh"] or value["retrain"],
            retrain=value["retrain"],
            store=store,
            shared=shared,
            data=_data_folder(config, value["data"]),
            evidence=str(evidence),
            root=str(root),
            device=value["device"],
            executor=value["executor"],
            ray_address=value["ray_address"],
            gate=value["gate"],
            strict=value["strict"],
            session=uuid.uuid4().hex,
            exchange=_make_exchange_folder(Path(store)) if distributed else "",
        )

    @property
    def accepted(self) -> Path:
        """The file of the project's accepted verdicts."""
        return Path(self.root) / "reports" / "accepted.json"

    @cached_property
    def lock(self) -> Path:
        """The project's lock.

        Raises:
            MemkitError: the project has two locks.
        """
        from memkit.evidence.lock_file import lock_path

        return lock_path(Path(self.root))

    def to_worker(self) -> dict[str, Any]:
        """Return plain types, for ``workerinput``."""
        return asdict(self)

    @cached_property
    def store_of_run(self) -> Store:
        """The store of this run."""
        from memkit.store.store import Store

        return Store(
            Path(self.store),
            session=self.session,
            retrain=self.retrain,
            remote=self._remote,
            files=self.files,
        )

    @cached_property
    def files(self) -> ProjectFiles:
        """The files of the project."""
        from memkit.store.dependencies import ProjectFiles

        return ProjectFiles(Path(self.root))

    @cached_property
    def _remote(self) -> Remote | None:
        from memkit.store.remote import Remote

        return Remote(self.shared) if self.shared else None

    def refuse(self, message: str) -> NoReturn:
        """Stop the run because of bad input, with exit code 4 and the message alone.

        A worker also writes the message to a file, from which the controller reads it.

        Raises:
            pytest.UsageError: always.
        """
        if self.exchange:
            with suppress(OSError):
                (Path(self.exchange) / "refused").write_text(message, encoding="utf-8")
        raise refusal(message)

    @contextmanager
    def errors_refused(self) -> Iterator[None]:
        """Stop the run, as :meth:`refuse` does, at a :class:`MemkitError`."""
        try:
            yield
        except MemkitError as error:
            self.refuse(str(error))

    def refusal_message(self) -> str:
        """Return the message of a worker that refused bad input, or ""."""
        file = Path(self.exchange) / "refused"
        return file.read_text(encoding="utf-8") if self.exchange and file.is_file() else ""

    def close(self) -> None:
        """Remove the exchange folder."""
        if self.exchange:
            shutil.rmtree(self.exchange, ignore_errors=True)
