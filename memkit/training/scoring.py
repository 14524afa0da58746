"""Scoring of one seed's trained model: the default score of a staged study, and the code that applies any score.

inputs     [N, ...]; a model with a seed axis receives [1, N, ...]
targets    classes [N] or [N, P]; −100 is not counted
logits     [N, C] or [N, P, C]

C is the number of classes, and P the number of positions in an example if each has its own target.
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
    """Return ``accuracy`` and ``loss``: the share of targets whose class has the largest logit, and the cross-entropy.

    The loss is the mean over the targets, in nats.

    Raises:
        MemkitError: the targets are not classes, or the model does not return logits for each of them.
    """
    results = predictions_of(model, examples)
    return {"accuracy": float(results.right.double().mean()), "loss": float(results.loss.mean())}


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions for all targets that count: tensors [T].

    Attributes:
        example: the index of the example that the target belongs to.
        label, prediction: the true and the predicted class.
        confidence: the probability of the predicted class.
        loss: the cross-entropy in nats.
    """

    example: Tensor
    label: Tensor
    prediction: Tensor
    confidence: Tensor
    loss: Tensor

    @property
    def right(self) -> Tensor:
        """True where the label was predicted: bool [T]."""
        return self.label == self.prediction


def predictions_of(model: nn.Module, examples: Examples) -> Predictions:
    """Return the predictions of a model of one seed for examples, target by target.

    Raises:
        MemkitError: as in :func:`accuracy_and_loss`.
    """
    inputs, targets = examples
    if targets.is_floating_point() or targets.is_complex():
        raise MemkitError(
            "the targets are not classes, so the default score cannot compute an accuracy; give the matrix a score of "
            "its own, score: 'module:name'"
        )
    seed_axis = has_seed_axis(model)
    with torch.no_grad():
        parts = [model(part.unsqueeze(0))[0] if seed_axis else model(part) for part in torch.split(inputs, _CHUNK)]
    logits = torch.cat(parts)
    if logits.shape[:-1] != targets.shape:
        raise MemkitError(
            f"the model's outputs have the shape {tuple(logits.shape)}, but the targets {tuple(targets.shape)}; the "
            "default score needs logits for each target, so give the matrix a score of its own, score: 'module:name'"
        )
    counted = targets.flatten() != IGNORED
    log_probabilities = torch.log_softmax(logits.flatten(0, -2)[counted].double(), -1)
    label = targets.flatten()[counted]
    best = log_probabilities.max(-1)
    indices = torch.arange(len(targets), device=targets.device).view(-1, *[1] * (targets.dim() - 1))
    return Predictions(
        example=indices.expand_as(targets).flatten()[counted],
        label=label,
        prediction=best.indices,
        confidence=best.values.exp(),
        loss=F.nll_loss(log_probabilities, label, reduction="none"),
    )


def examples_of(recipe: Any, seed: int, part: str, count: int) -> Examples:
    """Return the examples of a seed on which a study scores its models.

    Args:
        part: "validation" or "test".
        count: the number of examples to draw if the task is a function; each part then has its own random stream.

    Raises:
        MemkitError: the task's sampler has no such part, or the part is empty.
    """
    task = recipe.task
    if not isinstance(task, Task):
        inputs, targets = task(generator(seed, part), count)
        return inputs, targets
    draws = sampler(recipe, seed)
    name = type(task).__name__
    if not hasattr(draws, part):
        raise MemkitError(
            f"the sampler of {name} has no attribute `{part}`; let {name}.for_seed() return an object with `{part}`, "
            "(inputs, targets), in addition to its __call__"
        )
    inputs, targets = getattr(draws, part)
    if not len(targets):
        raise MemkitError(f"{name} has no {part} examples on seed {seed}")
    return inputs, targets


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The score of a study's models.

    Attributes:
        score: ``score(model, examples)`` → a number or ``{metric: number}``.
        metric: the metric that the study needs. A mapping must contain it; a single number is given this name.
        examples: how many examples to draw if the task is a function.
    """

    score: Callable[..., Any]
    metric: str
    examples: int

    def of(self, model: nn.Module, recipe: Any, seed: int, part: str) -> dict[str, float]:
        """Return the score of one seed's trained model, which must be in evaluation mode, as metric → value.

        Args:
            part: the examples to score: "validation" or "test".

        Raises:
            MemkitError: the examples are missing, or the score does not return numbers.
        """
        return self.score_examples(model, on_device_of(model, examples_of(recipe, seed, part, self.examples)))

    def score_examples(self, model: nn.Module, examples: Examples) -> dict[str, float]:
        """Return the score of a model on the given examples, as metric → value."""
        with torch.no_grad():
            returned = self.score(model, examples)
        named = returned if isinstance(returned, Mapping) else {self.metric: returned}
        values = {str(name): _number(value, f"{name} of the score") for name, value in named.items()}
        if self.metric not in values:
            raise MemkitError(f"the score has no {self.metric!r}; it returns {', '.join(values) or 'nothing'}")
        return values


def on_device_of(model: nn.Module, examples: Examples) -> Examples:
    """Return the examples on the device of a model's parameters."""
    parameter = next(iter(model.parameters()), None)
    return examples if parameter is None else (examples[0].to(parameter.device), examples[1].to(parameter.device))


def _number(value: Any, what: str) -> float:
    if hasattr(value, "item") and getattr(value, "numel", lambda: getattr(value, "size", 1))() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MemkitError(f"{what} is {type(value).__name__}; it must be one number")
    return float(value)
