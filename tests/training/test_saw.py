"""A model with ``saw`` receives the targets of each of its training batches, after the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from memkit import MemkitError, Recipe
from memkit.training.building import build, sampler
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.machines import toys
from tests.training.test_trainer import TOLERANCE, same

calls: list[tuple[str, Tensor, dict[str, Tensor]]] = []


class Recording:
    """A mixin that records the inputs and targets that it receives, with its weights or gradients at that time."""

    def record(self, what: str, tensor: Tensor) -> None:
        assert isinstance(self, nn.Module)
        now = {
            n: (p if what == "forward" else p.grad).detach().clone()
            for n, p in self.named_parameters()
            if p.grad is not None
        }
        calls.append((what, tensor, now))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # type: ignore[attr-defined]
            self.record("forward", x)
        outputs: Tensor = super().forward(x)  # type: ignore[misc]
        return outputs

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        self.record("saw", targets)


class RecordingCohort(Recording, toys.Cohort):
    """A recording model with a seed axis."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__(generators)


class RecordingPlain(Recording, toys.Plain):
    """A recording model without a seed axis."""


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


COHORT = Recipe(toys.Halves(), RecordingCohort, steps=3, batch=4, optimizer="sgd", lr=0.1)
ORDINARY = COHORT.with_(model=RecordingPlain)
BOTH = pytest.mark.parametrize("recipe", [COHORT, ORDINARY], ids=["cohort", "ordinary"])


@BOTH
def test_saw_receives_the_targets_of_the_last_batch(recipe: Recipe) -> None:
    train(recipe, [1, 2])
    cohorts = [[1, 2]] if recipe.together else [[1], [2]]
    expected: list[tuple[str, Tensor]] = []
    for cohort in cohorts:
        draws = [(sampler(recipe, seed), generator(seed, "data", "")) for seed in cohort]
        for _ in range(3):
            parts = list(zip(*(draw(stream, 4) for draw, stream in draws), strict=True))
            for what, part in zip(("forward", "saw"), parts, strict=True):
                expected.append((what, torch.stack(part) if recipe.together else part[0]))
    assert [what for what, *_ in calls] == [what for what, _ in expected]
    assert all(torch.equal(one, other) for (_, one, _), (_, other) in zip(calls, expected, strict=True))


@BOTH
def test_saw_is_called_between_the_gradient_and_the_step(recipe: Recipe) -> None:
    train(recipe, [1])
    weights = [now for what, _, now in calls if what == "forward"]
    gradients = [now for what, _, now in calls if what == "saw"]
    for before, gradient, after in zip(weights[:-1], gradients[:-1], weights[1:], strict=True):
        assert before
        for name, tensor in before.items():
            torch.testing.assert_close(after[name], tensor - 0.1 * gradient[name], **TOLERANCE)
        assert any(tensor.any() for tensor in gradient.values())


@BOTH
def test_having_saw_does_not_change_training(recipe: Recipe) -> None:
    without_saw = recipe.with_(model=toys.Cohort if recipe.together else toys.Plain)
    for one, other in zip(train(recipe, [1, 2]), train(without_saw, [1, 2]), strict=True):
        assert same(one, other)


def test_vmap_is_refused_for_a_model_with_saw() -> None:
    message = (
        r"vmap=True, but RecordingPlain has the method saw\(\), which vmap cannot map; leave vmap "
        "out, and its seeds train one by one"
    )
    with pytest.raises(MemkitError, match=message):
        train(ORDINARY.with_(vmap=True), [1, 2])


@BOTH
def test_saw_is_not_called_in_evaluation(recipe: Recipe) -> None:
    model: Any = build(recipe, [1]).eval()
    model(torch.zeros(1, 3, 2) if recipe.together else torch.zeros(3, 2))
    assert not calls
