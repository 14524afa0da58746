"""Why training could not work: what a task drew, or what a model returned, was no tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memkit.streams import generator
from memkit.training.recipe import Recipe


def unfit(recipe: Recipe, seed: int) -> str:
    """Name what is no tensor where one is needed, once training has raised; "" where that is not the reason.

    Args:
        seed: of the run that could not be trained.
    """
    from memkit.training.trainer import build, sampler

    model = build(recipe, [seed])
    batch: Any = sampler(recipe, seed)(generator(seed, "data", recipe.stream), recipe.batch)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        drawn = ", ".join(_kind(part) for part in batch) if isinstance(batch, (tuple, list)) else _kind(batch)
        return f"{recipe.summary}: the task drew {drawn}; a batch is two tensors, (inputs, targets)"
    inputs = batch[0][None] if getattr(recipe.model, "seed_axis", False) else batch[0]
    with torch.no_grad():
        outputs = model(inputs)
    if isinstance(outputs, Tensor):
        return ""
    logits = " such as its logits" if hasattr(outputs, "logits") or "logits" in _keys(outputs) else ""
    return (
        f"{recipe.summary}: the model returned {_kind(outputs)}, and the loss takes a tensor; wrap the model in a "
        f"module whose forward() returns one{logits}"
    )


def _keys(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
