"""Measuring: a claim's test on one seed, with its trained arms; or what it measured before, from the store."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.evidence.claim import Claim, claim_of
from memkit.evidence.curves import thinned
from memkit.evidence.figures import Figure, drawn
from memkit.evidence.observation import plain
from memkit.pytest_plugin.board import Board
from memkit.pytest_plugin.keys import depends_on, drawn_by, key_of, once
from memkit.pytest_plugin.measurement import PROPERTY, Measurement, differ, stored_measurement
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import settings_of
from memkit.store.measurements import changed_files, save_measurement, stored_seeds

_BOARD = pytest.StashKey[Board]()
REPORT = pytest.StashKey[pytest.TestReport]()
"""What an item reports without being run."""
RUNS = pytest.StashKey[dict[str, Any]]()
MEASURED = pytest.StashKey[Measurement]()
"""What an item measured."""
_CHANGED = pytest.StashKey[str]()
_WARNINGS = pytest.StashKey[list[str]]()
_PATIENCE = 0.05  # seconds between two looks at the board


def board_of(config: pytest.Config) -> Board:
    """Return the board of a run; with workers, a file in the exchange folder."""
    if _BOARD not in config.stash:
        exchange = settings_of(config).exchange
        config.stash[_BOARD] = Board(Path(exchange) / "board.jsonl" if exchange else None)
    return config.stash[_BOARD]


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
    if functions := drawn_by(item, claim, seed):
        measurement = replace(measurement, figures=_figures(item, claim, seed), drawn_by=functions)
    if changed := item.stash.get(_CHANGED, ""):
        measurement = replace(measurement, changed=changed)
    item.stash[MEASURED] = measurement
    item.user_properties.append(_counted(item, claim, measurement).to_property())
    return True


def _counted(item: pytest.Item, claim: Claim, measurement: Measurement) -> Measurement:
    """What counts of a measurement: where there was an earlier one under its key, that one, and how they differ."""
    settings = settings_of(item.config)
    if not settings.fresh and not measurement.drawn_by:
        return measurement
    first = stored_measurement(key_of(item, claim), claim, measurement.seed, settings.store_of_run)
    if first is None or not differ(first.observations, measurement.observations):
        return measurement
    return replace(first, reused=False, figures=measurement.figures, again=measurement.observations)


def keep(item: pytest.Item, measurement: Measurement) -> str:
    """Store what an item measured; return the key if it is the first measurement under it, else "".

    One that differs from the first is stored too, and told of whenever the first is read.

    Raises:
        MemkitError: the store cannot be written.
    """
    claim = claim_of(item.function)  # type: ignore[attr-defined]
    assert claim is not None
    settings, key, seed = settings_of(item.config), key_of(item, claim), measurement.seed
    first = None
    if settings.fresh or measurement.drawn_by:
        first = stored_measurement(key, claim, seed, settings.store_of_run)
    if first is None or first.drawn_by != measurement.drawn_by or differ(first.observations, measurement.observations):
        depends = depends_on(item, claim, key, seed)
        content = measurement.to_stored()
        save_measurement(settings.store_of_run, key, seed, content, depends=depends, first=first is None)
    return key if first is None else ""


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
                        functions = drawn_by(item, claim, seed)
                        measurement = stored_measurement(key, claim, seed, store, drawn_by=functions)
                    else:
                        changed = once(item.config, ("changed", key), partial(changed_files, store, key))
                        item.stash[_CHANGED] = changed.get(seed, "")
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
