"""The last try of a seed: its measurement, or the reason why it has none."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from memkit.pytest_plugin.measurement import PROPERTY, Measurement


@dataclass
class Try:
    """The results so far of one try of a seed, of which there are several if a plugin runs a test again.

    Attributes:
        measurement: the measurement, once the test has returned one.
        failure: the reason why the try failed, or "".
        skipped: the reason why the test was skipped, or "".
        all_passed: whether all phases have passed so far.
    """

    measurement: Measurement | None = None
    failure: str = ""
    skipped: str = ""
    all_passed: bool = True

    def add_report(self, report: pytest.TestReport) -> None:
        """Add a report of the seed's item."""
        self.all_passed = self.all_passed and report.passed
        if report.failed:
            self.failure = self.failure or _reason(report)
        elif report.skipped and report.when == "teardown":
            self.failure = self.failure or f"its teardown was {_skip_reason(report)}"
        elif report.skipped:
            # A skipped subtest does not skip the test.
            self.skipped = self.skipped if hasattr(report, "context") else _skip_reason(report)
        elif report.when == "call" and report.passed:
            properties = dict(report.user_properties)
            if PROPERTY in properties:
                self.measurement = Measurement.from_json(json.loads(str(properties[PROPERTY])))


def _reason(report: pytest.TestReport) -> str:
    """Return the reason why a seed failed, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = _as_text(crash.message if crash is not None else str(report.longrepr))
    lines = [line for line in text.splitlines() if line.strip()]
    # pytest.fail() raises an exception called Failed, which adds nothing to its message.
    return lines[0].strip().removeprefix("Failed: ") if lines else "no reason was given"


def _skip_reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"xfail: {_as_text(str(report.wasxfail))}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped: {_as_text(reason).removeprefix('Skipped: ')}"


def _as_text(message: str) -> str:
    """Return a message that UTF-8 can encode; the original may contain, for example, an invalid file name."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")
