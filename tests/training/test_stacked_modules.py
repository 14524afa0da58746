"""Ordinary modules under vmap: every seed trains as it would alone, and messages name what cannot be mapped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit import MemkitError, Recipe
from memkit.training.building import restore
from memkit.training.trained_run import TrainedRun
from memkit.training.trainer import train
from tests.machines import toys
from tests.training.test_trainer import same

PLAIN = Recipe(toys.Halves(), toys.Plain, steps=30, batch=16, lr=0.02, vmap=True)
MODELS = [toys.Plain, toys.Ordinary, toys.Normalised, toys.Attentive]
# vmap turns the products of one seed into batched ones, which may round differently; this remains after 30 steps.
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


def close(one: TrainedRun, other: TrainedRun) -> None:
    assert one.state.keys() == other.state.keys()
    for name, tensor in one.state.items():
        assert tensor.dtype == other.state[name].dtype
        torch.testing.assert_close(tensor, other.state[name], **TOLERANCE, msg=name)
    assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=1e-3)
    assert {**one.metrics, "loss": 0, "cpu_seconds": 0} == {**other.metrics, "loss": 0, "cpu_seconds": 0}
    assert [step for step, _ in one.history] == [step for step, _ in other.history]


# Adam takes full steps for gradients that are 0 up to rounding, such as those of a bias before a normalisation.
@pytest.mark.parametrize(
    ("model", "changes"),
    [
        *((model, {"optimizer": "sgd", "lr": 0.1}) for model in MODELS),
        (toys.Plain, {"clip": 0.1, "optimizer": "adamw", "weight_decay": 0.1}),
        (toys.Ordinary, {"task": toys.Squared(), "clip": 0.1}),
    ],
    ids=["plain", "ordinary", "normalised", "attentive", "clipped adamw", "own loss"],
)
def test_a_mapped_seed_equals_the_seed_trained_alone(model: Any, changes: dict[str, Any]) -> None:
    recipe = PLAIN.with_(model=model, **changes)
    mapped, alone = train(recipe, [3, 1, 2]), train(recipe.with_(vmap=False), [3, 1, 2])
    assert [run.seed for run in mapped] == [3, 1, 2]
    for one, other in zip(mapped, alone, strict=True):
        close(one, other)
    assert not same(*mapped[:2])


@settings(max_examples=8, deadline=None)
@given(model=st.sampled_from(MODELS), seeds=st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True))
def test_neither_the_cohort_nor_its_order_matters(model: Any, seeds: list[int]) -> None:
    recipe = PLAIN.with_(model=model, steps=8, optimizer="sgd", lr=0.1)
    together = {run.seed: run for run in train(recipe, seeds)}
    backwards = {run.seed: run for run in train(recipe, seeds[::-1])}
    (alone,) = train(recipe, seeds[:1])
    close(alone, together[seeds[0]])
    for seed in seeds:
        close(together[seed], backwards[seed])
        # Batch normalisation puts all seeds into one vector, in which the position affects the rounding.
        assert model is toys.Normalised or same(together[seed], backwards[seed])


@pytest.mark.parametrize("model", [toys.Plain, toys.Ordinary, toys.Attentive])
def test_a_seed_that_diverges_leaves_the_others_exactly_as_they_were(model: Any) -> None:
    recipe = PLAIN.with_(model=model, clip=1.0)
    poisoned = train(recipe.with_(task=toys.Poisoned(seed=2)), [1, 2, 3])
    healthy = train(recipe.with_(task=toys.Poisoned(seed=999)), [1, 2, 3])
    assert [run.diverged for run in poisoned] == ["", "the loss was nan at step 4", ""]
    for i in (0, 2):
        assert same(poisoned[i], healthy[i])
        assert poisoned[i].history == healthy[i].history


def test_each_seed_has_its_own_buffers() -> None:
    runs = train(PLAIN, [1, 2])
    for run in runs:
        assert int(run.state["seen"]) == 30
        assert "scratch" not in run.state, "this buffer is not persistent"
    assert not torch.equal(runs[0].state["frozen"], runs[1].state["frozen"])
    first, second = (run.state["layers.1.running_mean"] for run in train(PLAIN.with_(model=toys.Normalised), [1, 2]))
    assert not torch.equal(first, second)


def test_a_tied_layer_stays_tied_and_a_restored_model_is_the_trained_one() -> None:
    (run,) = train(PLAIN, [1])
    for name in ("again.weight", "tied.weight"):
        assert torch.equal(run.state["mix.weight"], run.state[name])
    model = restore(PLAIN, 1, run.state)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in run.state.items())


def test_the_global_generator_is_left_unchanged() -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    train(PLAIN.with_(steps=1), [1, 2])
    assert torch.equal(torch.rand(3), expected)


# --- what cannot be mapped ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (toys.Ordinary, {"dropout": 0.5}, r"draws random numbers in training \(dropout\?\)"),
        (toys.Gated, {}, r"uses a layer that torch\.func\.vmap does not support, such as nn\.LSTM"),
        (toys.Awry, {"act": "branch"}, "branches in Python on the values of tensors"),
        (toys.Awry, {"act": "item"}, r"converts a tensor to a number, by \.item\(\)"),
        (toys.Awry, {"act": "noise"}, "draws random numbers in training"),
        (toys.Awry, {"act": "numpy"}, r"computes outside torch, for example by \.numpy\(\)"),
        (toys.Awry, {"act": "fill"}, r"cannot be mapped over seeds \(torch: .*shape"),
        (toys.Awry, {"act": "keep a number"}, "has attributes that differ between seeds"),
        (toys.Awry, {"act": "keep a tensor"}, "has attributes that differ between seeds"),
        (toys.Awry, {"act": "vary"}, "has parameters or buffers whose shapes differ between seeds"),
    ],
    ids=lambda value: value.get("act", "-") if isinstance(value, dict) else None,
)
def test_modules_that_cannot_be_mapped_are_refused_with_a_reason(
    model: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(
        MemkitError,
        match=rf"vmap=True, but {model.__name__} {reason}.*; leave vmap out, and its seeds train one by one",
    ):
        train(PLAIN.with_(model=model, options=options, steps=2), [1, 2])


def test_a_loss_that_cannot_be_mapped_is_refused_too() -> None:
    with pytest.raises(MemkitError, match=r"vmap=True, but Plain converts a tensor to a number.*leave vmap out"):
        train(PLAIN.with_(task=toys.Numbered()), [1, 2])


def test_a_module_that_fails_alone_fails_with_its_own_error() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(PLAIN.with_(model=toys.Awry, options={"act": "fail"}), [1, 2])
