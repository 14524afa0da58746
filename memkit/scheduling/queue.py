"""The training queue, which submits cohorts to an executor and handles their results.

Cohorts are submitted in the order in which they were added. A cohort that is larger than its fair share of the
remaining work is split, so that no core is idle at the end while another trains the last cohort. A cohort whose process
died is tried again.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, replace

from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.executor import Executor, Job, Result
from memkit.store.store import Store

# Split cohorts train less efficiently, so a cohort may be a little larger than its fair share.
_TOLERANCE = 1.25
# CPU seconds per step of one seed if the cost is unknown; only the costs of cohorts relative to each other matter.
_SECONDS_PER_STEP = 1e-3
_MIN_SECONDS = 1e-3  # so that a cohort with an unmeasurably small cost still counts as work
_DIED = "the process that trained it died {}, perhaps because it ran out of memory"


@dataclass(frozen=True)
class Progress:
    """The progress of training.

    Attributes:
        done, total: numbers of runs, one run per recipe and seed.
        share: the fraction of the work that is done, 0 to 1; it decreases when a process dies or cohorts are added.
        remaining: the estimated remaining time in seconds, or None as long as there is no estimate.
        current: descriptions of the cohorts that are being trained.
    """

    done: int
    total: int
    share: float
    remaining: float | None
    current: tuple[str, ...]


class TrainingQueue:
    """A queue of cohorts to be trained into a store.

    :meth:`add` may be called from any thread, even while :meth:`step` waits in another one.

    Args:
        executor: trains the cohorts.
        store: receives the runs.
        seconds: recipe digest → CPU seconds per seed, as far as known, for estimates of the work.
        ended: called by :meth:`step` with each cohort, or part of a cohort, that has ended, and its result.
    """

    def __init__(
        self,
        executor: Executor,
        store: Store,
        *,
        seconds: Mapping[str, float] | None = None,
        ended: Callable[[Cohort, Result], None] = lambda cohort, result: None,
    ) -> None:
        self.executor = executor
        self.store = store
        self.seconds = dict(seconds or {})
        self.ended = ended
        self._inbox: queue.SimpleQueue[Cohort | None] = queue.SimpleQueue()
        self._waiting: deque[Cohort] = deque()
        self._running: dict[Job, tuple[Cohort, float]] = {}
        self._deaths: Counter[tuple[str, int]] = Counter()
        self._adding = threading.Lock()
        self._done = self._total = self._added = 0
        self._work_done = self._busy = 0.0
        self.progress = self._progress()
        """The progress at the end of the last turn; may be read from any thread."""

    def add(self, cohorts: Iterable[Cohort]) -> None:
        """Append cohorts to the queue."""
        for cohort in cohorts:
            with self._adding:
                self._added += len(cohort.seeds)
            self._inbox.put(cohort)

    def wake(self) -> None:
        """Make a :meth:`step` that waits for new cohorts return at once."""
        self._inbox.put(None)

    @property
    def idle(self) -> bool:
        """True if all added cohorts have ended and ``progress`` includes them; may be read from any thread."""
        return self.progress.done == self._added

    def step(self, timeout: float) -> bool:
        """Start waiting cohorts in free slots, then wait for a cohort to end, for at most ``timeout`` seconds.

        Returns:
            True if a cohort ended.
        """
        while not self._inbox.empty():
            self._receive(self._inbox.get())
        while self._waiting and len(self._running) < self.executor.slots:
            cohort = self._next()
            try:
                self._running[self.executor.submit(cohort, self.store)] = (cohort, time.monotonic())
            except Exception as error:  # only this cohort fails
                self._finish(cohort, _failure(error))
        if not self._running:
            with contextlib.suppress(queue.Empty):
                self._receive(self._inbox.get(timeout=timeout))
            return False
        self.progress = self._progress()
        futures = {job.result: job for job in self._running}
        ended, _ = wait(futures, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in ended:
            cohort, started = self._running.pop(futures[future])
            self._busy += time.monotonic() - started
            self._settle(cohort, _outcome(future))
        self.progress = self._progress()
        return bool(ended)

    def run(self, report: Callable[[Progress], None] = lambda progress: None) -> None:
        """Train all added cohorts, and call ``report`` about twice per second."""
        while not self.idle:
            self.step(0.5)
            report(self.progress)

    def _receive(self, cohort: Cohort | None) -> None:
        if cohort is None:
            return
        self._total += len(cohort.seeds)
        self._waiting.append(cohort)

    def _progress(self) -> Progress:
        running = [(cohort, job.fraction_done(), started) for job, (cohort, started) in self._running.items()]
        work_done = self._work_done + sum(self._work(cohort) * fraction for cohort, fraction, _ in running)
        work_left = sum(self._work(cohort) * (1 - fraction) for cohort, fraction, _ in running)
        work_left += sum(self._work(cohort) for cohort in self._waiting)
        busy = self._busy + sum(time.monotonic() - started for _, _, started in running)
        remaining = None
        if work_done > 0.02 * (work_done + work_left):
            remaining = work_left * busy / work_done / self.executor.slots
        return Progress(
            done=self._done,
            total=self._total,
            share=work_done / (work_done + work_left) if work_done + work_left else 1.0,
            remaining=remaining,
            current=tuple(str(cohort) for cohort, _, _ in running),
        )

    def _next(self) -> Cohort:
        """Remove the first waiting cohort, or a part of it that is about one slot's share of the remaining work."""
        cohort = self._waiting.popleft()
        work = self._work(cohort)
        work_left = work + sum(self._work(other) for other in self._waiting)
        work_left += sum(self._work(other) * (1 - job.fraction_done()) for job, (other, _) in self._running.items())
        fair_share = work_left / self.executor.slots
        if work <= _TOLERANCE * fair_share or len(cohort.seeds) == 1:
            return cohort
        pieces = math.ceil(work / fair_share - 1e-9)  # a rounding error must not add a piece
        size = math.ceil(len(cohort.seeds) / pieces)
        if rest := cohort.seeds[size:]:
            self._waiting.appendleft(replace(cohort, seeds=rest))
        return replace(cohort, seeds=cohort.seeds[:size])

    def _settle(self, cohort: Cohort, result: Result | None) -> None:
        """Finish a cohort; if its process died (None) and attempts remain, put its missing seeds back into the queue.

        If seeds train one after another, some may be in the store although a later one failed.
        """
        if result is not None and result.kind == "trained":
            self._finish(cohort, result)
            return
        missing = self.store.missing(cohort.training.digest, cohort.seeds)
        if stored := tuple(seed for seed in cohort.seeds if seed not in missing):
            self._finish(replace(cohort, seeds=stored), Result("trained"))
        if not missing:
            return
        rest = replace(cohort, seeds=tuple(missing))
        if result is not None:
            self._finish(rest, result)
            return
        self._deaths.update(rest.runs)
        attempts = max(self._deaths[run] for run in rest.runs)
        if attempts >= self.executor.attempts:
            self._finish(rest, Result("failed", _DIED.format("twice" if attempts == 2 else f"{attempts} times")))
        else:
            self._waiting.appendleft(rest)

    def _finish(self, cohort: Cohort, result: Result) -> None:
        self._done += len(cohort.seeds)
        self._work_done += self._work(cohort)
        self.ended(cohort, result)

    def _work(self, cohort: Cohort) -> float:
        """Return the estimated cost of a cohort in CPU seconds."""
        training = cohort.training
        seconds = self.seconds.get(training.digest, training.steps * _SECONDS_PER_STEP)
        return len(cohort.seeds) * max(seconds, _MIN_SECONDS)


def _outcome(future: Future[Result]) -> Result | None:
    """Return the result of a job; None if its process died."""
    try:
        return future.result()
    except BrokenExecutor:
        return None
    except Exception as error:  # an error of the executor itself; only this cohort fails
        return _failure(error)


def _failure(error: Exception) -> Result:
    return Result("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
