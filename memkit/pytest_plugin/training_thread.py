"""Training beside the tests, on the controller: where models are trained, and the thread that drives the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from memkit.pytest_plugin.messages import Messages
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.scheduling.executor import Executor, LocalExecutor
from memkit.scheduling.queue import TrainingQueue

_TURN = 0.2  # seconds


def executor_for(config: pytest.Config, settings: Settings, plan: RunPlan) -> Executor:
    """Return where the models of a run are trained: in processes of this machine, or by Ray.

    Raises:
        MemkitError: Ray cannot be reached.
    """
    if settings.executor != "ray" or not plan.trainings:
        # As many processes as test workers, or one per core without xdist.
        workers = len(getattr(config.option, "tx", None) or [])
        return LocalExecutor(workers, device=settings.device, files=plan.files)
    from memkit.scheduling.ray_executor import RayExecutor

    least = min(training.gpus for training in plan.trainings.values())
    return RayExecutor(settings.ray_address, device=settings.device, files=plan.files, gpus=least)


class TrainingThread(threading.Thread):
    """Turns the queue until it is ended; the queue's owner posts what has ended.

    Args:
        queue: what to train.
        messages: closed if the queue itself breaks down, so that nobody waits for it.
        tick: called after every turn.

    Attributes:
        error: what the queue broke down with, or None.
    """

    def __init__(self, queue: TrainingQueue, messages: Messages, tick: Callable[[], None]) -> None:
        super().__init__(name="memkit-training", daemon=True)
        self.queue = queue
        self.messages = messages
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
            self.messages.close(f"training broke down: {type(error).__name__}: {error}")

    def end(self) -> None:
        """Stop at once; what had been trained is in the store."""
        self._ending.set()
        self.queue.wake()
        try:
            if self.is_alive():
                self.join()
        finally:
            self.queue.executor.close()
