"""Measuring: a claim's test on one seed, with its trained arms; or what it measured before, from the store."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.evidence.claim import Claim, claim_of
from memkit.evidence.curves import thinned
from memkit.evidence.derived import scoring_of
from memkit.evidence.figures import Figure, drawn, figure_from_json
from memkit.evidence.observation import Observation, observe
from memkit.pytest_plugin.board import Board
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.source import callable_digest, is_installed, source_digest
from memkit.training.checked import curve, finite, part, seconds, whole, why
from memkit.training.measurements import load_measurement, measurement_key, stored_seeds
from memkit.training.store import Store

T = TypeVar("T")

PROPERTY = "memkit.measurement"
_BOARD = pytest.StashKey[Board]()
REPORT = pytest.StashKey[pytest.TestReport]()
"""What an item reports without being run."""
RUNS = pytest.StashKey[dict[str, Any]]()
MEASURED = pytest.StashKey[tuple[str, "Measurement"]]()
"""What an item measured, and the key that it is stored under."""
_WARNINGS = pytest.StashKey[list[str]]()
_KNOWN = pytest.StashKey[dict[tuple[Hashable, ...], Any]]()
_PATIENCE = 0.05  # seconds between two looks at the board


def board_of(config: pytest.Config) -> Board:
    """Return the board of a run; with workers, a file in the exchange folder."""
    if _BOARD not in config.stash:
        exchange = settings_of(config).exchange
        config.stash[_BOARD] = Board(Path(exchange) / "board.jsonl" if exchange else None)
    return config.stash[_BOARD]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one item showed; it travels to the controller as JSON in the report's user properties.

    Attributes:
        arms: arm → digest of the trained run, its metrics, and its learning curve.
        figures: what the claim's figure functions made of the first seed.
        cpu_seconds: what the test itself took.
        reused: it came from the store.
    """

    claim: str
    seed: int
    observations: tuple[Observation, ...]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    cpu_seconds: float = 0.0
    reused: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "claim": self.claim,
            "seed": self.seed,
            "observations": [observation.to_json() for observation in self.observations],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
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
            arms={str(name): _checked(arm) for name, arm in data["arms"].items()},
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            cpu_seconds=seconds(data["cpu_seconds"]),
            reused=reused or bool(data.get("reused")),
        )

    def to_property(self) -> tuple[str, str]:
        """The user property of the report."""
        return PROPERTY, json.dumps({**self.to_json(), "reused": self.reused})


def _checked(arm: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is stored of an arm, once it is what is computed with later; a store is data from elsewhere.

    Raises:
        ValueError: it has another form.
    """
    for name in ("parameters", "steps"):
        whole(arm[name])
    whole(arm.get("state_size", 0))
    seconds(arm["cpu_seconds"])
    for name in ("digest", "diverged"):
        part(arm, name, str)
    for name in {"tuning", "trained_on"} & arm.keys():
        part(arm, name, str)
    curve(arm.get("curve", []), lambda loss: None if loss is None else finite(loss))
    return dict(arm)


def call(item: pytest.Function) -> bool | None:
    """Run a claim's test and keep what it returned; None for other tests."""
    claim = claim_of(item.function)
    if claim is None:
        return None
    seed: int = item.callspec.params["seed"]  # type: ignore[assignment]
    for text in item.stash.get(_WARNINGS, ()):
        told(text)
    # A test that is run again counts as it ended at last.
    if MEASURED in item.stash:
        del item.stash[MEASURED]
    item.user_properties[:] = [(name, value) for name, value in item.user_properties if name != PROPERTY]
    started = time.process_time()
    returned = item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames})
    took = time.process_time() - started
    runs = item.stash.get(RUNS, {})
    diverged = {name: run.diverged for name, run in runs.items() if run.diverged}
    refusal, figures = "", tuple[Figure, ...]()
    try:
        observations = observe(claim, seed, returned, diverged=diverged)
    except MemkitError as error:
        refusal = str(error)
    if claim.figures and not refusal and seed == planned_seeds(item.config, claim)[0]:
        figures = _figures(item, claim, seed)
    if refusal:  # outside of the except block, or pytest prints both exceptions
        pytest.fail(refusal, pytrace=False)
    measurement = Measurement(
        claim=claim.id,
        seed=seed,
        observations=observations,
        arms={
            name: {
                **run.metrics,
                "digest": claim.arms[name].recipe.digest,
                "diverged": run.diverged,
                "tuning": claim.arms[name].recipe.tuning,
                "trained_on": _elsewhere(item, claim.arms[name].recipe.digest, seed),
                "curve": thinned(run.history),
            }
            for name, run in runs.items()
        },
        figures=figures,
        cpu_seconds=round(took, 3),
    )
    item.stash[MEASURED] = (key_of(item, claim), measurement)
    item.user_properties.append(measurement.to_property())
    return True


def _elsewhere(item: pytest.Item, digest: str, seed: int) -> str:
    """The device that a run was trained on, where that is another than the one that measures it; else ""."""
    settings = settings_of(item.config)
    device = str(settings.store_of_run.made(digest, seed).get("device", ""))
    return "" if device == settings.device else device


def _figures(item: Any, claim: Claim, seed: int) -> tuple[Figure, ...]:
    """What the claim shows beside its verdict: one that cannot be drawn is told of, and decides nothing either."""
    try:
        return drawn(
            claim.figures,
            f"claim {claim.id!r}",
            arms=item.funcargs.get("arms", {}),
            seed=seed,
            trained=item.stash.get(RUNS, {}),
        )
    except Exception as error:
        text = str(error) if isinstance(error, MemkitError) else f"claim {claim.id!r}: a figure raised {error!r}"
        warnings.warn(text, MemkitWarning, stacklevel=2)
        return ()


def stored_measurement(key: str, claim: Claim, seed: int, store: Store) -> Measurement | None:
    """The measurement of a seed in the store; None where there is none, or, with a warning, where it is damaged."""
    data = load_measurement(store, key, seed)
    if data is None:
        return None
    try:
        measurement = Measurement.from_json(data, reused=True)
        _check_fit(measurement, claim, seed)
    except Exception as error:  # whatever is made of what may come from elsewhere
        wrong = f"the stored measurement of seed {seed} of the claim {claim.id!r} {why(error)}"
        warnings.warn(f"{wrong}; it is measured again", MemkitWarning, stacklevel=2)
        return None
    return measurement


def _check_fit(measurement: Measurement, claim: Claim, seed: int) -> None:
    """See that a measurement is one of a claim on a seed.

    Raises:
        ValueError: it is another's; a number is missing, or out of bounds.
    """
    rows = measurement.observations
    if (measurement.claim, measurement.seed) != (claim.id, seed) or any(row.seed != seed for row in rows):
        raise ValueError("it is of another claim or seed")
    found: dict[str, dict[str, float]] = {row.arm: {} for row in rows}
    for row in rows:
        found[row.arm][row.metric] = row.value
        if math.isfinite(row.value) == bool(row.reason):
            raise ValueError(f"{row.metric} of {row.arm!r} is neither a number nor missing for a reason")
    if len(observe(claim, seed, found)) != len(rows):
        raise ValueError("a number is there twice")
    for name in measurement.arms:
        if name not in claim.arms or claim.arms[name].recipe is None:
            raise ValueError(f"{name!r} is no arm that is trained")


def await_turn(item: pytest.Item, claim: Claim, seed: int, *, meanwhile: Callable[[], None]) -> None:
    """Wait until an item may run, or need not: then its report is in the item's stash under ``REPORT``.

    Seeds of a later look wait for the verdict of the earlier one, and then for their models, unless their
    measurement is in the store.

    Args:
        meanwhile: called while it waits.
    """
    board = board_of(item.config)
    runs = {(arm.recipe.digest, seed) for arm in claim.arms.values() if arm.recipe is not None}
    looked = settings_of(item.config).fresh
    while True:
        board.refresh()
        if reason := board.settled.get(claim.id) or board.closed:
            path, line, _ = item.location
            # As pytest counts lines in the reasons for skipping.
            item.stash[REPORT] = _report(item, "setup", "skipped", (path, (line or 0) + 1, f"Skipped: {reason}"))
            return
        if seed in board.opened.get(claim.id, ()):
            if not looked:
                looked = True
                store, key = settings_of(item.config).store_of_run, key_of(item, claim)
                planned = planned_seeds(item.config, claim)
                stored = once(item.config, ("stored", claim.id), partial(stored_seeds, store, key, planned))
                measurement = None
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    if seed in stored:
                        measurement = stored_measurement(key, claim, seed, store)
                if caught:  # told when the test runs
                    item.stash[_WARNINGS] = [str(warning.message) for warning in caught]
                if measurement is not None:
                    item.user_properties.append(measurement.to_property())
                    item.stash[REPORT] = _report(item, "call", "passed")
                    return
            if not runs & board.pending:
                return
        meanwhile()
        time.sleep(_PATIENCE)


def report_only(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Report for an item what stands in its stash, and run nothing."""
    hook, report, state = item.ihook, item.stash[REPORT], item.session._setupstate
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    hook.pytest_runtest_logreport(report=report)
    teardown = None if report.skipped else _report(item, "teardown", "passed")
    if state.stack:  # what earlier items have set up, in their module, say, and the next item has no use for
        call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), when="teardown")
        if call.excinfo is not None:
            # Not by the hook: other plugins expect that the item was run.
            teardown = pytest.TestReport.from_item_and_call(item, call)
    if teardown is not None:
        hook.pytest_runtest_logreport(report=teardown)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _report(item: pytest.Item, when: Any, outcome: Any, longrepr: Any = None) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        user_properties=item.user_properties,
    )


def key_of(item: Any, claim: Claim) -> str:
    """The key of a claim's measurements."""
    return once(item.config, ("key", claim.id), lambda: _make_key(item, claim))


def once(config: pytest.Config, name: tuple[Hashable, ...], make: Callable[[], T]) -> T:
    """What ``make`` returns, computed once a run for each name."""
    known = config.stash.setdefault(_KNOWN, {})
    if name not in known:
        known[name] = make()
    found: T = known[name]
    return found


def _make_key(item: Any, claim: Claim) -> str:
    settings: Settings = settings_of(item.config)
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    content = {
        "claim": [claim.id, claim.digest],  # claims of two ids may test the same
        "arms": recipes,
        "source": _source_of(item, claim),
        "device": settings.device,
        "torch": _minor("torch"),
    }
    if any(arm.recipe.backend == "mlx" for arm in claim.arms.values() if arm.recipe is not None):
        content["mlx"] = _minor("mlx")
    return measurement_key(content)


def code_of(item: Any, claim: Claim) -> str:
    """16 hex digits for the code behind a claim, on any machine: its recipes', its fixtures' and interventions'."""
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    return measurement_key({"arms": recipes, "source": _source_of(item, claim)})[:16]


def _source_of(item: Any, claim: Claim) -> str:
    """The digest of every module that a test's fixtures, interventions and figures are made of."""
    return once(item.config, ("source of", claim.id), lambda: _code_behind(item, claim))


def _code_behind(item: Any, claim: Claim) -> str:
    functions = {definition.func for group in item._fixtureinfo.name2fixturedefs.values() for definition in group}
    functions = {function for function in functions if not is_installed(function.__code__.co_filename)}
    given = [arm.intervention for arm in claim.arms.values() if callable(arm.intervention)] + list(claim.figures)
    functions |= set(given)
    if (scoring := scoring_of(item.function)) is not None:
        functions |= {type(scoring), scoring.score}
    modules = {function.__module__ for function in functions} | {item.function.__module__}
    files = {function.__code__.co_filename for function in functions if hasattr(function, "__code__")}
    files |= _conftests(item.config, item.path.parent)
    return _source(item.config, tuple(sorted(modules)), tuple(sorted(files))) + "".join(map(callable_digest, given))


def _conftests(config: pytest.Config, folder: Path) -> set[str]:
    """Every conftest on the way to a folder: a fixture may be asked for while the test runs.

    Several of them share one module name, so they count by file.
    """

    def found() -> set[str]:
        files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
        above = {folder, *folder.parents}
        return {file for file in files if file and Path(file).name == "conftest.py" and Path(file).parent in above}

    return once(config, ("conftests", folder), found)


def _source(config: pytest.Config, modules: tuple[str, ...], files: tuple[str, ...]) -> str:
    """The digest of modules and files."""
    return once(config, ("source", modules, files), lambda: source_digest(modules, files))


@cache
def _minor(package: str) -> str:
    """A package's minor version, without importing it; "" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return ".".join(version(package).split(".")[:2])
    except PackageNotFoundError:
        return ""
