"""Does a gradient reach the memory, and does the memory hold anything?

The published memory network was said to leave its slots at mean 0 and deviation 0, and to get no gradient through
them. The slots had been printed after a reset; here they are looked at after a forward pass, and every part of the
network says how much gradient reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@runtime_checkable
class HoldsMemory(Protocol):
    """A network with slots that are empty before a command."""

    def contents(self, tokens: Tensor) -> Tensor:
        """The memory after the commands: [S, B, L] → [S, B, ..., K, d]."""


class Gradient(NamedTuple):
    """The gradient of a loss with respect to one parameter tensor."""

    norm: float
    """Euclidean."""
    share: float
    """Of its numbers, how many get a gradient other than 0."""


class Slots(NamedTuple):
    """The numbers in each of K slots, over commands and width."""

    mean: Tensor
    """[K]"""
    deviation: Tensor
    """[K]"""


class Diagnosis(NamedTuple):
    """The result of :func:`diagnose`."""

    gradients: Mapping[str, Gradient]
    """By the parameters' names."""
    before: Slots
    """Before the commands were read."""
    after: Slots
    """After a forward pass over them."""


def diagnose(model: nn.Module, commands: tuple[Tensor, Tensor]) -> Diagnosis:
    """Gradients of the mean cross-entropy, and the memory's contents, of a model of one seed, in evaluation mode.

    Args:
        model: has a seed axis, and ``contents(tokens)`` (:class:`HoldsMemory`).
        commands: inputs [N, L] and targets [N, P], all in one batch.
    """
    if not isinstance(model, HoldsMemory):
        raise TypeError(f"{type(model).__name__} has no method contents(tokens) that says what its memory holds")
    inputs = commands[0].unsqueeze(0)
    with torch.no_grad():
        after = model.contents(inputs)
    return Diagnosis(gradients(model, commands), _slots(torch.zeros_like(after)), _slots(after))


def gradients(model: nn.Module, commands: tuple[Tensor, Tensor]) -> dict[str, Gradient]:
    """Return the gradient of the commands' mean cross-entropy, parameter by parameter; the model is left unchanged."""
    inputs, targets = commands
    if (own := getattr(model, "loss_gradients", None)) is not None:  # a network that is not torch's
        return {name: _gradient(g) for name, g in own(inputs, targets).items()}
    was_training = model.training
    model.eval()
    with torch.enable_grad():
        loss = F.cross_entropy(model(inputs.unsqueeze(0)).flatten(0, -2), targets.flatten())
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    model.train(was_training)
    return {name: _gradient(g) for name, g in zip(named, found, strict=True)}


def _gradient(g: Tensor | None) -> Gradient:
    return Gradient(0.0, 0.0) if g is None else Gradient(float(g.norm()), float((g != 0).double().mean()))


def _slots(memory: Tensor) -> Slots:
    numbers = memory.movedim(-2, 0).flatten(1)
    return Slots(numbers.mean(1), numbers.std(1, correction=0))
