"""Executors: where cohorts are trained. The local one uses the cores of this machine, a process a core."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from memkit.errors import MemkitError
from memkit.training.cohorts import Cohort, train_missing
from memkit.training.store import Store


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Attributes:
        done, total: cohorts.
        share: of all optimiser steps, 0 to 1.
        elapsed: seconds since the start.
        current: what trains now.
        finished: the cohort that has just ended, or None.
        error: why that one failed, else "".
    """

    done: int
    total: int
    share: float
    elapsed: float
    current: tuple[str, ...]
    finished: Cohort | None = None
    error: str = ""

    @property
    def remaining(self) -> float | None:
        """Seconds still to go at the present rate, or None while there is no rate yet."""
        return self.elapsed * (1 - self.share) / self.share if self.share > 0.02 else None


class Executor(Protocol):
    """Trains cohorts into a store. A cohort that fails is reported and left missing."""

    def train(self, cohorts: Sequence[Cohort], store: Store, progress: Callable[[Progress], None]) -> None:
        """Train all cohorts; calls ``progress`` about once a second, and for every cohort that ends."""


@dataclass(frozen=True)
class LocalExecutor:
    """Processes on this machine.

    Attributes:
        workers: how many processes, one thread each.
        device: where they train.
        files: module → file, for modules that only pytest's importer finds.
    """

    workers: int = 0
    device: str = "cpu"
    files: Mapping[str, str] | None = None

    def train(self, cohorts: Sequence[Cohort], store: Store, progress: Callable[[Progress], None]) -> None:
        """See :class:`Executor`. A process that dies ends the pool; what is missing trains where it is needed."""
        if not cohorts:
            return
        started = time.monotonic()
        workers = min(self.workers or os.cpu_count() or 1, len(cohorts))
        context = multiprocessing.get_context("spawn")
        news: Any = context.Queue()
        shares = dict.fromkeys(range(len(cohorts)), 0.0)
        total = sum(cohort.steps for cohort in cohorts)
        done = 0

        def report(finished: Cohort | None = None, error: str = "") -> None:
            share = sum(cohorts[i].steps * s for i, s in shares.items()) / total
            current = tuple(cohorts[i].summary for i, s in shares.items() if 0 < s < 1)
            elapsed = time.monotonic() - started
            progress(Progress(done, len(cohorts), share, elapsed, current, finished, error))

        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_initialise, initargs=(news,))
        try:
            pending: dict[Future[str], int] = {
                pool.submit(
                    _train,
                    i,
                    cohort,
                    str(store.root),
                    store.session,
                    store.retrain,
                    self.device,
                    dict(self.files or {}),
                ): i
                for i, cohort in enumerate(cohorts)
            }
            while pending:
                finished, _ = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                with contextlib.suppress(queue.Empty):
                    while True:
                        i, share = news.get_nowait()
                        shares[i] = max(shares[i], share)
                if not finished:
                    report()
                for future in finished:
                    i = pending.pop(future)
                    shares[i] = 1.0
                    done += 1
                    try:
                        error = future.result()
                    except BrokenProcessPool:
                        error = "a training process died"
                    report(cohorts[i], error)
        finally:
            # On Ctrl-C nothing that is queued starts any more; what has ended is in the store.
            for process in list((pool._processes or {}).values()):
                if pending:
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            news.close()
            news.cancel_join_thread()


_news: Any = None


def _initialise(news: Any) -> None:
    global _news
    _news = news
    # A controller that is killed takes its training processes along.
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _train(
    index: int, cohort: Cohort, root: str, session: str, retrain: bool, device: str, files: Mapping[str, str]
) -> str:
    """Runs in a training process. Returns why it failed, or "": not every exception survives the way."""
    from memkit.training.recipe import Recipe

    last = 0.0

    def progress(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            _news.put((index, min(share, 0.999)))

    _news.put((index, 1e-6))
    try:
        store = Store(Path(root), session=session, retrain=retrain)
        recipe = Recipe.from_json(cohort.recipe, files)
        train_missing(recipe, cohort.digest, cohort.seeds, store, device=device, progress=progress)
    except MemkitError as error:
        return str(error)
    except BaseException as error:  # a model that calls sys.exit() must not end the pool
        return f"{type(error).__name__}: {error}"
    return ""
