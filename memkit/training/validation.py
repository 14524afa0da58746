"""Validation during training: a model's loss and accuracy on examples that it is not trained on.

A model may change itself depending on the results: see :class:`memkit.training.protocols.AfterValidation`.
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
        inputs, targets: [S, N, ...], where N is the largest number of examples of any seed; a seed with fewer examples
            repeats them.
        counts: the number of distinct examples of each seed.
        epoch_sizes: the number of training examples in an epoch of each seed; nan if it is unknown.
        batch: the number of training examples per step and seed.
        loss_of: outputs and targets, with the seed axis if the model has one → the loss.
        seed_axis: whether the model has a seed axis.
    """

    inputs: Tensor
    targets: Tensor
    counts: tuple[int, ...]
    epoch_sizes: tuple[float, ...]
    batch: int
    loss_of: Callable[[Tensor, Tensor], Tensor]
    seed_axis: bool

    def measure(self, model: nn.Module, step: int) -> ValidationResult:
        """Return the loss and accuracy of each seed; the model is in training mode before and afterwards."""
        model.eval()
        losses, accuracies = [], []
        with torch.no_grad():
            all_outputs = model(self.inputs) if self.seed_axis else model(self.inputs[0]).unsqueeze(0)
            for i, n in enumerate(self.counts):
                seed = slice(i, i + 1) if self.seed_axis else 0
                outputs, targets = all_outputs[seed, :n], self.targets[seed, :n]
                losses.append(float(self.loss_of(outputs, targets).mean()))
                counted = targets != IGNORED
                accuracies.append(float((counted & (outputs.argmax(-1) == targets)).sum() / counted.sum()))
        model.train()
        epochs = tuple(step * self.batch / size for size in self.epoch_sizes)
        return ValidationResult(step, epochs, tuple(losses), tuple(accuracies))


def validation_of(
    recipe: Recipe, samplers: Sequence[Sampler], loss_of: Callable[[Tensor, Tensor], Tensor], device: str
) -> Validation | None:
    """Return the validation examples of some seeds; None if the recipe sets no ``validate_every``.

    Raises:
        MemkitError: the recipe sets it, but a seed has no validation examples.
    """
    if recipe.validate_every is None:
        return None
    with_validation = [draw for draw in samplers if isinstance(draw, SamplerWithValidation)]
    if len(with_validation) < len(samplers):
        task = getattr(recipe.task, "__name__", type(recipe.task).__name__)
        raise MemkitError(
            f"Recipe: validate_every={recipe.validate_every}, but the sampler of {task} has no attribute "
            "`validation`; give it one, (inputs, targets)"
        )
    examples = [draw.validation for draw in with_validation]
    counts = tuple(len(targets) for _, targets in examples)
    if not all(counts):
        raise MemkitError(
            f"Recipe: validate_every={recipe.validate_every}, but a seed has no validation examples; give each seed "
            "one or more"
        )
    # Seeds may have different numbers of examples. Shorter lists are repeated up to the longest length; the repeated
    # examples do not count, so that a seed's result does not depend on its cohort.
    indices = torch.arange(max(counts))
    repeated = ([pair[part][indices % n] for pair, n in zip(examples, counts, strict=True)] for part in (0, 1))
    inputs, targets = (torch.stack(tensors).to(device) for tensors in repeated)
    epoch_sizes = tuple(float(len(draw)) if isinstance(draw, CountedSampler) else float("nan") for draw in samplers)
    return Validation(inputs, targets, counts, epoch_sizes, recipe.batch, loss_of, recipe.together)
