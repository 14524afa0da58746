"""Each policy against its definition, entry by entry, over streams of batches."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from memkit.memories.eviction import POLICIES, RECORD_POLICIES, PolicySettings, Record, entries_to_keep
from memkit.memories.neighbours import NeighbourMemory, Retrieved
from memkit.training.streams import generator

Entry = dict[str, Any]
EACH = pytest.mark.parametrize("policy", POLICIES)
JUDGED = pytest.mark.parametrize("policy", RECORD_POLICIES)


def memory(policy: str, capacity: int, *, seeds: int = 1, **options: Any) -> NeighbourMemory:
    """Return a memory whose keys are the numbers of the offered examples."""
    options = {"k": 1, "ttl": 7, "age_weight": 0.25, **options}
    generators = [generator(seed, "memory") for seed in range(seeds)]
    return NeighbourMemory(
        generators=generators, key_width=1, value_width=1, capacity=capacity, eviction=policy, **options
    )


def offer(store: NeighbourMemory, m: int, accepted: torch.Tensor | None = None) -> None:
    seeds = len(store.keys)
    numbers = (store.offered.unsqueeze(1) + torch.arange(m)).float().unsqueeze(-1)
    store.insert(numbers, numbers, torch.zeros(seeds, m, dtype=torch.int64), accepted)


def stored_numbers(store: NeighbourMemory, seed: int = 0) -> set[int]:
    return {int(key) for key in store.keys[seed, store.present[seed], 0]}


def credit(store: NeighbourMemory, places: list[int], weights: list[float], help: float) -> None:
    """Credit the entries in some places, as if one query of the first seed had retrieved them."""
    indices, shares = torch.tensor(places).view(1, 1, -1), torch.tensor(weights).view(1, 1, -1)
    store.credit(Retrieved(torch.zeros(1, 1, 1), indices, shares, shares), torch.tensor([[help]]))


def expected_score(
    policy: str, entry: Entry, all_here: list[Entry], now: int, ttl: int, w: float, probation: int
) -> float:
    """Return the score of an entry, as defined in the docstring of memkit/memories/eviction.py."""
    age = now - entry["born"]
    rate = entry["help"] / max(entry["uses"], 1)
    if policy in RECORD_POLICIES and age < probation:
        return 1e15 + entry["born"]
    if policy == "none":
        return -entry["born"]
    if policy == "fifo":
        return entry["born"]
    if policy == "ttl":
        return -entry["born"] if age < ttl else -float("inf")
    if policy == "reservoir":
        return -entry["lot"]
    if policy == "usage":
        return entry["uses"] / age
    if policy == "helpfulness":
        return rate
    largest_rate = max(abs(e["help"] / max(e["uses"], 1)) for e in all_here) or 1.0
    largest_age = max(now - e["born"] for e in all_here) or 1
    return (1 - w) * (rate / largest_rate) - w * (age / largest_age)


class Slow:
    """A slow reference memory: a list of places, each with an entry or None."""

    def __init__(self, policy: str, capacity: int) -> None:
        self.policy, self.places, self.now = policy, [None] * capacity, 0
        self.probation = max(2, capacity // 4)

    places: list[Entry | None]

    def offer(self, random_numbers: list[float], accepted: list[bool]) -> None:
        new_entries = [
            {"born": self.now + i, "uses": 0, "help": 0.0, "lot": random_number}
            for i, (random_number, is_wanted) in enumerate(zip(random_numbers, accepted, strict=True))
            if is_wanted
        ]
        self.now += len(random_numbers)
        candidates = [e for e in self.places if e is not None] + new_entries
        terms = (self.now, 7, 0.25, self.probation)
        ranked = sorted(
            candidates, key=lambda e: expected_score(self.policy, e, candidates, *terms), reverse=True
        )  # a stable sort
        kept_entries = [e for e in ranked if expected_score(self.policy, e, candidates, *terms) > -float("inf")][
            : len(self.places)
        ]
        born = {e["born"] for e in kept_entries}
        self.places = [e if e is not None and e["born"] in born else None for e in self.places]
        for entry in new_entries:
            if entry["born"] in born:
                self.places[self.places.index(None)] = entry


@EACH
@given(seed=st.integers(0, 2**31), capacity=st.integers(1, 9), sizes=st.lists(st.integers(1, 6), max_size=9))
def test_policies_follow_their_definitions(policy: str, seed: int, capacity: int, sizes: list[int]) -> None:
    g = torch.Generator().manual_seed(seed)
    fast, slow = memory(policy, capacity), Slow(policy, capacity)
    for m in sizes:
        random_numbers, accepted = torch.rand(1, m, generator=g).round(decimals=1), torch.rand(1, m, generator=g) < 0.9
        fast._draw_random_numbers = lambda m, random_numbers=random_numbers: random_numbers  # type: ignore[method-assign, misc]
        offer(fast, m, accepted)
        slow.offer(random_numbers[0].tolist(), accepted[0].tolist())
        places = [int(b) if b >= 0 else None for b in fast.born[0]]
        assert places == [e and e["born"] for e in slow.places]
        assert [float(key) for key in fast.keys[0, fast.present[0], 0]] == [b for b in places if b is not None]
        here = fast.present[0].nonzero().flatten()
        for _ in range(int(torch.randint(8, (), generator=g)) * bool(len(here))):
            chosen = here[torch.randint(len(here), (2,), generator=g)].tolist()
            shares = (torch.randint(4, (2,), generator=g) / 4).tolist()
            help = float(torch.randint(-4, 5, (), generator=g)) / 2
            credit(fast, chosen, shares, help)
            for place, share in zip(chosen, shares, strict=True):
                entry = slow.places[place]
                assert entry is not None
                entry["uses"] += share > 0
                entry["help"] += share * help


def streamed(policy: str) -> NeighbourMemory:
    """Return a memory after 60 offered entries, whose entries have helped or harmed, some of them often."""
    store = memory(policy, 8, ttl=20)
    for _ in range(15):
        offer(store, 4)
        for place in store.present[0].nonzero().flatten().tolist():
            number = int(store.keys[0, place, 0])
            for _ in range(number * 7 % 5):
                credit(store, [place], [1.0], float(number * 13 % 11 - 4))
    return store


def test_policies_keep_different_entries_of_a_stream() -> None:
    of_policy = {policy: stored_numbers(streamed(policy)) for policy in POLICIES}
    for one, other in itertools.combinations(POLICIES, 2):
        assert of_policy[one] != of_policy[other], (one, other)


@EACH
def test_a_full_memory_evicts_unless_the_policy_is_none(policy: str) -> None:
    store = streamed(policy)
    assert int(store.count) == 8
    assert int(store.inserted - store.evicted) == 8
    assert (int(store.evicted) > 0) is (policy != "none")


@JUDGED
@pytest.mark.parametrize("capacity", [1, 2, 4, 16])
def test_new_entries_are_on_probation(policy: str, capacity: int) -> None:
    store = memory(policy, capacity)
    for _ in range(10):
        offer(store, 5)
        newest = int(store.offered) - 1
        assert newest in stored_numbers(store)
        assert capacity == 1 or len(stored_numbers(store) - {newest}) > 0
        for place in range(int(store.count)):
            credit(store, [place], [1.0], 1.0)  # all existing entries have a higher score than a new one


@JUDGED
def test_an_entry_with_a_good_record_survives_many_new_entries(policy: str) -> None:
    store = memory(policy, 8, age_weight=0.0)
    offer(store, 8)
    for _ in range(20):
        credit(store, [int((store.born[0] == 3).nonzero())], [1.0], 1.0)
        offer(store, 2)
    assert 3 in stored_numbers(store)
    assert stored_numbers(store) - {3} != {0, 1, 2, 4, 5, 6, 7}


def test_a_reservoir_is_a_uniform_sample_of_all_offered_entries() -> None:
    seeds, capacity, sizes = 600, 5, (1, 7, 12, 3, 9, 8)
    store = memory("reservoir", capacity, seeds=seeds)
    for m in sizes:
        offer(store, m)
    offered = sum(sizes)
    times = torch.bincount(store.born.flatten(), minlength=offered).double()
    share = capacity / offered
    statistic = float(((times - seeds * share) ** 2).sum() / (seeds * share * (1 - share))) * (offered - 1) / offered
    assert 1e-3 < chi2.sf(statistic, offered - 1) < 1 - 1e-3


def test_expired_entries_leave_a_memory_that_is_not_full() -> None:
    store = memory("ttl", 10, ttl=5)
    offer(store, 3)
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    ages = []
    for _ in range(6):
        ages.append(sorted((store.ages[0, store.present[0]]).tolist()))
        offer(store, 1, nothing)  # time advances
    assert ages == [[1, 2, 3], [2, 3, 4], [3, 4], [4], [], []]
    assert (int(store.inserted), int(store.evicted)) == (3, 3)


@EACH
def test_existing_entries_win_ties(policy: str) -> None:
    # Past probation, not expired, and with equal records.
    record = Record(torch.full((1, 6), 5), torch.ones(1, 6), torch.ones(1, 6), torch.full((1, 6), 0.5))
    kept_entries = entries_to_keep(policy, record, PolicySettings(now=8, ttl=7, probation=2), 4)
    assert kept_entries.tolist() == [[True, True, True, True, False, False]]


@JUDGED
def test_the_youngest_stay_if_too_many_entries_are_on_probation(policy: str) -> None:
    record = Record(torch.tensor([[4, 6, 5, 7]]), torch.ones(1, 4), torch.ones(1, 4), torch.zeros(1, 4))
    assert entries_to_keep(policy, record, PolicySettings(now=8, probation=5), 2).tolist() == [
        [False, True, False, True]
    ]


@EACH
def test_empty_places_are_never_kept(policy: str) -> None:
    record = Record(torch.tensor([[-1, 3, -1, 4]]), torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 4))
    kept_entries = entries_to_keep(policy, record, PolicySettings(now=6, ttl=7, probation=2), 3)
    assert kept_entries.tolist() == [[False, True, False, True]]
