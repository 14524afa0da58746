"""The terminal: training progress, verdicts as test reports, the verdict table."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports.tables import terminal_table
from memkit.evidence.reports.words import savings
from memkit.pytest_plugin.absence import AbsentClaim
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.queue import Progress, TrainingQueue

_PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
_QUIET = 20.0  # seconds between two lines where a line cannot be rewritten


class Sentence:
    """Why a claim failed, in the shape that pytest prints."""

    def __init__(self, text: str, path: str, lineno: int) -> None:
        self.reprcrash = _Crash(text, path, lineno)

    def toterminal(self, tw: Any) -> None:
        """Print to a terminal writer."""
        tw.line(self.reprcrash.message, red=True)

    def __str__(self) -> str:
        return self.reprcrash.message


class VerdictText(Sentence):
    """Why a verdict failed: one sentence and the table's lines."""

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
    """Yield the reports of a registered claim that should have been found: it fails."""
    for when in _PHASES:
        failed = when == "call"
        yield pytest.TestReport(
            nodeid=f"{absent.file}::{absent.name}[verdict]",
            location=(absent.file, None, f"{absent.name}[verdict]"),
            keywords={},
            outcome="failed" if failed else "passed",
            longrepr=Sentence(f"{absent.name}: {absent.why}", absent.file, 0) if failed else None,  # type: ignore[arg-type]
            when=when,
            duration=0.0,
        )


class ProgressLine:
    """Training progress: one line that is rewritten on a terminal, now and then a line elsewhere.

    It may be shown from another thread than the one that prints reports, so both hold ``lock``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.lock = threading.RLock()
        self.shown = False
        self.busy_since: float | None = None
        self.last = 0.0
        self.before = 0

    @property
    def reporter(self) -> Any:
        """pytest's, or None where nothing is to be printed."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        return None if reporter is None or self.config.option.verbose < 0 else reporter

    def show(self, queue: TrainingQueue) -> None:
        """Show how far training is, if there is any, and if it is time to."""
        reporter, idle, progress, now = self.reporter, queue.idle, queue.progress, time.monotonic()
        if reporter is None:
            return
        with self.lock:
            if idle:
                self._end(progress)
                return
            if self.busy_since is None:
                self.busy_since = self.last = now
            live = bool(getattr(reporter, "isatty", False))
            if now - self.last < (1.0 if live else _QUIET):
                return
            self.last = now
            left = f", about {duration(progress.remaining)} left" if progress.remaining is not None else ""
            text = f"{progress.share:.0%}, {progress.done} of {progress.total} runs{left}"
            if not self.shown:
                _end_line(reporter)
            if live:
                current = f": {progress.current[0]}" if progress.current else ""
                line = f"training {_bar(progress.share, reporter._tw)} {text}{current}"
                reporter.rewrite(line[: reporter._tw.fullwidth - 1], erase=True)
                self.shown = True
            else:
                reporter.write_line(f"training: {text}")

    def clear(self) -> None:
        """Take the line away, for others to print; hold the lock while they do."""
        if self.shown:
            self.reporter.rewrite("", erase=True)
            self.reporter._tw.write("\r")
            self.reporter._tw._current_line = ""  # by which pytest knows how much room is left for its dots
            self.shown = False

    def _end(self, progress: Progress) -> None:
        if self.busy_since is None:
            return
        self.clear()
        took = time.monotonic() - self.busy_since
        if took >= 1:
            _end_line(self.reporter)
            self.reporter.write_line(f"trained {_count(progress.done - self.before, 'run')} in {duration(took)}")
        self.busy_since, self.before = None, progress.done


def _bar(share: float, tw: Any, width: int = 20) -> str:
    full, empty = "━─" if _prints(tw, "━─") else "#-"
    done = round(share * width)
    return full * done + empty * (width - done)


def _end_line(reporter: Any) -> None:
    """Go to a new line if something stands on this one; pytest's own way does not know of xdist's dots."""
    reporter.currentfspath = None
    if reporter._tw.width_of_current_line:
        reporter._tw.line()


_EDITED = {
    "changed": "use --memkit-development, or `memkit register` for fresh seeds",
    "reworded": "`memkit register` takes that over, and it costs no attempt",
}
"""The status of a claim that was edited → what to do."""


def announce(
    config: pytest.Config,
    plan: RunPlan,
    cohorts: Sequence[Cohort],
    seconds: Mapping[str, float],
    settings: Settings,
    *,
    adaptive: bool,
) -> None:
    """Say what the run will do, before it takes its time.

    Args:
        cohorts: what has to be trained before the first look.
        seconds: recipe digest → CPU seconds a seed, where known.
        adaptive: the run stops at the verdict.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.verbose < 0 or not plan.claims:
        return
    _end_line(reporter)
    running = [planned for planned in plan.claims if not planned.missing]
    seeds = sum(len(planned.selected) for planned in running)
    look = "; each claim stops at its verdict" if adaptive else ""
    if running:
        reporter.write_line(f"memkit: {_count(len(running), 'claim')}, at most {_count(seeds, 'seed')} in all{look}")
    if skipped := len(plan.claims) - len(running):
        reporter.write_line(f"memkit: {_count(skipped, 'claim')} skipped, for want of data or of a backend")
    for which, number in plan.excluded.items():
        reporter.write_line(f"memkit: {number} left out: {which}")
    first = " for the first look" if adaptive else ""
    inline = ", each in the test that asks for it" if cohorts and settings.executor == "inline" else ""
    needed = training_needed(cohorts, seconds, first)
    reporter.write_line(f"memkit: {needed}{inline}; store {settings.store_of_run}")
    if not settings.development and settings.gate != "none":
        for status, remedy in _EDITED.items():
            if edited := [p.claim.id for p in plan.claims if p.registration.status == status]:
                more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
                which = f"{edited[0]}{more} {status} since registration"
                reporter.write_line(f"memkit: {which}, which fails this run: {remedy}")
    if not adaptive:
        reporter.write_line(
            "memkit: the items do not come look by look (--dist each, or another plugin), so every seed runs, also "
            "beyond the verdict"
        )


def skipped_for_data(plan: RunPlan) -> list[str]:
    """A line for each thing that is missing: for how many claims, and how to get it."""
    return [f"{_count(claims, 'claim')} skipped: {missing}" for missing, claims in plan.skipped.items()]


def training_needed(cohorts: Sequence[Cohort], seconds: Mapping[str, float], why: str = "") -> str:
    """``88 runs to train, about 1 min 10 s of CPU``, as far as it is known."""
    runs = sum(len(cohort.seeds) for cohort in cohorts)
    if not runs:
        return f"nothing to train{why}"
    known = sum(len(c.seeds) * seconds[c.training.digest] for c in cohorts if c.training.digest in seconds)
    unknown = sum(len(c.seeds) for c in cohorts if c.training.digest not in seconds)
    text = f"{_count(runs, 'run')} to train{why}"
    if unknown == runs:
        return f"{text}, time unknown: never trained before"
    rest = f" and what {unknown} that were never trained take" if unknown else ""
    return f"{text}, about {duration(known)} of CPU{rest}"


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
        f"{duration(training)} of CPU, now or earlier"
    )
    if saved := savings(claims):
        reporter.write_line(f"{saved}: each claim stopped at its verdict")
    for path in written:
        reporter.write_line(f"{path.suffix[1:]:>8}  {path}")
    if said := fallen_sentence(claims):
        reporter.write_line(said, red=True)


def fallen_sentence(claims: Sequence[ClaimEvidence], named: int = 3) -> str:
    """What failed, in one sentence: claims first, and their mutants, which fail with them, in numbers; or ""."""
    failed = [entry for entry in claims if entry.gate.outcome == "failed"]
    own = [entry for entry in failed if not entry.claim.is_mutant]
    mutants = len(failed) - len(own)
    told = [f"{entry.claim.id} ({entry.gate.reason.partition(';')[0]})" for entry in own[:named]]
    if len(own) > named:
        told.append(f"{len(own) - named} more")
    if mutants:
        told.append(_count(mutants, "mutant"))
    if not told:
        return ""
    listed = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    return f"Not as registered: {listed}."


def _prints(tw: Any, text: str) -> bool:
    encoding = getattr(tw._file, "encoding", None) or sys.getdefaultencoding()
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def duration(seconds: float) -> str:
    """``45 s``, ``2 min 05 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
