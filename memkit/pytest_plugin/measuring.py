"""Measuring: a claim's test on one seed, with its trained arms; or what it measured before, from the store."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim, claim_of
from memkit.evidence.observation import Observation, observe
from memkit.pytest_plugin.settings import SETTINGS, Settings
from memkit.source import source_digest
from memkit.training.cohorts import obtain
from memkit.training.measurements import load_measurement, measurement_key, save_measurement
from memkit.training.store import Store

PROPERTY = "memkit.measurement"
STORED = pytest.StashKey[bool]()
_RUNS = pytest.StashKey[dict[str, Any]]()
_MEASURED = pytest.StashKey[tuple[str, "Measurement"]]()
_SOURCES = pytest.StashKey[dict[tuple[Any, ...], str]]()


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one item showed; it travels to the controller as JSON in the report's user properties.

    Attributes:
        arms: arm → digest of the trained run, and its metrics.
        cpu_seconds: what the test itself took.
        reused: it came from the store.
    """

    claim: str
    seed: int
    observations: tuple[Observation, ...]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    reused: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "claim": self.claim,
            "seed": self.seed,
            "observations": [observation.to_json() for observation in self.observations],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, reused: bool = False) -> Measurement:
        """What :meth:`to_json` wrote."""
        claim = str(data["claim"])
        return cls(
            claim=claim,
            seed=int(data["seed"]),
            observations=tuple(Observation.from_json(claim, row) for row in data["observations"]),
            arms=data["arms"],
            cpu_seconds=float(data["cpu_seconds"]),
            reused=reused or bool(data.get("reused")),
        )

    def to_property(self) -> tuple[str, str]:
        """The user property of the report."""
        return PROPERTY, json.dumps({**self.to_json(), "reused": self.reused})


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a claim's test; ``@claim`` gives it its values."""
    raise pytest.UsageError(f"{request.node.nodeid}: `seed` has a value in tests under @claim only")


@pytest.fixture
def trained(request: pytest.FixtureRequest, seed: int) -> Mapping[str, Any]:
    """Arm → :class:`memkit.training.trainer.TrainedRun` of this seed: its metrics, its history, its state."""
    claim = claim_of(request.function)
    if claim is None:
        raise pytest.UsageError(f"{request.node.nodeid}: `arms` and `trained` are for tests under @claim")
    settings = request.config.stash[SETTINGS]
    store = settings.open_store()
    runs = {}
    for name, arm in claim.arms.items():
        if arm.recipe is not None:
            runs[name] = obtain(arm.recipe, arm.recipe.digest, seed, store, device=settings.device)
    request.node.stash[_RUNS] = runs
    return runs


@pytest.fixture
def arms(request: pytest.FixtureRequest, seed: int, trained: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Arm → trained model of this seed, in evaluation mode; its intervention, if it has one, has been applied."""
    from memkit.training.trainer import prepared_process, restore

    claim = claim_of(request.function)
    assert claim is not None  # `trained` has refused
    settings = request.config.stash[SETTINGS]
    with prepared_process():
        models: dict[str, Any] = {}
        for name, run in trained.items():
            arm = claim.arms[name]
            model = restore(arm.recipe, seed, run.state, device=settings.device)
            models[name] = arm.intervention(model) if callable(arm.intervention) else model
        yield models


def call(item: pytest.Function) -> bool | None:
    """Run a claim's test and keep what it returned; None for other tests."""
    claim = claim_of(item.function)
    if claim is None:
        return None
    seed: int = item.callspec.params["seed"]  # type: ignore[assignment]
    started = time.process_time()
    returned = item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames})
    seconds = time.process_time() - started
    runs = item.stash.get(_RUNS, {})
    diverged = {name: run.diverged for name, run in runs.items() if run.diverged}
    refusal = ""
    try:
        observations = observe(claim, seed, returned, diverged=diverged)
    except MemkitError as error:
        refusal = str(error)
    if refusal:  # outside of the except block, or pytest prints both exceptions
        pytest.fail(refusal, pytrace=False)
    measurement = Measurement(
        claim=claim.id,
        seed=seed,
        observations=observations,
        arms={
            name: {"digest": claim.arms[name].recipe.digest, "diverged": run.diverged, **run.metrics}
            for name, run in runs.items()
        },
        cpu_seconds=round(seconds, 3),
    )
    item.stash[_MEASURED] = (_key(item, claim, seed), measurement)
    item.user_properties.append(measurement.to_property())
    return True


def keep(item: pytest.Item) -> None:
    """Store an item's measurement, once its teardown has passed too."""
    found = item.stash.get(_MEASURED, None)
    if found is not None:
        key, measurement = found
        save_measurement(item.config.stash[SETTINGS].open_store(), key, measurement.to_json())


def use_stored(item: pytest.Item, claim: Claim, seed: int, store: Store) -> None:
    """Let an item report the measurement in the store, if there is one, and run nothing."""
    key = _key(item, claim, seed)
    data = load_measurement(store, key)
    if data is None:
        return
    try:
        measurement = Measurement.from_json(data, reused=True)
        if (measurement.claim, measurement.seed) != (claim.id, seed):
            return
    except (KeyError, TypeError, ValueError, AttributeError):
        return  # of another version; it is measured again

    def report() -> None:
        item.user_properties.append(measurement.to_property())

    item.stash[STORED] = True
    item.setup = lambda: None  # type: ignore[method-assign]
    item.runtest = report  # type: ignore[method-assign]


def _key(item: Any, claim: Claim, seed: int) -> str:
    settings: Settings = item.config.stash[SETTINGS]
    functions = {definition.func for group in item._fixtureinfo.name2fixturedefs.values() for definition in group}
    functions |= {arm.intervention for arm in claim.arms.values() if callable(arm.intervention)}
    modules = {function.__module__ for function in functions} | {item.function.__module__}
    files = {function.__code__.co_filename for function in functions if hasattr(function, "__code__")}
    # A fixture may be asked for while the test runs, so every conftest on the way counts. Several of them share one
    # module name, so they count by file.
    for plugin in item.config.pluginmanager.get_plugins():
        file = getattr(plugin, "__file__", None)
        if file and Path(file).name == "conftest.py" and Path(file).parent in item.path.parents:
            files.add(file)
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    return measurement_key(
        {
            "claim": claim.digest,
            "seed": seed,
            "arms": recipes,
            "source": _source(item.config, tuple(sorted(modules)), tuple(sorted(files))),
            "device": settings.device,
            "torch": _torch_minor(),
        }
    )


def _source(config: pytest.Config, modules: tuple[str, ...], files: tuple[str, ...]) -> str:
    """The digest of modules and files, computed once a run."""
    known = config.stash.setdefault(_SOURCES, {})
    if (modules, files) not in known:
        known[modules, files] = source_digest(modules, files)
    return known[modules, files]


@functools.cache
def _torch_minor() -> str:
    """torch's minor version, without importing it; "" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return ".".join(version("torch").split(".")[:2])
    except PackageNotFoundError:
        return ""
