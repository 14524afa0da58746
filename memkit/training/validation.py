"""Validation while a model trains: its loss and accuracy on examples that it is not trained on.

A model may go by what is seen there. It then has ``validated(looked, moments)``, which is told of each look before
training goes on, may change its parameters and the optimiser's moments in place, and says of each seed whether it did.
A seed that was changed is looked at once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

IGNORED = -100
"""A target that counts neither for the loss nor for the accuracy."""

Moments = dict[nn.Parameter, tuple[Tensor, ...]]
"""Parameter → the optimiser's running means of its gradient and of the gradient's square, in the parameter's shape;
nothing for plain gradient descent. Views: what is written there is what the optimiser goes on with."""


@dataclass(frozen=True)
class Looked:
    """One look at the validation examples of every seed of a cohort.

    Attributes:
        step: after how many steps.
        epochs: how often each seed has seen its training examples by then; nan where what draws them has no length.
        losses, accuracies: of each seed, losses in nats, accuracies between 0 and 1.
    """

    step: int
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]

    def note(self, rows: Sequence[list[tuple[int, float, float]]], which: Sequence[bool]) -> None:
        """Add a row (step, loss, accuracy) to those of some of the seeds."""
        for own, loss, accuracy, wanted in zip(rows, self.losses, self.accuracies, which, strict=True):
            if wanted:
                own.append((self.step, loss, accuracy))


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

    def look(self, model: nn.Module, step: int) -> Looked:
        """Each seed's loss and accuracy; the model is in training before and after."""
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
        return Looked(step, epochs, tuple(losses), tuple(rights))


def validation_of(
    recipe: Recipe, samplers: Sequence[Any], loss_of: Callable[[Tensor, Tensor], Tensor], device: str
) -> Validation | None:
    """The validation examples of some seeds; None if the recipe asks for no looks.

    Raises:
        MemkitError: it does, and there are none.
    """
    if recipe.validate_every is None:
        return None
    if not all(hasattr(draw, "validation") for draw in samplers):
        task = getattr(recipe.task, "__name__", type(recipe.task).__name__)
        raise MemkitError(
            f"Recipe: validate_every={recipe.validate_every}, but what draws the examples of {task} has no "
            "`validation`: (inputs, targets)"
        )
    examples: list[tuple[Tensor, Tensor]] = [draw.validation for draw in samplers]
    counts = tuple(len(targets) for _, targets in examples)
    if not all(counts):
        raise MemkitError(f"Recipe: validate_every={recipe.validate_every}, but a seed has no validation examples")
    # Seeds may have different numbers of examples. A shorter list begins again, and what is more than its own counts
    # nothing: what a seed scores does not depend on its cohort.
    places = torch.arange(max(counts))
    of_all = ([pair[part][places % n] for pair, n in zip(examples, counts, strict=True)] for part in (0, 1))
    inputs, targets = (torch.stack(part).to(device) for part in of_all)
    lengths = tuple(float(len(draw)) if hasattr(draw, "__len__") else float("nan") for draw in samplers)
    return Validation(inputs, targets, counts, lengths, recipe.batch, loss_of, recipe.together)
