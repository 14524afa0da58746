"""The terminal: training progress, verdicts as test reports, the verdict table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pytest

from memkit.evidence.evidence import ClaimEvidence
from memkit.evidence.reports.tables import terminal_table
from memkit.pytest_plugin.collection import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.training.executor import Progress


class VerdictText:
    """Why a verdict failed: one sentence and the table's lines, in the shape that pytest prints."""

    def __init__(self, entry: ClaimEvidence, path: str, lineno: int) -> None:
        self.entry = entry
        self.reprcrash = _Crash(f"{entry.claim.id}: {entry.gate.reason}", path, lineno)

    def toterminal(self, tw: Any) -> None:
        """Print to a terminal writer."""
        tw.line(f"{self.entry.claim.id}: {self.entry.gate.reason}", red=True)
        tw.line(f"  «{self.entry.claim.statement}»")
        for line in terminal_table([self.entry], width=100, colour=False):
            tw.line(line)

    def __str__(self) -> str:
        return self.reprcrash.message


class _Crash:
    def __init__(self, message: str, path: str, lineno: int) -> None:
        self.message, self.path, self.lineno = message, path, lineno


def verdict_reports(entry: ClaimEvidence, location: tuple[str, int | None, str]) -> Iterator[pytest.TestReport]:
    """The reports of a verdict: its call, and the teardown that closes it for JUnit and pytest-html."""
    path, line, name = location
    outcome = entry.gate.outcome
    longrepr: Any = None
    if outcome == "failed":
        longrepr = VerdictText(entry, path, line or 0)
    elif outcome == "skipped":
        longrepr = (path, line or 0, f"{entry.claim.id}: {entry.gate.reason}")
    properties = [("memkit.claim", entry.claim.id), ("memkit.verdict", entry.verdict.value)]
    for finding in entry.judgement.findings:
        for interval in finding.intervals:
            value = f"{interval.estimate:+.4g} [{interval.low:+.4g}, {interval.high:+.4g}]"
            properties.append((f"memkit.{finding.contrast.label} ({interval.method})", value))
    phases: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
    for when in phases:
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


class ProgressLine:
    """Training progress: one line that is rewritten on a terminal, a line a cohort elsewhere."""

    def __init__(self, config: pytest.Config) -> None:
        self.reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self.quiet = self.reporter is None or config.option.verbose < 0
        self.live = not self.quiet and bool(getattr(self.reporter, "isatty", False))
        self.errors: list[str] = []
        self.started = time.monotonic()
        self.last: Progress | None = None

    def __enter__(self) -> ProgressLine:
        return self

    def update(self, progress: Progress) -> None:
        """Show how far training is."""
        self.last = progress
        if progress.error and progress.finished is not None:
            self.errors.append(f"training failed: {progress.finished.summary}: {progress.error}")
        left = f", about {_duration(progress.remaining)} left" if progress.remaining else ""
        if self.live:
            current = f": {progress.current[0]}" if progress.current else ""
            line = f"training {progress.done}/{progress.total} · {progress.share:4.0%}{left}{current}"
            self.reporter.rewrite(line[: self.reporter._tw.fullwidth - 1], erase=True)
        elif not self.quiet and progress.finished is not None:
            cohort = progress.finished
            word = "FAILED to train" if progress.error else "trained"
            self.reporter.ensure_newline()
            self.reporter.write_line(
                f"{word} {progress.done}/{progress.total} {cohort.summary}, {len(cohort.seeds)} seeds "
                f"({progress.share:.0%}{left})"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.quiet or self.last is None:
            return
        if self.live:
            self.reporter.rewrite("", erase=True)
        self.reporter.ensure_newline()
        took = _duration(time.monotonic() - self.started)
        failed = f", {len(self.errors)} FAILED" if self.errors else ""
        self.reporter.write_line(f"trained {_count(self.last.done - len(self.errors), 'cohort')} in {took}{failed}")


def announce(config: pytest.Config, plan: RunPlan, settings: Settings) -> None:
    """Say what the run will do, before it takes its time."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.verbose < 0:
        return
    reporter.ensure_newline()
    measurements = sum(len(planned.selected) for planned in plan.claims)
    runs = sum(len(cohort.seeds) for cohort in plan.cohorts)
    training = (
        f"{_count(runs, 'run')} to train, in {_count(len(plan.cohorts), 'cohort')}" if runs else "nothing to train"
    )
    reporter.write_line(
        f"memkit: {_count(len(plan.claims), 'claim')}, {_count(measurements, 'measurement')}; {training}; "
        f"store {settings.store}"
    )
    changed = [p.claim.id for p in plan.claims if p.registration.status == "changed" and p.claim.gates]
    if changed and not settings.development and settings.gate == "verdict":
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        reporter.write_line(
            f"memkit: {changed[0]}{more} changed since registration, which fails this run: use --development, or "
            "`memkit register` for fresh seeds"
        )


def summarise(
    reporter: pytest.TerminalReporter,
    claims: Sequence[ClaimEvidence],
    written: Sequence[Path],
    problems: Sequence[str],
) -> None:
    """Print the verdict table and where the evidence lies."""
    reporter.section("claims")
    tw: Any = reporter._tw
    ascii_only = not _prints(tw, "✓≈–")
    for line in terminal_table(claims, width=tw.fullwidth, colour=tw.hasmarkup, ascii=ascii_only):
        reporter.write_line(line)
    for error in problems:
        reporter.write_line(error)
    reporter.write_line("")
    unregistered = sum(entry.registration.status == "unregistered" for entry in claims)
    if unregistered:
        reporter.write_line(
            f"Not registered: {unregistered} of {_count(len(claims), 'claim')}. They ran on development seeds and "
            "decide nothing; `memkit register` gives them deciding seeds."
        )
    training = sum(entry.cost.get("trained", 0.0) for entry in claims)
    reused = sum(entry.cost.get("reused", 0.0) * len(entry.seen) for entry in claims)
    seen = sum(len(entry.seen) for entry in claims)
    reporter.write_line(
        f"{_count(seen, 'measurement')}, {reused:.0f} of them from the store; training their models took "
        f"{_duration(training)} of CPU, now or earlier"
    )
    for path in written:
        reporter.write_line(f"{path.suffix[1:]:>8}  {path}")


def _prints(tw: Any, text: str) -> bool:
    encoding = getattr(tw._file, "encoding", None) or sys.getdefaultencoding()
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
