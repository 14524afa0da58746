"""The course of a run, on the controller: from pytest's hooks to the looks, the verdicts and the evidence.

A verdict is reported as soon as its claim is decided, and at the end of the run if the claim is cut short.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.output_files import check_writable
from memkit.pytest_plugin.arguments import check_foreign
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.evidence_writer import note_failed, write_evidence
from memkit.pytest_plugin.exchange_folder import remove_left
from memkit.pytest_plugin.interruption import print_nowhere_if_unread
from memkit.pytest_plugin.looks import Looks
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.progress_line import ProgressLine
from memkit.pytest_plugin.reports_to_verdicts import Verdicts, accepted_verdicts
from memkit.pytest_plugin.settings import Settings
from memkit.pytest_plugin.terminal import skipped_for_data, summarise
from memkit.pytest_plugin.training_thread import executor_for
from memkit.pytest_plugin.verdicts_as_reports import absent_reports, emit, verdict_reports


class Aggregator:
    """Carries out the plan of a run: receives pytest's hooks, and has others do the work.

    Args:
        scheduler: the xdist scheduler that hands out items look by look, or None.
        adaptive: whether items come in the order of the looks, so that each claim may stop at its verdict.

    Attributes:
        verdicts: what has come in, and what it comes to.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, plan: RunPlan, scheduler: Any = None, *, adaptive: bool = True
    ) -> None:
        self.config = config
        self.settings = settings
        self.plan = plan
        self.verdicts = Verdicts(plan, settings)
        self._line = ProgressLine(config)
        self._looks = Looks(config, settings, plan, self._line, scheduler, adaptive=adaptive and plan.ordered)
        self._written: list[Path] = []
        self._unwritten: list[str] = []

    def begin(self) -> None:
        """Open the first looks, and train what they need.

        Raises:
            pytest.UsageError: the run cannot do what it is to do.
        """
        remove_left()
        with self.settings.refusing():
            check_foreign(self.config)
            check_writable(Path(self.settings.evidence))
            accepted = accepted_verdicts(self.settings)
            executor = executor_for(self.config, self.settings, self.plan)
        self.verdicts.begin(accepted)
        self._looks.begin(self.verdicts.running, executor)

    def end(self) -> None:
        """Judge what came in, and write the evidence."""
        print_nowhere_if_unread(self.config, self.settings.evidence)
        self._looks.end()
        for run in self.verdicts.running:
            self._conclude(run)
        for absent in self.plan.absent:  # not before the first item: pytest would run nothing after a failure
            emit(self.config, absent_reports(absent), evidence=self.settings.evidence)
        self._line.clear()
        self._written, self._unwritten = write_evidence(self.config, self.settings, self.plan, self.verdicts)
        if self._looks.error is not None:
            raise self._looks.error

    def meanwhile(self) -> None:
        """Show how far training is, while an item waits for its turn in this process."""
        self._looks.show_progress()

    # --- pytest's hooks --------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """Take the progress line away while others print."""
        with self._line.lock:
            self._line.clear()
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Take a report of an item, once others have seen it."""
        with self._line.lock:
            self._line.clear()
            result = yield
            if not (report.skipped and self._looks.closed):  # the run was stopped, which says nothing about its seed
                self._advance(self.verdicts.take(report))
            return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> Generator[None, object, object]:
        """Go on with a claim, once all of its items that were opened have ended."""
        with self._line.lock:
            self._line.clear()
            result = yield
            self._advance(self.verdicts.finish(nodeid))
            return result

    @pytest.hookimpl(trylast=True)  # after pytest has noted what failed
    def pytest_sessionfinish(self) -> None:
        """Note what failed, for ``--lf``."""
        note_failed(self.config, self.verdicts.claims.values())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdicts, and what went wrong beside them."""
        if claims := self.verdicts.in_order():
            problems = [*self.verdicts.never_accepted(), *skipped_for_data(self.plan), *self._looks.problems]
            summarise(terminalreporter, claims, self._written, problems + self._unwritten)

    # --- verdicts --------------------------------------------------------------------------------------------

    def _advance(self, run: ClaimRun | None) -> None:
        """Open a claim's next look, or come to its verdict, if nothing of it is waited for any more."""
        if run is not None and not self._looks.open_next(run):
            self._conclude(run)

    def _conclude(self, run: ClaimRun) -> None:
        """Judge a claim, and report its verdict."""
        entry = self.verdicts.judge(run)
        self._looks.settle(run, entry.judgement)
        emit(self.config, verdict_reports(entry, run.planned.location), evidence=self.settings.evidence)
