"""With its memory off the intervened network trains as the plain one; with it on it follows its equations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from memkit import MemkitError, Recipe
from memkit.memories.eviction import EARNED, POLICIES
from memkit.memories.neighbours import NeighbourMemory
from memkit.memories.retrieval import weigh
from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.intervened import CHOICES, IntervenedNetwork, Intervention
from memkit.streams import generator
from memkit.tasks.images import Classification
from memkit.training.trainer import build, prepared_process, train

TASK = Classification(train=300, validation=100, test=100)
SIZES: dict[str, Any] = {"inputs": (4, 4), "classes": 3, "widths": (9, 8, 7)}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def model(seeds: tuple[int, ...] = (0,), sizes: dict[str, Any] = SIZES, **intervention: Any) -> IntervenedNetwork:
    intervention = {"affected": 5, "k": 3, "capacity": 12, "step_size": 4.0, **intervention}
    generators = [generator(seed, "init") for seed in seeds]
    return IntervenedNetwork(generators=generators, intervention=intervention, **sizes)


def batch(seeds: int = 1, size: int = 6, name: str = "") -> tuple[Tensor, Tensor]:
    g = generator(seeds, "images", name)
    return torch.rand(seeds, size, 4, 4, generator=g), torch.randint(3, (seeds, size), generator=g)


def filled(*, batches: int = 1, **intervention: Any) -> IntervenedNetwork:
    """In evaluation mode, with a memory of two batches or more."""
    made = model((0, 1), **intervention).eval()
    for number in range(1 + batches):
        made.remember(*batch(2, name=f"stored {number}"))
    return made


def recipe(kind: type[nn.Module] = IntervenedNetwork, **intervention: Any) -> Recipe:
    options: dict[str, Any] = {"widths": (16, 12)}
    if kind is IntervenedNetwork:
        options["intervention"] = {"affected": 8, "k": 4, "capacity": 64, **intervention}
    return Recipe(TASK, kind, options=options, steps=12, batch=16, lr=0.01)


def state(made: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in made.state_dict().items()}


def same(one: Any, other: Any, only: str = "") -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(tensor, other[name]) for name, tensor in one.items() if name.startswith(only)
    )


# --- the plain network inside -------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", CHOICES["gate"])
def test_its_network_is_the_plain_one_of_the_same_generators(gate: str) -> None:
    made = model((3, 8), gate=gate, warmup=5, query="projection", chosen="random")
    given = [generator(seed, "init") for seed in (3, 8)]
    plain = FeedForwardNetwork(generators=given, **SIZES)
    assert same(made.network.state_dict(), plain.state_dict())
    stand = [g.get_state() for g in given]
    IntervenedNetwork.around(plain, Intervention(affected=5, query="projection", chosen="random"), given)
    assert all(torch.equal(g.get_state(), before) for g, before in zip(given, stand, strict=True)), "nothing is drawn"
    names = [name for name, _ in made.named_parameters() if not name.startswith("network.")]
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
def test_a_memory_that_is_not_applied_leaves_training_as_it_is_to_the_bit(intervention: dict[str, Any]) -> None:
    plain = train(recipe(FeedForwardNetwork), [1, 2])
    for with_memory, run in zip(train(recipe(**intervention), [1, 2]), plain, strict=True):
        assert with_memory.history == run.history
        for name, tensor in run.state.items():
            assert torch.equal(tensor, with_memory.state[f"network.{name}"]), name
        assert int(with_memory.state["memory.offered"]) == 12 * 16, "it fills nevertheless"
        assert int(with_memory.state["memory.inserted"]) > 64 or "refresh" in intervention


@pytest.mark.parametrize("use", ["training", "both"])
@pytest.mark.parametrize("which", CHOICES["which"])
def test_a_memory_that_is_applied_in_training_changes_it(use: str, which: str) -> None:
    (plain,), (run,) = train(recipe(FeedForwardNetwork), [1]), train(recipe(use=use, which=which, step_size=5.0), [1])
    assert run.history[0] == plain.history[0], "the first batch meets an empty memory"
    assert not torch.equal(run.state["network.output.weight"], plain.state["output.weight"])


def test_arms_that_differ_in_what_is_retrieved_start_alike_and_see_the_same_data() -> None:
    arms = [recipe(which=which, use="inference") for which in CHOICES["which"]]
    untrained = [state(build(arm, [4])) for arm in arms]
    trained = [train(arm, [4])[0].state for arm in arms]
    for one, other in (*itertools.combinations(untrained, 2), *itertools.combinations(trained, 2)):
        assert same(one, other), "the memory included"


def test_when_the_memory_is_applied() -> None:
    x, _ = batch(2)
    for use, in_training, in_evaluation in (
        ("training", True, False),
        ("inference", False, True),
        ("both", True, True),
        ("never", False, False),
    ):
        made = filled(use=use)
        plain = made.network(x)
        for training, applied in ((True, in_training), (False, in_evaluation)):
            made.train(training)
            assert made.applied is applied
            assert torch.equal(made(x), plain) is not applied


def test_around_a_trained_network_shares_its_weights() -> None:
    network = FeedForwardNetwork(generators=[generator(0, "init")], **SIZES).eval()
    made = IntervenedNetwork.around(network, Intervention(affected=5), [generator(0, "memory")])
    x, y = batch()
    assert made.network is network
    assert not made.training
    assert not made.memory.training
    assert torch.equal(made(x), network(x))
    made.remember(x, y)
    assert not torch.equal(made(x), network(x))
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    assert not made(x).any()


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


def test_a_step_lowers_the_loss_it_was_made_of() -> None:
    made, (x, y) = model(step_size=0.5, affected=None), batch()
    h = made.network.before(x, made.layer).detach()
    target, losses = made.targets(h, y)
    assert (made.targets(target, y)[1] < losses).all()


@pytest.mark.parametrize("value", CHOICES["value"])
@pytest.mark.parametrize("query", CHOICES["query"])
@pytest.mark.parametrize("chosen", CHOICES["chosen"])
def test_an_entry_is_what_it_is_found_by_and_the_affected_part_of_the_target(
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


def test_the_current_state_is_stored_as_it_is() -> None:
    made, (x, y) = model(target="current", value="absolute", affected=None), batch()
    made.remember(x, y)
    assert torch.equal(made.memory.values[:, :6], made.network.before(x, made.layer))


def test_centroids_follow_their_classes_means() -> None:
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


def test_hard_insertion_keeps_what_the_network_finds_harder_than_its_batch() -> None:
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
def test_the_state_is_changed_as_the_equations_say(
    mode: str, value: str, query: str, placement: str, affected: int | None
) -> None:
    if query == "untouched" and affected is None:
        return
    made = filled(mode=mode, value=value, query=query, placement=placement, affected=affected, chosen="random")
    x, _ = batch(2)
    h = made.network.before(x, made.layer)
    expected = torch.stack([torch.stack([by_hand(made, state, s, 0.4) for state in h[s]]) for s in range(2)])
    look = made.look(x)
    torch.testing.assert_close(made(x), made.network.after(expected, made.layer), **CLOSE)
    assert torch.equal(look.on, made(x))
    assert torch.equal(look.off, made.network(x))
    torch.testing.assert_close(look.magnitude, (expected - h).norm(dim=-1), **CLOSE)
    assert (look.magnitude > 1e-3).all()
    torch.testing.assert_close(look.gate, torch.full((2, 6), 0.4 if mode == "gated" else 1.0))
    assert torch.equal(look.labels[1, 2], made.memory.labels[1, look.retrieved.indices[1, 2]])


@pytest.mark.parametrize("weights", CHOICES["weights"])
def test_neighbours_are_weighted_as_the_settings_say(weights: str) -> None:
    made = filled(weights=weights, temperature=0.5)
    x, _ = batch(2)
    h = made.network.before(x, made.layer)
    torch.testing.assert_close(
        made(x)[1, 3], made.network.after(by_hand(made, h[1, 3], 1, 0.4).expand(2, 1, -1), 2)[1, 0]
    )


@pytest.mark.parametrize("mode", CHOICES["mode"])
@pytest.mark.parametrize("value", CHOICES["value"])
def test_an_empty_memory_changes_nothing(mode: str, value: str) -> None:
    x, _ = batch(2)
    for training in (True, False):
        made = model((0, 1), mode=mode, value=value).train(training)
        assert torch.equal(made(x), made.network(x))
    look = made.look(x)
    assert torch.equal(look.on, look.off)
    assert not look.magnitude.any()


def test_a_gate_that_warms_up_opens_with_the_examples_seen() -> None:
    made, x = model(gate="warmup", warmup=8, alpha=0.5, capacity=40).eval(), batch(1)[0]
    for offered, share in ((0, 0.0), (4, 0.25), (8, 0.5), (12, 0.5)):
        assert int(made.memory.offered) == offered
        assert made.look(x).gate.unique().tolist() == [share]
        made.remember(*batch(1, 4, str(offered)))


def test_an_uncertain_network_opens_its_gate() -> None:
    made, x = filled(gate="uncertainty", alpha=0.5), batch(2)[0]
    with torch.no_grad():
        made.network.output.weight[1] *= 50  # one seed is sure of itself
    entropy = torch.distributions.Categorical(logits=made.network(x)).entropy()
    gate = made.look(x).gate
    torch.testing.assert_close(gate, 0.5 * entropy / math.log(3), **CLOSE)
    assert gate[0].mean() > gate[1].mean()


def test_a_learnt_gate_starts_at_alpha_and_learns() -> None:
    made, (x, y) = filled(gate="learnt", alpha=0.3), batch(2)
    torch.testing.assert_close(made.look(x).gate, torch.full((2, 6), 0.3))
    F.cross_entropy(made.train()(x).flatten(0, 1), y.flatten()).backward()
    assert made.gate_weight.grad.any()
    assert made.gate_bias.grad.all()
    with torch.no_grad():
        made.gate_weight[0, 0, 0] = 2.0
    h = made.network.before(x, made.layer)
    torch.testing.assert_close(made.look(x).gate[0], torch.sigmoid(2 * h[0, :, 0] + math.log(0.3 / 0.7)).detach())
    (run,) = train(recipe(gate="learnt", step_size=5.0), [1])
    assert run.state["gate_weight"].any()
    assert run.diverged == ""


def test_what_was_retrieved_gets_no_gradient_and_the_state_does() -> None:
    made, (x, y) = filled(mode="overwrite", value="absolute", affected=None), batch(2)
    F.cross_entropy(made.train()(x).flatten(0, 1), y.flatten()).backward()
    gradients = {
        name: parameter.grad is not None and bool(parameter.grad.any()) for name, parameter in made.named_parameters()
    }
    assert gradients.pop("network.output.weight")
    assert gradients.pop("network.output.bias")
    assert not any(gradients.values()), "the whole state came from the memory"


# --- training -----------------------------------------------------------------------------------------------


def test_an_example_is_retrieved_for_before_it_is_remembered() -> None:
    made, (x, y) = model((0, 1)).train(), batch(2)
    before = state(made)
    assert torch.equal(made(x), made.network(x))
    assert same(state(made), before), "forward alone stores nothing"
    made.saw(y)
    assert made.memory.count.tolist() == [6, 6]
    torch.testing.assert_close(made.memory.keys[:, :6], made.network.before(x, made.layer))
    assert not torch.equal(made(x), made.network(x))


def test_no_example_is_its_own_neighbour_while_it_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    closest, retrieve = [], NeighbourMemory.retrieve

    def noting(self: NeighbourMemory, queries: Tensor) -> Any:
        found = retrieve(self, queries)
        closest.append(float(found.distances.min()))
        return found

    monkeypatch.setattr(NeighbourMemory, "retrieve", noting)
    # Pixels hardly move a network that hardly learns, so that an image met again would be found at a distance of 0.
    train(recipe(capacity=400).with_(steps=36, lr=1e-12), [0])
    one_epoch = TASK.train // 16
    assert min(closest[:one_epoch]) > 1e-3
    assert min(closest[one_epoch + 1 :]) < 1e-4, "in the second pass it would be, so this test can fail"


def test_a_full_memory_of_each_policy_keeps_other_entries() -> None:
    kept = {}
    for policy in POLICIES:
        (run,) = train(recipe(eviction=policy, ttl=50, step_size=5.0), [0])
        assert int(run.state["memory.evicted"]) > 0 or policy == "none"
        kept[policy] = frozenset(run.state["memory.born"].flatten().tolist()) - {-1}
    assert len(set(kept.values())) == len(POLICIES)


@pytest.mark.parametrize("use", CHOICES["use"])
def test_entries_are_credited_with_what_they_lowered_the_loss_by(use: str) -> None:
    made = filled(use=use, eviction="helpfulness").train()
    x, y = batch(2)
    retrieved, (off, on) = made.look(x).retrieved, (made.look(x).off, made.look(x).on)
    lost = [F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(2, 6) for logits in (off, on)]
    made.memory.insert = lambda *_: None  # type: ignore[assignment]
    made(x)
    made.saw(y)
    help, uses = torch.zeros(2, 12), torch.zeros(2, 12, dtype=torch.int64)
    for s, b, i in itertools.product(range(2), range(6), range(3)):
        at = int(retrieved.indices[s, b, i])
        help[s, at] += retrieved.weights[s, b, i] * (lost[0] - lost[1])[s, b]
        uses[s, at] += 1
    torch.testing.assert_close(made.memory.help, help, **CLOSE)
    assert torch.equal(made.memory.uses, uses)


def test_those_are_credited_that_were_retrieved_for_the_batch_also_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    made, retrieve = filled(which="random", weights="uniform", eviction="usage", capacity=24).train(), []
    monkeypatch.setattr(
        made.memory, "retrieve", lambda q: retrieve.append(NeighbourMemory.retrieve(made.memory, q)) or retrieve[-1]
    )
    x, y = batch(2)
    made(x)
    made.saw(y)
    (found,) = retrieve
    for s in range(2):
        assert torch.equal(made.memory.uses[s], torch.bincount(found.indices[s].flatten(), minlength=24))


@pytest.mark.parametrize("policy", EARNED)
@pytest.mark.parametrize("which", CHOICES["which"])
def test_evaluation_changes_nothing_that_steers_eviction(policy: str, which: str) -> None:
    looked, still = (filled(eviction=policy, which=which) for _ in range(2))
    for number in range(3):
        x, y = batch(2, name=str(number))
        for made in (looked, still):
            made.train()(x)
        before = state(looked.eval())
        looked(batch(2, 20)[0])
        looked.look(batch(2, 20)[0])
        assert same(state(looked), before)
        for made in (looked, still):
            made.train().saw(y)
    assert same(state(looked), state(still))


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


def test_looking_at_validation_examples_leaves_training_and_memory_as_they_are_to_the_bit() -> None:
    for which in CHOICES["which"]:
        plan = recipe(which=which, eviction="usage", step_size=5.0)
        for plain, looked in zip(train(plan, [1, 2]), train(plan.with_(validate_every=1), [1, 2]), strict=True):
            assert plain.history == looked.history
            assert same(plain.state, looked.state)
            assert (len(plain.validation), len(looked.validation)) == (0, 12)


@pytest.mark.parametrize("placement", ["conv1", "conv2", "hidden1", "penultimate"])
def test_convolutions_can_be_intervened_in(placement: str) -> None:
    options = {"widths": (8, 6), "channels": (2, 3), "intervention": {"placement": placement, "affected": 3, "k": 2}}
    (run,) = train(Recipe(TASK, IntervenedNetwork, options=options, steps=3, batch=8), [0])
    assert int(run.state["memory.inserted"]) == 24
    assert run.metrics["state_size"] == 1000 * (run.state["memory.keys"].shape[-1] + 3)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "gatd"}, "mode='gatd' is unknown; did you mean 'gated'"),
        ({"which": "all"}, "which='all' is unknown; known: nearest, random, shuffled"),
        ({"k": 0}, "k=0 must be a positive whole number"),
        ({"steps": 1.5}, "steps=1.5 must be a positive whole number"),
        ({"affected": 0}, "affected=0 must be a positive whole number, or None for all dimensions"),
        ({"warmup": -1}, "warmup=-1 must be a whole number of examples, 0 or more"),
        ({"alpha": 1.5}, "alpha=1.5 must lie between 0 and 1"),
        ({"refresh": True}, "refresh=True must lie between 0 and 1"),
        ({"step_size": 0}, "step_size=0 must be a positive number"),
        ({"temperature": math.nan}, "temperature=nan must be a positive number"),
        ({"refresh_within": math.inf}, "refresh_within=inf must be a distance, 0 or more"),
        ({"k": 9, "capacity": 8}, "k=9 neighbours cannot be found among capacity=8 entries"),
        ({"target": "current"}, "with target='current' take value='absolute'"),
        ({"gate": "warmup"}, "gate='warmup' needs warmup, the examples it takes"),
        ({"gate": "uncertainty", "mode": "residual"}, "mode='residual' has no gate to be 'uncertainty'"),
        ({"eviction": "ttl"}, "eviction='ttl' needs ttl, the age in examples"),
        ({"query": "untouched", "affected": None}, "query='untouched' needs dimensions that are not affected"),
        ({"gate": "learnt", "alpha": 1.0}, "gate='learnt' starts at alpha, which must lie between 0 and 1, not be 1.0"),
        ({"gate": "learnt", "use": "inference"}, "learns only where the memory is applied in training, .*'inference'"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=f"^Intervention: .*{message}"):
        Intervention(**changes)


def test_a_misspelt_setting_is_not_swallowed() -> None:
    with pytest.raises(MemkitError, match="Intervention has no setting 'capcity'; did you mean 'capacity'"):
        Intervention().with_(capcity=3)
    with pytest.raises(TypeError, match="capcity"):
        build(recipe(capcity=3), [0])


def test_more_affected_dimensions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="affected=8 of the 7 dimensions at 'penultimate' are too many"):
        model(affected=8)
    with pytest.raises(ValueError, match="affected=7 of the 7 dimensions at 'penultimate' leaves none untouched"):
        model(affected=7, query="untouched")


def test_settings_survive_json_and_a_recipe() -> None:
    assert Intervention().to_json() == {}
    settings = Intervention().with_(affected=None, mode="residual", alpha=0.1, ttl=5)
    assert settings.to_json() == {"affected": None, "mode": "residual", "alpha": 0.1, "ttl": 5}
    assert Intervention(**settings.to_json()) == settings
    plan = recipe(**settings.to_json())
    again = Recipe.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest != recipe().digest
    assert build(again, [0]).settings == settings.with_(k=4, capacity=64)
