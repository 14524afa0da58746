"""The looks of a run: which seeds may be measured, and which models have to be trained for them first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from memkit.evidence.verdict import Judgement
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.messages import Run, messages_of
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.progress_line import ProgressLine
from memkit.pytest_plugin.settings import Settings
from memkit.pytest_plugin.terminal import print_plan
from memkit.pytest_plugin.training_thread import TrainingThread
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.estimates import seconds_per_seed
from memkit.scheduling.executor import Executor, Result
from memkit.scheduling.queue import TrainingQueue

Opening = tuple[ClaimRun, Sequence[int]]
"""A claim, and its seeds that are opened next."""


class Looks:
    """The looks of a run: opens the seeds of claims look by look, and requests the training of their models.

    Args:
        progress_line: shows the progress of training.
        scheduler: the xdist scheduler that sends items look by look, or None.
        adaptive: whether each claim stops at its verdict.

    Attributes:
        problems: a message for each cohort that could not be trained, or was trained within its tests.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        plan: RunPlan,
        progress_line: ProgressLine,
        scheduler: Any = None,
        *,
        adaptive: bool,
    ) -> None:
        self.problems: list[str] = []
        self._config = config
        self._settings = settings
        self._plan = plan
        self._progress_line = progress_line
        self._scheduler = scheduler
        self._adaptive = adaptive
        self._messages = messages_of(config)
        self._thread: TrainingThread | None = None
        self._requested_runs: set[Run] = set()

    @property
    def closed(self) -> bool:
        """True if the run was stopped, so that all waiting items are skipped."""
        return bool(self._messages.close_reason)

    @property
    def error(self) -> Exception | None:
        """The exception that ended training, or None."""
        return None if self._thread is None else self._thread.error

    def begin(self, runs: Sequence[ClaimRun], executor: Executor) -> None:
        """Open the first look of each claim, and start to train the models that it needs."""
        plan, store = self._plan, self._settings.store_of_run
        seconds = seconds_per_seed(plan.trainings.values(), store, self._settings.accepted)
        queue = TrainingQueue(executor, store, seconds=seconds, ended=self._on_training_end)
        self._thread = TrainingThread(queue, self._messages, self._on_turn)
        openings = [(run, run.next_seeds(adaptive=self._adaptive)) for run in runs]
        cohorts = self._to_train(openings)
        print_plan(self._config, plan, cohorts, seconds, self._settings, adaptive=self._adaptive)
        for planned in plan.claims:
            if planned.missing:  # its items must not wait
                self._messages.settle(planned.claim.id, planned.missing)
        self._open(openings, cohorts)
        self._thread.start()

    def open_next(self, run: ClaimRun) -> bool:
        """Open the next look of a claim whose open seeds have all ended; return False if there is no next look."""
        try:
            seeds = run.next_seeds(adaptive=self._adaptive)
        except Exception:  # the claim cannot be judged, which its verdict will report
            return False
        if not seeds or self.closed:
            return False
        self._open([(run, seeds)], self._to_train([(run, seeds)]))
        return True

    def settle(self, run: ClaimRun, judgement: Judgement) -> None:
        """Tell the waiting items of a claim that has been judged that their seeds are not needed."""
        if set(run.planned.selected) - run.open_seeds:
            self._messages.settle(run.planned.claim.id, run.settle_reason(judgement))

    def end(self) -> None:
        """Open no more seeds, and stop training at once."""
        self._messages.close("the run was stopped")
        if self._thread is not None:
            self._thread.end()

    def show_progress(self) -> None:
        """Show the progress of training."""
        if self._thread is not None:
            self._progress_line.show(self._thread.queue)

    def _to_train(self, openings: Iterable[Opening]) -> list[Cohort]:
        """Return the cohorts that these seeds need, without runs whose training was requested before."""
        wanted = [(run.planned, seeds) for run, seeds in openings]
        cohorts = self._plan.cohorts(wanted, self._settings.store_of_run, fresh=self._settings.fresh)
        new = (
            replace(c, seeds=tuple(s for s in c.seeds if (c.training.digest, s) not in self._requested_runs))
            for c in cohorts
        )
        return [cohort for cohort in new if cohort.seeds]

    def _open(self, openings: Iterable[Opening], cohorts: Sequence[Cohort]) -> None:
        """Open seeds for measurement, which starts once their models are trained."""
        assert self._thread is not None
        if self._settings.executor == "inline":  # a test trains its model if the store does not have it
            cohorts = ()
        for run, seeds in openings:
            run.open(seeds)
            self._messages.open(run.planned.claim.id, seeds, cohorts)
            self._requested_runs.update(*(cohort.runs for cohort in cohorts))
            # Posted before it is queued; otherwise the training might end before the items know that it is pending.
            self._thread.queue.add(cohorts)
            cohorts = ()

    # --- in the training thread ------------------------------------------------------------------------------

    def _on_training_end(self, cohort: Cohort, result: Result) -> None:
        self._messages.report_training(cohort, result)
        if result.kind == "failed":
            self.problems.append(f"training failed: {cohort}: {result.reason}")
        elif result.kind == "unloadable":
            self.problems.append(f"trained one by one in their tests: {cohort}: {result.reason}")

    def _on_turn(self) -> None:
        """Show the progress of training, and close the messages if items would wait for ever."""
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        if session is None:
            # Without workers the main thread shows the progress while it waits, since the output of tests is captured.
            return
        self.show_progress()
        # Whether there are unassigned items, but no worker to replace one that died.
        scheduler, lacks_workers = self._scheduler, False
        if scheduler is not None and scheduler.unassigned_count:
            lacks_workers = session.shuttingdown or scheduler.collections_differ
        if (session.shouldstop or lacks_workers) and not self.closed:
            self._messages.close("the run was stopped")
