"""Fine-tuning a copy of a network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.fine_tuning import FineTuned
from memkit.training.streams import generator


def network(seeds: int = 1) -> FeedForwardNetwork:
    generators = [generator(seed, "initial values") for seed in range(seeds)]
    return FeedForwardNetwork(generators=generators, inputs=(4, 4), classes=3, widths=(12, 6))


def images(count: int = 20) -> tuple[Tensor, Tensor]:
    g = generator(0, "images")
    return torch.rand(1, count, 4, 4, generator=g), torch.randint(3, (1, count), generator=g)


def test_fine_tuning_is_adam_on_the_mean_loss_of_a_copy() -> None:
    plain = network()
    before, other = copy.deepcopy(plain.state_dict()), copy.deepcopy(plain)
    tuned = FineTuned(plain, lr=0.01, steps=7)
    pixels, labels = images()
    tuned.remember(pixels, labels)
    optimiser = torch.optim.Adam(other.parameters(), lr=0.01)
    for _ in range(7):
        optimiser.zero_grad()
        F.cross_entropy(other(pixels)[0], labels[0]).backward()
        optimiser.step()
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())
    assert torch.allclose(tuned(pixels), other(pixels), atol=1e-5)
    assert not torch.allclose(tuned(pixels), plain(pixels), atol=1e-2)


@pytest.mark.parametrize("last", [False, True])
def test_with_last_only_the_last_layer_is_trained(last: bool) -> None:
    plain = network()
    tuned = FineTuned(plain, lr=0.01, steps=3, last=last)
    tuned.remember(*images())
    pairs = zip(tuned.network.named_parameters(), plain.parameters(), strict=True)
    changed = {name for (name, one), other in pairs if not torch.equal(one, other)}
    assert any(name.startswith("output") for name in changed)
    assert any(name.startswith("hidden") for name in changed) is not last


def test_it_trains_where_gradients_are_switched_off() -> None:
    tuned = FineTuned(network(), lr=0.05, steps=60)
    pixels, labels = images()
    with torch.no_grad():
        tuned.remember(pixels, labels)
        assert (tuned(pixels).argmax(-1) == labels).float().mean() > 0.9


def test_seeds_are_trained_independently() -> None:
    pixels, labels = images()
    several, one = FineTuned(network(2), lr=0.01, steps=5), FineTuned(network(), lr=0.01, steps=5)
    several.remember(pixels.expand(2, -1, -1, -1), labels.expand(2, -1))
    one.remember(pixels, labels)
    assert torch.allclose(several(pixels.expand(2, -1, -1, -1))[:1], one(pixels), atol=1e-4)
