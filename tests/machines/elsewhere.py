"""Another process on this machine, as another run of the tests would be."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Elsewhere:
    """A process that calls functions one after another; it starts with the first call, and again after a kill."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in the process; it must be defined at the top level of a module."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        return self._pool.submit(function, *args, **kwargs)

    def kill(self) -> None:
        """Kill the process, whatever it is doing, and wait until it has ended."""
        assert self._pool is not None
        processes: list[Any] = list((self._pool._processes or {}).values())
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        self._pool.shutdown()
        self._pool = None
        assert not any(process.is_alive() for process in processes)

    def close(self) -> None:
        """Kill the process if it is running."""
        if self._pool is not None:
            self.kill()
