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
        state: the model's state dict, on the CPU; for a model with a seed axis, that of a cohort of one seed.
        metrics: the final ``loss``, the number of ``steps`` taken and of ``parameters``, ``cpu_seconds``; and
            ``state_size``, if the model declares how many numbers it carries along a sequence.
        history: about a hundred rows ``(step, loss)``.
        validation: rows ``(step, loss, accuracy)`` on the validation examples, every ``recipe.validate_every`` steps;
            a step has two rows if the model changed itself after the first, as a growing network does.
        diverged: the reason if training became non-finite, else "".
    """

    seed: int
    state: Mapping[str, Tensor]
    metrics: Mapping[str, float]
    history: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    validation: tuple[tuple[int, float, float], ...] = field(default=(), repr=False)
    diverged: str = ""
