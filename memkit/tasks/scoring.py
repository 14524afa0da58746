"""Scores of a trained network on commands: plain numbers between 0 and 1, one a seed.

A command is right when all its answer positions are, END included. Ties between logits go to the lower index.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

CHUNK = 2048
"""Commands a forward pass: bounds the memory that an exhaustive evaluation takes."""


def exact_match(logits: Tensor, targets: Tensor, *, ignored: int = -100) -> Tensor:
    """Right at every position or not: logits [S, B, P, answers], targets [S, B, P] → bool [S, B]."""
    return ((logits.argmax(-1) == targets) | (targets == ignored)).all(-1)


def answers(model: nn.Module, inputs: Tensor) -> Tensor:
    """The answers of a model of one seed: inputs [N, L] → [N, P], in evaluation mode, without gradients."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = [model(part.unsqueeze(0)).argmax(-1).squeeze(0) for part in torch.split(inputs, CHUNK)]
    finally:
        model.train(was_training)
    return torch.cat(parts)


def _right(model: nn.Module, commands: tuple[Tensor, Tensor], *, ignored: int = -100) -> Tensor:
    """Right or wrong, position by position: bool [N, P]."""
    inputs, targets = commands
    return (answers(model, inputs) == targets) | (targets == ignored)


def accuracy(model: nn.Module, commands: tuple[Tensor, Tensor]) -> float:
    """The share of commands (inputs [N, L], targets [N, P]) that a model of one seed answers exactly."""
    return float(_right(model, commands).all(-1).double().mean())


def accuracies(
    model: nn.Module, commands: tuple[Tensor, Tensor], parts: Mapping[str, tuple[Tensor, Tensor]]
) -> dict[str, float]:
    """:func:`accuracy` on all commands, as "accuracy", and on each part of them by its name."""
    return {"accuracy": accuracy(model, commands)} | {name: accuracy(model, part) for name, part in parts.items()}


def position_accuracy(model: nn.Module, commands: tuple[Tensor, Tensor], position: int) -> float:
    """The share of commands whose answer at one position is right; others may be wrong."""
    return float(_right(model, commands)[:, position].double().mean())


def pair_accuracy(model: nn.Module, pairs: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]) -> float:
    """The share of modification pairs (before, after) of which both commands are answered exactly."""
    before, after = pairs
    return float((_right(model, before).all(-1) & _right(model, after).all(-1)).double().mean())
