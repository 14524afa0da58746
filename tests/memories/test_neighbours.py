"""The neighbour memory: insertion, refreshing, retrieval and its controls, and independence of seeds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from memkit.memories.eviction import POLICIES, RECORD_POLICIES
from memkit.memories.neighbours import WHICH, NeighbourMemory
from memkit.memories.retrieval import mixture, nearest, weigh
from memkit.training.streams import generator

EVERY = pytest.mark.parametrize("which", WHICH)


def memory(seeds: list[int] | None = None, **options: Any) -> NeighbourMemory:
    options = {"key_width": 2, "value_width": 1, "capacity": 6, "k": 2, "ttl": 9, **options}
    return NeighbourMemory(generators=[generator(seed, "memory") for seed in seeds or [0]], **options)


def put(store: NeighbourMemory, keys: list[float], values: list[float] | None = None, labels: Any = 0) -> None:
    """Offer entries with keys (key, 0) to a memory of one seed."""
    points = torch.tensor([[[float(key), 0.0] for key in keys]])
    entry_values = torch.tensor(keys if values is None else values).float().view(1, -1, 1)
    store.insert(points, entry_values, torch.as_tensor(labels).expand(1, len(keys)).long())


def drawn(seeds: list[int], m: int, step: int, width: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Return random keys, values and labels, which are the same for a seed in any cohort."""
    each = [generator(seed, "entries", str(step)) for seed in seeds]
    keys, values = (torch.stack([torch.randn(m, n, generator=g) for g in each]) for n in (width, 1))
    return keys, values, torch.stack([torch.randint(3, (m,), generator=g) for g in each])


def state(store: NeighbourMemory) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in store.state_dict().items()}


def unchanged(store: NeighbourMemory, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in store.state_dict().items())


def stored(store: NeighbourMemory, seed: int = 0) -> dict[int, tuple[list[float], list[float], int]]:
    """Return key, value and label of each entry, by the time at which it was added."""
    here = store.present[seed].nonzero().flatten().tolist()
    return {
        int(store.born[seed, i]): (
            store.keys[seed, i].tolist(),
            store.values[seed, i].tolist(),
            int(store.labels[seed, i]),
        )
        for i in here
    }


# --- inserting ----------------------------------------------------------------------------------------------


@given(
    policy=st.sampled_from(list(POLICIES)),
    capacity=st.integers(2, 7),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    seed=st.integers(0, 999),
)
def test_entries_are_kept_whole_and_counted(policy: str, capacity: int, sizes: list[int], seed: int) -> None:
    store, offered = memory([seed, seed + 1], eviction=policy, capacity=capacity), 0
    everything: list[dict[int, Any]] = [{}, {}]
    for step, m in enumerate(sizes):
        keys, values, labels = drawn([seed, seed + 1], m, step)
        accepted = torch.rand(2, m, generator=generator(seed, "wanted", str(step))) < 0.8
        places = store.born.clone()
        store.insert(keys, values, labels, accepted)
        for s in range(2):
            for i in range(m):
                if accepted[s, i]:
                    everything[s][offered + i] = (keys[s, i].tolist(), values[s, i].tolist(), int(labels[s, i]))
            assert stored(store, s).items() <= everything[s].items()
        offered += m
        new = (store.born != places) & store.present
        assert (store.uses[new] == 0).all()
        assert (store.help[new] == 0).all()
        assert store.offered.tolist() == [offered, offered]
        assert torch.equal(store.inserted - store.evicted, store.count)
        assert (store.count <= capacity).all()
    store.clear()
    assert not any(int(n) for n in (*store.count, *store.offered, *store.inserted, *store.evicted))


def test_kept_entries_do_not_move_and_freed_places_are_filled() -> None:
    store = memory(eviction="fifo", capacity=4)
    put(store, [0, 1, 2])
    assert store.born[0].tolist() == [0, 1, 2, -1]
    put(store, [3, 4])
    assert store.born[0].tolist() == [3, 1, 2, 4]
    put(store, [5, 6, 7, 8, 9, 10])
    assert sorted(store.born[0].tolist()) == [7, 8, 9, 10]
    assert (int(store.inserted), int(store.evicted)) == (9, 5), "only inserted entries are counted as evicted"


def test_a_record_belongs_to_its_entry_not_to_its_place() -> None:
    store = memory(eviction="usage", capacity=4, k=1)
    put(store, [0, 1, 2, 3])
    result = store.retrieve(torch.tensor([[[1.0, 0.0], [1.0, 0.0], [3.0, 0.0]]]))
    store.credit(result, torch.tensor([[0.5, 0.25, -1.0]]))
    assert store.uses[0].tolist() == [0, 2, 0, 1]
    assert store.help[0].tolist() == [0.0, 0.75, 0.0, -1.0]
    put(store, [4, 5])
    assert stored(store).keys() == {0, 1, 3, 5}
    assert int(store.uses.sum()) == 3
    assert store.uses[0, store.born[0] == 1].tolist() == [2]


def test_credit_is_divided_by_weight_among_existing_neighbours() -> None:
    store = memory(eviction="usage", k=3, weights="softmax")
    put(store, [0, 1])
    result = store.retrieve(torch.zeros(1, 1, 2))
    store.credit(result, torch.tensor([[2.0]]))
    weights = torch.softmax(torch.tensor([0.0, -1.0]), 0)
    torch.testing.assert_close(store.help[0, :2], 2 * weights)
    assert store.uses[0].tolist() == [1, 1, 0, 0, 0, 0]
    assert not store.help[0, 2:].any()


@pytest.mark.parametrize("policy", POLICIES)
def test_only_policies_with_a_record_need_credit(policy: str) -> None:
    assert memory(eviction=policy).keeps_record is (policy in RECORD_POLICIES)


# --- refreshing ---------------------------------------------------------------------------------------------

REFRESHING = {"refresh": 1.0, "refresh_within": 0.5, "refresh_momentum": 0.75}


def test_a_new_entry_refreshes_the_nearest_entry_of_its_class_within_range() -> None:
    store = memory(**REFRESHING)
    put(store, [0.0, 1.0, 4.0], [0.0, 8.0, 0.0], labels=[0, 1, 0])
    put(store, [0.5], [4.0], labels=[1])  # at the same distance from an entry of another class
    assert int(store.inserted) == 3
    assert store.keys[0, :3, 0].tolist() == [0.0, 0.875, 4.0]
    assert store.values[0, :3, 0].tolist() == [0.0, 7.0, 0.0]
    assert store.born[0, :3].tolist() == [0, 3, 2]
    put(store, [0.25], labels=[1])  # 0.625 away
    assert int(store.inserted) == 4
    put(store, [0.0], labels=[2])  # the first of its class
    assert (int(store.inserted), int(store.offered)) == (5, 6)


def test_several_refreshes_of_one_entry_use_their_mean() -> None:
    store = memory(**REFRESHING)
    put(store, [0.0, 3.0], labels=[0, 1])
    put(store, [0.25, -0.5, 0.5, 3.0], [1.0, 2.0, 3.0, 3.0], labels=[0, 0, 0, 1])
    torch.testing.assert_close(store.keys[0, :2, 0], torch.tensor([0.25 * 0.25 / 3, 3.0]))
    torch.testing.assert_close(store.values[0, :2, 0], torch.tensor([0.25 * 2.0, 3.0]))
    assert store.born[0, :2].tolist() == [4, 5]
    assert int(store.count) == 2


def test_entries_that_are_not_accepted_refresh_nothing() -> None:
    store = memory(**REFRESHING)
    put(store, [0.0])
    store.insert(torch.tensor([[[0.5, 0.0]]]), torch.ones(1, 1, 1), torch.zeros(1, 1).long(), torch.tensor([[False]]))
    assert stored(store) == {0: ([0.0, 0.0], [0.0], 0)}


@given(probability=st.sampled_from([0.0, 0.3, 1.0]), seed=st.integers(0, 999))
def test_refreshing_happens_with_its_probability(probability: float, seed: int) -> None:
    store = memory([seed], capacity=401, **{**REFRESHING, "refresh": probability, "refresh_momentum": 1.0})
    put(store, [0.0])
    put(store, [0.25] * 400)
    refreshed = 401 - int(store.count)
    assert abs(refreshed - 400 * probability) <= 5 * (400 * probability * (1 - probability)) ** 0.5
    assert float(store.keys[0, 0, 0]) == 0.0


# --- retrieving ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [False, True])
def test_nearest_is_the_mixture_of_the_neighbours_values(normalise: bool) -> None:
    store = memory([1, 2], k=3, metric="cosine", weights="softmax", temperature=0.5, normalise=normalise)
    store.insert(*drawn([1, 2], 5, 0))
    queries = drawn([1, 2], 4, 1)[0]
    result = store.retrieve(queries)
    indices, distances = nearest(queries, store.keys, 3, present=store.present, metric="cosine")
    weights = weigh(distances, "softmax", temperature=0.5)
    assert torch.equal(result.indices, indices)
    torch.testing.assert_close(result.distances, distances)
    torch.testing.assert_close(result.value, mixture(store.values, indices, weights))
    lengths = store.keys.norm(dim=-1)[store.present]
    assert torch.allclose(lengths, torch.ones(())) is normalise


def test_normalised_queries_match_by_direction() -> None:
    store = memory(normalise=True, k=1)
    store.insert(torch.tensor([[[3.0, 0.0], [0.0, 0.1]]]), torch.tensor([[[1.0], [2.0]]]), torch.zeros(1, 2).long())
    assert store.retrieve(torch.tensor([[[0.2, 0.1], [5.0, 9.0]]])).value.flatten().tolist() == [1.0, 2.0]


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_memory_returns_zeros(which: str, training: bool) -> None:
    result = memory(which=which).train(training).retrieve(torch.ones(1, 3, 2))
    assert not result.value.any()
    assert not result.weights.any()
    assert result.distances.isinf().all()


@EVERY
def test_missing_neighbours_have_weight_zero(which: str) -> None:
    store = memory(which=which, k=4, weights="uniform")
    put(store, [1.0, 2.0])
    result = store.retrieve(torch.zeros(1, 5, 2))
    torch.testing.assert_close(result.weights.sum(-1), torch.ones(1, 5))
    assert (result.indices[result.weights > 0] < 2).all()
    assert torch.equal(result.weights > 0, result.distances.isfinite())


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_retrieval_does_not_change_the_memory(which: str, training: bool) -> None:
    store = memory([3, 4], which=which, eviction="usage").train(training)
    for step in range(3):
        store.insert(*drawn([3, 4], 4, step))
    before = state(store)
    store.retrieve(drawn([3, 4], 5, 9)[0])
    assert unchanged(store, before)


@EVERY
def test_retrieval_in_evaluation_is_repeatable(which: str) -> None:
    store, queries = memory(which=which), drawn([0], 5, 9)[0]
    store.insert(*drawn([0], 6, 0))
    first = store.eval().retrieve(queries)
    store.train().retrieve(queries)
    second = store.eval().retrieve(queries)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    part = store.retrieve(queries[:, :2])
    assert torch.equal(part.indices, first.indices[:, :2])


@pytest.mark.parametrize("which", ["random", "shuffled"])
def test_retrieval_in_training_draws_anew_from_its_own_stream(which: str) -> None:
    queries = drawn([5], 5, 99)[0]
    given = generator(5, "memory")
    evaluated, reference = (
        memory([5], which=which, eviction="reservoir", refresh=0.5, refresh_within=0.5) for _ in range(2)
    )
    seen = []
    for step in range(20):
        for store in (evaluated, reference):
            store.insert(*drawn([5], 4, step))
        seen.append(evaluated.retrieve(queries).value)
    assert len({tuple(value.flatten().tolist()) for value in seen[5:]}) > 10
    assert unchanged(evaluated, state(reference))
    assert torch.equal(given.get_state(), generator(5, "memory").get_state())


def test_random_entries_are_drawn_uniformly_from_existing_entries() -> None:
    store = memory(which="random", eviction="ttl", capacity=10, k=4)
    put(store, list(range(6)))
    store.insert(torch.zeros(1, 6, 2), torch.zeros(1, 6, 1), torch.zeros(1, 6).long(), torch.zeros(1, 6).bool())
    put(store, [6.0, 7.0])
    present = store.present[0].nonzero().flatten().tolist()
    assert 2 <= len(present) < 10
    for training in (True, False):
        result = store.train(training).retrieve(torch.zeros(1, 1000, 2))
        times = torch.bincount(result.indices.flatten(), minlength=10)
        assert times.nonzero().flatten().tolist() == present
        expected = 4000 / len(present)
        statistic = float(((times[present] - expected) ** 2).sum()) / expected
        assert chi2.sf(statistic, len(present) - 1) > 1e-3
    torch.testing.assert_close(result.distances[0, 0], store.keys[0, result.indices[0, 0]].norm(dim=-1))


@given(seed=st.integers(0, 999), count=st.integers(2, 6), training=st.booleans())
def test_shuffled_gives_each_entry_the_value_of_another(seed: int, count: int, training: bool) -> None:
    store = memory([seed], which="shuffled", k=1).train(training)
    put(store, list(range(count)))
    result = store.retrieve(store.keys[:, :count])
    assert result.indices.flatten().tolist() == list(range(count)), "the neighbours are correct"
    retrieved = result.value.flatten().tolist()
    assert sorted(retrieved) == list(range(count))
    assert not any(value == own for own, value in enumerate(retrieved))


def test_shuffling_a_single_entry_keeps_its_value() -> None:
    store = memory(which="shuffled", k=1)
    put(store, [3.0])
    assert float(store.retrieve(torch.zeros(1, 1, 2)).value) == 3.0


# --- seeds --------------------------------------------------------------------------------------------------


@given(
    which=st.sampled_from(WHICH),
    policy=st.sampled_from(list(POLICIES)),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True),
    refresh=st.sampled_from([0.0, 0.5]),
    training=st.booleans(),
)
def test_a_cohort_equals_separate_memories_of_one_seed(
    which: str, policy: str, seeds: list[int], refresh: float, training: bool
) -> None:
    options: dict[str, Any] = {"which": which, "eviction": policy, "refresh": refresh, "refresh_within": 1.0}
    together, alone = memory(seeds, **options), [memory([seed], **options) for seed in seeds]
    for store in (together, *alone):
        store.train(training)
    for step in range(4):
        queries = drawn(seeds, 5, 100 + step)[0]
        help = torch.arange(5.0).expand(len(seeds), -1) - 2
        result = together.retrieve(queries)
        together.credit(result, help)
        together.insert(*drawn(seeds, 4, step))
        for i, (seed, store) in enumerate(zip(seeds, alone, strict=True)):
            own = store.retrieve(queries[i : i + 1])
            store.credit(own, help[:1])
            store.insert(*drawn([seed], 4, step))
            for one, many in zip(own, result, strict=True):
                assert torch.equal(one[0], many[i])
    for i, store in enumerate(alone):
        assert all(
            torch.equal(tensor[0], together.state_dict()[name][i]) for name, tensor in store.state_dict().items()
        )


@EVERY
def test_the_state_dict_determines_evaluation(which: str) -> None:
    store, other = (memory([7, 8], which=which, eviction="helpfulness").eval() for _ in range(2))
    queries = drawn([7, 8], 5, 9)[0]
    for step in range(3):
        store.insert(*drawn([7, 8], 4, step))
        store.credit(store.retrieve(queries), torch.ones(2, 5))
    other.load_state_dict(store.state_dict())
    for one, again in zip(store.retrieve(queries), other.retrieve(queries), strict=True):
        assert torch.equal(one, again)
    for memory_ in (store, other):
        memory_.insert(*drawn([7, 8], 4, 3))
    assert unchanged(store, state(other))


def test_a_cleared_memory_equals_a_new_one() -> None:
    store, new = memory(eviction="usage"), memory(eviction="usage")
    for step in range(3):
        store.insert(*drawn([0], 4, step))
        store.credit(store.retrieve(drawn([0], 3, 9)[0]), torch.ones(1, 3))
    store.clear()
    assert not store.retrieve(torch.zeros(1, 1, 2)).value.any()
    for each in (store, new):
        each.insert(*drawn([0], 4, 5))
    assert stored(store) == stored(new)
    assert all(torch.equal(getattr(store, name), getattr(new, name)) for name in ("born", "uses", "help", "offered"))


def test_state_size() -> None:
    assert memory(key_width=5, value_width=3, capacity=7).state_size == 7 * (5 + 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "l1"}, "metric must be one of l2, cosine, not 'l1'"),
        ({"weights": "equal"}, "weights must be one of uniform, inverse, softmax, not 'equal'"),
        ({"which": "best"}, "which must be one of nearest, random, shuffled, not 'best'"),
        ({"eviction": "lru"}, "eviction must be one of none, ttl, fifo, .*, not 'lru'"),
        ({"k": 7}, "k must be 1 to 6, the capacity, not 7"),
        ({"k": 0}, "k must be 1 to 6, the capacity, not 0"),
        ({"eviction": "ttl", "ttl": 0}, "eviction='ttl' needs ttl, the age in examples at which entries leave, not 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memory(**options)
