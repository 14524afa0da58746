"""Validation during training: its results, and that it does not affect training or the other seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from memkit import MemkitError, Recipe
from memkit.store.store import Store
from memkit.training.building import restore, sampler
from memkit.training.protocols import IGNORED
from memkit.training.streams import generator, stream_seed
from memkit.training.trainer import train
from tests.machines import toys
from tests.training.test_trainer import same


class Draws:
    """A sampler with validation examples."""

    def __init__(self, draw: Any, validation: tuple[Tensor, Tensor]) -> None:
        self.draw, self.validation = draw, validation

    def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        drawn: tuple[Tensor, Tensor] = self.draw(generator, size)
        return drawn


@dataclass(frozen=True)
class Validated(toys.Halves):
    """A task in which the seed's split determines the number of validation examples."""

    least: int = 5
    most: int = 15

    def for_seed(self, generator: torch.Generator) -> Any:
        draw = super().for_seed(generator)
        size = int(torch.randint(self.least, self.most, (), generator=generator))
        return Draws(draw, draw(generator, size))


@dataclass(frozen=True)
class Squares(Validated, toys.Squared):
    """A task with its own loss."""


@dataclass(frozen=True)
class Partly(Validated):
    """A task that ignores two of three validation targets."""

    def for_seed(self, generator: torch.Generator) -> Any:
        draws = super().for_seed(generator)
        inputs, targets = draws.validation
        draws.validation = inputs, torch.where(torch.arange(len(targets)) % 3 == 0, targets, IGNORED)
        return draws


@dataclass(frozen=True)
class Poisoned(toys.Poisoned, Validated):
    """A task in which the inputs of one seed become infinite."""

    def for_seed(self, generator: torch.Generator) -> Any:
        same = torch.Generator().manual_seed(generator.initial_seed())
        return Draws(toys.Poisoned.for_seed(self, generator), Validated.for_seed(self, same).validation)


COHORT = Recipe(Validated(), toys.Cohort, steps=10, batch=8, lr=0.05, validate_every=4)
ORDINARY = COHORT.with_(model=toys.Ordinary)
MAPPED = COHORT.with_(model=toys.Plain, vmap=True)
ALL = pytest.mark.parametrize("recipe", [COHORT, ORDINARY, MAPPED], ids=["cohort", "ordinary", "mapped"])


@ALL
@pytest.mark.parametrize("every", [1, 4, 5, 99])
def test_validations_come_at_their_steps_and_at_the_end(recipe: Recipe, every: int) -> None:
    for run in train(recipe.with_(validate_every=every), [1, 2]):
        assert [step for step, _, _ in run.validation] == sorted({*range(every, 11, every), 10})
    assert train(recipe.with_(validate_every=None), [1])[0].validation == ()


@ALL
@pytest.mark.parametrize("task", [Validated(), Squares(), Partly()], ids=lambda task: type(task).__name__)
def test_a_row_is_the_loss_and_accuracy_of_the_model_at_that_step(recipe: Recipe, task: Any) -> None:
    recipe = recipe.with_(task=task, lr=1e-3)
    runs = train(recipe, [1, 2, 3])
    assert any(0 < run.validation[-1][2] < 1 for run in runs)
    for run in runs:
        inputs, targets = sampler(recipe, run.seed).validation  # type: ignore[attr-defined]
        axis = recipe.model is toys.Cohort
        with torch.no_grad():
            outputs = restore(recipe, run.seed, run.state)(inputs[None] if axis else inputs).view(len(inputs), 2)
        counted = targets != IGNORED
        loss = task.loss(outputs, targets) if isinstance(task, Squares) else F.cross_entropy(outputs, targets)
        right = (outputs.argmax(-1) == targets)[counted].float().mean()
        assert run.validation[-1] == (10, pytest.approx(float(loss), rel=1e-4), pytest.approx(float(right)))


@ALL
def test_a_seeds_rows_do_not_depend_on_its_cohort(recipe: Recipe) -> None:
    sizes = {len(sampler(recipe, seed).validation[1]) for seed in range(5)}  # type: ignore[attr-defined]
    assert len(sizes) > 1
    for run in train(recipe, list(range(5))):
        (alone,) = train(recipe, [run.seed])
        torch.testing.assert_close(torch.tensor(run.validation), torch.tensor(alone.validation), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "recipe",
    [COHORT, ORDINARY.with_(dropout=0.5), MAPPED.with_(model=toys.Normalised), COHORT.with_(task=Squares(), clip=0.1)],
    ids=["cohort", "dropout", "mapped", "own loss"],
)
def test_validation_does_not_change_training_by_a_bit(recipe: Recipe) -> None:
    without = train(recipe.with_(validate_every=None), [1, 2])
    for validated, run in zip(train(recipe.with_(validate_every=1), [1, 2]), without, strict=True):
        assert same(validated, run)
        assert validated.history == run.history


def test_a_diverged_seed_has_rows_of_nan_and_does_not_affect_the_others() -> None:
    (one, diverged, other), healthy = (train(COHORT.with_(task=Poisoned(seed=s)), [1, 2, 3]) for s in (2, 99))
    assert diverged.diverged
    assert math.isnan(diverged.validation[-1][1])
    assert (one.validation, other.validation) == (healthy[0].validation, healthy[2].validation)


def test_rows_survive_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path, session="first")
    store.prepare()
    for run in train(COHORT.with_(task=Poisoned(seed=2)), [1, 2]):
        store.save(COHORT.digest, COHORT.to_json(), run, made={})
        loaded = store.load(COHORT.digest, run.seed)
        assert loaded is not None
        assert repr(loaded.validation) == repr(run.validation)  # nan is nan
        assert len(loaded.validation) == 3


def test_a_task_without_validation_examples_is_refused() -> None:
    with pytest.raises(
        MemkitError, match=r"but the sampler of Halves has no attribute `validation`; give it one, \(inputs"
    ):
        train(COHORT.with_(task=toys.Halves()), [1])
    with pytest.raises(MemkitError, match="validate_every=4, but a seed has no validation examples"):
        train(COHORT.with_(task=Validated(least=0, most=1)), [1])


@pytest.mark.parametrize("every", [0, -1, 2.0, True, "5"])
def test_only_a_positive_whole_number_of_steps_or_none_is_accepted(every: Any) -> None:
    with pytest.raises(MemkitError, match=f"validate_every={every!r} must be a positive whole number, or None"):
        COHORT.with_(validate_every=every)


def test_validation_is_part_of_a_recipe_and_its_absence_is_not_written() -> None:
    without = COHORT.with_(validate_every=None)
    assert len({COHORT.digest, COHORT.with_(validate_every=5).digest, without.digest}) == 3
    assert "validate_every" not in without.to_json()
    assert Recipe.from_json(COHORT.to_json()) == COHORT


def test_validation_examples_depend_on_the_split_and_not_on_the_stream() -> None:
    draws = [sampler(recipe, 1).validation[0] for recipe in (COHORT, COHORT.with_(stream="second"))]  # type: ignore[attr-defined]
    assert torch.equal(*draws)
    assert generator(1, "split").initial_seed() == stream_seed(1, "split")
