"""The default score, and the examples that a score receives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from memkit import MemkitError, MemkitWarning, Recipe, study
from memkit.source import project_modules
from memkit.study.artefacts import epoch_rows, sample_rows
from memkit.study.screening import scores_of_measurement
from memkit.training.building import build
from memkit.training.scoring import Scoring, accuracy_and_loss, examples_of
from memkit.training.streams import generator
from memkit.training.trained_run import TrainedRun


class Axis(torch.nn.Module):
    """A model whose logits are its inputs, with or without a seed axis."""

    def __init__(self, seed_axis: bool) -> None:
        super().__init__()
        self.seed_axis = seed_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dim() == (3 if self.seed_axis else 2)
        return x


@pytest.mark.parametrize("axis", [False, True])
def test_the_default_score_handles_models_with_and_without_a_seed_axis(axis: bool) -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    targets = torch.tensor([0, 0, 0, -100])
    found = accuracy_and_loss(Axis(axis), (logits, targets))
    assert found["accuracy"] == pytest.approx(2 / 3)
    expected = torch.nn.functional.cross_entropy(logits, targets, ignore_index=-100)
    assert found["loss"] == pytest.approx(float(expected))


def test_examples_with_several_targets() -> None:
    logits = torch.zeros(2, 3, 4)
    logits[:, :, 1] = 1.0
    targets = torch.tensor([[1, 1, -100], [0, 1, 1]])
    model = torch.nn.Identity()
    assert accuracy_and_loss(model, (logits, targets))["accuracy"] == pytest.approx(4 / 5)
    rows, memory = sample_rows(model, (logits, targets))
    assert memory == {}
    assert [(row["example"], row["place"], row["label"], row["prediction"]) for row in rows] == [
        (0, 0, 1, 1),
        (0, 1, 1, 1),
        (1, 0, 0, 1),
        (1, 1, 1, 1),
        (1, 2, 1, 1),
    ]


def test_targets_that_are_not_classes_are_refused() -> None:
    with pytest.raises(MemkitError, match="the targets are not classes"):
        accuracy_and_loss(torch.nn.Identity(), (torch.zeros(2, 2), torch.zeros(2)))
    with pytest.raises(MemkitError, match="the default score needs logits for each target"):
        accuracy_and_loss(torch.nn.Identity(), (torch.zeros(2, 3, 2), torch.zeros(2, dtype=torch.int64)))
    assert sample_rows(torch.nn.Identity(), (torch.zeros(2, 2), torch.zeros(2))) == ([], {})


def draw(generator: torch.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw points, and whether their first coordinate is positive."""
    x = torch.randn(size, 2, generator=generator)
    return x, (x[:, 0] > 0).long()


class Draws:
    def __init__(self, generator: torch.Generator) -> None:
        self.validation = draw(generator, 5)

    def __call__(self, generator: torch.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        return draw(generator, size)


@dataclass(frozen=True)
class Task:
    """A task with validation examples and without test examples."""

    def for_seed(self, generator: torch.Generator) -> Any:
        return Draws(generator)


def make(**options: Any) -> torch.nn.Module:
    return torch.nn.Linear(2, 2)


def test_examples_of_functions_come_from_separate_streams() -> None:
    recipe = Recipe(draw, make)
    one, other = (examples_of(recipe, 3, part, 7) for part in ("validation", "test"))
    assert len(one[1]) == len(other[1]) == 7
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[0], draw(generator(3, "validation"), 7)[0])
    assert torch.equal(other[0], draw(generator(3, "test"), 7)[0])


def test_the_examples_of_a_task_are_those_of_its_sampler() -> None:
    recipe = Recipe(Task(), make)
    inputs, _ = examples_of(recipe, 3, "validation", 7)
    assert torch.equal(inputs, draw(generator(3, "split"), 5)[0])
    with pytest.raises(MemkitError, match=r"the sampler of Task has no attribute `test`; let Task.for_seed\(\) return"):
        examples_of(recipe, 3, "test", 7)


def test_a_score_returns_a_number_or_named_numbers() -> None:
    recipe = Recipe(draw, make)
    model = build(recipe, [0])

    def scored(returned: Any) -> dict[str, float]:
        return Scoring(score=lambda model, examples: returned, metric="m", examples=4).of(
            model, recipe, 0, "validation"
        )

    assert scored(0.5) == scored(torch.tensor(0.5)) == scored({"m": 0.5}) == {"m": 0.5}
    assert scored({"m": 1, "other": 2}) == {"m": 1.0, "other": 2.0}
    for returned, sentence in (
        ({"n": 1}, "the score has no 'm'; it returns n"),
        ("much", "m of the score is str; it must be one number"),
        (torch.zeros(2), "m of the score is Tensor"),
        (True, "m of the score is bool"),
    ):
        with pytest.raises(MemkitError, match=sentence):
            scored(returned)


def test_a_stored_score_is_used_if_it_consists_of_numbers() -> None:
    assert scores_of_measurement(None, "the matrix") is None
    found = scores_of_measurement({"m": 0.5, "n": "nan"}, "the matrix")
    assert found is not None
    assert (found["m"], math.isnan(found["n"])) == (0.5, True)
    for stored in ([], "much", {"m": "much"}, {"m": None}, {"m": [0.5]}, {"m": True}, {"m": 10**400}):
        with pytest.warns(MemkitWarning, match="the stored measurement has another form .*; it is scored again"):
            assert scores_of_measurement(stored, "the matrix") is None


def test_epochs_keep_two_validations_at_one_step() -> None:
    run = TrainedRun(
        seed=0,
        state={},
        metrics={},
        history=((1, 0.9), (10, 0.5)),
        validation=((5, 0.7, 0.5), (10, 0.6, 0.6), (10, 0.61, 0.59)),
    )
    assert [tuple(row.get(name) for name in ("step", "loss", "validation_loss")) for row in epoch_rows(run)] == [
        (1, 0.9, ""),
        (5, "", 0.7),
        (10, 0.5, 0.6),
        (10, "", 0.61),
    ]


def test_scoring_counts_as_code_and_the_rest_of_a_study_does_not() -> None:
    assert "memkit.training.scoring" in project_modules(["memkit.training.scoring"])
    parts = {path.stem for path in Path(study.__file__).parent.glob("*.py")} - {"scoring"}
    assert len(parts) > 10
    assert project_modules([f"memkit.study.{name}" for name in parts]) == []
