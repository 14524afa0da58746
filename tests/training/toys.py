"""Small tasks and models for the tests of training; importable, so that other processes find them."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memkit.models.layers import Linear, constant
from memkit.training.streams import stream_seed


def signs(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """x [B, 2] → the sign of its first entry, 0 or 1, [B]."""
    x = torch.randn(size, 2, generator=generator)
    return x, (x[:, 0] > 0).long()


def shifted(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """As :func:`signs`, shifted to the right."""
    x, y = signs(generator, size)
    return x + 1, y


@dataclass(frozen=True)
class Halves:
    """x [B, 2] → on which side of a line it lies; the seed's split draws the line."""

    scale: float = 1.0
    names: tuple[str, ...] = ("left", "right")

    def for_seed(self, generator: torch.Generator) -> Any:
        normal = torch.randn(2, generator=generator) * self.scale

        def draw(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            x = torch.randn(size, 2, generator=generator)
            return x, (x @ normal > 0).long()

        return draw


@dataclass(frozen=True)
class Squared(Halves):
    """With a loss of its own."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        errors = (outputs[..., 1] - targets).square()
        return errors.mean(-1)


@dataclass(frozen=True)
class Unreduced(Halves):
    """A loss that forgets to average each seed."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[..., 1] - targets).square()


@dataclass(frozen=True)
class Mixture:
    """A task made of others."""

    parts: tuple[Halves, ...] = (Halves(), Halves(2.0))

    def for_seed(self, generator: torch.Generator) -> Any:
        return self.parts[0].for_seed(generator)


@dataclass(frozen=True)
class Poisoned(Halves):
    """From some batch on, the inputs of one seed are infinite."""

    seed: int = 1

    def for_seed(self, generator: torch.Generator) -> Any:
        draw = super().for_seed(generator)
        poisoned = generator.initial_seed() == stream_seed(self.seed, "split")
        drawn = 0

        def infinite(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            nonlocal drawn
            drawn += 1
            x, y = draw(generator, size)
            return (x * float("inf") if poisoned and drawn > 3 else x), y

        return infinite


@dataclass(frozen=True)
class Witnessed(Halves):
    """Leaves a file in a folder whenever it is trained, and then does as it is told."""

    folder: str = ""
    act: str = "train"

    def for_seed(self, generator: torch.Generator) -> Any:
        first = not any(Path(self.folder).iterdir())
        Path(self.folder, uuid.uuid4().hex).touch()
        if self.act == "hang once" and first:
            time.sleep(600)
        elif self.act == "linger":
            time.sleep(0.5)
        elif self.act == "raise":
            raise RuntimeError("the dog ate the data")
        elif self.act == "raise awkwardly":
            raise Awkward("two", "arguments")
        elif self.act == "die":
            os._exit(13)
        return super().for_seed(generator)


class Awkward(Exception):
    """Cannot be made again from its arguments, so it does not survive pickling."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class Ordinary(nn.Module):
    """An everyday module, with dropout and a buffer; it draws from torch's global generator."""

    def __init__(self, width: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 2))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        logits: Tensor = self.layers(x)
        return logits


class Cohort(nn.Module):
    """x [S, B, 2] → logits [S, B, 2]."""

    seed_axis = True

    def __init__(self, generators: Sequence[torch.Generator], width: int = 4) -> None:
        super().__init__()
        self.hidden = Linear(generators, 2, width)
        self.out = Linear(generators, width, 2)
        self.temperature = constant(generators, value=1.0)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(torch.tanh(self.hidden(x)))
        return logits * self.temperature[:, None, None]


def anything(**options: Any) -> nn.Module:
    """A model that takes any option."""
    return Ordinary()


def nothing() -> Any:
    """Not a model."""
    return 3


def silenced(model: nn.Module) -> nn.Module:
    """An intervention."""
    return model.requires_grad_(False)


def obtain_in_process(recipe: dict[str, Any], root: str, seed: int, session: str = "") -> None:
    """Runs in another process."""
    from memkit import Recipe
    from memkit.training.cohorts import obtain
    from memkit.training.store import Store

    made = Recipe.from_json(recipe)
    obtain(made, made.digest, seed, Store(Path(root), session=session))
