"""Scores of a trained network on commands: one plain number per seed, between 0 and 1.

A command counts as right if all its answer positions are right, including END. Ties between logits go to the lower
index.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

CHUNK = 2048
"""The number of commands per forward pass, which limits the memory that an exhaustive evaluation needs."""


def exact_match(logits: Tensor, targets: Tensor, *, ignored: int = -100) -> Tensor:
    """Return whether all positions are right: logits [S, B, P, answers], targets [S, B, P] → bool [S, B]."""
    return ((logits.argmax(-1) == targets) | (targets == ignored)).all(-1)


def answers(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the answers [N, P] of a model of one seed to inputs [N, L], in evaluation mode, without gradients."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = [model(part.unsqueeze(0)).argmax(-1).squeeze(0) for part in torch.split(inputs, CHUNK)]
    finally:
        model.train(was_training)
    return torch.cat(parts)


def _right(model: nn.Module, commands: tuple[Tensor, Tensor], *, ignored: int = -100) -> Tensor:
    """Return whether each position is right: bool [N, P]."""
    inputs, targets = commands
    return (answers(model, inputs) == targets) | (targets == ignored)


def accuracy(model: nn.Module, commands: tuple[Tensor, Tensor]) -> float:
    """Return the share of commands (inputs [N, L], targets [N, P]) that a model of one seed answers exactly."""
    return float(_right(model, commands).all(-1).double().mean())


def accuracies(
    model: nn.Module, commands: tuple[Tensor, Tensor], parts: Mapping[str, tuple[Tensor, Tensor]]
) -> dict[str, float]:
    """Return the accuracy on all commands, as "accuracy", and on each part of them, by its name."""
    return {"accuracy": accuracy(model, commands)} | {name: accuracy(model, part) for name, part in parts.items()}


def position_accuracy(model: nn.Module, commands: tuple[Tensor, Tensor], position: int) -> float:
    """Return the share of commands whose answer is right at one position; the other positions do not matter."""
    return float(_right(model, commands)[:, position].double().mean())


def pair_accuracy(model: nn.Module, pairs: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]) -> float:
    """Return the share of modification pairs (before, after) in which both commands are answered exactly."""
    before, after = pairs
    return float((_right(model, before).all(-1) & _right(model, after).all(-1)).double().mean())
