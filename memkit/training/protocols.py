"""The protocols of tasks and models: what the trainer asks of them, as types.

A recipe's task is a :class:`Task`, or a :class:`Sampler` by itself. Its model is a class of ``torch.nn.Module``, or a
function that makes one; one that trains many seeds at once is a :class:`SeedAxisModel`. All else here is optional: the
trainer uses what a task, a sampler or a model offers, and does without the rest.

Shapes: S seeds, B examples of a batch, N examples, ... what the task and the model agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # a recipe is checked without torch
    import torch
    from torch import Tensor, nn

IGNORED = -100
"""A target that counts neither for the loss nor for the accuracy."""

Batch: TypeAlias = "tuple[Tensor, Tensor]"
"""Inputs [B, ...] and targets [B, ...]."""

Moments: TypeAlias = "dict[nn.Parameter, tuple[Tensor, ...]]"
"""Parameter → the optimiser's running means of its gradient and of the gradient's square, in the parameter's shape;
nothing for plain gradient descent. Views: what is written there is what the optimiser goes on with."""


# --- tasks --------------------------------------------------------------------------------------------------------


class Sampler(Protocol):
    """Draws training examples."""

    def __call__(self, generator: torch.Generator, size: int, /) -> Batch:
        """Return inputs [size, ...] and targets [size, ...], drawn by the generator alone."""
        ...


@runtime_checkable
class Task(Protocol):
    """A task to be learnt: a frozen dataclass, whose fields are part of the recipe."""

    def for_seed(self, generator: torch.Generator, /) -> Sampler:
        """Return a new sampler for a seed; the generator draws what is held out of training."""
        ...


@runtime_checkable
class TaskWithSizes(Protocol):
    """A task that gives its models options, such as the number of classes."""

    @property
    def sizes(self) -> Mapping[str, Any]:
        """Options that every model of the task takes."""
        ...


@runtime_checkable
class TaskWithLoss(Protocol):
    """A task with a loss of its own; without one it is the cross-entropy, in nats."""

    def loss(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """Return the loss: of a model with a seed axis, outputs [S, B, ...] and targets [S, B, ...] → [S].

        Of an ordinary module it is given one seed's, [B, ...], and the mean of what it returns is taken.
        """
        ...


@runtime_checkable
class TaskWithChecksum(Protocol):
    """A task that reads data whose checksum it knows."""

    @property
    def checksum(self) -> str:
        """The checksum of the data, which is part of the recipe's digest; known also where the data are not."""
        ...


@runtime_checkable
class TaskWithData(Protocol):
    """A task that reads data which may not be there."""

    @property
    def missing(self) -> str:
        """One sentence on how to get the data, with which claims are skipped; "" where the data are there."""
        ...


@runtime_checkable
class AfterBatch(Protocol):
    """A sampler or a model that is told of every training batch."""

    def saw(self, outputs: Tensor, targets: Tensor, /) -> None:
        """Take what the model made of a batch, without gradients.

        A sampler is told of its own seed's outputs [B, ...] and targets [B, ...], after the optimiser's step: a
        curriculum moves on by them. A model is told of those that it was given, with the seed axis if it has one, after
        the backward pass and before the step: a memory that fills in training fills here.
        """
        ...


@runtime_checkable
class EndsEarly(Protocol):
    """A sampler that knows when its seed has learnt enough."""

    @property
    def finished(self) -> bool:
        """True once the seed trains no more."""
        ...


@runtime_checkable
class SamplerWithValidation(Protocol):
    """A sampler with examples that its seed is not trained on."""

    @property
    def validation(self) -> Batch:
        """Inputs [N, ...] and targets [N, ...]."""
        ...


@runtime_checkable
class CountedSampler(Protocol):
    """A sampler that draws from a finite set."""

    def __len__(self) -> int:
        """Return how many training examples there are."""
        ...


# --- models -------------------------------------------------------------------------------------------------------


@runtime_checkable
class SeedAxisModel(Protocol):
    """A model that holds many seeds, each with parameters and results of its own.

    Its class takes the keyword ``generators``, one for each seed, from which it draws that seed's initial values. Every
    parameter and buffer has the seeds in front, [S, ...]. No seed may depend on another.
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
        """The size of the state that the model carries for a sequence, in numbers."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExampleRecords:
    """A model's records of examples.

    Attributes:
        columns: name → a value for each example; "label", "prediction", "confidence" and "loss" are among them.
        summary: figures of all examples together.
    """

    columns: Mapping[str, Sequence[Any]]
    summary: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class WithExampleRecords(Protocol):
    """A model that says more of an example than what it predicts; a staged study writes it down."""

    def example_records(self, inputs: Tensor, targets: Tensor, /) -> ExampleRecords:
        """Return what a model of one seed says of inputs [N, ...] and targets [N], both on the CPU."""
        ...


@runtime_checkable
class WithTables(Protocol):
    """A model that says how it came about; a staged study writes it down."""

    def tables(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return name → rows, each column → value; a table without rows is not written."""
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

    def note(self, rows: Sequence[list[tuple[int, float, float]]], which: Sequence[bool]) -> None:
        """Add a row (step, loss, accuracy) to those of some of the seeds."""
        for own, loss, accuracy, wanted in zip(rows, self.losses, self.accuracies, which, strict=True):
            if wanted:
                own.append((self.step, loss, accuracy))


@runtime_checkable
class _SaysSeedAxis(Protocol):
    seed_axis: bool


def has_seed_axis(model: object) -> bool:
    """Return whether a model, its class, or a function that makes one says that it trains many seeds at once."""
    return isinstance(model, _SaysSeedAxis) and bool(model.seed_axis)


def sizes_of(task: object) -> Mapping[str, Any]:
    """Return the options that every model of a task takes."""
    return task.sizes if isinstance(task, TaskWithSizes) else {}


def state_size_of(model: object) -> int | None:
    """Return how many numbers a model carries for a sequence; None where it does not say."""
    return model.state_size if isinstance(model, WithStateSize) else None
