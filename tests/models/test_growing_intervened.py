"""The memory of a growing network is carried over: it retrieves the same entries, with the same effect."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memkit.models.growing import GrowingNetwork
from memkit.models.growing_intervened import GrowingIntervenedNetwork
from memkit.models.parameters import parameters_per_seed
from memkit.training.building import restore
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.models.growing import SIZES, evaluation_of, images, recipe

CLOSE = {"rtol": 0.0, "atol": 1e-5}


def network(seeds: int = 1, *, growth: dict[str, Any] | None = None, carry: bool = True, **intervention: Any) -> Any:
    """Return a network in evaluation mode with 24 examples in its memory."""
    net = GrowingIntervenedNetwork(
        generators=[generator(seed, "init") for seed in range(seeds)],
        widths=(20, 16, 16),
        growth={"start": (12, 10), "events": 2, "schedule": "steps", "every": 1, **(growth or {})},
        intervention={"k": 3, "capacity": 24, "step_size": 4.0, **intervention},
        carry=carry,
        **SIZES,
    ).eval()
    labels = torch.randint(3, (seeds, 24), generator=generator(0, "labels"))
    if intervention.get("target") == "centroid":
        net._move_centroids(net.network.before(images(seeds, 24), net.layer), labels)
    net.remember(images(seeds, 24), labels)
    return net


def queries(seeds: int = 1) -> Tensor:
    return torch.rand(seeds, 30, 4, 4, generator=generator(1, "queries"))


@settings(max_examples=40)
@given(
    placement=st.sampled_from(["early", "penultimate", "hidden3"]),
    metric=st.sampled_from(["l2", "cosine"]),
    query=st.sampled_from(["full", "projection"]),
    mode=st.sampled_from(["gated", "residual", "overwrite"]),
    gate=st.sampled_from(["constant", "uncertainty", "learnt"]),
    target=st.sampled_from(["gradient", "centroid"]),
    value=st.sampled_from(["delta", "absolute"]),
    normalise=st.booleans(),
    events=st.integers(1, 5),
)
def test_growth_preserves_the_function_of_network_and_memory(events: int, **intervention: Any) -> None:
    if intervention["mode"] != "gated":
        intervention["gate"] = "constant"
    net = network(2, growth={"events": events}, **intervention)
    x = queries(2)
    before = net.measure_effect(x)
    assert (before.on - before.off).abs().max() > 1e-3, "the memory has an effect"
    for step in range(1, events + 1):
        assert net.validated(evaluation_of(step, seeds=2), {}) == [True, True]
        after = net.measure_effect(x)
        torch.testing.assert_close(after.on, before.on, **CLOSE)
        torch.testing.assert_close(after.off, before.off, **CLOSE)
        torch.testing.assert_close(after.magnitude, before.magnitude, **CLOSE)
        torch.testing.assert_close(after.retrieved.distances, before.retrieved.distances, **CLOSE)


def test_only_the_memory_of_the_growing_seed_changes() -> None:
    net = network(2)
    before = net.memory.keys.clone()
    net._grow(1, 1, {})
    assert torch.equal(net.memory.keys[0], before[0])
    assert not torch.equal(net.memory.keys[1], before[1])


def test_growth_of_another_layer_does_not_change_the_memory() -> None:
    net = GrowingIntervenedNetwork(
        generators=[generator(0, "init")],
        widths=(4, 8),
        growth={"start": (4, 3), "schedule": "steps"},
        intervention={"placement": "early", "k": 3, "capacity": 24},
        **SIZES,
    )
    net.remember(images(1, 24), torch.zeros(1, 24, dtype=torch.int64))
    before = net.memory.keys.clone()
    assert net.validated(evaluation_of(1), {}) == [True]
    assert torch.equal(net.memory.keys, before)


@pytest.mark.parametrize(("carry", "how"), [(False, "preserving"), (True, "fresh")])
def test_without_carrying_the_memory_over_growth_changes_the_function(carry: bool, how: str) -> None:
    net = network(carry=carry, growth={"how": how, "events": 1})
    keys, x = net.memory.keys.clone(), queries()
    before = net.measure_effect(x)
    net.validated(evaluation_of(1), {})
    assert torch.equal(net.memory.keys, keys)
    assert (net.measure_effect(x).retrieved.distances - before.retrieved.distances).abs().max() > 1e-2


def test_moments_of_the_gate_are_carried_over() -> None:
    net = network(gate="learnt", growth={"events": 1})
    moments = {net.gate_weight: (torch.ones_like(net.gate_weight), torch.ones_like(net.gate_weight))}
    net.validated(evaluation_of(1), moments)
    first, second = (moment[0, 0, :16] for moment in moments[net.gate_weight])
    torch.testing.assert_close(first.square(), second)
    torch.testing.assert_close(second.sum(), torch.tensor(10.0))  # of 10 units, divided among 16


def test_an_inactive_memory_does_not_change_growth_bit_for_bit() -> None:
    plain = train(recipe(), [1, 2])
    inactive = recipe(GrowingIntervenedNetwork, intervention={"use": "never", "k": 3, "capacity": 50})
    for run, other in zip(train(inactive, [1, 2]), plain, strict=True):
        assert run.history == other.history
        assert run.validation == other.validation
        assert run.metrics["parameters"] == other.metrics["parameters"]
        assert all(torch.equal(run.state[f"network.{name}"], tensor) for name, tensor in other.state.items())
        assert int(run.state["memory.inserted"]) == 24 * 16, "it is filled nevertheless"


def test_growth_in_training_preserves_the_loss_with_the_memory() -> None:
    active = recipe(GrowingIntervenedNetwork, intervention={"k": 3, "capacity": 50, "step_size": 5.0, "gate": "learnt"})
    (run,) = train(active, [0])
    pairs = [(before[1], after[1]) for before, after in pairwise(run.validation) if before[0] == after[0]]
    assert len(pairs) == 2
    for before, after in pairs:
        assert abs(after - before) < 1e-5
    model = restore(active, 0, run.state)
    assert isinstance(model, GrowingIntervenedNetwork)
    assert isinstance(model.network, GrowingNetwork)
    assert [row["step"] for row in model.timeline()] == [8, 16]
    assert parameters_per_seed(model) == run.metrics["parameters"] == model.network.active_parameters()[0] + 12 + 1


@pytest.mark.parametrize("placement", ["hidden2", "late"])
def test_a_memory_below_an_added_layer_is_refused(placement: str) -> None:
    with pytest.raises(ValueError, match=f"placement='{placement}': a layer will be added just above, .*'penultimate'"):
        network(placement=placement)


def test_parameters_of_the_learnt_gate_are_counted() -> None:
    net = network(gate="learnt")
    assert parameters_per_seed(net) == net.network.active_parameters()[0] + 10 + 1
    net.validated(evaluation_of(1), {})
    assert parameters_per_seed(net) == net.network.active_parameters()[0] + 13 + 1
    early = network(gate="learnt", placement="early")
    assert parameters_per_seed(early) == early.network.active_parameters()[0] + 12 + 1


@pytest.mark.parametrize("intervention", [{"affected": 3}, {"query": "untouched"}, {"chosen": "random"}])
def test_settings_that_growth_cannot_preserve_are_refused(intervention: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="affected"):
        network(**intervention)
