"""The arms on several variables are matched, as their claims say."""

from __future__ import annotations

from fixtures.binding.recipes import FACTORISED_SLOTS, LSTM, TRANSFORMER, UNFACTORISED_SLOTS
from memkit import Recipe
from memkit.models import parameters_per_seed
from memkit.training.streams import generator

ARMS = (FACTORISED_SLOTS, UNFACTORISED_SLOTS, LSTM, TRANSFORMER)


def parameters(recipe: Recipe) -> int:
    return parameters_per_seed(recipe.model(generators=[generator(0, "init")], **recipe.task.sizes, **recipe.options))


def test_no_control_is_smaller_than_the_slots_by_more_than_a_tenth() -> None:
    slots, *controls = [parameters(recipe) for recipe in ARMS]
    assert min(controls) > 0.9 * slots, (slots, controls)


def test_budgets_and_tasks_are_the_same() -> None:
    assert len({(recipe.task, recipe.steps, recipe.batch, recipe.optimizer) for recipe in ARMS}) == 1
