"""The looks of a run: which seeds may be measured, and what has to be trained for them before."""

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
from memkit.pytest_plugin.terminal import announce
from memkit.pytest_plugin.training_thread import TrainingThread
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.estimates import seconds_per_seed
from memkit.scheduling.executor import Executor, Result
from memkit.scheduling.queue import TrainingQueue

Opening = tuple[ClaimRun, Sequence[int]]
"""A claim, and the seeds of it that come next."""


class Looks:
    """Opens the seeds of claims look by look, and has their models trained.

    Args:
        line: shows how far training is.
        scheduler: the xdist scheduler that hands out items look by look, or None.
        adaptive: whether each claim may stop at its verdict.

    Attributes:
        problems: a sentence for each cohort that could not be trained, or only in its tests.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        plan: RunPlan,
        line: ProgressLine,
        scheduler: Any = None,
        *,
        adaptive: bool,
    ) -> None:
        self.problems: list[str] = []
        self._config = config
        self._settings = settings
        self._plan = plan
        self._line = line
        self._scheduler = scheduler
        self._adaptive = adaptive
        self._messages = messages_of(config)
        self._thread: TrainingThread | None = None
        self._asked: set[Run] = set()

    @property
    def closed(self) -> bool:
        """Return whether the run is stopped: items that wait are skipped, which says nothing about their seeds."""
        return bool(self._messages.closed)

    @property
    def error(self) -> Exception | None:
        """Return the exception that training broke down with, or None."""
        return None if self._thread is None else self._thread.error

    def begin(self, runs: Sequence[ClaimRun], executor: Executor) -> None:
        """Open the first look of each claim, and train what it needs."""
        plan, store = self._plan, self._settings.store_of_run
        seconds = seconds_per_seed(plan.trainings.values(), store, self._settings.accepted)
        queue = TrainingQueue(executor, store, seconds=seconds, ended=self._trained)
        self._thread = TrainingThread(queue, self._messages, self._watch)
        first = [(run, run.next_seeds(adaptive=self._adaptive)) for run in runs]
        cohorts = self._to_train(first)
        announce(self._config, plan, cohorts, seconds, self._settings, adaptive=self._adaptive)
        for planned in plan.claims:
            if planned.missing:  # its items need not wait
                self._messages.settle(planned.claim.id, planned.missing)
        self._open(first, cohorts)
        self._thread.start()

    def open_next(self, run: ClaimRun) -> bool:
        """Open a claim's next look, all its opened seeds having reported; return False if there is none."""
        try:
            seeds = run.next_seeds(adaptive=self._adaptive)
        except Exception:  # it cannot be judged, as the verdict will say
            return False
        if not seeds or self.closed:
            return False
        self._open([(run, seeds)], self._to_train([(run, seeds)]))
        return True

    def settle(self, run: ClaimRun, judgement: Judgement) -> None:
        """Tell the items of a claim that has been judged that their seeds are not needed, if there are any left."""
        if set(run.planned.selected) - run.opened:
            self._messages.settle(run.planned.claim.id, run.settled(judgement))

    def end(self) -> None:
        """Open nothing more, and stop training at once."""
        self._messages.close("the run was stopped")
        if self._thread is not None:
            self._thread.end()

    def show_progress(self) -> None:
        """Show how far training is."""
        if self._thread is not None:
            self._line.show(self._thread.queue)

    def _to_train(self, openings: Iterable[Opening]) -> list[Cohort]:
        """Return the cohorts that these seeds need and that nobody has been asked to train yet."""
        wanted = [(run.planned, seeds) for run, seeds in openings]
        cohorts = self._plan.cohorts(wanted, self._settings.store_of_run, fresh=self._settings.fresh)
        new = (
            replace(c, seeds=tuple(s for s in c.seeds if (c.training.digest, s) not in self._asked)) for c in cohorts
        )
        return [cohort for cohort in new if cohort.seeds]

    def _open(self, openings: Iterable[Opening], cohorts: Sequence[Cohort]) -> None:
        """Let seeds be measured, once their models are trained."""
        assert self._thread is not None
        if self._settings.executor == "inline":  # a test that finds its model missing trains it
            cohorts = ()
        for run, seeds in openings:
            run.open(seeds)
            self._messages.open(run.planned.claim.id, seeds, cohorts)
            self._asked.update(*(cohort.runs for cohort in cohorts))
            # It is posted before it is queued; otherwise it might end before anybody knows that it is pending.
            self._thread.queue.add(cohorts)
            cohorts = ()

    # --- in the training thread ------------------------------------------------------------------------------

    def _trained(self, cohort: Cohort, result: Result) -> None:
        self._messages.trained(cohort, result)
        if result.kind == "failed":
            self.problems.append(f"training failed: {cohort}: {result.reason}")
        elif result.kind == "unloadable":
            self.problems.append(f"trained in their tests, one by one: {cohort}: {result.reason}")

    def _watch(self) -> None:
        """Show how far training is, and see that nobody waits for what will not come."""
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        if session is None:  # without workers the main thread prints, while it waits; tests' output is captured
            return
        self.show_progress()
        # Items are left, and the workers that died have not been replaced.
        scheduler = self._scheduler
        stranded = scheduler is not None and scheduler.left and (session.shuttingdown or scheduler.differs)
        if (session.shouldstop or stranded) and not self.closed:
            self._messages.close("the run was stopped")
