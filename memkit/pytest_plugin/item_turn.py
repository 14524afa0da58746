"""An item's turn: when it may run, and what it reports if it need not, its measurement being in the store, say."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from memkit.evidence.claim import Claim
from memkit.pytest_plugin.measurement import stored_measurement
from memkit.pytest_plugin.measurement_keys import drawn_by, key_of, once
from memkit.pytest_plugin.messages import messages_of
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import settings_of
from memkit.store.measurements import changed_files, stored_seeds

REPORT = pytest.StashKey[pytest.TestReport]()
"""The report of an item that is not run."""
CHANGED = pytest.StashKey[str]()
"""The file whose change made an earlier measurement of an item useless, or ""."""
WARNINGS = pytest.StashKey[list[str]]()
"""The warnings to issue when the item runs."""
_PATIENCE = 0.05  # seconds between two looks at the messages


def await_turn(item: pytest.Item, claim: Claim, seed: int, *, meanwhile: Callable[[], None]) -> None:
    """Wait until an item may run, or need not: then its report is in the item's stash under ``REPORT``.

    Seeds of a later look wait for the verdict of the earlier one, and then for their models, unless their
    measurement is in the store.

    Args:
        meanwhile: called while it waits.
    """
    messages = messages_of(item.config)
    runs = {(arm.recipe.digest, seed) for arm in claim.arms.values() if arm.recipe is not None}
    looked = settings_of(item.config).fresh
    while True:
        messages.refresh()
        if reason := messages.settled.get(claim.id) or messages.closed:
            path, line, _ = item.location
            # In reasons for skipping, pytest counts lines from 1.
            item.stash[REPORT] = _report(item, "setup", "skipped", (path, (line or 0) + 1, f"Skipped: {reason}"))
            return
        if seed in messages.opened.get(claim.id, ()):
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
                        item.stash[CHANGED] = changed.get(seed, "")
                if caught:
                    item.stash[WARNINGS] = [str(warning.message) for warning in caught]
                if measurement is not None:
                    item.user_properties.append(measurement.to_property())
                    item.stash[REPORT] = _report(item, "call", "passed")
                    return
            if not runs & messages.pending:
                return
        meanwhile()
        time.sleep(_PATIENCE)


def report_only(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Issue the report in an item's stash, and run nothing."""
    hook, report, state = item.ihook, item.stash[REPORT], item.session._setupstate
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    hook.pytest_runtest_logreport(report=report)
    teardown = None if report.skipped else _report(item, "teardown", "passed")
    if state.stack:  # what earlier items have set up, in their module, say, and the next item has no use for
        call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), when="teardown")
        if call.excinfo is not None:
            # Not through the hook: other plugins expect there that the item was run.
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
