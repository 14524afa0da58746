"""Executors, which train cohorts; the local executor uses the cores of this machine, with one process per core.

An executor trains each cohort at once. :class:`memkit.scheduling.queue.TrainingQueue` decides on the order of work,
fair shares and further attempts, in the same way for every executor.
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
from memkit.opened_files import OpenedFiles, listener
from memkit.scheduling.cohorts import Cohort, train_missing
from memkit.store.store import Store

_DIFFERENT_CODE = "its code or data differ from those of the process that requested it; make them the same"


@dataclass(frozen=True)
class Result:
    """The outcome of training a cohort.

    Attributes:
        kind: "trained"; "failed" if the model or its task raised an exception; or "unloadable" if the process could not
            import what the recipe names, so that only the process that created the recipe can train it.
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
        """The outcome, as a future; it raises ``BrokenExecutor`` if the process that trained the cohort died."""
        ...

    def fraction_done(self) -> float:
        """Return the fraction of the training that is done, 0 to 1."""
        ...


class Executor(Protocol):
    """An object that trains cohorts and writes their runs to a store."""

    @property
    def slots(self) -> int:
        """The number of cohorts that are trained at once."""
        ...

    @property
    def attempts(self) -> int:
        """The maximum number of attempts for a cohort whose process dies each time."""
        ...

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Start training a cohort; callers submit at most ``slots`` cohorts at once."""
        ...

    def close(self) -> None:
        """Stop all training immediately; runs that are not finished are lost, the others are in the store."""
        ...


class LocalExecutor:
    """Training processes on this machine with one thread each; if a process dies, only its cohort is lost.

    Args:
        workers: the number of processes; 0 for one per core.
        device: the device that they train on.
        files: module → file, for modules that only pytest can import.
    """

    def __init__(self, workers: int = 0, *, device: str = "cpu", files: Mapping[str, str] | None = None) -> None:
        self.device = device
        self.files = dict(files or {})
        self._slots = workers or os.cpu_count() or 1
        self._processes: list[_Process] = []

    @property
    def slots(self) -> int:
        """The maximum number of processes."""
        return self._slots

    @property
    def attempts(self) -> int:
        """The maximum number of attempts; two, since most processes die for lack of memory, which may be free later."""
        return 2

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Train a cohort in an idle process, or in a new one."""
        task = (cohort, store, self.device, self.files)
        for process in [process for process in self._processes if process.idle]:
            try:
                return process.train(task)
            except BrokenExecutor:  # it died during its last cohort, or while it was idle
                self._processes.remove(process)
                process.kill()
        self._processes.append(_Process())
        return self._processes[-1].train(task)

    def close(self) -> None:
        """Stop all training immediately, and wait until the processes have ended."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.pool.shutdown(cancel_futures=True)  # waits until the process has ended
        self._processes.clear()


class InlineExecutor:
    """Training in the calling process, for a few small models or for debugging.

    Args:
        device: the device that it trains on.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        self.device = device

    @property
    def slots(self) -> int:
        """The number of cohorts that are trained at once: one."""
        return 1

    @property
    def attempts(self) -> int:
        """The maximum number of attempts: one, since a process that dies takes the run with it."""
        return 1

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Train a cohort, and return when it has ended."""
        result: Future[Result] = Future()
        result.set_result(train_cohort(cohort, store, device=self.device, files={}, report=lambda fraction: None))
        return _FinishedJob(result)

    def close(self) -> None:
        """Do nothing, since no training is in progress between calls."""


@dataclass(frozen=True, eq=False)
class _FinishedJob:
    result: Future[Result]

    def fraction_done(self) -> float:
        return 1.0


class _Process:
    """A training process, and the connection on which it reports progress."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, child_connection = context.Pipe()
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_initialise, initargs=(child_connection,))
        self.job: _LocalJob | None = None

    @property
    def idle(self) -> bool:
        # Ask the job itself, because a thread that waits for a job resumes before the callbacks of its future run.
        return self.job is None or self.job.result.done()

    def train(self, task: tuple[Any, ...]) -> _LocalJob:
        """Start training a cohort.

        Raises:
            BrokenExecutor: if the process has died.
        """
        for _ in self.received_fractions():  # discard what the last job reported
            pass
        self.job = _LocalJob(self, self.pool.submit(_train, *task))
        return self.job

    def received_fractions(self) -> Iterator[float]:
        """Yield the fractions that the process has reported since the last call."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, OSError):  # the process has died, which the job's result will show
            pass

    def kill(self) -> None:
        """Kill the process, even if it is still starting or does not respond."""
        self.connection.close()
        for process in list((self.pool._processes or {}).values()):  # Python 3.14 has `kill_workers` for this
            process.kill()


@dataclass(eq=False)
class _LocalJob:
    process: _Process
    result: Future[Result]
    _fraction_done: float = 0.0

    def fraction_done(self) -> float:
        if not self.result.done():
            for fraction in self.process.received_fractions():
                self._fraction_done = fraction
            return self._fraction_done
        died = self.result.cancelled() or self.result.exception() is not None
        return self._fraction_done if died else 1.0


# --- in a training process ------------------------------------------------------------------------------------

_connection: Any = None


def _initialise(connection: Any) -> None:
    global _connection
    _connection = connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent, which closes the connection
    threading.Thread(target=_exit_when_closed, args=(connection,), daemon=True).start()


def _exit_when_closed(connection: Any) -> None:
    """Exit this process when the other end of the connection is closed, because the parent has ended."""
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)


def _train(cohort: Cohort, store: Store, device: str, files: Mapping[str, str]) -> Result:
    return train_cohort(cohort, store, device=device, files=files, report=lambda fraction: _connection.send(fraction))


def train_cohort(
    cohort: Cohort, store: Store, *, device: str, files: Mapping[str, str], report: Callable[[float], None]
) -> Result:
    """Train a cohort in this process, on behalf of any executor.

    Args:
        cohort: the cohort.
        store: where its runs are written.
        device: the device to train on.
        files: see :class:`LocalExecutor`.
        report: called from time to time with the fraction that is done, 0 to 1.
    """
    from memkit.recipes.recipe import Recipe

    reported, reported_at = 0.0, time.monotonic()

    def progress(fraction: float) -> None:
        nonlocal reported, reported_at
        # Report at most a hundred times: if the parent does not read, a full connection would block training.
        if fraction - reported >= 0.01 and time.monotonic() - reported_at > 0.3:
            reported, reported_at = min(fraction, 0.999), time.monotonic()
            report(reported)

    if store.files is not None and listener(store.files.root) is None:  # this process only trains
        OpenedFiles(store.files.root).listen().ignore_folder(store.root)
    training = cohort.training
    try:
        recipe = Recipe.from_json(training.recipe, files)
    except Exception as error:
        return Result("unloadable", _describe(error), traceback.format_exc())
    try:
        if recipe.digest != training.digest:
            return Result("failed", f"{platform.node()} has {training.summary} in another form: {_DIFFERENT_CODE}")
        train_missing(recipe, training.digest, cohort.seeds, store, device=device, progress=progress)
        store.publish(training.digest, cohort.seeds)
    except MemkitError as error:
        return Result("failed", str(error))
    except BaseException as error:  # a model that calls sys.exit() must not end the process
        return Result("failed", _describe(error), traceback.format_exc())
    return Result("trained")


def _describe(error: BaseException) -> str:
    """Return the type and the message of an error."""
    return f"{type(error).__name__}: {error}"
