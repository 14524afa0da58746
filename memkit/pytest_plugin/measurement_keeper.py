"""Stores the measurement of an item once the whole item, including its teardown, has passed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from memkit.errors import MemkitError, warn
from memkit.evidence.claim_decorator import claim_of
from memkit.pytest_plugin.item_call import MEASUREMENT
from memkit.pytest_plugin.measurement import Measurement, differ, stored_measurement
from memkit.pytest_plugin.measurement_keys import file_dependencies, key_of
from memkit.pytest_plugin.settings import settings_of
from memkit.store.measurements import revoke_measurement, save_measurement


class MeasurementKeeper:
    """A plugin that stores the measurement of an item when its protocol ends.

    A test may still fail after its function has returned: in a subtest, in the teardown of a fixture, or because a
    plugin changes its report. If its measurement had been stored before, the next run would pass. If a test is run
    again, its last try counts.

    The fixture of a class, a module or the session may be torn down during the report of an item that was not run. If
    that teardown fails, all measurements that this process has stored are removed, since any of them may depend on the
    fixture.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._not_passed: set[str] = set()
        self._saved: list[tuple[str, int]] = []
        self._last_run = ""

    @pytest.hookimpl(trylast=True)  # after plugins that change a report
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record items that did not pass, from the setup of their last try on."""
        if report.when == "setup":
            self._not_passed.discard(report.nodeid)
            self._last_run = report.nodeid if report.passed else self._last_run
        if report.outcome != "passed":
            self._not_passed.add(report.nodeid)
        if report.failed and report.when == "teardown" and report.nodeid != self._last_run:
            for key, seed in self._saved:
                revoke_measurement(settings_of(self.config).store_of_run, key, seed)
            self._saved.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Store the measurement of the item if the whole item has passed."""
        result = yield
        measurement = item.stash.get(MEASUREMENT, None)
        if measurement is not None:
            del item.stash[MEASUREMENT]  # saves memory, since a run may have very many items
            if item.nodeid not in self._not_passed:
                try:
                    if key := _save(item, measurement):
                        self._saved.append((key, measurement.seed))
                except MemkitError as error:  # the measurement counts in this run, and is repeated in the next one
                    warn(str(error))
        self._not_passed.discard(item.nodeid)
        return result


def _save(item: pytest.Item, measurement: Measurement) -> str:
    """Store the measurement of an item; return its key if it is the first one under this key, else "".

    A later measurement that differs from the first is stored too, and reported whenever the first one is read.

    Raises:
        MemkitError: the store cannot be written, or the item has opened too many files.
    """
    claim = claim_of(item.function)  # type: ignore[attr-defined]
    assert claim is not None
    settings, key, seed = settings_of(item.config), key_of(item, claim), measurement.seed
    first = None
    if settings.fresh or measurement.figures_digest:
        first = stored_measurement(key, claim, seed, settings.store_of_run)
    if (
        first is None
        or first.figures_digest != measurement.figures_digest
        or differ(first.observations, measurement.observations)
    ):
        depends = file_dependencies(item, claim, key, seed)
        content = measurement.to_stored()
        save_measurement(settings.store_of_run, key, seed, content, depends=depends, first=first is None)
    return key if first is None else ""
