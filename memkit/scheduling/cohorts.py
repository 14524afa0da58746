"""Cohorts: the seeds of a recipe that are trained together, and the place where training meets the store."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError
from memkit.scheduling.devices import deterministic, free, lacks_memory
from memkit.source import source_files
from memkit.store.dependencies import noting
from memkit.store.verified_files import DAMAGED
from memkit.versions import versions_behind

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe
    from memkit.store.store import Store
    from memkit.training.trained_run import TrainedRun


@dataclass(frozen=True)
class Training:
    """A recipe to be trained, in plain types, so that it can be sent to another process.

    Attributes:
        digest: of the recipe, computed where the training was planned.
        recipe: its JSON.
        summary: for progress lines.
        steps: optimiser steps.
        cpus, gpus: what a cohort takes of a machine of a cluster.
    """

    digest: str
    recipe: Mapping[str, Any]
    summary: str
    steps: int
    cpus: float = 1.0
    gpus: float = 1.0

    @classmethod
    def of(cls, recipe: Recipe) -> Training:
        """Describe the training of a recipe in plain types."""
        return cls(recipe.digest, recipe.to_json(), recipe.summary, recipe.steps, recipe.cpus, recipe.gpus)

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {**vars(self), "recipe": dict(self.recipe)}


@dataclass(frozen=True)
class Cohort:
    """Some seeds of a recipe, to be trained together."""

    training: Training
    seeds: tuple[int, ...]

    @property
    def runs(self) -> set[tuple[str, int]]:
        """(digest, seed) of every run."""
        return {(self.training.digest, seed) for seed in self.seeds}

    def __str__(self) -> str:
        return f"{self.training.summary}, {len(self.seeds)} seed" + ("s" if len(self.seeds) > 1 else "")


def plan(wanted: Iterable[tuple[Training, Iterable[int]]], store: Store) -> list[Cohort]:
    """Return the cohorts that have to be trained, in the order in which they are first wanted.

    Each recipe comes once, with all its seeds that the store lacks.
    """
    trainings: dict[str, Training] = {}
    seeds: dict[str, set[int]] = {}
    for training, numbers in wanted:
        trainings.setdefault(training.digest, training)
        seeds.setdefault(training.digest, set()).update(numbers)
    cohorts = (Cohort(t, tuple(store.missing(digest, sorted(seeds[digest])))) for digest, t in trainings.items())
    return [cohort for cohort in cohorts if cohort.seeds]


def train_missing(
    recipe: Recipe,
    digest: str,
    seeds: Sequence[int],
    store: Store,
    *,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> None:
    """Train those of the seeds that the store lacks, under their locks, and store them."""
    from memkit.training.process import prepared_process

    if not store.missing(digest, seeds):
        return
    with store.lock(digest, seeds):
        missing = store.missing(digest, seeds)  # another process may have trained some while we waited
        if not missing:
            return
        # Seeds that cannot train together train one after another, and each is kept as soon as it is finished.
        groups = [missing] if recipe.together else [[seed] for seed in missing]
        for i, group in enumerate(groups):
            with prepared_process(), deterministic(device), _noting(recipe, digest, store) as depends:
                trained = _train(recipe, group, device, _part(progress, i, len(groups)))
                for runs in trained:
                    for run in runs:
                        made = provenance(recipe, device, len(runs))
                        store.save(
                            digest, recipe.to_json(), run, made=made, depends=depends(), versions=versions_of(recipe)
                        )


def _noting(recipe: Recipe, digest: str, store: Store) -> AbstractContextManager[Callable[[], dict[str, str]]]:
    return noting(store.files, ("training", digest), recipe.modules)


def versions_of(recipe: Recipe) -> dict[str, str]:
    """Return the versions of Python and of the packages that a recipe's code imports: name → version."""
    return versions_behind(source_files(recipe.modules))


def _train(
    recipe: Recipe, seeds: Sequence[int], device: str, progress: Callable[[float], None] | None
) -> Iterator[list[TrainedRun]]:
    """Train seeds together, or in halves where there is no memory for all of them: a seed is the same in any cohort.

    Raises:
        MemkitError: there is no memory for one seed.
    """
    from memkit.recipes.backends import train

    try:
        yield train(recipe, seeds, device=device, progress=progress)
        return
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Outside the except block, whose exception holds on to what was being calculated, and to its memory.
    if len(seeds) == 1:
        raise MemkitError(f"{recipe.summary}: there is no memory to train one seed on {device} ({told})")
    free(device)
    middle = (len(seeds) + 1) // 2
    for i, half in enumerate((seeds[:middle], seeds[middle:])):
        yield from _train(recipe, half, device, _part(progress, i, 2))


def _part(progress: Callable[[float], None] | None, i: int, n: int) -> Callable[[float], None] | None:
    """The progress of part ``i`` of ``n``, told as progress of the whole."""
    return None if progress is None else lambda share: progress((i + share) / n)


def obtain(recipe: Recipe, digest: str, seed: int, store: Store, *, device: str = "cpu") -> TrainedRun:
    """Return the trained run of one seed: from the store, or trained now."""
    # Only loading shows that an entry is damaged. It is fetched or trained in the second round; if what is fetched is
    # damaged too, it is trained in the third.
    for _ in range(3):
        train_missing(recipe, digest, [seed], store, device=device)
        run = store.load(digest, seed)
        if run is not None:
            return run
    raise MemkitError(f"the store {store} does not keep what is written to it; choose another one with --store")


def restored(
    run: TrainedRun, recipe: Recipe, digest: str, store: Store, *, device: str = "cpu"
) -> tuple[TrainedRun, Any]:
    """Return a run that was obtained, and its model in evaluation mode.

    Weights that do not fit the model, although their checksum verifies, count as damage: the run is trained again, and
    the new one is returned. If its weights do not fit either, the mistake is in the model, whose exception is raised.
    """
    from memkit.recipes.backends import restore

    try:
        return run, restore(recipe, run.seed, run.state, device=device)
    except Exception:
        wrong = _misfit(run, recipe)
        if not wrong:
            raise
    store.discard_damaged(digest, run.seed, f"{DAMAGED}: its weights are not those of its model: {wrong}")
    again = obtain(recipe, digest, run.seed, store, device=device)
    return again, restore(recipe, run.seed, again.state, device=device)


def _misfit(run: TrainedRun, recipe: Recipe) -> str:
    """Why weights are not those of a model that can be made, or ""."""
    from memkit.recipes.backends import build, restore

    build(recipe, run.seed)  # raises the model's own exception if the model itself cannot be made
    try:
        restore(recipe, run.seed, run.state)  # on the CPU: a device may lack memory
    except MemoryError:
        raise
    except Exception as error:  # any exception: the weights may come from elsewhere
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def provenance(recipe: Recipe, device: str, cohort: int) -> dict[str, Any]:
    """Return how a run was made: versions, device, and the size of the cohort it was trained in."""
    from memkit.recipes.backends import versions

    return {
        **versions(recipe),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "cohort": cohort,
    }
