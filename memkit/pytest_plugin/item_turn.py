"""The turn of an item: when it may run, and what it reports if it need not run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from memkit.evidence.claim import Claim
from memkit.pytest_plugin.measurement import stored_measurement
from memkit.pytest_plugin.measurement_keys import figures_digest, key_of, once
from memkit.pytest_plugin.messages import messages_of
from memkit.pytest_plugin.seeds import planned_seeds
from memkit.pytest_plugin.settings import settings_of
from memkit.store.measurements import changed_files, stored_seeds

REPORT = pytest.StashKey[pytest.TestReport]()
"""The report of an item that is not run."""
CHANGED_FILE = pytest.StashKey[str]()
"""The file whose change invalidated an earlier measurement of an item, or ""."""
WARNINGS = pytest.StashKey[list[str]]()
"""The warnings to issue when the item runs."""
_POLL_INTERVAL = 0.05  # seconds


def await_turn(item: pytest.Item, claim: Claim, seed: int, *, on_poll: Callable[[], None]) -> None:
    """Wait until an item may run, or until it is certain that it need not run.

    Seeds of a later look wait for the verdict at the earlier one, and then for their models unless their measurement is
    in the store. The report of an item that need not run is in the item's stash, under ``REPORT``.

    Args:
        on_poll: called at each poll of the messages.
    """
    messages = messages_of(item.config)
    runs = {(arm.recipe.digest, seed) for arm in claim.arms.values() if arm.recipe is not None}
    store_checked = settings_of(item.config).fresh
    while True:
        messages.refresh()
        if reason := messages.settled.get(claim.id) or messages.close_reason:
            path, line, _ = item.location
            # In the reason for a skip, pytest counts lines from 1.
            item.stash[REPORT] = _report(item, "setup", "skipped", (path, (line or 0) + 1, f"Skipped: {reason}"))
            return
        if seed in messages.open_seeds.get(claim.id, ()):
            if not store_checked:
                store_checked = True
                store, key = settings_of(item.config).store_of_run, key_of(item, claim)
                planned = planned_seeds(item.config, claim)
                stored = once(item.config, ("stored", claim.id), partial(stored_seeds, store, key, planned))
                measurement = None
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    if seed in stored:
                        digest = figures_digest(item, claim, seed)
                        measurement = stored_measurement(key, claim, seed, store, figures_digest=digest)
                    else:
                        changed = once(item.config, ("changed", key), partial(changed_files, store, key))
                        item.stash[CHANGED_FILE] = changed.get(seed, "")
                if caught:
                    item.stash[WARNINGS] = [str(warning.message) for warning in caught]
                if measurement is not None:
                    item.user_properties.append(measurement.to_property())
                    item.stash[REPORT] = _report(item, "call", "passed")
                    return
            if not runs & messages.pending_runs:
                return
        on_poll()
        time.sleep(_POLL_INTERVAL)


def report_only(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Issue the report in an item's stash without running the item."""
    hook, report, state = item.ihook, item.stash[REPORT], item.session._setupstate
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    hook.pytest_runtest_logreport(report=report)
    teardown = None if report.skipped else _report(item, "teardown", "passed")
    if state.stack:  # fixtures of earlier items, for example of their module, that the next item does not use
        call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), when="teardown")
        if call.excinfo is not None:
            # Not through the hook, in which other plugins expect that the item was run.
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
