"""With the same weights, a network in MLX has the logits and gradients of the torch network of the same name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit import Recipe
from memkit.models import (
    CrossAttentionNetwork,
    LSTMNetwork,
    MemoryNetwork,
    SlotNetwork,
    TransformerNetwork,
    TwoStageNetwork,
)
from memkit.models.managed_slots import ManagedSlotNetwork
from memkit.recipes.recipe import MLX_NETWORKS
from memkit.tasks.binding import Retrieval
from memkit.tasks.binding.vocabulary import IS, RECALL
from memkit.training.building import build, sampler
from memkit.training.streams import generator

pytest.importorskip("mlx.core")
from mlx.utils import tree_flatten

from memkit.mlx import trainer as mlx
from memkit.mlx.bridge import FromMLX, to_mlx, to_torch

TASK = Retrieval(variables=5, actions=8, stored=2, held_out=0.6)
RULE = {"addressing": "rule", "binders": [IS], "queries": [RECALL]}
LEARNT = {"addressing": "factorised", "memory": "overwriting"}
CASES: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "static": (SlotNetwork, {**RULE, "memory": "static"}),
    "additive": (SlotNetwork, {**RULE, "memory": "additive"}),
    "overwriting": (SlotNetwork, {**LEARNT, "direct": False, "sharpness": 2.0}),
    "unfactorised": (SlotNetwork, {**LEARNT, "addressing": "unfactorised"}),
    "versioned": (SlotNetwork, {**LEARNT, "memory": "versioned"}),
    "argmax": (SlotNetwork, {**LEARNT, "assign": "argmax"}),
    "straight-through": (SlotNetwork, {**LEARNT, "assign": "straight-through"}),
    "gumbel": (SlotNetwork, {**LEARNT, "assign": "gumbel"}),
    "managed": (ManagedSlotNetwork, {}),
    "memory network": (MemoryNetwork, {"assign": "soft"}),
    "memory network, argmax": (MemoryNetwork, {"assign": "argmax"}),
    "lstm": (LSTMNetwork, {"layers": 2}),
    "transformer": (TransformerNetwork, {}),
    "cross-attention": (CrossAttentionNetwork, {}),
    "two-stage": (TwoStageNetwork, {"binders": [IS]}),
    "last-write": (TwoStageNetwork, {"binders": [IS], "extractor": "last-write"}),
    "learnt extractor": (TwoStageNetwork, {"extractor": "learnt"}),
}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def recipe(name: str) -> Recipe:
    model, options = CASES[name]
    return Recipe(TASK, model, options=options)


def commands() -> tuple[Tensor, Tensor]:
    inputs, targets = sampler(recipe("lstm"), 3)(generator(3, "data"), 64)
    inputs[0, 0] = 0  # padding, which these commands do not contain
    return inputs, targets


def both(name: str) -> tuple[nn.Module, Any]:
    """Return a torch network, and an MLX network with the same weights."""
    ours = build(recipe(name), [3]).eval()
    network = mlx.make(recipe(name).with_(backend="mlx"), 3)
    weights = {key: tensor[0] for key, tensor in ours.state_dict().items()}
    shapes = {key: array.shape for key, array in tree_flatten(network.parameters())}
    assert set(weights) == set(shapes)
    network.load_weights([(key, to_mlx(weights[key].reshape(shape))) for key, shape in shapes.items()])
    network.eval()
    return ours, network


def test_every_network_is_compared() -> None:
    assert {f"{model.__module__}:{model.__name__}" for model, _ in CASES.values()} == set(MLX_NETWORKS)


@pytest.mark.parametrize("name", CASES)
def test_logits(name: str) -> None:
    inputs, _ = commands()
    ours, network = both(name)
    with torch.no_grad():
        torch.testing.assert_close(FromMLX(network)(inputs[None]), ours(inputs[None]), **CLOSE)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    inputs, targets = commands()
    ours, network = both(name)
    F.cross_entropy(ours(inputs[None]).flatten(0, -2), targets.flatten()).backward()
    actual = FromMLX(network).loss_gradients(inputs, targets)
    reached = 0
    for key, parameter in ours.named_parameters():
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(actual[key].reshape(expected.shape), expected, **CLOSE)
        reached += bool(expected.abs().sum() > 0)
    assert reached > 2


@pytest.mark.parametrize("name", [name for name, (model, _) in CASES.items() if hasattr(model, "stepwise")])
def test_stepwise_equals_the_closed_form(name: str) -> None:
    inputs, _ = commands()
    _, network = both(name)
    torch.testing.assert_close(
        to_torch(network.stepwise(to_mlx(inputs))), to_torch(network(to_mlx(inputs))), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", [name for name, (model, _) in CASES.items() if hasattr(model, "contents")])
def test_contents(name: str) -> None:
    inputs, _ = commands()
    ours, network = both(name)
    with torch.no_grad():
        torch.testing.assert_close(FromMLX(network).contents(inputs[None]), ours.contents(inputs[None]), **CLOSE)


@pytest.mark.parametrize("name", ["additive", "overwriting", "unfactorised", "versioned"])
def test_plans(name: str) -> None:
    inputs, _ = commands()
    ours, network = both(name)
    with torch.no_grad():
        for actual, expected in zip(FromMLX(network).plan(inputs[None]), ours.plan(inputs[None]), strict=True):
            if expected is None:
                assert actual is None
            else:
                torch.testing.assert_close(actual.reshape(expected.shape), expected, **CLOSE)


@pytest.mark.parametrize("name", CASES)
def test_state_size_and_parameters_are_the_same(name: str) -> None:
    ours, network = both(name)
    assert network.state_size == ours.state_size
    sizes = sum(array.size for _, array in tree_flatten(network.trainable_parameters()))
    assert sizes == sum(parameter.numel() for parameter in ours.parameters())


@pytest.mark.parametrize("name", CASES)
def test_initial_values_differ_but_have_the_same_distribution(name: str) -> None:
    ours = build(recipe(name), [3])
    network = mlx.make(recipe(name).with_(backend="mlx"), 3)
    theirs = {key: to_torch(array) for key, array in tree_flatten(network.parameters())}
    drawn = 0
    for key, parameter in ours.named_parameters():
        expected, actual = parameter[0].detach().flatten(), theirs[key].flatten()
        if len(expected) < 3:
            continue
        if expected.unique().numel() <= 2:  # constant values
            torch.testing.assert_close(actual, expected)
            continue
        drawn += 1
        assert not torch.allclose(actual, expected)
        if expected.numel() >= 200:
            assert 0.8 < float(actual.std() / expected.std()) < 1.25
    assert drawn > 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("overwriting", {"memory": "associative"}),
        ("overwriting", {"slots": 0}),
        ("overwriting", {"versions": 1}),
        ("overwriting", {"balance": -1.0}),
        ("overwriting", {"addressing": "random"}),
        ("overwriting", {"assign": "hard"}),
        ("overwriting", {"anneal": 0}),
        ("additive", {"binders": []}),
        ("managed", {"slots": 0}),
        ("memory network", {"assign": "gumbel"}),
        ("memory network", {"slots": 0}),
        ("lstm", {"layers": 0}),
        ("transformer", {"layers": 0}),
        ("transformer", {"heads": 5}),
        ("cross-attention", {"layers": 0}),
        ("two-stage", {"layers": 0}),
        ("two-stage", {"binders": []}),
        ("two-stage", {"extractor": "oracle"}),
    ],
)
def test_invalid_options_raise_the_same_errors_as_in_torch(name: str, options: dict[str, Any]) -> None:
    wrong = recipe(name).with_(**options)
    with pytest.raises(ValueError) as ours:
        build(wrong, [3])
    with pytest.raises(ValueError) as theirs:
        mlx.make(wrong.with_(backend="mlx"), 3)
    assert str(theirs.value) == str(ours.value)
