"""Training beside the tests: the thread that drives the queue, on the controller."""

from __future__ import annotations

import threading
from collections.abc import Callable

from memkit.pytest_plugin.board import Board
from memkit.scheduling.queue import TrainingQueue

_TURN = 0.2  # seconds


class TrainingThread(threading.Thread):
    """Turns the queue until it is ended; what ends is posted on the board by the queue's owner.

    Args:
        queue: what to train.
        board: told if the queue itself breaks down, so that nobody waits for it.
        tick: called after every turn.

    Attributes:
        error: what the queue broke down with, or None.
    """

    def __init__(self, queue: TrainingQueue, board: Board, tick: Callable[[], None]) -> None:
        super().__init__(name="memkit-training", daemon=True)
        self.queue = queue
        self.board = board
        self.tick = tick
        self.error: Exception | None = None
        self._ending = threading.Event()

    def run(self) -> None:
        """Train what is added."""
        try:
            while not self._ending.is_set():
                self.queue.turn(_TURN)
                self.tick()
        except Exception as error:
            self.error = error
            self.board.close(f"training broke down: {type(error).__name__}: {error}")

    def end(self) -> None:
        """Stop at once; what had been trained is in the store."""
        self._ending.set()
        self.queue.wake()
        try:
            if self.is_alive():
                self.join()
        finally:
            self.queue.executor.close()
