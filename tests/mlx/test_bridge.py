"""An MLX network can be inspected, edited and intervened on by code for torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memkit import Recipe
from memkit.memories import slots
from memkit.models import MemoryNetwork, SlotNetwork, TwoStageNetwork
from memkit.models.interventions import Edited, Readdressed, most_read_slot
from memkit.models.memory_network import memory_off
from memkit.recipes import backends
from memkit.tasks.binding import Retrieval
from memkit.tasks.binding.vocabulary import IS
from memkit.training.building import sampler
from memkit.training.streams import generator

pytest.importorskip("mlx.core")

TASK = Retrieval(variables=5, actions=8, stored=2)
SLOTS = Recipe(TASK, SlotNetwork, options={"addressing": "factorised", "memory": "overwriting"}, backend="mlx")


@pytest.fixture
def tokens() -> Tensor:
    inputs, _ = sampler(SLOTS, 3)(generator(3, "data"), 16)
    return inputs[None]


def untrained(recipe: Recipe = SLOTS) -> Any:
    return backends.build(recipe, 3)


def test_an_edited_memory_is_read(tokens: Tensor) -> None:
    model = untrained()
    intact = Edited(model, lambda memory: memory, lambda model, tokens: ())
    torch.testing.assert_close(intact(tokens), model(tokens), rtol=1e-5, atol=1e-5)
    emptied = Edited(model, torch.zeros_like, lambda model, tokens: ())
    assert not torch.allclose(emptied(tokens), model(tokens), atol=1e-4)
    one = Edited(model, slots.ablate, lambda model, tokens: (most_read_slot(model, tokens),))
    assert not torch.allclose(one(tokens), model(tokens), atol=1e-5)


def test_edits_receive_torch_tensors(tokens: Tensor) -> None:
    memories: list[Tensor] = []

    def edit(memory: Tensor) -> Tensor:
        memories.append(memory)
        return memory

    Edited(untrained(), edit, lambda model, tokens: ())(tokens)
    assert len(memories) == tokens.shape[-1]
    assert memories[0].shape == (1, 16, 4, 64)
    assert not memories[0].allclose(memories[-1])


def test_a_plan_can_be_passed_in(tokens: Tensor) -> None:
    model = untrained()
    torch.testing.assert_close(Readdressed(model, lambda model, tokens: tokens)(tokens), model(tokens))
    other = Readdressed(model, lambda model, tokens: tokens.flip(1))(tokens)
    assert not torch.allclose(other, model(tokens), atol=1e-5)


def test_attributes_are_read_and_set(tokens: Tensor) -> None:
    model = untrained()
    assert (model.memory, model.state_size) == ("overwriting", 4 * 64)
    before = model(tokens)
    model.memory = "additive"
    assert model.memory == "additive"
    assert not torch.allclose(model(tokens), before, atol=1e-6)
    assert model.embedding.weight.shape == (1, TASK.sizes["tokens"], 64)
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = model.nothing_of_this_name


def test_interventions_switch_parts_off(tokens: Tensor) -> None:
    model = untrained(SLOTS.with_(model=MemoryNetwork, options={}))
    before = model(tokens)
    assert not torch.allclose(memory_off(model)(tokens), before, atol=1e-6)
    compiler = untrained(SLOTS.with_(model=TwoStageNetwork, options={"binders": [IS]}))
    compiler.extractor = "last-write"
    assert compiler.extract(tokens).source.shape == (1, 16, tokens.shape[-1], tokens.shape[-1])


def test_training_and_evaluation_modes(tokens: Tensor) -> None:
    model = untrained()
    assert not model.training
    assert model.train().training
    assert model.eval()(tokens).requires_grad is False
