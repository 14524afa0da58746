"""Training of an intervened network: like the plain network without its memory, and with a memory that fills."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit import Recipe
from memkit.memories.eviction import POLICIES, RECORD_POLICIES
from memkit.memories.neighbours import NeighbourMemory
from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.intervened import IntervenedNetwork
from memkit.models.intervened_settings import CHOICES, Intervention
from memkit.training.building import build
from memkit.training.process import prepared_process
from memkit.training.streams import generator
from memkit.training.trainer import train
from tests.models.intervened import CLOSE, SIZES, TASK, batch, filled, model, recipe, same, state

# --- the plain network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", CHOICES["gate"])
def test_its_network_equals_the_plain_network_of_the_same_generators(gate: str) -> None:
    net = model((3, 8), gate=gate, warmup=5, query="projection", chosen="random")
    given = [generator(seed, "init") for seed in (3, 8)]
    plain = FeedForwardNetwork(generators=given, **SIZES)
    assert same(net.network.state_dict(), plain.state_dict())
    stand = [g.get_state() for g in given]
    IntervenedNetwork.around(plain, Intervention(affected=5, query="projection", chosen="random"), given)
    assert all(torch.equal(g.get_state(), before) for g, before in zip(given, stand, strict=True)), "nothing is drawn"
    names = [name for name, _ in net.named_parameters() if not name.startswith("network.")]
    assert names == (["gate_weight", "gate_bias"] if gate == "learnt" else [])


@pytest.mark.parametrize(
    "intervention",
    [
        {"use": "never"},
        {"use": "never", "which": "random", "eviction": "usage"},
        {"use": "never", "which": "shuffled", "eviction": "helpfulness", "insertion": "hard"},
        {"use": "never", "target": "centroid", "eviction": "reservoir", "refresh": 0.5, "refresh_within": 1.0},
        {"use": "inference", "placement": "early", "chosen": "random", "query": "projection"},
    ],
)
def test_an_unapplied_memory_does_not_change_training_bit_for_bit(intervention: dict[str, Any]) -> None:
    plain = train(recipe(FeedForwardNetwork), [1, 2])
    for with_memory, run in zip(train(recipe(**intervention), [1, 2]), plain, strict=True):
        assert with_memory.history == run.history
        for name, tensor in run.state.items():
            assert torch.equal(tensor, with_memory.state[f"network.{name}"]), name
        assert int(with_memory.state["memory.offered"]) == 12 * 16, "it is filled nevertheless"
        assert int(with_memory.state["memory.inserted"]) > 64 or "refresh" in intervention


@pytest.mark.parametrize("use", ["training", "both"])
@pytest.mark.parametrize("which", CHOICES["which"])
def test_an_applied_memory_changes_training(use: str, which: str) -> None:
    (plain,), (run,) = train(recipe(FeedForwardNetwork), [1]), train(recipe(use=use, which=which, step_size=5.0), [1])
    assert run.history[0] == plain.history[0], "the memory is empty at the first batch"
    assert not torch.equal(run.state["network.output.weight"], plain.state["output.weight"])


def test_arms_that_differ_in_retrieval_share_initial_values_and_data() -> None:
    arms = [recipe(which=which, use="inference") for which in CHOICES["which"]]
    untrained = [state(build(arm, [4])) for arm in arms]
    trained = [train(arm, [4])[0].state for arm in arms]
    for one, other in (*itertools.combinations(untrained, 2), *itertools.combinations(trained, 2)):
        assert same(one, other), "the memory included"


def test_the_memory_is_applied_in_the_configured_modes() -> None:
    x, _ = batch(2)
    for use, in_training, in_evaluation in (
        ("training", True, False),
        ("inference", False, True),
        ("both", True, True),
        ("never", False, False),
    ):
        net = filled(use=use)
        plain = net.network(x)
        for training, applied in ((True, in_training), (False, in_evaluation)):
            net.train(training)
            assert net.applied is applied
            assert torch.equal(net(x), plain) is not applied


def test_around_a_trained_network_shares_its_weights() -> None:
    network = FeedForwardNetwork(generators=[generator(0, "init")], **SIZES).eval()
    net = IntervenedNetwork.around(network, Intervention(affected=5), [generator(0, "memory")])
    x, y = batch()
    assert net.network is network
    assert not net.training
    assert not net.memory.training
    assert torch.equal(net(x), network(x))
    net.remember(x, y)
    assert not torch.equal(net(x), network(x))
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    assert not net(x).any()


# --- training -----------------------------------------------------------------------------------------------


def test_an_example_is_retrieved_for_before_it_is_remembered() -> None:
    net, (x, y) = model((0, 1)).train(), batch(2)
    before = state(net)
    assert torch.equal(net(x), net.network(x))
    assert same(state(net), before), "forward alone stores nothing"
    net.saw(torch.empty(0), y)
    assert net.memory.count.tolist() == [6, 6]
    torch.testing.assert_close(net.memory.keys[:, :6], net.network.before(x, net.layer))
    assert not torch.equal(net(x), net.network(x))


def test_a_new_example_is_not_its_own_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    smallest_distances, retrieve = [], NeighbourMemory.retrieve

    def noting(self: NeighbourMemory, queries: Tensor) -> Any:
        found = retrieve(self, queries)
        smallest_distances.append(float(found.distances.min()))
        return found

    monkeypatch.setattr(NeighbourMemory, "retrieve", noting)
    # A network that hardly learns has nearly constant states, so a repeated image would be found at distance 0.
    train(recipe(capacity=400).with_(steps=36, lr=1e-12), [0])
    one_epoch = TASK.train // 16
    assert min(smallest_distances[:one_epoch]) > 1e-3
    assert min(smallest_distances[one_epoch + 1 :]) < 1e-4, "in the second epoch it is, so this test can fail"


def test_each_policy_keeps_different_entries() -> None:
    kept = {}
    for policy in POLICIES:
        (run,) = train(recipe(eviction=policy, ttl=50, step_size=5.0), [0])
        assert int(run.state["memory.evicted"]) > 0 or policy == "none"
        kept[policy] = frozenset(run.state["memory.born"].flatten().tolist()) - {-1}
    assert len(set(kept.values())) == len(POLICIES)


@pytest.mark.parametrize("use", CHOICES["use"])
def test_entries_are_credited_with_the_reduction_of_the_loss(use: str) -> None:
    net = filled(use=use, eviction="helpfulness").train()
    x, y = batch(2)
    retrieved, (off, on) = net.measure_effect(x).retrieved, (net.measure_effect(x).off, net.measure_effect(x).on)
    lost = [F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(2, 6) for logits in (off, on)]
    net.memory.insert = lambda *_: None  # type: ignore[assignment]
    net(x)
    net.saw(torch.empty(0), y)
    help, uses = torch.zeros(2, 12), torch.zeros(2, 12, dtype=torch.int64)
    for s, b, i in itertools.product(range(2), range(6), range(3)):
        at = int(retrieved.indices[s, b, i])
        help[s, at] += retrieved.weights[s, b, i] * (lost[0] - lost[1])[s, b]
        uses[s, at] += 1
    torch.testing.assert_close(net.memory.help, help, **CLOSE)
    assert torch.equal(net.memory.uses, uses)


def test_random_retrieval_credits_the_entries_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    net, retrieve = filled(which="random", weights="uniform", eviction="usage", capacity=24).train(), []
    monkeypatch.setattr(
        net.memory, "retrieve", lambda q: retrieve.append(NeighbourMemory.retrieve(net.memory, q)) or retrieve[-1]
    )
    x, y = batch(2)
    net(x)
    net.saw(torch.empty(0), y)
    (found,) = retrieve
    for s in range(2):
        assert torch.equal(net.memory.uses[s], torch.bincount(found.indices[s].flatten(), minlength=24))


@pytest.mark.parametrize("policy", RECORD_POLICIES)
@pytest.mark.parametrize("which", CHOICES["which"])
def test_evaluation_does_not_change_the_eviction_record(policy: str, which: str) -> None:
    evaluated, reference = (filled(eviction=policy, which=which) for _ in range(2))
    for number in range(3):
        x, y = batch(2, name=str(number))
        for net in (evaluated, reference):
            net.train()(x)
        before = state(evaluated.eval())
        evaluated(batch(2, 20)[0])
        evaluated.measure_effect(batch(2, 20)[0])
        assert same(state(evaluated), before)
        for net in (evaluated, reference):
            net.train().saw(torch.empty(0), y)
    assert same(state(evaluated), state(reference))


@settings(max_examples=8)
@given(
    intervention=st.fixed_dictionaries(
        {
            "which": st.sampled_from(CHOICES["which"]),
            "eviction": st.sampled_from(CHOICES["eviction"]),
            "query": st.sampled_from(CHOICES["query"]),
            "target": st.sampled_from(["gradient", "centroid"]),
            "chosen": st.sampled_from(CHOICES["chosen"]),
            "refresh": st.sampled_from([0.0, 0.5]),
        }
    ),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True),
)
def test_a_seed_trained_alone_is_the_seed_in_any_cohort(intervention: dict[str, Any], seeds: list[int]) -> None:
    plan = recipe(**intervention, ttl=80, refresh_within=0.5).with_(optimizer="sgd", lr=0.1, validate_every=6)
    with prepared_process():
        together = train(plan, seeds)
        for run in together:
            (alone,) = train(plan, [run.seed])
            for name, tensor in alone.state.items():
                torch.testing.assert_close(run.state[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
            assert [row[0] for row in run.validation] == [6, 12]
            torch.testing.assert_close(
                torch.tensor(run.validation), torch.tensor(alone.validation), rtol=1e-3, atol=1e-4
            )


def test_validation_does_not_change_training_or_memory_bit_for_bit() -> None:
    for which in CHOICES["which"]:
        plan = recipe(which=which, eviction="usage", step_size=5.0)
        for plain, evaluated in zip(train(plan, [1, 2]), train(plan.with_(validate_every=1), [1, 2]), strict=True):
            assert plain.history == evaluated.history
            assert same(plain.state, evaluated.state)
            assert (len(plain.validation), len(evaluated.validation)) == (0, 12)


@pytest.mark.parametrize("placement", ["conv1", "conv2", "hidden1", "penultimate"])
def test_the_memory_can_be_placed_at_a_convolution(placement: str) -> None:
    options = {"widths": (8, 6), "channels": (2, 3), "intervention": {"placement": placement, "affected": 3, "k": 2}}
    (run,) = train(Recipe(TASK, IntervenedNetwork, options=options, steps=3, batch=8), [0])
    assert int(run.state["memory.inserted"]) == 24
    assert run.metrics["state_size"] == 1000 * (run.state["memory.keys"].shape[-1] + 3)
