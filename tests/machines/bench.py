"""A queue before an executor, for the tests of executors."""

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
    """A queue, what has ended in it, and a folder for the witnesses of each act."""

    def __init__(self, executor: Executor, store: Store, folder: Path) -> None:
        self.folder = folder
        self.queue = TrainingQueue(executor, store, ended=self._note)
        self.outcomes: dict[tuple[str, int], Result] = {}

    def _note(self, cohort: Cohort, result: Result) -> None:
        assert not cohort.runs & self.outcomes.keys()
        self.outcomes |= dict.fromkeys(cohort.runs, result)

    def witnessed(self, act: str, base: Recipe = COHORT, at: int | None = None) -> Recipe:
        self.witnesses(act).mkdir()
        return base.with_(task=toys.Witnessed(folder=str(self.witnesses(act)), act=act, at=at))

    def witnesses(self, act: str) -> Path:
        return self.folder / act

    def release(self, act: str) -> None:
        """Let those go on that wait."""
        Path(f"{self.witnesses(act)}.go").touch()

    def add(self, recipe: Recipe, *seeds: int) -> None:
        self.queue.add([Cohort(Training.of(recipe), seeds)])

    def result(self, recipe: Recipe, seed: int = 1) -> Result | None:
        return self.outcomes.get((recipe.digest, seed))

    def turn_until(self, recipe: Recipe, *seeds: int) -> None:
        def ended() -> bool:
            self.queue.turn(0.1)
            return all(self.result(recipe, seed) for seed in seeds)

        until(ended)
