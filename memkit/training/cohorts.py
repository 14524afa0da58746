"""Cohorts: the seeds of a recipe that are trained together, and the place where training meets the store."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memkit.training.recipe import Recipe
    from memkit.training.store import Store
    from memkit.training.trainer import TrainedRun


@dataclass(frozen=True)
class Cohort:
    """Some seeds of a recipe, in plain types, so that it can be sent to another process.

    Attributes:
        digest: of the recipe, computed where the cohort was planned.
        recipe: its JSON.
        seeds: to be trained together.
        summary: for progress lines.
        steps: optimiser steps times seeds, for the order of work.
    """

    digest: str
    recipe: Mapping[str, Any]
    seeds: tuple[int, ...]
    summary: str
    steps: int


def plan(wanted: Iterable[tuple[Recipe, Sequence[int]]], store: Store) -> list[Cohort]:
    """The cohorts that have to be trained, largest first: each recipe once, with all its missing seeds."""
    recipes: dict[str, Recipe] = {}
    seeds: dict[str, set[int]] = {}
    for recipe, numbers in wanted:
        digest = recipe.digest
        recipes[digest] = recipe
        seeds.setdefault(digest, set()).update(numbers)
    cohorts = []
    for digest, recipe in recipes.items():
        if missing := store.missing(digest, sorted(seeds[digest])):
            cohorts.append(
                Cohort(digest, recipe.to_json(), tuple(missing), recipe.summary, recipe.steps * len(missing))
            )
    return sorted(cohorts, key=lambda cohort: -cohort.steps)


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
    from memkit.training.trainer import prepared_process, train

    if not store.missing(digest, seeds):
        return
    with store.lock(digest, seeds):
        missing = store.missing(digest, seeds)  # another process may have trained some while we waited
        if not missing:
            return
        # Without a seed axis the seeds train one after another, and each is kept as soon as it is finished.
        together = bool(getattr(recipe.model, "seed_axis", False))
        groups = [missing] if together else [[seed] for seed in missing]
        for i, group in enumerate(groups):
            with prepared_process():
                runs = train(recipe, group, device=device, progress=_part(progress, i, len(groups)))
            for run in runs:
                store.save(digest, recipe.to_json(), run, made=provenance(device, len(group)))


def _part(progress: Callable[[float], None] | None, i: int, n: int) -> Callable[[float], None] | None:
    """The progress of part ``i`` of ``n``, told as progress of the whole."""
    return None if progress is None else lambda share: progress((i + share) / n)


def obtain(recipe: Recipe, digest: str, seed: int, store: Store, *, device: str = "cpu") -> TrainedRun:
    """The trained run of one seed: from the store, or trained now."""
    for _ in range(2):  # a damaged entry is found out by loading it, and trained in the second round
        train_missing(recipe, digest, [seed], store, device=device)
        run = store.load(digest, seed)
        if run is not None:
            return run
    raise RuntimeError(f"the store {store.root} does not keep what is written to it")


def provenance(device: str, cohort: int) -> dict[str, Any]:
    """How a run was made: versions, device, and the size of the cohort it was trained in."""
    from importlib.metadata import version

    import torch

    return {
        "memkit": version("memkit-claims"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "cohort": cohort,
    }
