"""Stores what an item measured, once all that came after it has passed, too."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from memkit.errors import MemkitError, told
from memkit.evidence.claim_decorator import claim_of
from memkit.pytest_plugin.item_call import MEASURED
from memkit.pytest_plugin.measurement import Measurement, differ, stored_measurement
from memkit.pytest_plugin.measurement_keys import depends_on, key_of
from memkit.pytest_plugin.settings import settings_of
from memkit.store.measurements import forget_measurement, save_measurement


class MeasurementKeeper:
    """Stores the measurement of an item when its protocol ends.

    A test may still fail after its function has returned: by a subtest, by the teardown of a fixture, by a plugin that
    changes its report. Taken from the store, its measurement would pass the next time. A test that is run again counts
    as it ended at last.

    A fixture of a class, a module or the session may be torn down only while an item is reported that was not run; if
    that fails, what this process has kept is forgotten, for nobody knows what rested on the fixture.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._unsound: set[str] = set()
        self._kept: list[tuple[str, int]] = []
        self._ran = ""

    @pytest.hookimpl(trylast=True)  # after whoever changes a report
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what did not pass, from the setup of the last try on."""
        if report.when == "setup":
            self._unsound.discard(report.nodeid)
            self._ran = report.nodeid if report.passed else self._ran
        if report.outcome != "passed":
            self._unsound.add(report.nodeid)
        if report.failed and report.when == "teardown" and report.nodeid != self._ran:
            for key, seed in self._kept:
                forget_measurement(settings_of(self.config).store_of_run, key, seed)
            self._kept.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Store what the item measured."""
        result = yield
        found = item.stash.get(MEASURED, None)
        if found is not None:
            del item.stash[MEASURED]  # there may be very many
            if item.nodeid not in self._unsound:
                try:
                    if key := _keep(item, found):
                        self._kept.append((key, found.seed))
                except MemkitError as error:  # it counts all the same; it is made again the next time
                    told(str(error))
        self._unsound.discard(item.nodeid)
        return result


def _keep(item: pytest.Item, measurement: Measurement) -> str:
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
