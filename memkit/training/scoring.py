"""Scores of a trained model of one seed on examples: the default score of a staged study, and how a score is called.

inputs     [N, ...]; a model with a seed axis is given [1, N, ...]
targets    classes [N] or [N, P]; −100 counts nowhere
logits     [N, C] or [N, P, C]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.training.building import sampler
from memkit.training.protocols import IGNORED, Task, has_seed_axis
from memkit.training.streams import generator

Examples = tuple[Tensor, Tensor]
"""Inputs [N, ...] and targets [N, ...]."""
_CHUNK = 2048


def accuracy_and_loss(model: nn.Module, examples: Examples) -> dict[str, float]:
    """``accuracy``, the share of targets that get the largest logit; and ``loss``, the mean cross-entropy, in nats.

    Raises:
        MemkitError: the targets are no classes, or there are no logits for each.
    """
    found = classified(model, examples)
    return {"accuracy": float(found.right.double().mean()), "loss": float(found.loss.mean())}


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Every target that counts: tensors [T].

    Attributes:
        example: the number of the example that it belongs to.
        label, prediction: classes.
        confidence: the probability of the predicted class.
        loss: cross-entropy in nats.
    """

    example: Tensor
    label: Tensor
    prediction: Tensor
    confidence: Tensor
    loss: Tensor

    @property
    def right(self) -> Tensor:
        """True where the label was predicted, [T]."""
        return self.label == self.prediction


def classified(model: nn.Module, examples: Examples) -> Classified:
    """Return the predictions of a model of one seed for examples, target by target.

    Raises:
        MemkitError: as :func:`accuracy_and_loss`.
    """
    inputs, targets = examples
    if targets.is_floating_point() or targets.is_complex():
        raise MemkitError(
            "the targets are no classes, so there is no accuracy of them; give the matrix a score of its own, "
            "score: 'module:name'"
        )
    axis = has_seed_axis(model)
    with torch.no_grad():
        parts = [model(part.unsqueeze(0))[0] if axis else model(part) for part in torch.split(inputs, _CHUNK)]
    logits = torch.cat(parts)
    if logits.shape[:-1] != targets.shape:
        raise MemkitError(
            f"the model's outputs have the shape {tuple(logits.shape)}, and the targets {tuple(targets.shape)}; the "
            "default score needs logits for each target, and other models a score of their own"
        )
    counted = targets.flatten() != IGNORED
    logs = torch.log_softmax(logits.flatten(0, -2)[counted].double(), -1)
    label = targets.flatten()[counted]
    best = logs.max(-1)
    numbers = torch.arange(len(targets), device=targets.device).view(-1, *[1] * (targets.dim() - 1))
    return Classified(
        example=numbers.expand_as(targets).flatten()[counted],
        label=label,
        prediction=best.indices,
        confidence=best.values.exp(),
        loss=F.nll_loss(logs, label, reduction="none"),
    )


def examples_of(recipe: Any, seed: int, part: str, count: int) -> Examples:
    """The examples of a seed that a study scores on.

    Args:
        part: "validation" or "test".
        count: how many are drawn, where the task is a function; the two parts come from streams of their own.

    Raises:
        MemkitError: what draws the examples has no such part, or it is empty.
    """
    task = recipe.task
    if not isinstance(task, Task):
        inputs, targets = task(generator(seed, part), count)
        return inputs, targets
    draws = sampler(recipe, seed)
    name = type(task).__name__
    if not hasattr(draws, part):
        raise MemkitError(
            f"what draws the examples of {name} has no `{part}`; let {name}.for_seed() return an object that has it, "
            "(inputs, targets), beside its __call__"
        )
    inputs, targets = getattr(draws, part)
    if not len(targets):
        raise MemkitError(f"{name} has no {part} examples on seed {seed}")
    return inputs, targets


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The way the models of a study are scored.

    Attributes:
        score: ``score(model, examples)`` → a number or ``{metric: number}``.
        metric: the name of the number, where the score gives no names.
        examples: the number of examples that are drawn, where the task is a function.
    """

    score: Callable[..., Any]
    metric: str
    examples: int

    def of(self, model: nn.Module, recipe: Any, seed: int, part: str) -> dict[str, float]:
        """Return metric → value of a trained model of one seed, in evaluation mode, on a part of its examples.

        Raises:
            MemkitError: the examples are not there, or the score returns no numbers.
        """
        return self.on(model, on_device_of(model, examples_of(recipe, seed, part, self.examples)))

    def on(self, model: nn.Module, examples: Examples) -> dict[str, float]:
        """Score a model as :meth:`of` does, on examples that were drawn before."""
        with torch.no_grad():
            returned = self.score(model, examples)
        named = returned if isinstance(returned, Mapping) else {self.metric: returned}
        found = {str(name): _number(value, f"{name} of the score") for name, value in named.items()}
        if self.metric not in found:
            raise MemkitError(f"the score has no {self.metric!r}; it gives {', '.join(found) or 'nothing'}")
        return found


def on_device_of(model: nn.Module, examples: Examples) -> Examples:
    """The examples where a model's parameters are."""
    some = next(iter(model.parameters()), None)
    return examples if some is None else (examples[0].to(some.device), examples[1].to(some.device))


def _number(value: Any, what: str) -> float:
    if hasattr(value, "item") and getattr(value, "numel", lambda: getattr(value, "size", 1))() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MemkitError(f"{what} is {type(value).__name__}; it should be one number")
    return float(value)
