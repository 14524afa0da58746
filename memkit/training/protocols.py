"""The protocols of tasks and models: the interfaces that the trainer uses, as types.

A recipe's task is a :class:`Task`, or simply a :class:`Sampler`. Its model is a subclass of ``torch.nn.Module``, or a
function that returns one; a model that trains many seeds at once is a :class:`SeedAxisModel`. All other protocols here
are optional: the trainer uses those that a task, a sampler or a model implements.

Shapes: S seeds, B examples in a batch, N examples; "..." stands for dimensions that the task and the model agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # a recipe is checked without torch
    import torch
    from torch import Tensor, nn

IGNORED = -100
"""The target of positions that count neither for the loss nor for the accuracy."""

Batch: TypeAlias = "tuple[Tensor, Tensor]"
"""Inputs [B, ...] and targets [B, ...]."""

Moments: TypeAlias = "dict[nn.Parameter, tuple[Tensor, ...]]"
"""Parameter → the optimiser's running means of its gradient and of its squared gradient, in the parameter's shape; an
empty tuple for plain gradient descent. The tensors are views: the optimiser continues with the values written there."""


# --- tasks --------------------------------------------------------------------------------------------------------


class Sampler(Protocol):
    """A function or an object that draws training examples."""

    def __call__(self, generator: torch.Generator, size: int, /) -> Batch:
        """Return inputs [size, ...] and targets [size, ...], with all randomness taken from the generator."""
        ...


@runtime_checkable
class Task(Protocol):
    """A task to be learnt: a frozen dataclass, whose fields are part of the recipe."""

    def for_seed(self, generator: torch.Generator, /) -> Sampler:
        """Return a new sampler for a seed; the generator determines which examples are held out of training."""
        ...


@runtime_checkable
class TaskWithSizes(Protocol):
    """A task that passes options to its models, such as the number of classes."""

    @property
    def sizes(self) -> Mapping[str, Any]:
        """The keyword arguments that every model of the task takes."""
        ...


@runtime_checkable
class TaskWithLoss(Protocol):
    """A task with a loss of its own; the default is the cross-entropy, in nats."""

    def loss(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """Return the loss per seed, [S], for outputs [S, B, ...] and targets [S, B, ...] of a model with a seed axis.

        For an ordinary module, outputs and targets are those of one seed, [B, ...], and the loss is the mean of the
        returned tensor.
        """
        ...


@runtime_checkable
class TaskWithChecksum(Protocol):
    """A task that reads data with a known checksum."""

    @property
    def checksum(self) -> str:
        """The checksum of the data, part of the recipe's digest; available even where the data are missing."""
        ...


@runtime_checkable
class TaskWithData(Protocol):
    """A task that reads data that may be missing."""

    @property
    def missing(self) -> str:
        """One sentence on how to get the data, the reason with which claims are skipped; "" if the data are present."""
        ...


@runtime_checkable
class AfterBatch(Protocol):
    """A sampler or a model that is notified of every training batch."""

    def saw(self, outputs: Tensor, targets: Tensor, /) -> None:
        """Receive the model's outputs for a batch, without gradients, and the batch's targets.

        A sampler receives those of its own seed, [B, ...] each, after the optimiser's step; a curriculum uses them to
        decide when to advance. A model receives those of the batch that it was passed, with the seed axis if it has
        one, after the backward pass and before the step; a memory that is filled during training is filled here.
        """
        ...


@runtime_checkable
class EndsEarly(Protocol):
    """A sampler that can end the training of its seed early."""

    @property
    def finished(self) -> bool:
        """True once the seed is to train no further."""
        ...


@runtime_checkable
class SamplerWithValidation(Protocol):
    """A sampler with validation examples, on which its seed is not trained."""

    @property
    def validation(self) -> Batch:
        """Inputs [N, ...] and targets [N, ...]."""
        ...


@runtime_checkable
class CountedSampler(Protocol):
    """A sampler that draws from a finite set."""

    def __len__(self) -> int:
        """Return the number of training examples."""
        ...


# --- models -------------------------------------------------------------------------------------------------------


@runtime_checkable
class SeedAxisModel(Protocol):
    """A model that holds many seeds, each with parameters and results of its own.

    Its class takes the keyword argument ``generators``, one per seed, from which it draws that seed's initial values.
    Every parameter and buffer has the seeds as its first dimension, [S, ...]. No seed may depend on another.
    """

    seed_axis: bool
    """True."""

    def forward(self, inputs: Tensor, /) -> Tensor:
        """Return outputs [S, B, ...] for inputs [S, B, ...]."""
        ...


@runtime_checkable
class AfterValidation(Protocol):
    """A model that changes itself depending on its validation results, such as one that grows."""

    def validated(self, result: ValidationResult, moments: Moments, /) -> Sequence[bool]:
        """Receive the results on the validation examples, and return for each seed whether the model changed it.

        The model may change its parameters and the optimiser's moments in place. The seeds that it changed are
        validated once more.
        """
        ...


@runtime_checkable
class WithActiveParameters(Protocol):
    """A model whose seeds do not use all of its parameters."""

    def active_parameters(self) -> list[int]:
        """Return how many parameters each seed uses."""
        ...


@runtime_checkable
class WithStateSize(Protocol):
    """A model that carries numbers from one input to the next."""

    @property
    def state_size(self) -> int:
        """The size of the state that the model carries along a sequence, in numbers."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExampleRecords:
    """A model's records of examples.

    Attributes:
        columns: name → one value per example; "label", "prediction", "confidence" and "loss" are among them.
        summary: name → a value for all examples together.
    """

    columns: Mapping[str, Sequence[Any]]
    summary: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class WithExampleRecords(Protocol):
    """A model that reports more about an example than its prediction; staged studies save the report."""

    def example_records(self, inputs: Tensor, targets: Tensor, /) -> ExampleRecords:
        """Return the records of a model of one seed for inputs [N, ...] and targets [N], both on the CPU."""
        ...


@runtime_checkable
class WithTables(Protocol):
    """A model that reports how it developed during training; staged studies save its tables."""

    def tables(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return table name → rows, each row column → value; a table without rows is not saved."""
        ...


@dataclass(frozen=True)
class ValidationResult:
    """The loss and accuracy of every seed of a cohort on its validation examples.

    Attributes:
        step: the number of training steps taken so far.
        epochs: for each seed, how many times it has seen its training examples; nan where their number is unknown.
        losses, accuracies: one value per seed; losses in nats, accuracies between 0 and 1.
    """

    step: int
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]

    def append_to(self, logs: Sequence[list[tuple[int, float, float]]], selected: Sequence[bool]) -> None:
        """Append a row (step, loss, accuracy) to the logs of the selected seeds."""
        for log, loss, accuracy, is_selected in zip(logs, self.losses, self.accuracies, selected, strict=True):
            if is_selected:
                log.append((self.step, loss, accuracy))


@runtime_checkable
class _WithSeedAxisFlag(Protocol):
    seed_axis: bool


def has_seed_axis(model: object) -> bool:
    """Return whether a model, its class, or a function that returns one declares that it trains many seeds at once."""
    return isinstance(model, _WithSeedAxisFlag) and bool(model.seed_axis)


def sizes_of(task: object) -> Mapping[str, Any]:
    """Return the keyword arguments that every model of a task takes."""
    return task.sizes if isinstance(task, TaskWithSizes) else {}


def state_size_of(model: object) -> int | None:
    """Return how many numbers a model carries along a sequence; None if it does not declare this."""
    return model.state_size if isinstance(model, WithStateSize) else None
