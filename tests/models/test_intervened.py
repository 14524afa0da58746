"""An intervened network follows its equations: what an entry says, and what is made of it."""

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

# --- what an entry says -------------------------------------------------------------------------------------


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
    made = model((seed, seed + 1), placement=placement, steps=steps, step_size=0.7, chosen=chosen)
    x, y = batch(2, size, str(seed))
    h = made.network.before(x, made.layer).detach()
    target, losses = made.targets(h, y)
    assert not target.requires_grad
    for s in range(2):
        moved = torch.zeros(h.shape[-1]).index_fill(0, made.dimensions[s, :5], 1.0)

        def loss(state: Tensor, label: Tensor, s: int = s) -> Tensor:
            every = torch.zeros(2, 1, h.shape[-1]).index_put((torch.tensor([s]), torch.tensor([0])), state)
            return F.cross_entropy(made.network.after(every, made.layer)[s, 0], label)

        expected = h[s]
        torch.testing.assert_close(losses[s], torch.func.vmap(loss)(expected, y[s]).detach(), **CLOSE)
        for _ in range(steps):
            expected = expected - 0.7 * moved * torch.func.vmap(torch.func.grad(loss))(expected, y[s])
        torch.testing.assert_close(target[s], expected.detach(), **CLOSE)
    alone, _ = made.targets(h[:, :1], y[:, :1])
    torch.testing.assert_close(alone, target[:, :1], **CLOSE)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_a_gradient_step_lowers_the_loss() -> None:
    made, (x, y) = model(step_size=0.5, affected=None), batch()
    h = made.network.before(x, made.layer).detach()
    target, losses = made.targets(h, y)
    assert (made.targets(target, y)[1] < losses).all()


@pytest.mark.parametrize("value", CHOICES["value"])
@pytest.mark.parametrize("query", CHOICES["query"])
@pytest.mark.parametrize("chosen", CHOICES["chosen"])
def test_an_entry_consists_of_its_query_and_the_affected_part_of_its_target(
    value: str, query: str, chosen: str
) -> None:
    made, (x, y) = model((0, 1), value=value, query=query, chosen=chosen, projection=4), batch(2)
    made.remember(x, y)
    h = made.network.before(x, made.layer)
    target, _ = made.targets(h.detach(), y)
    for s in range(2):
        affected, rest = made.dimensions[s].split([5, 2])
        assert sorted(made.dimensions[s].tolist()) == list(range(7))
        assert chosen == "random" or affected.tolist() == [0, 1, 2, 3, 4]
        said = (target - h if value == "delta" else target)[s][:, affected]
        key = {"full": h[s], "untouched": h[s][:, rest], "projection": h[s] @ made.projected[s]}[query]
        torch.testing.assert_close(made.memory.values[s, :6], said, **CLOSE)
        torch.testing.assert_close(made.memory.keys[s, :6], key, **CLOSE)
        assert made.memory.labels[s, :6].tolist() == y[s].tolist()
    if chosen == "random":
        assert not torch.equal(*made.dimensions), "another choice in another seed"
    if query == "projection":
        assert not torch.equal(*made.projected)


def test_a_projection_does_not_depend_on_which_dimensions_are_affected() -> None:
    one, other = (model(query="projection", chosen=chosen).projected for chosen in CHOICES["chosen"])
    assert torch.equal(one, other)


def test_the_target_current_stores_the_state() -> None:
    made, (x, y) = model(target="current", value="absolute", affected=None), batch()
    made.remember(x, y)
    assert torch.equal(made.memory.values[:, :6], made.network.before(x, made.layer))


def test_centroids_follow_the_means_of_their_classes() -> None:
    made = model((0, 1), target="centroid", value="absolute", affected=None, centroid_momentum=0.75, capacity=40)
    centroids: dict[tuple[int, int], Tensor] = {}
    for number in range(4):
        x, y = batch(2, 3, str(number))
        made.remember(x, y)
        h = made.network.before(x, made.layer).detach()
        for s in range(2):
            for label in set(y[s].tolist()):
                mean, old = h[s, y[s] == label].mean(0), centroids.get((s, label))
                centroids[s, label] = mean if old is None else 0.75 * old + 0.25 * mean
            for i in range(3):  # what the batch stored
                stored = made.memory.values[s, 3 * number + i]
                torch.testing.assert_close(stored, centroids[s, int(y[s, i])], **CLOSE)
    for s, label in itertools.product(range(2), range(3)):
        known = (s, label) in centroids
        assert bool(made.known[s, label]) is known
        if known:
            torch.testing.assert_close(made.centroids[s, label], centroids[s, label], **CLOSE)


def test_hard_insertion_keeps_examples_with_a_loss_above_the_mean() -> None:
    made, (x, y) = model((0, 1), insertion="hard", capacity=20), batch(2, 10)
    with torch.no_grad():
        made.network.output.weight[1] *= 20  # another range of losses in another seed
    losses = F.cross_entropy(made.network(x).flatten(0, 1), y.flatten(), reduction="none").view(2, 10)
    made.remember(x, y)
    for s in range(2):
        hard = (losses[s] > losses[s].mean()).nonzero().flatten().tolist()
        assert 0 < len(hard) < 10
        assert sorted(made.memory.born[s, made.memory.present[s]].tolist()) == hard


# --- what is made of it -------------------------------------------------------------------------------------


def by_hand(made: IntervenedNetwork, h: Tensor, s: int, gate: float) -> Tensor:
    """h' of one state [d], by the equations."""
    settings, memory = made.settings, made.memory
    affected, rest = made.dimensions[s].split([made.affected, len(h) - made.affected])
    query = {"full": h, "untouched": h[rest], "projection": h @ made.projected[s]}[settings.query]
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
    made = filled(mode=mode, value=value, query=query, placement=placement, affected=affected, chosen="random")
    x, _ = batch(2)
    h = made.network.before(x, made.layer)
    expected = torch.stack([torch.stack([by_hand(made, state, s, 0.4) for state in h[s]]) for s in range(2)])
    look = made.measure_effect(x)
    torch.testing.assert_close(made(x), made.network.after(expected, made.layer), **CLOSE)
    assert torch.equal(look.on, made(x))
    assert torch.equal(look.off, made.network(x))
    torch.testing.assert_close(look.magnitude, (expected - h).norm(dim=-1), **CLOSE)
    assert (look.magnitude > 1e-3).all()
    torch.testing.assert_close(look.gate, torch.full((2, 6), 0.4 if mode == "gated" else 1.0))
    assert torch.equal(look.labels[1, 2], made.memory.labels[1, look.retrieved.indices[1, 2]])


@pytest.mark.parametrize("weights", CHOICES["weights"])
def test_neighbours_are_weighted_according_to_the_settings(weights: str) -> None:
    made = filled(weights=weights, temperature=0.5)
    x, _ = batch(2)
    h = made.network.before(x, made.layer)
    torch.testing.assert_close(
        made(x)[1, 3], made.network.after(by_hand(made, h[1, 3], 1, 0.4).expand(2, 1, -1), 2)[1, 0]
    )


@pytest.mark.parametrize("mode", CHOICES["mode"])
@pytest.mark.parametrize("value", CHOICES["value"])
def test_an_empty_memory_has_no_effect(mode: str, value: str) -> None:
    x, _ = batch(2)
    for training in (True, False):
        made = model((0, 1), mode=mode, value=value).train(training)
        assert torch.equal(made(x), made.network(x))
    look = made.measure_effect(x)
    assert torch.equal(look.on, look.off)
    assert not look.magnitude.any()


def test_the_warmup_gate_opens_with_the_number_of_examples() -> None:
    made, x = model(gate="warmup", warmup=8, alpha=0.5, capacity=40).eval(), batch(1)[0]
    for offered, share in ((0, 0.0), (4, 0.25), (8, 0.5), (12, 0.5)):
        assert int(made.memory.offered) == offered
        assert made.measure_effect(x).gate.unique().tolist() == [share]
        made.remember(*batch(1, 4, str(offered)))


def test_the_uncertainty_gate_opens_with_the_entropy() -> None:
    made, x = filled(gate="uncertainty", alpha=0.5), batch(2)[0]
    with torch.no_grad():
        made.network.output.weight[1] *= 50  # one seed is sure of itself
    entropy = torch.distributions.Categorical(logits=made.network(x)).entropy()
    gate = made.measure_effect(x).gate
    torch.testing.assert_close(gate, 0.5 * entropy / math.log(3), **CLOSE)
    assert gate[0].mean() > gate[1].mean()


def test_a_learnt_gate_starts_at_alpha_and_learns() -> None:
    made, (x, y) = filled(gate="learnt", alpha=0.3), batch(2)
    torch.testing.assert_close(made.measure_effect(x).gate, torch.full((2, 6), 0.3))
    F.cross_entropy(made.train()(x).flatten(0, 1), y.flatten()).backward()
    assert made.gate_weight.grad.any()
    assert made.gate_bias.grad.all()
    with torch.no_grad():
        made.gate_weight[0, 0, 0] = 2.0
    h = made.network.before(x, made.layer)
    torch.testing.assert_close(
        made.measure_effect(x).gate[0], torch.sigmoid(2 * h[0, :, 0] + math.log(0.3 / 0.7)).detach()
    )
    (run,) = train(recipe(gate="learnt", step_size=5.0), [1])
    assert run.state["gate_weight"].any()
    assert run.diverged == ""


def test_the_state_gets_a_gradient_but_retrieved_values_do_not() -> None:
    made, (x, y) = filled(mode="overwrite", value="absolute", affected=None), batch(2)
    F.cross_entropy(made.train()(x).flatten(0, 1), y.flatten()).backward()
    gradients = {
        name: parameter.grad is not None and bool(parameter.grad.any()) for name, parameter in made.named_parameters()
    }
    assert gradients.pop("network.output.weight")
    assert gradients.pop("network.output.bias")
    assert not any(gradients.values()), "the whole state came from the memory"
