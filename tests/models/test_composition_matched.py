"""The architectures on composed commands are matched, as their claims say."""

from __future__ import annotations

import pytest

from fixtures.binding import composition as arms
from memkit import Recipe
from memkit.models import parameters_per_seed
from memkit.training.streams import generator

SETTINGS = [
    (
        arms.UNSEEN_TRANSFORMER,
        arms.UNSEEN_POSITIONAL,
        arms.UNSEEN_LEARNT,
        arms.UNSEEN_CROSS_ATTENTION,
        arms.UNSEEN_SLOTS,
        arms.UNSEEN_MEMORY,
        arms.UNSEEN_LSTM,
    ),
    (
        arms.LARGE_TRANSFORMER,
        arms.LARGE_POSITIONAL,
        arms.LARGE_SLOTS,
        arms.LARGE_ARGMAX_MEMORY,
        arms.LARGE_SOFT_MEMORY,
        arms.LARGE_NO_MEMORY,
    ),
]


def parameters(recipe: Recipe) -> int:
    return parameters_per_seed(recipe.model(generators=[generator(0, "init")], **recipe.task.sizes, **recipe.options))


@pytest.mark.parametrize("recipes", SETTINGS, ids=["unseen", "large"])
def test_nobody_has_a_tenth_more_or_fewer_parameters_than_the_transformer(recipes: tuple[Recipe, ...]) -> None:
    transformer, *others = [parameters(recipe) for recipe in recipes]
    assert all(0.9 * transformer < count < 1.1 * transformer for count in others), (transformer, others)


@pytest.mark.parametrize("recipes", SETTINGS, ids=["unseen", "large"])
def test_budgets_and_tasks_are_the_same(recipes: tuple[Recipe, ...]) -> None:
    assert len({(recipe.task, recipe.steps, recipe.batch, recipe.optimizer) for recipe in recipes}) == 1
