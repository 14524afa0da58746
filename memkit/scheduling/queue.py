"""The training queue: the order and the pieces in which cohorts go to an executor, and what becomes of them.

Cohorts go out in the order they were added in. One that is larger than its fair share of the work left is split, so
that no core idles at the end while another trains the last cohort. A cohort whose process died is tried again.
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

# A split cohort trains less efficiently, so a little more than the fair share is allowed.
_TOLERANCE = 1.25
# CPU seconds per step of one seed where nothing is known; only what cohorts cost relative to each other matters.
_SECONDS_A_STEP = 1e-3
_LEAST_SECONDS = 1e-3  # what took no time that could be measured is work too
_DIED = "the process that trained it died, {}; perhaps for want of memory"


@dataclass(frozen=True)
class Progress:
    """The progress of training.

    Attributes:
        done, total: runs, one per recipe and seed.
        share: of the work, 0 to 1; it falls when a process dies, or more is added.
        remaining: seconds still to go at the present rate, or None while there is no rate yet.
        current: the cohorts that are training now.
    """

    done: int
    total: int
    share: float
    remaining: float | None
    current: tuple[str, ...]


class TrainingQueue:
    """Cohorts on their way into the store.

    :meth:`add` may be called from any thread, also while :meth:`turn` waits in another one.

    Args:
        executor: where they are trained.
        store: where they go.
        seconds: recipe digest → CPU seconds per seed, where known, to weigh cohorts by.
        ended: called in :meth:`turn` with each cohort that has ended, or piece of one, and its result.
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
        self._tried: Counter[tuple[str, int]] = Counter()
        self._adding = threading.Lock()
        self._done = self._total = self._added = 0
        self._work_done = self._busy = 0.0
        self.progress = self._progress()
        """How far it was at the end of the last turn; may be read from any thread."""

    def add(self, cohorts: Iterable[Cohort]) -> None:
        """Append cohorts."""
        for cohort in cohorts:
            with self._adding:
                self._added += len(cohort.seeds)
            self._inbox.put(cohort)

    def wake(self) -> None:
        """Let a :meth:`turn` that waits for something to do return at once."""
        self._inbox.put(None)

    @property
    def idle(self) -> bool:
        """True once all that was added has ended and ``progress`` says so; may be read from any thread."""
        return self.progress.done == self._added

    def turn(self, timeout: float) -> bool:
        """Start the cohorts that there is room for, and wait for one to end, at most ``timeout`` seconds.

        Returns:
            Whether anything ended.
        """
        while not self._inbox.empty():
            self._receive(self._inbox.get())
        while self._waiting and len(self._running) < self.executor.slots:
            cohort = self._next()
            try:
                self._running[self.executor.submit(cohort, self.store)] = (cohort, time.monotonic())
            except Exception as error:  # only this cohort fails
                self._finish(cohort, _raised(error))
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
        """Train everything that was added; calls ``report`` about twice a second."""
        while not self.idle:
            self.turn(0.5)
            report(self.progress)

    def _receive(self, cohort: Cohort | None) -> None:
        if cohort is None:
            return
        self._total += len(cohort.seeds)
        self._waiting.append(cohort)

    def _progress(self) -> Progress:
        shares = [(cohort, job.share(), started) for job, (cohort, started) in self._running.items()]
        done = self._work_done + sum(self._work(cohort) * share for cohort, share, _ in shares)
        left = sum(self._work(cohort) * (1 - share) for cohort, share, _ in shares)
        left += sum(self._work(cohort) for cohort in self._waiting)
        busy = self._busy + sum(time.monotonic() - started for _, _, started in shares)
        remaining = None
        if done > 0.02 * (done + left):
            remaining = left * busy / done / self.executor.slots
        return Progress(
            done=self._done,
            total=self._total,
            share=done / (done + left) if done + left else 1.0,
            remaining=remaining,
            current=tuple(str(cohort) for cohort, _, _ in shares),
        )

    def _next(self) -> Cohort:
        """Take the first waiting cohort, or as much of it as is its fair share of the work left."""
        cohort = self._waiting.popleft()
        work = self._work(cohort)
        left = work + sum(self._work(other) for other in self._waiting)
        left += sum(self._work(other) * (1 - job.share()) for job, (other, _) in self._running.items())
        fair = left / self.executor.slots
        if work <= _TOLERANCE * fair or len(cohort.seeds) == 1:
            return cohort
        pieces = math.ceil(work / fair - 1e-9)  # a rounding error above a whole number must not add a piece
        size = math.ceil(len(cohort.seeds) / pieces)
        if rest := cohort.seeds[size:]:
            self._waiting.appendleft(replace(cohort, seeds=rest))
        return replace(cohort, seeds=cohort.seeds[:size])

    def _settle(self, cohort: Cohort, result: Result | None) -> None:
        """Finish a cohort, or put back what is missing of it if its process died (None) and may be tried again.

        Seeds that train one after another may be in the store although a later one failed.
        """
        if result is not None and result.kind == "trained":
            self._finish(cohort, result)
            return
        missing = self.store.missing(cohort.training.digest, cohort.seeds)
        if kept := tuple(seed for seed in cohort.seeds if seed not in missing):
            self._finish(replace(cohort, seeds=kept), Result("trained"))
        if not missing:
            return
        rest = replace(cohort, seeds=tuple(missing))
        if result is not None:
            self._finish(rest, result)
            return
        self._tried.update(rest.runs)
        attempts = max(self._tried[run] for run in rest.runs)
        if attempts >= self.executor.attempts:
            self._finish(rest, Result("failed", _DIED.format("twice" if attempts == 2 else f"{attempts} times")))
        else:
            self._waiting.appendleft(rest)

    def _finish(self, cohort: Cohort, result: Result) -> None:
        self._done += len(cohort.seeds)
        self._work_done += self._work(cohort)
        self.ended(cohort, result)

    def _work(self, cohort: Cohort) -> float:
        training = cohort.training
        seconds = self.seconds.get(training.digest, training.steps * _SECONDS_A_STEP)
        return len(cohort.seeds) * max(seconds, _LEAST_SECONDS)


def _outcome(future: Future[Result]) -> Result | None:
    """Return the result of a job; None where its process died."""
    try:
        return future.result()
    except BrokenExecutor:
        return None
    except Exception as error:  # the executor's own; only this cohort fails
        return _raised(error)


def _raised(error: Exception) -> Result:
    return Result("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
