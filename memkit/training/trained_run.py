"""The result of training one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """The result of training one seed.

    Attributes:
        seed: the seed.
        state: the model's state dict, on the CPU; for a model with a seed axis, that of a cohort of one.
        metrics: ``loss`` at the end, ``steps`` taken, ``parameters``, ``cpu_seconds``; and ``state_size``, where the
            model says how many numbers it carries for a sequence.
        history: rows ``(step, loss)``, about a hundred.
        validation: rows ``(step, loss, accuracy)`` on the validation examples, every ``recipe.validate_every`` steps;
            two of one step where the model changed itself after the first, as a growing network does.
        diverged: why training went non-finite, else "".
    """

    seed: int
    state: Mapping[str, Tensor]
    metrics: Mapping[str, float]
    history: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    validation: tuple[tuple[int, float, float], ...] = field(default=(), repr=False)
    diverged: str = ""
