"""The arms of the study of growing networks differ in what their contrasts name, and match in what they say they do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fixtures.growth import interventions as study
from fixtures.growth import recipes as recipes
from memkit import Recipe
from memkit.models.parameters import parameters_per_seed
from memkit.training.building import restore
from memkit.training.streams import generator
from memkit.training.trainer import train

SEED = 3


def trained(recipe: Recipe) -> Any:
    (run,) = train(recipe, [SEED])
    return run


@pytest.mark.parametrize(
    ("growing", "matched"),
    [(recipes.WIDER, recipes.FIXED), (recipes.DEEPER, recipes.DEEP), (recipes.BOTH, recipes.DEEP)],
)
def test_growing_networks_end_with_the_parameters_of_their_matched_control(growing: Recipe, matched: Recipe) -> None:
    counts = [trained(recipe).metrics["parameters"] for recipe in (growing, recipes.fresh(growing), matched)]
    assert counts[0] == counts[1] == pytest.approx(counts[2], rel=0.01)


def test_growing_networks_begin_as_the_small_one() -> None:
    small, growing, both = (trained(r) for r in (recipes.SMALL, recipes.WIDER, recipes.BOTH))
    assert small.validation[0] == pytest.approx(growing.validation[0], abs=1e-5)
    assert small.validation[0] == pytest.approx(both.validation[0], abs=1e-5)


def test_they_grow_an_epoch_apart_and_at_the_same_shares_of_longer_training() -> None:
    for times in (1, 4):
        run = trained(recipes.longer(recipes.WIDER, times))
        assert run.state["grown_at"].tolist() == [[32 * times, 64 * times, 96 * times]]
    assert trained(recipes.DEEPER).state["grown_at"].tolist() == [[64]]
    assert recipes.longer(recipes.FIXED, 4).steps == 512


def test_an_inactive_memory_is_no_memory_to_the_bit() -> None:
    plain, inactive = trained(recipes.WIDER), trained(recipes.INACTIVE)
    assert plain.history == inactive.history
    assert all(torch.equal(inactive.state[f"network.{name}"], tensor) for name, tensor in plain.state.items())


def test_grown_without_training_the_network_answers_as_before_or_has_forgotten() -> None:
    run = trained(recipes.UNGROWN)
    x, y = recipes.DIGITS.split(generator(SEED, "split")).validation
    before = restore(recipes.UNGROWN, SEED, run.state)
    assert int(before.events) == 0
    grown = {how: study.grown(how)(restore(recipes.UNGROWN, SEED, run.state)) for how in ("preserving", "fresh")}  # type: ignore[arg-type]
    for model in grown.values():
        assert model.sizes_after(3) == recipes.DEEP_WIDTHS
        assert parameters_per_seed(model) == trained(recipes.DEEP).metrics["parameters"]
    torch.testing.assert_close(grown["preserving"](x[None]), before(x[None]), rtol=0.0, atol=1e-5)
    assert study.clipped_loss(grown["preserving"], (x, y)) == pytest.approx(
        study.clipped_loss(before, (x, y)), abs=1e-5
    )
    assert study.clipped_loss(grown["fresh"], (x, y)) > study.clipped_loss(before, (x, y)) + 0.3
    broken = study.permuted(grown["preserving"])
    assert study.clipped_loss(broken, (x, y)) > study.clipped_loss(before, (x, y)) + 0.3


def test_what_growth_does_to_the_loss_is_the_most_of_all_events() -> None:
    rows = ((1, 2.0, 0.1), (1, 2.5, 0.1), (2, 1.0, 0.2), (3, 1.0, 0.2), (3, 0.5, 0.2))
    assert study.rise_at_growth(rows) == 0.5
    assert study.rise_at_growth(rows[3:]) == 0.0, "a fall is no rise"
    assert study.rise_at_growth(((1, 1.0, 0.5), (1, 9.0, 0.1))) == study.MOST
    assert study.rise_at_growth(((1, 1.0, 0.5), (1, float("nan"), 0.1))) == study.MOST
    with pytest.raises(ValueError, match="did not grow"):
        study.rise_at_growth(rows[2:4])
