"""Validation while a model trains: its loss and accuracy on examples that it is not trained on.

A model may go by what is seen there: see :class:`memkit.training.protocols.AfterValidation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError
from memkit.training.protocols import IGNORED, CountedSampler, Sampler, SamplerWithValidation, ValidationResult

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe


@dataclass(frozen=True)
class Validation:
    """The validation examples of a cohort.

    Attributes:
        inputs, targets: [S, N, ...], each seed's repeated until they are as many as those of the seed with most.
        counts: how many each seed has.
        lengths: examples of an epoch, a seed; nan where unknown.
        batch: examples a step.
        loss_of: outputs and targets, with the seed axis if the model has one → the loss.
        axis: whether the model has it.
    """

    inputs: Tensor
    targets: Tensor
    counts: tuple[int, ...]
    lengths: tuple[float, ...]
    batch: int
    loss_of: Callable[[Tensor, Tensor], Tensor]
    axis: bool

    def measure(self, model: nn.Module, step: int) -> ValidationResult:
        """Return each seed's loss and accuracy; the model is in training before and after."""
        model.eval()
        losses, rights = [], []
        with torch.no_grad():
            outputs = model(self.inputs) if self.axis else model(self.inputs[0]).unsqueeze(0)
            for i, n in enumerate(self.counts):
                own = slice(i, i + 1) if self.axis else 0
                said, true = outputs[own, :n], self.targets[own, :n]
                losses.append(float(self.loss_of(said, true).mean()))
                counted = true != IGNORED
                rights.append(float((counted & (said.argmax(-1) == true)).sum() / counted.sum()))
        model.train()
        epochs = tuple(step * self.batch / length for length in self.lengths)
        return ValidationResult(step, epochs, tuple(losses), tuple(rights))


def validation_of(
    recipe: Recipe, samplers: Sequence[Sampler], loss_of: Callable[[Tensor, Tensor], Tensor], device: str
) -> Validation | None:
    """Return the validation examples of some seeds; None if the recipe asks for no looks.

    Raises:
        MemkitError: it does, and there are none.
    """
    if recipe.validate_every is None:
        return None
    held_out = [draw for draw in samplers if isinstance(draw, SamplerWithValidation)]
    if len(held_out) < len(samplers):
        task = getattr(recipe.task, "__name__", type(recipe.task).__name__)
        raise MemkitError(
            f"Recipe: validate_every={recipe.validate_every}, but what draws the examples of {task} has no "
            "`validation`: (inputs, targets)"
        )
    examples = [draw.validation for draw in held_out]
    counts = tuple(len(targets) for _, targets in examples)
    if not all(counts):
        raise MemkitError(f"Recipe: validate_every={recipe.validate_every}, but a seed has no validation examples")
    # Seeds may have different numbers of examples. A shorter list begins again, and its repeated examples do not count:
    # a seed's score does not depend on its cohort.
    places = torch.arange(max(counts))
    of_all = ([pair[part][places % n] for pair, n in zip(examples, counts, strict=True)] for part in (0, 1))
    inputs, targets = (torch.stack(part).to(device) for part in of_all)
    lengths = tuple(float(len(draw)) if isinstance(draw, CountedSampler) else float("nan") for draw in samplers)
    return Validation(inputs, targets, counts, lengths, recipe.batch, loss_of, recipe.together)
