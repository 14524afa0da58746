"""A training queue with an executor, for the tests of executors."""

from __future__ import annotations

from pathlib import Path

from memkit import Recipe
from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import Executor, Result
from memkit.scheduling.queue import TrainingQueue
from memkit.store.store import Store
from tests.machines import toys
from tests.machines.clocks import until

COHORT = Recipe(toys.Halves(), toys.Cohort, steps=5, batch=4)


class Bench:
    """A training queue that records its results, and a folder in which trained tasks leave files.

    Attributes:
        outcomes: (recipe digest, seed) → the result of the cohort.
    """

    def __init__(self, executor: Executor, store: Store, folder: Path) -> None:
        self.folder = folder
        self.queue = TrainingQueue(executor, store, ended=self._record)
        self.outcomes: dict[tuple[str, int], Result] = {}

    def _record(self, cohort: Cohort, result: Result) -> None:
        assert not cohort.runs & self.outcomes.keys()
        self.outcomes |= dict.fromkeys(cohort.runs, result)

    def witnessed(self, act: str, base: Recipe = COHORT, at: int | None = None) -> Recipe:
        """Return a recipe with a task that leaves files; see :class:`~tests.machines.toys.Witnessed`."""
        self.witnesses(act).mkdir()
        return base.with_(task=toys.Witnessed(folder=str(self.witnesses(act)), act=act, at=at))

    def witnesses(self, act: str) -> Path:
        """Return the folder in which the tasks with this act leave their files."""
        return self.folder / act

    def release(self, act: str) -> None:
        """Let the tasks continue that wait."""
        Path(f"{self.witnesses(act)}.go").touch()

    def add(self, recipe: Recipe, *seeds: int) -> None:
        """Add a cohort to the queue."""
        self.queue.add([Cohort(Training.of(recipe), seeds)])

    def result(self, recipe: Recipe, seed: int = 1) -> Result | None:
        """Return the result of a seed, or None while it has not ended."""
        return self.outcomes.get((recipe.digest, seed))

    def turn_until(self, recipe: Recipe, *seeds: int) -> None:
        """Run the queue until the seeds have ended."""

        def ended() -> bool:
            self.queue.step(0.1)
            return all(self.result(recipe, seed) for seed in seeds)

        until(ended)
