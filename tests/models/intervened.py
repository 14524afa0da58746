"""Small intervened networks, and batches for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from memkit import Recipe
from memkit.models.intervened import IntervenedNetwork
from memkit.tasks.images import Classification
from memkit.training.streams import generator

TASK = Classification(train=300, validation=100, test=100)
SIZES: dict[str, Any] = {"inputs": (4, 4), "classes": 3, "widths": (9, 8, 7)}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def model(seeds: tuple[int, ...] = (0,), sizes: dict[str, Any] = SIZES, **intervention: Any) -> IntervenedNetwork:
    intervention = {"affected": 5, "k": 3, "capacity": 12, "step_size": 4.0, **intervention}
    generators = [generator(seed, "init") for seed in seeds]
    return IntervenedNetwork(generators=generators, intervention=intervention, **sizes)


def batch(seeds: int = 1, size: int = 6, name: str = "") -> tuple[Tensor, Tensor]:
    g = generator(seeds, "images", name)
    return torch.rand(seeds, size, 4, 4, generator=g), torch.randint(3, (seeds, size), generator=g)


def filled(*, batches: int = 1, **intervention: Any) -> IntervenedNetwork:
    """Return a network in evaluation mode, with two batches or more in its memory."""
    net = model((0, 1), **intervention).eval()
    for number in range(1 + batches):
        net.remember(*batch(2, name=f"stored {number}"))
    return net


def recipe(kind: type[nn.Module] = IntervenedNetwork, **intervention: Any) -> Recipe:
    options: dict[str, Any] = {"widths": (16, 12)}
    if kind is IntervenedNetwork:
        options["intervention"] = {"affected": 8, "k": 4, "capacity": 64, **intervention}
    return Recipe(TASK, kind, options=options, steps=12, batch=16, lr=0.01)


def state(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(one: Any, other: Any, only: str = "") -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(tensor, other[name]) for name, tensor in one.items() if name.startswith(only)
    )
