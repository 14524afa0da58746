"""A model with ``validated`` receives each validation result, may change itself, and is then validated once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from memkit import MemkitError, Recipe
from memkit.training.protocols import ValidationResult
from memkit.training.trainer import train
from tests.machines import toys
from tests.training.test_validation import Validated

calls: list[tuple[ValidationResult, dict[str, list[Tensor]], dict[str, Tensor]]] = []


class Zeroing:
    """A mixin that records what it receives, and zeroes the weights and moments of some seeds.

    Attributes:
        turns: for each call of ``validated``, the seeds to zero.
    """

    turns: tuple[tuple[int, ...], ...] = ()

    def validated(self, result: ValidationResult, moments: Any) -> list[bool]:
        assert isinstance(self, nn.Module)
        names = {p: name for name, p in self.named_parameters()}
        moments_by_name = {names[p]: list(tensors) for p, tensors in moments.items()}
        calls.append((result, moments_by_name, {name: p.detach().clone() for name, p in self.named_parameters()}))
        chosen = self.turns[len(calls) - 1] if len(calls) <= len(self.turns) else ()
        with torch.no_grad():
            for seed in chosen:
                for p in self.parameters():
                    for tensor in (p, *moments.get(p, ())):
                        tensor[seed] = 0
        return [seed in chosen for seed in range(len(result.losses))]


class ZeroingCohort(Zeroing, toys.Cohort):
    """A model with a seed axis."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__(generators)


class SecondSeed(ZeroingCohort):
    """A model that zeroes its second seed at the second validation."""

    turns = ((), (1,))


class ZeroingPlain(Zeroing, toys.Plain):
    """A model without a seed axis."""


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


COHORT = Recipe(Validated(), ZeroingCohort, steps=9, batch=4, validate_every=3)


def test_validated_receives_every_result_but_the_last() -> None:
    runs = train(COHORT, [4, 5])
    assert [result.step for result, _, _ in calls] == [3, 6], "after the last step a change would have no effect"
    for result, _, _ in calls:
        for i, run in enumerate(runs):
            assert (result.step, result.losses[i], result.accuracies[i]) in run.validation
        assert all(e != e for e in result.epochs), "the sampler has no length"
    assert [[row[0] for row in run.validation] for run in runs] == [[3, 6, 9]] * 2


def test_a_changed_seed_is_validated_once_more_and_the_others_are_not_affected() -> None:
    changed = train(COHORT.with_(model=SecondSeed), [4, 5])
    calls.clear()
    plain = train(COHORT, [4, 5])
    assert [row[0] for row in changed[1].validation] == [3, 6, 6, 9]
    assert changed[1].validation[:2] == plain[1].validation[:2]
    assert changed[1].validation[2] != plain[1].validation[1]
    assert changed[0].validation == plain[0].validation
    assert changed[0].history == plain[0].history
    assert all(torch.equal(tensor, plain[0].state[name]) for name, tensor in changed[0].state.items())


def test_moments_are_those_of_the_optimiser() -> None:
    train(COHORT.with_(steps=2, validate_every=1, lr=0.5), [1])
    ((_, moments, weights),) = calls
    assert set(moments) == set(weights)
    for name, (first, second) in moments.items():
        assert first.shape == second.shape == weights[name].shape
    calls.clear()
    train(COHORT.with_(steps=2, validate_every=1, optimizer="sgd"), [1])
    assert not any(calls[0][1].values()), "plain gradient descent has none"


def test_training_continues_with_the_moments_that_were_written() -> None:
    """With Adam's moments zeroed, the next step is that of its first gradient alone."""
    plan = COHORT.with_(model=SecondSeed, steps=3, validate_every=1, lr=0.25)
    (_, run) = train(plan, [4, 5])
    moved = run.state["hidden.weight"][0].abs()
    # Step 3 from zero weights: lr · (0.1 g / (1 - 0.9³)) / √(0.001 g² / (1 - 0.999³)), wherever g is not 0.
    step = 0.25 * (0.1 / (1 - 0.9**3)) / (0.001 / (1 - 0.999**3)) ** 0.5
    torch.testing.assert_close(moved[moved > 0], torch.full_like(moved[moved > 0], step), rtol=1e-3, atol=0.0)


def test_validation_is_required() -> None:
    with pytest.raises(MemkitError, match="ZeroingCohort depends on validation results; set validate_every"):
        train(COHORT.with_(validate_every=None), [1])


def test_vmap_is_refused() -> None:
    with pytest.raises(MemkitError, match=r"vmap=True, but ZeroingPlain has the method validated\(\)"):
        train(COHORT.with_(model=ZeroingPlain, vmap=True), [1])


def test_an_ordinary_module_receives_results_as_well() -> None:
    train(COHORT.with_(model=ZeroingPlain), [1, 2])
    assert [result.step for result, _, _ in calls] == [3, 6, 3, 6]
