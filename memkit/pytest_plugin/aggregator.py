"""Carries out the plan of a run, on the controller: opens the looks, reports the verdicts and writes the evidence.

A verdict is reported as soon as its claim is decided, or at the end of the run if the run is interrupted.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.lock_file import RULE
from memkit.evidence.output_files import check_writable
from memkit.pytest_plugin.arguments import check_foreign_options
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.evidence_writer import store_failed, write_evidence
from memkit.pytest_plugin.exchange_folder import remove_stale_folders
from memkit.pytest_plugin.interruption import discard_output_if_closed
from memkit.pytest_plugin.looks import Looks
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.progress_line import ProgressLine
from memkit.pytest_plugin.reports_to_verdicts import Verdicts, accepted_verdicts
from memkit.pytest_plugin.seeds import lock_of
from memkit.pytest_plugin.settings import Settings
from memkit.pytest_plugin.terminal import print_summary, skipped_for_data
from memkit.pytest_plugin.training_thread import executor_for
from memkit.pytest_plugin.verdicts_as_reports import absent_reports, emit, verdict_reports

# Results live as long as the session. After so many claims, those so far are exempted from garbage collection, which
# would otherwise traverse them again and again.
_CLAIMS_PER_FREEZE = 500


class Aggregator:
    """A plugin that carries out the plan of a run, driven by pytest's hooks.

    Args:
        scheduler: the xdist scheduler that sends items look by look, or None.
        adaptive: whether items come in the order of the looks, so that each claim can stop at its verdict.

    Attributes:
        plan: the plan of the run.
        verdicts: the results so far, and the verdicts on them.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, plan: RunPlan, scheduler: Any = None, *, adaptive: bool = True
    ) -> None:
        self.config = config
        self.settings = settings
        self.plan = plan
        self.verdicts = Verdicts(plan, settings)
        self._progress_line = ProgressLine(config)
        self._looks = Looks(config, settings, plan, self._progress_line, scheduler, adaptive=adaptive and plan.ordered)
        self._evidence_files: list[Path] = []
        self._write_errors: list[str] = []

    def begin(self) -> None:
        """Open the first looks, and start the training that they need.

        Raises:
            pytest.UsageError: an option, a file or the executor does not allow the run.
        """
        remove_stale_folders()
        with self.settings.errors_refused():
            check_foreign_options(self.config)
            check_writable(Path(self.settings.evidence))
            accepted = accepted_verdicts(self.settings)
            executor = executor_for(self.config, self.settings, self.plan)
        self.verdicts.begin(accepted)
        self._looks.begin(self.verdicts.running, executor)

    def end(self) -> None:
        """Judge the claims that are still running on their results so far, and write the evidence."""
        discard_output_if_closed(self.config, self.settings.evidence)
        self._looks.end()
        for run in self.verdicts.running:
            self._conclude(run)
        for absent in self.plan.absent:  # last, since pytest would run no items after a failure at the start
            emit(self.config, absent_reports(absent), evidence=self.settings.evidence)
        self._progress_line.clear()
        self._evidence_files, self._write_errors = write_evidence(self.config, self.settings, self.plan, self.verdicts)
        if self._looks.error is not None:
            raise self._looks.error

    def show_progress(self) -> None:
        """Show the progress of training, while an item waits for its turn in this process."""
        self._looks.show_progress()

    # --- pytest's hooks --------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """Clear the progress line before others print."""
        with self._progress_line.lock:
            self._progress_line.clear()
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Add a report of an item, after other plugins have processed it."""
        with self._progress_line.lock:
            self._progress_line.clear()
            result = yield
            # An item that is skipped because the run was stopped has no result.
            if not (report.skipped and self._looks.closed):
                self._advance(self.verdicts.add_report(report))
            return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> Generator[None, object, object]:
        """Advance a claim once the items of all its open seeds have ended."""
        with self._progress_line.lock:
            self._progress_line.clear()
            result = yield
            self._advance(self.verdicts.finish_item(nodeid))
            return result

    @pytest.hookimpl(trylast=True)  # after pytest has stored which items failed
    def pytest_sessionfinish(self) -> None:
        """Store which claims failed, for ``--lf``."""
        store_failed(self.config, self.verdicts.claims.values())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdicts, and the problems of the run."""
        if claims := self.verdicts.in_order():
            problems = [
                *self._rule_problem(),
                *self.verdicts.without_baseline(),
                *skipped_for_data(self.plan),
                *self._looks.problems,
            ]
            print_summary(terminalreporter, claims, self._evidence_files, problems + self._write_errors)

    def _rule_problem(self) -> list[str]:
        """Return a message if the claims were registered under an earlier rule of verdicts."""
        lock = lock_of(self.config)
        if lock.rule == RULE or not lock.claims:
            return []
        return ["the claims were registered under an earlier rule of verdicts; `memkit register` registers the change"]

    # --- verdicts --------------------------------------------------------------------------------------------

    def _advance(self, run: ClaimRun | None) -> None:
        """Open the next look of a claim, or conclude it if there is none; do nothing for None."""
        if run is not None and not self._looks.open_next(run):
            self._conclude(run)

    def _conclude(self, run: ClaimRun) -> None:
        """Judge a claim, and report its verdict."""
        entry = self.verdicts.judge(run)
        if len(self.verdicts.claims) % _CLAIMS_PER_FREEZE == 0:
            gc.collect()  # a cycle that is garbage when it is frozen would never be freed
            gc.freeze()
        self._looks.settle(run, entry.judgement)
        emit(self.config, verdict_reports(entry, run.planned.location), evidence=self.settings.evidence)
