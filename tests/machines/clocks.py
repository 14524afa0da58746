"""Clocks that are independent of real time, and waits that end as soon as a condition holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from memkit.store.remote import Clock

PATIENCE = 300.0
"""Seconds after which a wait gives up, as the process that should have made the condition true may have died."""


def until(happened: Callable[[], Any], *, patience: float = PATIENCE) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not hold within ``patience`` seconds.
    """
    end = time.monotonic() + patience
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"{happened} was not true within {patience:g} seconds")
        time.sleep(0.01)


class Skipping(Clock):
    """A clock that only :meth:`sleep` advances, without waiting; waits for events end only when the event is set.

    Attributes:
        time: the seconds since it was created.
    """

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        assert self.time < 300, "a wait of five minutes would never end"

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(PATIENCE)


class Cranked(Clock):
    """A clock that a test advances by hand; sleeps and waits end once it has been advanced far enough.

    Attributes:
        time: the seconds by which it has been advanced.
        sleeping: the number of threads that are asleep.
        slept: the number of calls of :meth:`sleep`.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self.sleeping = self.slept = 0
        self._counting = threading.Lock()

    def turn(self, seconds: float) -> None:
        """Advance the clock."""
        self.time += seconds

    def turn_until(self, happened: Callable[[], Any], *, step: float) -> None:
        """Advance the clock step by step until a condition holds."""

        def turned() -> Any:
            self.turn(step)
            return happened()

        until(turned)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        end = self.time + seconds
        with self._counting:
            self.sleeping += 1
            self.slept += 1
        until(lambda: self.time >= end)
        with self._counting:
            self.sleeping -= 1

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.time + seconds
        until(lambda: self.time >= end or event.is_set())
        return event.is_set()
