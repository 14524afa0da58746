"""Measuring: a claim's test on one seed, with its trained arms; or what it measured before, from the store."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.evidence.claim import Claim, claim_of
from memkit.evidence.curves import thinned
from memkit.evidence.derived import scoring_of
from memkit.evidence.figures import Figure, drawn, figure_from_json
from memkit.evidence.observation import Observation, observe, plain
from memkit.pytest_plugin.board import Board
from memkit.pytest_plugin.others import unusual_plugins
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.pytest_plugin.watching import files_opened, from_the_start, opened_of
from memkit.source import (
    callable_digest,
    file_digest,
    is_installed,
    reused_claims,
    source_digest,
    source_files,
)
from memkit.training.checked import curve, finite, number, part, seconds, whole, why
from memkit.training.measurements import (
    changed_file,
    forget_measurement,
    known_files,
    load_measurement,
    measurement_key,
    save_measurement,
    stored_seeds,
)
from memkit.training.store import Store
from memkit.versions import versions_behind

T = TypeVar("T")

PROPERTY = "memkit.measurement"
_BOARD = pytest.StashKey[Board]()
REPORT = pytest.StashKey[pytest.TestReport]()
"""What an item reports without being run."""
RUNS = pytest.StashKey[dict[str, Any]]()
MEASURED = pytest.StashKey["Measurement"]()
"""What an item measured."""
_CHANGED = pytest.StashKey[str]()
_RECORDS = pytest.StashKey[dict[tuple[str, int], dict[str, str]]]()
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
        returned: what the test returned, in plain numbers: all that is stored of it, since bounds, divergence and
            contrasts may change without a need to measure again.
        arms: arm → digest of the trained run, its metrics, and its learning curve.
        figures: what the claim's figure functions made of the first seed.
        drawn_by: digest of these functions; "" where there are none, or it is another seed.
        cpu_seconds: what the test itself took.
        reused: it came from the store.
        changed: the file for whose sake an earlier measurement was of no use any more, or "".
        again: observations of a second measurement under the same key, where it differs from this one, the first.
    """

    claim: str
    seed: int
    returned: Mapping[str, Any]
    observations: tuple[Observation, ...]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    drawn_by: str = ""
    cpu_seconds: float = 0.0
    reused: bool = False
    changed: str = ""
    again: tuple[Observation, ...] = ()

    @classmethod
    def of(
        cls,
        claim: Claim,
        seed: int,
        returned: Mapping[str, Any],
        *,
        arms: Mapping[str, Mapping[str, Any]],
        figures: tuple[Figure, ...] = (),
        drawn_by: str = "",
        cpu_seconds: float = 0.0,
        reused: bool = False,
    ) -> Measurement:
        """Make a measurement of what a test returned.

        Raises:
            MemkitError: it is not what the claim needs.
        """
        diverged = {name: str(arm["diverged"]) for name, arm in arms.items() if arm["diverged"]}
        return cls(
            claim=claim.id,
            seed=seed,
            returned=returned,
            observations=observe(claim, seed, returned, diverged=diverged),
            arms=arms,
            figures=figures,
            drawn_by=drawn_by,
            cpu_seconds=cpu_seconds,
            reused=reused,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain types, as a run hands them on."""
        return {
            "claim": self.claim,
            "seed": self.seed,
            "observations": [observation.to_json() for observation in self.observations],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "cpu_seconds": self.cpu_seconds,
            "reused": self.reused,
            "changed": self.changed,
            "again": [observation.to_json() for observation in self.again],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what :meth:`to_json` wrote."""
        claim = str(data["claim"])
        return cls(
            claim=claim,
            seed=int(data["seed"]),
            returned={},
            observations=tuple(Observation.from_json(claim, row) for row in data["observations"]),
            arms=data["arms"],
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            cpu_seconds=float(data["cpu_seconds"]),
            reused=bool(data["reused"]),
            changed=str(data["changed"]),
            again=tuple(Observation.from_json(claim, row) for row in data["again"]),
        )

    def to_stored(self) -> dict[str, Any]:
        """Return plain types, as the store keeps them under a key that says of which test and seed they are."""
        return {
            "returned": dict(self.returned),
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "drawn_by": self.drawn_by,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_stored(cls, data: Mapping[str, Any], claim: Claim, seed: int) -> Measurement:
        """Read what :meth:`to_stored` wrote, as a measurement of a claim.

        Raises:
            MemkitError: the claim needs something else by now.
            Exception: it has another form; a store is data from elsewhere.
        """
        arms = {str(name): _checked(arm) for name, arm in data["arms"].items()}
        for name in arms:
            if name not in claim.arms or claim.arms[name].recipe is None:
                raise ValueError(f"{name!r} is no arm that is trained")
        return cls.of(
            claim,
            seed,
            {str(name): _number_or_numbers(value) for name, value in part(data, "returned", dict).items()},
            arms=arms,
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            drawn_by=part(data, "drawn_by", str),
            cpu_seconds=seconds(data["cpu_seconds"]),
            reused=True,
        )

    def to_property(self) -> tuple[str, str]:
        """The user property of the report."""
        return PROPERTY, json.dumps(self.to_json())


def _number_or_numbers(value: Any) -> float | dict[str, float]:
    """What a test returned under a name, as the store keeps it.

    Raises:
        ValueError: it has another form.
    """
    return {metric: number(one) for metric, one in value.items()} if isinstance(value, dict) else number(value)


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
    arms = {
        name: {
            **run.metrics,
            "digest": claim.arms[name].recipe.digest,
            "diverged": run.diverged,
            "tuning": claim.arms[name].recipe.tuning,
            "trained_on": _elsewhere(item, claim.arms[name].recipe.digest, seed),
            "curve": thinned(run.history),
        }
        for name, run in runs.items()
    }
    refusal = ""
    try:
        measurement = Measurement.of(claim, seed, plain(claim, seed, returned), arms=arms, cpu_seconds=round(took, 3))
    except MemkitError as error:
        refusal = str(error)
    if refusal:  # outside of the except block, or pytest prints both exceptions
        pytest.fail(refusal, pytrace=False)
    if drawn_by := _drawn_by(item, claim, seed):
        measurement = replace(measurement, figures=_figures(item, claim, seed), drawn_by=drawn_by)
    if changed := item.stash.get(_CHANGED, ""):
        measurement = replace(measurement, changed=changed)
    item.stash[MEASURED] = measurement
    item.user_properties.append(_counted(item, claim, measurement).to_property())
    return True


def _counted(item: pytest.Item, claim: Claim, measurement: Measurement) -> Measurement:
    """What counts of a measurement: where there was an earlier one under its key, that one, and how they differ."""
    settings = settings_of(item.config)
    if not settings.fresh:
        return measurement
    first = stored_measurement(key_of(item, claim), claim, measurement.seed, settings.store_of_run)
    if first is None or not _differ(first.observations, measurement.observations):
        return measurement
    return replace(first, reused=False, figures=measurement.figures, again=measurement.observations)


def _differ(some: tuple[Observation, ...], others: tuple[Observation, ...]) -> bool:
    """Whether two measurements differ; repr writes every digit of a number, and nan."""
    return sorted(repr(o.to_json()) for o in some) != sorted(repr(o.to_json()) for o in others)


def keep(item: pytest.Item, measurement: Measurement) -> str:
    """Store what an item measured, and return the key; the first measurement under a key stays.

    Raises:
        MemkitError: the store cannot be written.
    """
    claim = claim_of(item.function)  # type: ignore[attr-defined]
    assert claim is not None
    settings, key = settings_of(item.config), key_of(item, claim)
    store, seed = settings.store_of_run, measurement.seed
    if settings.fresh or measurement.drawn_by:
        first = stored_measurement(key, claim, seed, store)
        if first is not None and first.drawn_by == measurement.drawn_by:
            return key
        if first is not None:  # it differs by its figures, if by anything
            measurement = replace(first, figures=measurement.figures, drawn_by=measurement.drawn_by)
            forget_measurement(store, key, seed)
    depends = _depends(item, claim, key, seed)
    save_measurement(store, key, seed, measurement.to_stored(), depends=depends)
    return key


def _depends(item: pytest.Item, claim: Claim, key: str, seed: int) -> dict[str, str]:
    """What a measurement of an item depends on beside its key: files, with their checksums."""
    settings = settings_of(item.config)
    store, files = settings.store_of_run, settings.files
    opened = opened_of(item.config)
    found: dict[str, str] = {}
    for arm in claim.arms.values():
        if arm.recipe is not None:
            found |= store.depends(arm.recipe.digest, seed)
    # Most items open nothing new, and there are very many.
    known = item.config.stash.setdefault(_RECORDS, {})
    name = (claim.id, opened.count)
    if name not in known:
        covered = [str(file) for file in _covered(item, claim)]
        known[name] = files.record(opened, files_opened(item, covered))
    before = once(item.config, ("known files", key), lambda: known_files(store, key))
    return {**before, **found, **known[name]}


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


def stored_measurement(
    key: str, claim: Claim, seed: int, store: Store, *, drawn_by: str | None = None
) -> Measurement | None:
    """Return the measurement of a seed in the store, or None; with a warning where it is damaged.

    Args:
        drawn_by: digest of the functions that its figures must be made by; None takes any.
    """
    data = load_measurement(store, key, seed)
    if data is None:
        return None
    try:
        measurement = Measurement.from_stored(data, claim, seed)
    except MemkitError:  # the claim needs other names or bounds by now, as the test will say
        return None
    except Exception as error:  # whatever is made of what may come from elsewhere
        wrong = f"the stored measurement of seed {seed} of the claim {claim.id!r} {why(error)}"
        forget_measurement(store, key, seed)
        warnings.warn(f"{wrong}; it is measured again", MemkitWarning, stacklevel=2)
        return None
    return measurement if drawn_by in (None, measurement.drawn_by) else None


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
                        drawn_by = _drawn_by(item, claim, seed)
                        measurement = stored_measurement(key, claim, seed, store, drawn_by=drawn_by)
                    elif changed := changed_file(store, key, seed):
                        item.stash[_CHANGED] = changed
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
    functions = _functions(item, claim)
    covered = _covered(item, claim)
    arms = {
        name: [
            arm.recipe.digest if arm.recipe is not None else None,
            callable_digest(arm.intervention) if callable(arm.intervention) else arm.intervention,
        ]
        for name, arm in claim.arms.items()
    }
    content = {
        "form": 2,
        "test": claim.test,
        "cell": dict(claim.cell),
        "arms": arms,
        "source": _source(item.config, *_sources(item, functions)),
        "packages": once(item.config, ("packages", covered), lambda: _packages_of(covered)),
        "reused": once(item.config, ("reused", covered), lambda: reused_claims(covered)),
        "versions": _versions(item.config, claim, covered),
        "device": settings.device,
        "plugins": once(item.config, ("plugins",), lambda: unusual_plugins(item.config)),
        "watched": from_the_start(item.config),
        "data": {name: settings.files.folder_checksum(name) for name in claim.data},
        "environment": {name: _hidden(os.environ.get(name)) for name in claim.environment},
    }
    return measurement_key(content)


def _versions(config: pytest.Config, claim: Claim, covered: tuple[Path, ...]) -> dict[str, str]:
    """The versions behind a claim's test, and behind its recipes."""

    def behind(modules: tuple[str, ...]) -> dict[str, str]:
        return once(config, ("versions", modules), lambda: versions_behind(source_files(modules)))

    found = once(config, ("versions", covered), lambda: versions_behind(covered))
    for arm in claim.arms.values():
        if arm.recipe is not None:
            found = {**found, **behind(arm.recipe.modules)}
    return found


def _hidden(value: str | None) -> str | None:
    """A variable may be a secret."""
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _packages_of(covered: tuple[Path, ...]) -> list[str]:
    """The code of the files that make packages of folders: it runs when a module in them is imported."""
    return [file_digest(file) for file in covered if file.name == "__init__.py"]


def code_of(item: Any, claim: Claim) -> str:
    """16 hex digits for the code behind a claim, on any machine: its recipes', its fixtures' and interventions'."""
    recipes = {name: arm.recipe.digest for name, arm in claim.arms.items() if arm.recipe is not None}
    given = [arm.intervention for arm in claim.arms.values() if callable(arm.intervention)] + list(claim.figures)
    functions = _functions(item, claim) | set(given)
    source = _source(item.config, *_sources(item, functions)) + "".join(map(callable_digest, given))
    return measurement_key({"arms": recipes, "source": source})[:16]


def _drawn_by(item: Any, claim: Claim, seed: int) -> str:
    """The digest of a claim's figure functions, where it is the seed that they draw; else ""."""
    if not claim.figures or seed != planned_seeds(item.config, claim)[0]:
        return ""
    modules = tuple(sorted({figure.__module__ for figure in claim.figures}))
    files = tuple(sorted({figure.__code__.co_filename for figure in claim.figures if hasattr(figure, "__code__")}))
    return measurement_key(
        {"source": _source(item.config, modules, files), "figures": list(map(callable_digest, claim.figures))}
    )


def _functions(item: Any, claim: Claim) -> set[Callable[..., Any]]:
    """What a claim's test is measured by: fixtures of the project, interventions, and a staged study's score."""
    functions = {definition.func for group in item._fixtureinfo.name2fixturedefs.values() for definition in group}
    functions = {function for function in functions if not is_installed(function.__code__.co_filename)}
    functions |= {arm.intervention for arm in claim.arms.values() if callable(arm.intervention)}
    if (scoring := scoring_of(item.function)) is not None:
        functions |= {type(scoring), scoring.score}
    return functions


def _sources(item: Any, functions: set[Callable[..., Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules and files that functions and their test are defined in, and every conftest that may count."""
    modules = {function.__module__ for function in functions} | {item.function.__module__}
    files = {function.__code__.co_filename for function in functions if hasattr(function, "__code__")}
    files |= _conftests(item.config, item.path.parent)
    return tuple(sorted(modules)), tuple(sorted(files))


def _covered(item: Any, claim: Claim) -> tuple[Path, ...]:
    """The files of code that the key of a claim's measurements covers."""
    modules, files = _sources(item, _functions(item, claim))
    return once(item.config, ("covered", modules, files), lambda: tuple(source_files(modules, files)))


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
