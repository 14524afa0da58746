"""The arms of the study of hidden-state memory differ in what their contrasts name, and in nothing else."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from fixtures.intervention import interventions as study
from fixtures.intervention import recipes as recipes
from memkit import Recipe
from memkit.models.intervened import IntervenedNetwork
from memkit.training.building import restore
from memkit.training.trained_run import TrainedRun
from memkit.training.trainer import train

SEED = 3


KNOWN: dict[str, TrainedRun] = {}


def trained(recipe: Recipe) -> TrainedRun:
    if recipe.digest not in KNOWN:
        (KNOWN[recipe.digest],) = train(recipe, [SEED])
    return KNOWN[recipe.digest]


def weights(recipe: Recipe) -> dict[str, Tensor]:
    """Those of the network, without the memory."""
    state = trained(recipe).state
    return {name.removeprefix("network."): tensor for name, tensor in state.items() if "memory" not in name}


def network_of(recipe: Recipe) -> dict[str, Tensor]:
    own = weights(recipe)
    return {name: own[name] for name in weights(recipes.NETWORK)}


def restored(recipe: Recipe) -> Any:
    return restore(recipe, SEED, trained(recipe).state)


@pytest.mark.parametrize("policy", recipes.EVICTING)
def test_an_inactive_memory_and_one_at_inference_leave_the_plain_networks_weights(policy: str) -> None:
    for recipe in (recipes.INACTIVE, recipes.EVICTING[policy]):
        assert all(torch.equal(network_of(recipe)[name], tensor) for name, tensor in weights(recipes.NETWORK).items())


def test_entries_are_evicted_and_policies_keep_different_ones() -> None:
    memories = {policy: restored(recipe).memory for policy, recipe in recipes.EVICTING.items()}
    kept = {policy: set(memory.born[0][memory.present[0]].tolist()) for policy, memory in memories.items()}
    assert all(memory.evicted > 0 for policy, memory in memories.items() if policy != "none")
    assert memories["none"].evicted == 0
    assert all(kept[one] != kept[other] for one, other in combinations(kept, 2))


@pytest.mark.parametrize(("old", "added"), [(20, 20), (0, 20), (2, 5)])
def test_so_many_images_of_every_class_are_remembered(old: int, added: int) -> None:
    pixels, labels = study.remembered(recipes.OLD_DIGITS, SEED, old=old, added=added, shift=study.upright)
    assert len(pixels) == len(labels) == 7 * old + 3 * added
    counts = torch.bincount(labels, minlength=10).tolist()
    assert counts == [old] * 7 + [added] * 3


def test_what_is_remembered_was_not_among_the_test_images() -> None:
    pixels, _ = study.remembered(recipes.OLD_DIGITS, SEED, old=20, added=20, shift=study.upright)
    split = recipes.OLD_DIGITS.split(study.generator(SEED, "split"))
    known = {image.numpy().tobytes() for image in split.train[0]}
    assert all(image.numpy().tobytes() in known for image in pixels)


def test_all_arms_remember_the_same_images() -> None:
    arms = {name: study.remembering(recipes.ADDING.with_(which=name)) for name in ("nearest", "random", "shuffled")}
    made = {name: fill(restored(recipes.OLD_NETWORK), SEED) for name, fill in arms.items()}
    for name in ("keys", "values", "labels"):
        tensors = [getattr(model.memory, name) for model in made.values() if isinstance(model, IntervenedNetwork)]
        assert len(tensors) == 3
        assert all(torch.equal(tensors[0], other) for other in tensors[1:])


def test_a_network_that_was_trained_with_a_memory_forgets_it_before_it_is_filled() -> None:
    model = study.remembering(recipes.ADDING)(restored(recipes.hybrid(recipes.ADDING, recipes.OLD_NETWORK)), SEED)
    assert isinstance(model, IntervenedNetwork)
    assert (model.memory.count, model.memory.inserted) == (200, 200)


def test_the_mutant_of_batch_means_makes_corrections_smaller() -> None:
    fill = study.remembering(recipes.ADDING)
    intact, broken = (fill(restored(recipes.OLD_NETWORK), SEED) for _ in range(2))
    assert isinstance(intact, IntervenedNetwork)
    assert isinstance(broken, IntervenedNetwork)
    assert torch.allclose(study.of_batch_means(broken).memory.values * 200, intact.memory.values, rtol=1e-4, atol=1e-6)
