"""An intervened network follows its equations: the values of entries, and their effect on the state."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit.memories.retrieval import weigh
from memkit.models.intervened import IntervenedNetwork
from memkit.models.intervened_settings import CHOICES
from memkit.training.trainer import train
from tests.models.intervened import CLOSE, batch, filled, model, recipe

# --- values of entries -------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    size=st.integers(1, 5),
    steps=st.integers(1, 3),
    placement=st.sampled_from(["early", "late", "penultimate"]),
    chosen=st.sampled_from(["first", "random"]),
)
def test_the_gradient_is_that_of_each_examples_own_loss(
    seed: int, size: int, steps: int, placement: str, chosen: str
) -> None:
    net = model((seed, seed + 1), placement=placement, steps=steps, step_size=0.7, chosen=chosen)
    x, y = batch(2, size, str(seed))
    h = net.network.before(x, net.layer).detach()
    target, losses = net.targets(h, y)
    assert not target.requires_grad
    for s in range(2):
        moved = torch.zeros(h.shape[-1]).index_fill(0, net.dimensions[s, :5], 1.0)

        def loss(state: Tensor, label: Tensor, s: int = s) -> Tensor:
            every = torch.zeros(2, 1, h.shape[-1]).index_put((torch.tensor([s]), torch.tensor([0])), state)
            return F.cross_entropy(net.network.after(every, net.layer)[s, 0], label)

        expected = h[s]
        torch.testing.assert_close(losses[s], torch.func.vmap(loss)(expected, y[s]).detach(), **CLOSE)
        for _ in range(steps):
            expected = expected - 0.7 * moved * torch.func.vmap(torch.func.grad(loss))(expected, y[s])
        torch.testing.assert_close(target[s], expected.detach(), **CLOSE)
    alone, _ = net.targets(h[:, :1], y[:, :1])
    torch.testing.assert_close(alone, target[:, :1], **CLOSE)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_gradient_step_lowers_the_loss() -> None:
    net, (x, y) = model(step_size=0.5, affected=None), batch()
    h = net.network.before(x, net.layer).detach()
    target, losses = net.targets(h, y)
    assert (net.targets(target, y)[1] < losses).all()


@pytest.mark.parametrize("value", CHOICES["value"])
@pytest.mark.parametrize("query", CHOICES["query"])
@pytest.mark.parametrize("chosen", CHOICES["chosen"])
def test_an_entry_consists_of_its_query_and_the_affected_part_of_its_target(
    value: str, query: str, chosen: str
) -> None:
    net, (x, y) = model((0, 1), value=value, query=query, chosen=chosen, projection=4), batch(2)
    net.remember(x, y)
    h = net.network.before(x, net.layer)
    target, _ = net.targets(h.detach(), y)
    for s in range(2):
        affected, rest = net.dimensions[s].split([5, 2])
        assert sorted(net.dimensions[s].tolist()) == list(range(7))
        assert chosen == "random" or affected.tolist() == [0, 1, 2, 3, 4]
        expected_value = (target - h if value == "delta" else target)[s][:, affected]
        key = {"full": h[s], "untouched": h[s][:, rest], "projection": h[s] @ net.projected[s]}[query]
        torch.testing.assert_close(net.memory.values[s, :6], expected_value, **CLOSE)
        torch.testing.assert_close(net.memory.keys[s, :6], key, **CLOSE)
        assert net.memory.labels[s, :6].tolist() == y[s].tolist()
    if chosen == "random":
        assert not torch.equal(*net.dimensions), "seeds choose differently"
    if query == "projection":
        assert not torch.equal(*net.projected)


def test_a_projection_does_not_depend_on_which_dimensions_are_affected() -> None:
    one, other = (model(query="projection", chosen=chosen).projected for chosen in CHOICES["chosen"])
    assert torch.equal(one, other)


def test_the_target_current_stores_the_state() -> None:
    net, (x, y) = model(target="current", value="absolute", affected=None), batch()
    net.remember(x, y)
    assert torch.equal(net.memory.values[:, :6], net.network.before(x, net.layer))


def test_centroids_follow_the_means_of_their_classes() -> None:
    net = model((0, 1), target="centroid", value="absolute", affected=None, centroid_momentum=0.75, capacity=40)
    centroids: dict[tuple[int, int], Tensor] = {}
    for number in range(4):
        x, y = batch(2, 3, str(number))
        net.remember(x, y)
        h = net.network.before(x, net.layer).detach()
        for s in range(2):
            for label in set(y[s].tolist()):
                mean, old = h[s, y[s] == label].mean(0), centroids.get((s, label))
                centroids[s, label] = mean if old is None else 0.75 * old + 0.25 * mean
            for i in range(3):  # the entries of the batch
                stored = net.memory.values[s, 3 * number + i]
                torch.testing.assert_close(stored, centroids[s, int(y[s, i])], **CLOSE)
    for s, label in itertools.product(range(2), range(3)):
        known = (s, label) in centroids
        assert bool(net.known[s, label]) is known
        if known:
            torch.testing.assert_close(net.centroids[s, label], centroids[s, label], **CLOSE)


def test_hard_insertion_keeps_examples_with_a_loss_above_the_mean() -> None:
    net, (x, y) = model((0, 1), insertion="hard", capacity=20), batch(2, 10)
    with torch.no_grad():
        net.network.output.weight[1] *= 20  # so that the losses of the second seed have another range
    losses = F.cross_entropy(net.network(x).flatten(0, 1), y.flatten(), reduction="none").view(2, 10)
    net.remember(x, y)
    for s in range(2):
        hard = (losses[s] > losses[s].mean()).nonzero().flatten().tolist()
        assert 0 < len(hard) < 10
        assert sorted(net.memory.born[s, net.memory.present[s]].tolist()) == hard


# --- interventions ------------------------------------------------------------------------------------------


def by_hand(net: IntervenedNetwork, h: Tensor, s: int, gate: float) -> Tensor:
    """Return h' of one state [d], by the equations."""
    settings, memory = net.settings, net.memory
    affected, rest = net.dimensions[s].split([net.affected, len(h) - net.affected])
    query = {"full": h, "untouched": h[rest], "projection": h @ net.projected[s]}[settings.query]
    distances = (memory.keys[s, memory.present[s]] - query).norm(dim=-1)
    ranked = distances.argsort()[: settings.k]
    weights = weigh(distances[ranked], settings.weights, temperature=settings.temperature)  # type: ignore[arg-type]
    r = sum(w * value for w, value in zip(weights, memory.values[s, memory.present[s]][ranked], strict=True))
    own = h[affected]
    proposed = own + r if settings.value == "delta" else r
    after = {"gated": own + gate * (proposed - own), "residual": own + r, "overwrite": proposed}[settings.mode]
    return h.index_put((affected,), after)


@pytest.mark.parametrize(
    ("mode", "value", "query", "placement"),
    [
        *itertools.product(CHOICES["mode"], CHOICES["value"], CHOICES["query"], ["penultimate"]),
        *itertools.product(CHOICES["mode"], CHOICES["value"], ["full"], ["early", "late", "hidden2"]),
    ],
)
@pytest.mark.parametrize("affected", [5, None])
def test_the_intervention_follows_the_equations(
    mode: str, value: str, query: str, placement: str, affected: int | None
) -> None:
    if query == "untouched" and affected is None:
        return
    net = filled(mode=mode, value=value, query=query, placement=placement, affected=affected, chosen="random")
    x, _ = batch(2)
    h = net.network.before(x, net.layer)
    expected = torch.stack([torch.stack([by_hand(net, state, s, 0.4) for state in h[s]]) for s in range(2)])
    effect = net.measure_effect(x)
    torch.testing.assert_close(net(x), net.network.after(expected, net.layer), **CLOSE)
    assert torch.equal(effect.on, net(x))
    assert torch.equal(effect.off, net.network(x))
    torch.testing.assert_close(effect.magnitude, (expected - h).norm(dim=-1), **CLOSE)
    assert (effect.magnitude > 1e-3).all()
    torch.testing.assert_close(effect.gate, torch.full((2, 6), 0.4 if mode == "gated" else 1.0))
    assert torch.equal(effect.labels[1, 2], net.memory.labels[1, effect.retrieved.indices[1, 2]])


@pytest.mark.parametrize("weights", CHOICES["weights"])
def test_neighbours_are_weighted_according_to_the_settings(weights: str) -> None:
    net = filled(weights=weights, temperature=0.5)
    x, _ = batch(2)
    h = net.network.before(x, net.layer)
    torch.testing.assert_close(net(x)[1, 3], net.network.after(by_hand(net, h[1, 3], 1, 0.4).expand(2, 1, -1), 2)[1, 0])


@pytest.mark.parametrize("mode", CHOICES["mode"])
@pytest.mark.parametrize("value", CHOICES["value"])
def test_an_empty_memory_has_no_effect(mode: str, value: str) -> None:
    x, _ = batch(2)
    for training in (True, False):
        net = model((0, 1), mode=mode, value=value).train(training)
        assert torch.equal(net(x), net.network(x))
    effect = net.measure_effect(x)
    assert torch.equal(effect.on, effect.off)
    assert not effect.magnitude.any()


def test_the_warmup_gate_opens_with_the_number_of_examples() -> None:
    net, x = model(gate="warmup", warmup=8, alpha=0.5, capacity=40).eval(), batch(1)[0]
    for offered, share in ((0, 0.0), (4, 0.25), (8, 0.5), (12, 0.5)):
        assert int(net.memory.offered) == offered
        assert net.measure_effect(x).gate.unique().tolist() == [share]
        net.remember(*batch(1, 4, str(offered)))


def test_the_uncertainty_gate_opens_with_the_entropy() -> None:
    net, x = filled(gate="uncertainty", alpha=0.5), batch(2)[0]
    with torch.no_grad():
        net.network.output.weight[1] *= 50  # the second seed is certain
    entropy = torch.distributions.Categorical(logits=net.network(x)).entropy()
    gate = net.measure_effect(x).gate
    torch.testing.assert_close(gate, 0.5 * entropy / math.log(3), **CLOSE)
    assert gate[0].mean() > gate[1].mean()


def test_a_learnt_gate_starts_at_alpha_and_learns() -> None:
    net, (x, y) = filled(gate="learnt", alpha=0.3), batch(2)
    torch.testing.assert_close(net.measure_effect(x).gate, torch.full((2, 6), 0.3))
    F.cross_entropy(net.train()(x).flatten(0, 1), y.flatten()).backward()
    assert net.gate_weight.grad.any()
    assert net.gate_bias.grad.all()
    with torch.no_grad():
        net.gate_weight[0, 0, 0] = 2.0
    h = net.network.before(x, net.layer)
    torch.testing.assert_close(
        net.measure_effect(x).gate[0], torch.sigmoid(2 * h[0, :, 0] + math.log(0.3 / 0.7)).detach()
    )
    (run,) = train(recipe(gate="learnt", step_size=5.0), [1])
    assert run.state["gate_weight"].any()
    assert run.diverged == ""


def test_the_state_gets_a_gradient_but_retrieved_values_do_not() -> None:
    net, (x, y) = filled(mode="overwrite", value="absolute", affected=None), batch(2)
    F.cross_entropy(net.train()(x).flatten(0, 1), y.flatten()).backward()
    gradients = {
        name: parameter.grad is not None and bool(parameter.grad.any()) for name, parameter in net.named_parameters()
    }
    assert gradients.pop("network.output.weight")
    assert gradients.pop("network.output.bias")
    assert not any(gradients.values()), "the whole state comes from the memory"
