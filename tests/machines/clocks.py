"""Clocks that go by no real time, and waits that end as soon as what they wait for has happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from memkit.store.remote import Clock

PATIENCE = 300.0
"""Seconds after which a wait gives up: nobody may be there any more to make it happen."""


def until(happened: Callable[[], Any], *, patience: float = PATIENCE) -> None:
    """Wait for something, but not for ever."""
    end = time.monotonic() + patience
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"{happened} has not happened")
        time.sleep(0.01)


class Skipping(Clock):
    """A clock that stands still, but for sleep, which moves it on at once. No heart beats by it.

    Attributes:
        time: seconds since it was made.
    """

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        assert self.time < 300, "whoever waits so long waits for ever"

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(PATIENCE)


class Cranked(Clock):
    """A clock that a test turns by hand. Who sleeps or waits by it does so until it has been turned that far.

    Attributes:
        time: seconds that it has been turned by.
        sleeping: how many sleep now.
        slept: how often somebody has gone to sleep.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self.sleeping = self.slept = 0
        self._counting = threading.Lock()

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.time += seconds

    def turn_until(self, happened: Callable[[], Any], *, step: float) -> None:
        """Let time pass step by step, until something has happened."""

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
