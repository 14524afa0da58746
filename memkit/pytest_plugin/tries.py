"""The last try of a claim's seed: its measurement, or why it has none."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from memkit.pytest_plugin.measurement import PROPERTY, Measurement


@dataclass
class Try:
    """The result so far of the last try of a seed; a plugin may run a test again.

    Attributes:
        sound: everything has passed so far.
    """

    measurement: Measurement | None = None
    failure: str = ""
    skipped: str = ""
    sound: bool = True

    def take(self, report: pytest.TestReport) -> None:
        """Take what a report of the seed's item says."""
        self.sound = self.sound and report.passed
        if report.failed:
            self.failure = self.failure or _reason(report)
        elif report.skipped and report.when == "teardown":
            self.failure = self.failure or f"its teardown was {_skip_reason(report)}"
        elif report.skipped:
            # A subtest that is skipped is a matter of the test.
            self.skipped = self.skipped if hasattr(report, "context") else _skip_reason(report)
        elif report.when == "call" and report.passed:
            properties = dict(report.user_properties)
            if PROPERTY in properties:
                self.measurement = Measurement.from_json(json.loads(str(properties[PROPERTY])))


def _reason(report: pytest.TestReport) -> str:
    """Return why a seed failed, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = _as_text(crash.message if crash is not None else str(report.longrepr))
    lines = [line for line in text.splitlines() if line.strip()]
    # pytest.fail() raises an exception called Failed, whose message says enough.
    return lines[0].strip().removeprefix("Failed: ") if lines else "no reason was given"


def _skip_reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"xfail: {_as_text(str(report.wasxfail))}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped: {_as_text(reason).removeprefix('Skipped: ')}"


def _as_text(said: str) -> str:
    """Return a message that can be encoded: it may hold a name that is not valid text."""
    return said.encode("utf-8", "backslashreplace").decode("utf-8")
