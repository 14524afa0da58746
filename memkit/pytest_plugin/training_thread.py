"""Training while tests run, on the controller: where models are trained, and the thread that drives the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from memkit.pytest_plugin.messages import Messages
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.scheduling.executor import Executor, LocalExecutor
from memkit.scheduling.queue import TrainingQueue

_TURN_SECONDS = 0.2


def executor_for(config: pytest.Config, settings: Settings, plan: RunPlan) -> Executor:
    """Return the executor that trains the models of a run: processes of this machine, or a Ray cluster.

    Raises:
        MemkitError: Ray cannot be reached.
    """
    if settings.executor != "ray" or not plan.trainings:
        # As many processes as test workers, or one per core without xdist.
        workers = len(getattr(config.option, "tx", None) or [])
        return LocalExecutor(workers, device=settings.device, files=plan.files)
    from memkit.scheduling.ray_executor import RayExecutor

    fewest_gpus = min(training.gpus for training in plan.trainings.values())
    return RayExecutor(settings.ray_address, device=settings.device, files=plan.files, gpus=fewest_gpus)


class TrainingThread(threading.Thread):
    """A thread that advances the training queue until :meth:`end` is called.

    Args:
        queue: the training queue, which reports the end of each training itself.
        messages: closed if the queue raises an exception, so that no item waits for it.
        on_turn: called after every turn of the queue.

    Attributes:
        error: the exception that the queue raised, or None.
    """

    def __init__(self, queue: TrainingQueue, messages: Messages, on_turn: Callable[[], None]) -> None:
        super().__init__(name="memkit-training", daemon=True)
        self.queue = queue
        self.messages = messages
        self.on_turn = on_turn
        self.error: Exception | None = None
        self._ending = threading.Event()

    def run(self) -> None:
        """Train the cohorts that are added to the queue."""
        try:
            while not self._ending.is_set():
                self.queue.step(_TURN_SECONDS)
                self.on_turn()
        except Exception as error:
            self.error = error
            self.messages.close(f"training stopped with {type(error).__name__}: {error}")

    def end(self) -> None:
        """Stop at once; runs that have been trained are in the store."""
        self._ending.set()
        self.queue.wake()
        try:
            if self.is_alive():
                self.join()
        finally:
            self.queue.executor.close()
