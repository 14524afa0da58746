"""Small growing networks, and evaluations of validation examples as the trainer would report them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memkit import Recipe
from memkit.models.growing import GrowingNetwork
from memkit.tasks.images import Classification
from memkit.training.protocols import ValidationResult
from memkit.training.streams import generator

TASK = Classification(train=300, validation=100, test=100)
SIZES: dict[str, Any] = {"inputs": (4, 4), "classes": 3}


def network(seeds: tuple[int, ...] = (0,), widths: tuple[int, ...] = (9, 8, 8), **growth: Any) -> GrowingNetwork:
    growth = {"start": (4, 3), "events": 2, **growth}
    return GrowingNetwork(generators=[generator(s, "init") for s in seeds], widths=widths, growth=growth, **SIZES)


def images(seeds: int = 1, size: int = 20) -> Tensor:
    return torch.rand(seeds, size, 4, 4, generator=generator(seeds, "images"))


def evaluation_of(
    step: int, loss: float = 1.0, accuracy: float = 0.5, *, epochs: float = 0.0, seeds: int = 1
) -> ValidationResult:
    return ValidationResult(step, (epochs,) * seeds, (loss,) * seeds, (accuracy,) * seeds)


def recipe(model: Any = GrowingNetwork, **options: Any) -> Recipe:
    growth = {"start": (6, 5), "events": 2, "schedule": "steps", "every": 8, **options.pop("growth", {})}
    given = {"widths": (16, 12, 12), "growth": growth, **options}
    return Recipe(TASK, model, options=given, steps=24, batch=16, lr=0.01, validate_every=4)
