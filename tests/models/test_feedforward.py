"""The feed-forward classifiers against torch's own layers, and their hidden layers by name and place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from memkit.models.feedforward import FeedForwardNetwork, layer_of
from memkit.training.streams import generator

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def network(seeds: tuple[int, ...] = (0,), **options: Any) -> FeedForwardNetwork:
    options = {"inputs": (8, 6), "classes": 5, "widths": (7, 4), **options}
    return FeedForwardNetwork(generators=[generator(seed, "init") for seed in seeds], **options)


def images(seeds: int, size: int = 3, inputs: tuple[int, int] = (8, 6)) -> Tensor:
    return torch.rand(seeds, size, *inputs, generator=generator(seeds, "images"))


def of_torch(model: FeedForwardNetwork, seed: int) -> nn.Sequential:
    """Return one seed of the model as a network of torch's layers with the same weights."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8))] if len(model.convolutions) else []
    for convolution in model.convolutions:
        out, channels = convolution.weight.shape[1:3]
        own = nn.Conv2d(channels, out, 3, padding=1)
        own.load_state_dict({"weight": convolution.weight[seed], "bias": convolution.bias[seed]})
        layers += [own, nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for linear in (*model.hidden, model.output):
        own = nn.Linear(*linear.weight.shape[1:])
        own.load_state_dict({"weight": linear.weight[seed].T, "bias": linear.bias[seed, 0]})
        layers += [own, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@settings(max_examples=40)
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    channels=st.lists(st.integers(1, 4), max_size=2).map(tuple),
    seeds=st.integers(1, 3),
)
def test_each_seed_equals_a_network_of_torch_layers(
    widths: tuple[int, ...], channels: tuple[int, ...], seeds: int
) -> None:
    model, x = network(tuple(range(seeds)), widths=widths, channels=channels), images(seeds)
    logits = model(x)
    assert logits.shape == (seeds, 3, 5)
    for s in range(seeds):
        torch.testing.assert_close(logits[s], of_torch(model, s)(x[s]), **CLOSE)


@pytest.mark.parametrize("channels", [(), (3,), (3, 2)])
@pytest.mark.parametrize("widths", [(7,), (7, 4), (7, 6, 4)])
def test_after_of_before_equals_the_output(widths: Any, channels: Any) -> None:
    model, x = network((0, 1), widths=widths, channels=channels), images(2)
    logits = model(x)
    assert len(model.names) == len(widths) + len(channels)
    for layer in range(len(model.names)):
        state = model.before(x, layer)
        assert state.shape == (2, 3, model.width(layer))
        assert (state >= 0).all()
        assert torch.equal(model.after(state, layer), logits)


def test_before_equals_the_state_in_torch_layers() -> None:
    model, x = network(channels=(3,)), images(1)
    layers = of_torch(model, 0)
    for layer, modules in enumerate((4, 7, 9)):
        torch.testing.assert_close(model.before(x, layer)[0], layers[:modules](x[0]).flatten(1), **CLOSE)
    assert model.names == ["conv1", "hidden1", "hidden2"]
    assert [model.width(layer) for layer in range(3)] == [3 * 4 * 3, 7, 4]


def test_initial_values_have_the_range_of_torch_and_are_separate_per_seed() -> None:
    model, alone = network((3, 4), channels=(2, 3)), network((4,), channels=(2, 3))
    for parameter, own in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.equal(parameter[1], own[0])
        assert not torch.equal(parameter[0], parameter[1])
    bounds = {"convolutions.0": 9, "convolutions.1": 9 * 2, "hidden.0": 3 * 2 * 1, "hidden.1": 7, "output": 4}
    for name, parameter in model.named_parameters():
        assert 0.5 < float(parameter.detach().abs().max()) * bounds[name.rpartition(".")[0]] ** 0.5 <= 1, name


def test_odd_sizes_are_halved_and_rounded_down() -> None:
    model = network(inputs=(7, 5), channels=(2, 3))
    assert model.shapes[:2] == [(2, 3, 2), (3, 1, 1)]
    assert model(images(1, inputs=(7, 5))).shape == (1, 3, 5)


PLACES: dict[int, dict[str, int | None]] = {
    1: {"early": None, "middle": None, "late": None, "penultimate": 0},
    2: {"early": 0, "middle": None, "late": None, "penultimate": 1},
    3: {"early": 0, "middle": None, "late": 1, "penultimate": 2},
    4: {"early": 0, "middle": 1, "late": 2, "penultimate": 3},
    5: {"early": 0, "middle": 2, "late": 3, "penultimate": 4},
}


@pytest.mark.parametrize("convolutions", [0, 1])
@pytest.mark.parametrize("layers", PLACES)
def test_layer_of_finds_a_place_or_refuses_it_if_two_places_coincide(layers: int, convolutions: int) -> None:
    convolutions = min(convolutions, layers - 1)
    model = network(widths=(3,) * (layers - convolutions), channels=(2,) * convolutions)
    for placement, place in PLACES[layers].items():
        if place is None:
            with pytest.raises(ValueError, match=rf"placement='{placement}' needs \d hidden layers, .* has .*hidden1"):
                layer_of(model, placement)
        else:
            assert layer_of(model, placement) == place
    for number, name in enumerate(model.names):
        assert layer_of(model, name) == number


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        ("erly", "placement='erly' is not a hidden layer; did you mean 'early'"),
        ("hidden3", "placement='hidden3' is not a hidden layer; did you mean 'hidden"),
    ],
)
def test_an_unknown_layer_is_refused_by_name(placement: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer_of(network(), placement)


def test_networks_without_hidden_layers_or_with_too_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="widths must name at least one hidden layer"):
        network(widths=())
    network(inputs=(4, 4), channels=(2, 2))
    for inputs in ((3, 4), (4, 3)):
        with pytest.raises(ValueError, match=f"an image of {inputs[0]} x {inputs[1]} pixels cannot be halved 2 times"):
            network(inputs=inputs, channels=(2, 2))
