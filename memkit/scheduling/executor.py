"""Executors: where cohorts are trained. The local one uses the cores of this machine, one process per core.

An executor trains what it is given, when it is given it; the order of work, fair shares and second attempts are the
business of :class:`memkit.scheduling.queue.TrainingQueue`, whatever the executor.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from memkit.errors import MemkitError
from memkit.opened_files import Opened, listener
from memkit.scheduling.cohorts import Cohort, train_missing
from memkit.store.store import Store

_OTHER_CODE = "its code or data are not those of the process that asked for it; bring them to the same state"


@dataclass(frozen=True)
class Result:
    """The outcome of the training of a cohort.

    Attributes:
        kind: "trained"; "failed", the model or its task raised; or "unloadable", the process could not import
            what the recipe names, so that only the process that made the recipe can train it.
        reason: one sentence, or "".
        details: the traceback, or "".
    """

    kind: Literal["trained", "failed", "unloadable"]
    reason: str = ""
    details: str = ""


class Job(Protocol):
    """A cohort that an executor is training."""

    @property
    def result(self) -> Future[Result]:
        """The future outcome, which raises ``BrokenExecutor`` where the process that trained the cohort died."""
        ...

    def share(self) -> float:
        """Return the share that is done, 0 to 1."""
        ...


class Executor(Protocol):
    """Trains cohorts into a store."""

    @property
    def slots(self) -> int:
        """The number of cohorts that are trained at once."""
        ...

    @property
    def attempts(self) -> int:
        """The number of times that a cohort is started, if the process that trains it dies each time."""
        ...

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Start training a cohort; at most ``slots`` are given at once."""
        ...

    def close(self) -> None:
        """End everything at once. What was being trained is lost, what had been trained is in the store."""
        ...


class LocalExecutor:
    """Processes on this machine, one thread each. If a process dies, only its cohort is lost.

    Args:
        workers: the number of processes; 0 for one per core.
        device: where they train.
        files: module → file, for modules that only pytest's importer finds.
    """

    def __init__(self, workers: int = 0, *, device: str = "cpu", files: Mapping[str, str] | None = None) -> None:
        self.device = device
        self.files = dict(files or {})
        self._slots = workers or os.cpu_count() or 1
        self._processes: list[_Process] = []

    @property
    def slots(self) -> int:
        """The largest number of processes."""
        return self._slots

    @property
    def attempts(self) -> int:
        """Two: a process mostly dies for want of memory, and at the second attempt others may take less of it."""
        return 2

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Train a cohort in an idle process, or in a new one."""
        task = (cohort, store, self.device, self.files)
        for process in [process for process in self._processes if process.idle]:
            try:
                return process.train(task)
            except BrokenExecutor:  # it died with its last cohort, or while it was idle
                self._processes.remove(process)
                process.kill()
        self._processes.append(_Process())
        return self._processes[-1].train(task)

    def close(self) -> None:
        """See :class:`Executor`."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.pool.shutdown(cancel_futures=True)  # waits until it is gone
        self._processes.clear()


class InlineExecutor:
    """Trains in the process that asks, while it asks: for few small models, and where a debugger is to follow.

    Args:
        device: where it trains.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        self.device = device

    @property
    def slots(self) -> int:
        """See :class:`Executor`."""
        return 1

    @property
    def attempts(self) -> int:
        """See :class:`Executor`."""
        return 1

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Train a cohort; it has ended when this returns."""
        result: Future[Result] = Future()
        result.set_result(train_cohort(cohort, store, device=self.device, files={}, tell=lambda share: None))
        return _Ended(result)

    def close(self) -> None:
        """See :class:`Executor`."""


@dataclass(frozen=True, eq=False)
class _Ended:
    result: Future[Result]

    def share(self) -> float:
        return 1.0


class _Process:
    """A training process, and the line that progress comes in by."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_initialise, initargs=(theirs,))
        self.job: _LocalJob | None = None

    @property
    def idle(self) -> bool:
        # Asked of the job itself: whoever waits for a job goes on before the callbacks of its future are called.
        return self.job is None or self.job.result.done()

    def train(self, task: tuple[Any, ...]) -> _LocalJob:
        """Start to train a cohort.

        Raises:
            BrokenExecutor: the process has died.
        """
        for _ in self.heard():  # what the last job reported and nobody asked for
            pass
        self.job = _LocalJob(self, self.pool.submit(_train, *task))
        return self.job

    def heard(self) -> Iterator[float]:
        """Yield the shares that have come in on the line."""
        try:
            while self.line.poll():
                yield self.line.recv()
        except (EOFError, OSError):  # the process has died, as the job's result will tell
            pass

    def kill(self) -> None:
        """Kill the process, whatever it does: it may still be starting, or run code that does not respond."""
        self.line.close()
        for process in list((self.pool._processes or {}).values()):  # Python 3.14 has `kill_workers` for this
            process.kill()


@dataclass(eq=False)
class _LocalJob:
    process: _Process
    result: Future[Result]
    _share: float = 0.0

    def share(self) -> float:
        if not self.result.done():
            for share in self.process.heard():
                self._share = share
            return self._share
        died = self.result.cancelled() or self.result.exception() is not None
        return self._share if died else 1.0


# --- in a training process ------------------------------------------------------------------------------------

_line: Any = None


def _initialise(line: Any) -> None:
    global _line
    _line = line
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the owner, which closes the line
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()


def _end_with(line: Any) -> None:
    """End this process when the other end of the line is closed, because its owner was killed."""
    try:
        line.recv()
    except (EOFError, OSError):
        os._exit(1)


def _train(cohort: Cohort, store: Store, device: str, files: Mapping[str, str]) -> Result:
    return train_cohort(cohort, store, device=device, files=files, tell=lambda share: _line.send(share))


def train_cohort(
    cohort: Cohort, store: Store, *, device: str, files: Mapping[str, str], tell: Callable[[float], None]
) -> Result:
    """Train a cohort in this process, whatever executor has started it.

    Args:
        files: see :class:`LocalExecutor`.
        tell: called now and then with the share that is done.
    """
    from memkit.recipes.recipe import Recipe

    told, at = 0.0, time.monotonic()

    def progress(share: float) -> None:
        nonlocal told, at
        # A hundred times at most: if the owner does not listen, the line must not fill up and bring training to a halt.
        if share - told >= 0.01 and time.monotonic() - at > 0.3:
            told, at = min(share, 0.999), time.monotonic()
            tell(told)

    if store.files is not None and listener(store.files.root) is None:  # a process that does nothing but train
        Opened(store.files.root).listen().leave_out(store.root)
    training = cohort.training
    try:
        recipe = Recipe.from_json(training.recipe, files)
    except Exception as error:
        return Result("unloadable", _said(error), traceback.format_exc())
    try:
        if recipe.digest != training.digest:
            return Result("failed", f"{platform.node()} has {training.summary} in another form: {_OTHER_CODE}")
        train_missing(recipe, training.digest, cohort.seeds, store, device=device, progress=progress)
        store.publish(training.digest, cohort.seeds)
    except MemkitError as error:
        return Result("failed", str(error))
    except BaseException as error:  # a model that calls sys.exit() must not end the process
        return Result("failed", _said(error), traceback.format_exc())
    return Result("trained")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
