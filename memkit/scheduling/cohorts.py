"""Cohorts: seeds of a recipe that are trained together, and their training into the store."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError
from memkit.scheduling.devices import deterministic, free, lacks_memory
from memkit.source import source_files
from memkit.store.dependencies import recording_opened_files
from memkit.store.verified_files import DAMAGED
from memkit.versions import versions_behind

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe
    from memkit.store.store import Store
    from memkit.training.trained_run import TrainedRun


@dataclass(frozen=True)
class Training:
    """A recipe to be trained, in plain types that can be sent to another process.

    Attributes:
        digest: the digest of the recipe, computed by the process that planned the training.
        recipe: the JSON of the recipe.
        summary: a short description for progress lines.
        steps: the number of optimiser steps.
        cpus, gpus: the resources that a cohort requests on a node of a cluster.
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
        """Return the attributes in plain types."""
        return {**vars(self), "recipe": dict(self.recipe)}


@dataclass(frozen=True)
class Cohort:
    """Seeds of a recipe that are to be trained together."""

    training: Training
    seeds: tuple[int, ...]

    @property
    def runs(self) -> set[tuple[str, int]]:
        """The pairs (digest, seed) of all runs."""
        return {(self.training.digest, seed) for seed in self.seeds}

    def __str__(self) -> str:
        return f"{self.training.summary}, {len(self.seeds)} seed" + ("s" if len(self.seeds) > 1 else "")


def plan_cohorts(wanted: Iterable[tuple[Training, Iterable[int]]], store: Store) -> list[Cohort]:
    """Return the cohorts that have to be trained, in the order in which they are first requested.

    There is one cohort per recipe, with all requested seeds that the store lacks.
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
    """Train and store the seeds that the store lacks, while holding their locks.

    Args:
        recipe: the recipe.
        digest: its digest.
        seeds: the seeds that are needed.
        store: the store.
        device: the device to train on.
        progress: called with the fraction that is done, 0 to 1.
    """
    from memkit.training.process import prepared_process

    if not store.missing(digest, seeds):
        return
    with store.lock(digest, seeds):
        missing = store.missing(digest, seeds)  # another process may have trained some in the meantime
        if not missing:
            return
        # Seeds that cannot train together train one after another, and each is stored as soon as it is finished.
        groups = [missing] if recipe.together else [[seed] for seed in missing]
        for i, group in enumerate(groups):
            with prepared_process(), deterministic(device), _recording_files(recipe, digest, store) as depends:
                for runs in _train(recipe, group, device, _part_of_progress(progress, i, len(groups))):
                    for run in runs:
                        store.save(
                            digest,
                            recipe.to_json(),
                            run,
                            made=provenance(recipe, device, len(runs)),
                            depends=depends(),
                            versions=versions_of(recipe),
                        )


def _recording_files(recipe: Recipe, digest: str, store: Store) -> AbstractContextManager[Callable[[], dict[str, str]]]:
    """Record which files training opens; see :func:`memkit.store.dependencies.recording_opened_files`."""
    return recording_opened_files(store.files, ("training", digest), recipe.modules)


def versions_of(recipe: Recipe) -> dict[str, str]:
    """Return the versions of Python and of the packages that a recipe's code imports: name → version."""
    return versions_behind(source_files(recipe.modules))


def _train(
    recipe: Recipe, seeds: Sequence[int], device: str, progress: Callable[[float], None] | None
) -> Iterator[list[TrainedRun]]:
    """Train seeds together, or in halves if the memory does not suffice; yield the runs of each part.

    The result for a seed does not depend on its cohort.

    Raises:
        MemkitError: if the memory does not suffice for a single seed.
    """
    from memkit.recipes.backends import train

    try:
        yield train(recipe, seeds, device=device, progress=progress)
        return
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Outside the except block, because the exception keeps references to intermediate results and their memory.
    if len(seeds) == 1:
        raise MemkitError(f"{recipe.summary}: there is not enough memory to train one seed on {device} ({reason})")
    free(device)
    middle = (len(seeds) + 1) // 2
    for i, half in enumerate((seeds[:middle], seeds[middle:])):
        yield from _train(recipe, half, device, _part_of_progress(progress, i, 2))


def _part_of_progress(progress: Callable[[float], None] | None, i: int, n: int) -> Callable[[float], None] | None:
    """Return a callback for the progress of part ``i`` of ``n``, which reports it as progress of the whole."""
    return None if progress is None else lambda fraction: progress((i + fraction) / n)


def load_or_train(recipe: Recipe, digest: str, seed: int, store: Store, *, device: str = "cpu") -> TrainedRun:
    """Return the trained run of one seed, from the store or after training it.

    Raises:
        MemkitError: if the run cannot be trained, or the store loses it.
    """
    # Damage shows only when a run is loaded. The second round fetches or trains a damaged run again. If the fetched
    # copy is damaged as well, the third round trains it.
    for _ in range(3):
        train_missing(recipe, digest, [seed], store, device=device)
        run = store.load(digest, seed)
        if run is not None:
            return run
    raise MemkitError(f"the store {store} loses what is written to it; choose another one with --store")


def restore_or_retrain(
    run: TrainedRun, recipe: Recipe, digest: str, store: Store, *, device: str = "cpu"
) -> tuple[TrainedRun, Any]:
    """Return a run from :func:`load_or_train` together with its model, in evaluation mode.

    Weights that do not fit the model count as damage, even if their checksum matches: the run is trained again, and the
    new run is returned. If its weights do not fit either, the model is at fault, and its exception is raised.
    """
    from memkit.recipes.backends import restore

    try:
        return run, restore(recipe, run.seed, run.state, device=device)
    except Exception:
        mismatch = _mismatch(run, recipe)
        if not mismatch:
            raise
    store.discard_damaged(digest, run.seed, f"{DAMAGED}: its weights do not fit its model: {mismatch}")
    retrained = load_or_train(recipe, digest, run.seed, store, device=device)
    return retrained, restore(recipe, run.seed, retrained.state, device=device)


def _mismatch(run: TrainedRun, recipe: Recipe) -> str:
    """Return why a run's weights do not fit its model; "" if they do.

    Raises:
        Exception: the model's own, if the model cannot be created at all.
    """
    from memkit.recipes.backends import build, restore

    build(recipe, run.seed)
    try:
        restore(recipe, run.seed, run.state)  # on the CPU: a device may lack memory
    except MemoryError:
        raise
    except Exception as error:  # any exception: the weights may come from another machine
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def provenance(recipe: Recipe, device: str, cohort: int) -> dict[str, Any]:
    """Return the provenance of a run: versions, machine, device, and the size of its cohort."""
    from memkit.recipes.backends import versions

    return {
        **versions(recipe),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "cohort": cohort,
    }
