"""Verdicts as test reports, ``…::test_x[verdict]``, so that the exit code, JUnit, pytest-html and ``-r`` count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pytest

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports.tables import terminal_table
from memkit.pytest_plugin.absence import AbsentClaim
from memkit.pytest_plugin.interruption import discard_output_if_closed

_PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")


class FailureMessage:
    """The reason why a claim failed, with the attributes and methods of the failures that pytest prints."""

    def __init__(self, text: str, path: str, lineno: int) -> None:
        self.reprcrash = _Crash(text, path, lineno)

    def toterminal(self, tw: Any) -> None:
        """Print to a terminal writer."""
        tw.line(self.reprcrash.message, red=True)

    def __str__(self) -> str:
        return self.reprcrash.message


class VerdictFailureMessage(FailureMessage):
    """The reason why a verdict failed: one sentence, and the claim's lines of the verdict table."""

    def __init__(self, entry: ClaimEvidence, path: str, lineno: int) -> None:
        super().__init__(f"{entry.claim.id}: {entry.gate.reason}", path, lineno)
        self.entry = entry

    def toterminal(self, tw: Any) -> None:
        """Print to a terminal writer."""
        super().toterminal(tw)
        tw.line(f"  «{self.entry.claim.statement}»")
        for line in terminal_table([self.entry], width=100, colour=False):
            tw.line(line)


class _Crash:
    def __init__(self, message: str, path: str, lineno: int) -> None:
        self.message, self.path, self.lineno = message, path, lineno


def verdict_reports(entry: ClaimEvidence, location: tuple[str, int | None, str]) -> Iterator[pytest.TestReport]:
    """Yield the reports of a verdict for setup, call and teardown; JUnit and pytest-html need all three."""
    path, line, name = location
    outcome = entry.gate.outcome
    longrepr: Any = None
    if outcome == "failed":
        longrepr = VerdictFailureMessage(entry, path, line or 0)
    elif outcome == "skipped":
        longrepr = (path, line or 0, f"{entry.claim.id}: {entry.gate.reason}")
    properties = [("memkit.claim", entry.claim.id), ("memkit.verdict", entry.verdict.value)]
    for finding in entry.judgement.findings:
        interval = finding.interval
        value = f"{interval.estimate:+.4g} [{interval.low:+.4g}, {interval.high:+.4g}]"
        properties.append((f"memkit.{finding.contrast.label} ({interval.method})", value))
    for when in _PHASES:
        report = pytest.TestReport(
            nodeid=f"{entry.nodeid}[verdict]",
            location=(path, line, f"{name}[verdict]"),
            keywords={},
            outcome=outcome if when == "call" else "passed",
            longrepr=longrepr if when == "call" else None,
            when=when,
            duration=0.0,
            user_properties=properties,
        )
        report.memkit = entry  # type: ignore[attr-defined]
        yield report


def absent_reports(absent: AbsentClaim) -> Iterator[pytest.TestReport]:
    """Yield the reports of a registered claim that should have been collected; its call fails."""
    for when in _PHASES:
        failed = when == "call"
        yield pytest.TestReport(
            nodeid=f"{absent.file}::{absent.name}[verdict]",
            location=(absent.file, None, f"{absent.name}[verdict]"),
            keywords={},
            outcome="failed" if failed else "passed",
            longrepr=FailureMessage(f"{absent.name}: {absent.why}", absent.file, 0) if failed else None,  # type: ignore[arg-type]
            when=when,
            duration=0.0,
        )


def emit(config: pytest.Config, reports: Iterable[pytest.TestReport], *, evidence: str) -> None:
    """Pass the reports of a verdict, which is not a collected item, to pytest and its plugins.

    Args:
        evidence: the evidence file, which a message names if standard output is closed.
    """
    session: Any = config.pluginmanager.get_plugin("session")
    if session is not None:
        session.testscollected += 1  # otherwise the terminal would count beyond 100 %
    for report in reports:
        try:
            config.hook.pytest_runtest_logreport(report=report)
        except OSError:  # the report could not be printed, and pytest may not have counted it
            discard_output_if_closed(config, evidence)
            if report.failed and session is not None:
                session.testsfailed += 1
