"""A seed whose sampler has ``finished`` keeps its model of that step, whatever the rest of its cohort does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from memkit import Recipe
from memkit.training.building import sampler
from memkit.training.trained_run import TrainedRun
from memkit.training.trainer import train
from tests.machines import toys

COHORT = Recipe(toys.Enough(), toys.Cohort, steps=60, batch=16, lr=0.05)
ORDINARY = COHORT.with_(model=toys.Ordinary)
SEEDS = list(range(8))
KINDS = pytest.mark.parametrize(
    "recipe",
    [COHORT, ORDINARY, ORDINARY.with_(vmap=True), COHORT.with_(optimizer="sgd"), COHORT.with_(validate_every=7)],
    ids=["cohort", "ordinary", "vmap", "sgd", "validated"],
)


def enough(recipe: Recipe, seed: int) -> int:
    """Return the number of batches after which a seed ends."""
    draw: Any = sampler(recipe, seed)
    return int(draw.enough)


def close(one: TrainedRun, other: TrainedRun) -> bool:
    return all(torch.allclose(t, other.state[name], rtol=1e-4, atol=1e-5) for name, t in one.state.items())


@KINDS
def test_each_seed_trains_until_it_has_learnt_enough(recipe: Recipe) -> None:
    expected = [enough(recipe, seed) for seed in SEEDS]
    assert len(set(expected)) > 3, "the seeds must differ for this test to be meaningful"
    runs = train(recipe, SEEDS)
    assert [run.seed for run in runs] == SEEDS
    assert [run.metrics["steps"] for run in runs] == expected
    for run in runs:
        assert run.history[-1] == (run.metrics["steps"], run.metrics["loss"])
        assert [step for step, _ in run.history] == sorted({step for step, _ in run.history})


@KINDS
def test_the_result_of_a_seed_does_not_depend_on_how_long_other_seeds_train(recipe: Recipe) -> None:
    for run in train(recipe, SEEDS):
        (alone,) = train(recipe, [run.seed])
        assert close(run, alone)
        assert [step for step, _, _ in run.validation] == [step for step, _, _ in alone.validation]


@KINDS
def test_a_finished_seed_equals_training_with_as_many_steps(recipe: Recipe) -> None:
    run, *_ = train(recipe, SEEDS)
    (plain,) = train(recipe.with_(task=toys.Halves(), steps=enough(recipe, 0), validate_every=None), [0])
    assert close(run, plain)
    assert run.metrics["steps"] == plain.metrics["steps"]


def test_no_seed_trains_for_more_than_the_recipes_steps() -> None:
    shares: list[float] = []
    recipe = COHORT.with_(task=replace(COHORT.task, least=55))
    runs = train(recipe, SEEDS, progress=shares.append)
    assert [run.metrics["steps"] for run in runs] == [min(60, enough(recipe, seed)) for seed in SEEDS]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_finished_seed_is_validated_once_more() -> None:
    for run in train(COHORT.with_(validate_every=7), SEEDS):
        last = int(run.metrics["steps"])
        assert [step for step, _, _ in run.validation] == sorted({*range(7, last + 1, 7), last})


def test_a_diverged_seed_does_not_stop_seeds_from_finishing() -> None:
    task = toys.Poisoned()
    runs = train(COHORT.with_(task=task), [1, 2])
    assert runs[0].diverged
    assert not runs[1].diverged
