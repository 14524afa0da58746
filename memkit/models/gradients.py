"""Diagnosis of a memory in a network: whether a gradient reaches it, and whether it contains anything.

The published memory network was reported to keep its slots at mean 0 and standard deviation 0, and to get no gradient
through them. Those slots had been printed after a reset. Here they are inspected after a forward pass, and the gradient
is reported for each parameter of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@runtime_checkable
class HoldsMemory(Protocol):
    """A network with slots that are empty before each command."""

    def contents(self, tokens: Tensor) -> Tensor:
        """Return the memory after the commands: tokens [S, B, L] → [S, B, ..., K, d]."""


class Gradient(NamedTuple):
    """The gradient of a loss with respect to one parameter tensor."""

    norm: float
    """The Euclidean norm."""
    share: float
    """The share of the parameter's numbers with a non-zero gradient, 0 to 1."""


class Slots(NamedTuple):
    """Statistics of each of K slots, over commands and width."""

    mean: Tensor
    """The mean, [K]."""
    deviation: Tensor
    """The standard deviation, [K]."""


class Diagnosis(NamedTuple):
    """The result of :func:`diagnose`."""

    gradients: Mapping[str, Gradient]
    """The gradients, by the name of the parameter."""
    before: Slots
    """The slots before the commands were read."""
    after: Slots
    """The slots after a forward pass."""


def diagnose(model: nn.Module, commands: tuple[Tensor, Tensor]) -> Diagnosis:
    """Return the gradients and slot contents of a model of one seed, in evaluation mode.

    The gradients are those of the mean cross-entropy.

    Args:
        model: has a seed axis, and a method ``contents(tokens)`` (:class:`HoldsMemory`).
        commands: inputs [N, L] and targets [N, P], all in one batch.

    Raises:
        TypeError: the model has no method ``contents``.
    """
    if not isinstance(model, HoldsMemory):
        raise TypeError(
            f"{type(model).__name__} has no method contents(tokens) that returns the contents of its memory"
        )
    inputs = commands[0].unsqueeze(0)
    with torch.no_grad():
        after = model.contents(inputs)
    return Diagnosis(gradients(model, commands), _slot_statistics(torch.zeros_like(after)), _slot_statistics(after))


def gradients(model: nn.Module, commands: tuple[Tensor, Tensor]) -> dict[str, Gradient]:
    """Return the gradients of the mean cross-entropy of commands, by parameter; the model is unchanged."""
    inputs, targets = commands
    if (loss_gradients := getattr(model, "loss_gradients", None)) is not None:  # a network of another framework
        return {name: _summary(g) for name, g in loss_gradients(inputs, targets).items()}
    was_training = model.training
    model.eval()
    with torch.enable_grad():
        loss = F.cross_entropy(model(inputs.unsqueeze(0)).flatten(0, -2), targets.flatten())
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        values = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    model.train(was_training)
    return {name: _summary(g) for name, g in zip(parameters, values, strict=True)}


def _summary(g: Tensor | None) -> Gradient:
    return Gradient(0.0, 0.0) if g is None else Gradient(float(g.norm()), float((g != 0).double().mean()))


def _slot_statistics(memory: Tensor) -> Slots:
    """Return the statistics of each slot of a memory [..., K, d]."""
    numbers = memory.movedim(-2, 0).flatten(1)
    return Slots(numbers.mean(1), numbers.std(1, correction=0))
