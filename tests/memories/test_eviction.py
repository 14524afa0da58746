"""Each policy against its definition, read one entry after another, over streams of batches."""

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
    """Its keys are the numbers of what it was offered."""
    options = {"k": 1, "ttl": 7, "age_weight": 0.25, **options}
    generators = [generator(seed, "memory") for seed in range(seeds)]
    return NeighbourMemory(
        generators=generators, key_width=1, value_width=1, capacity=capacity, eviction=policy, **options
    )


def offer(kept: NeighbourMemory, m: int, wanted: torch.Tensor | None = None) -> None:
    seeds = len(kept.keys)
    numbers = (kept.offered.unsqueeze(1) + torch.arange(m)).float().unsqueeze(-1)
    kept.insert(numbers, numbers, torch.zeros(seeds, m, dtype=torch.int64), wanted)


def held(kept: NeighbourMemory, seed: int = 0) -> set[int]:
    return {int(key) for key in kept.keys[seed, kept.present[seed], 0]}


def credit(kept: NeighbourMemory, places: list[int], weights: list[float], help: float) -> None:
    """One query of the first seed found entries in these places."""
    indices, shares = torch.tensor(places).view(1, 1, -1), torch.tensor(weights).view(1, 1, -1)
    kept.credit(Retrieved(torch.zeros(1, 1, 1), indices, shares, shares), torch.tensor([[help]]))


def worth(policy: str, entry: Entry, all_here: list[Entry], now: int, ttl: int, w: float, probation: int) -> float:
    """As the docstring of memkit/memories/eviction.py has it."""
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
    """A memory of places, each with an entry or None."""

    def __init__(self, policy: str, capacity: int) -> None:
        self.policy, self.places, self.now = policy, [None] * capacity, 0
        self.probation = max(2, capacity // 4)

    places: list[Entry | None]

    def offer(self, lots: list[float], wanted: list[bool]) -> None:
        newcomers = [
            {"born": self.now + i, "uses": 0, "help": 0.0, "lot": random_number}
            for i, (random_number, is_wanted) in enumerate(zip(lots, wanted, strict=True))
            if is_wanted
        ]
        self.now += len(lots)
        compete = [e for e in self.places if e is not None] + newcomers
        terms = (self.now, 7, 0.25, self.probation)
        ranked = sorted(
            compete, key=lambda e: worth(self.policy, e, compete, *terms), reverse=True
        )  # keeps ties' order
        stay = [e for e in ranked if worth(self.policy, e, compete, *terms) > -float("inf")][: len(self.places)]
        born = {e["born"] for e in stay}
        self.places = [e if e is not None and e["born"] in born else None for e in self.places]
        for entry in newcomers:
            if entry["born"] in born:
                self.places[self.places.index(None)] = entry


@EACH
@given(seed=st.integers(0, 2**31), capacity=st.integers(1, 9), sizes=st.lists(st.integers(1, 6), max_size=9))
def test_policies_follow_their_definitions(policy: str, seed: int, capacity: int, sizes: list[int]) -> None:
    g = torch.Generator().manual_seed(seed)
    fast, slow = memory(policy, capacity), Slow(policy, capacity)
    for m in sizes:
        lots, wanted = torch.rand(1, m, generator=g).round(decimals=1), torch.rand(1, m, generator=g) < 0.9
        fast._draw_random_numbers = lambda m, lots=lots: lots  # type: ignore[method-assign, misc]
        offer(fast, m, wanted)
        slow.offer(lots[0].tolist(), wanted[0].tolist())
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
    """A memory that has been offered 60 entries; those that it held helped and harmed, some often."""
    kept = memory(policy, 8, ttl=20)
    for _ in range(15):
        offer(kept, 4)
        for place in kept.present[0].nonzero().flatten().tolist():
            number = int(kept.keys[0, place, 0])
            for _ in range(number * 7 % 5):
                credit(kept, [place], [1.0], float(number * 13 % 11 - 4))
    return kept


def test_policies_keep_different_entries_of_a_stream() -> None:
    of_policy = {policy: held(streamed(policy)) for policy in POLICIES}
    for one, other in itertools.combinations(POLICIES, 2):
        assert of_policy[one] != of_policy[other], (one, other)


@EACH
def test_a_full_memory_evicts_unless_the_policy_is_none(policy: str) -> None:
    kept = streamed(policy)
    assert int(kept.count) == 8
    assert int(kept.inserted - kept.evicted) == 8
    assert (int(kept.evicted) > 0) is (policy != "none")


@JUDGED
@pytest.mark.parametrize("capacity", [1, 2, 4, 16])
def test_new_entries_are_on_probation(policy: str, capacity: int) -> None:
    kept = memory(policy, capacity)
    for _ in range(10):
        offer(kept, 5)
        newest = int(kept.offered) - 1
        assert newest in held(kept)
        assert capacity == 1 or len(held(kept) - {newest}) > 0
        for place in range(int(kept.count)):
            credit(kept, [place], [1.0], 1.0)  # all that stand are worth more than a newcomer


@JUDGED
def test_an_entry_with_a_good_record_survives_many_new_entries(policy: str) -> None:
    kept = memory(policy, 8, age_weight=0.0)
    offer(kept, 8)
    for _ in range(20):
        credit(kept, [int((kept.born[0] == 3).nonzero())], [1.0], 1.0)
        offer(kept, 2)
    assert 3 in held(kept)
    assert held(kept) - {3} != {0, 1, 2, 4, 5, 6, 7}


def test_a_reservoir_is_a_uniform_sample_of_all_offered_entries() -> None:
    seeds, capacity, sizes = 600, 5, (1, 7, 12, 3, 9, 8)
    kept = memory("reservoir", capacity, seeds=seeds)
    for m in sizes:
        offer(kept, m)
    offered = sum(sizes)
    times = torch.bincount(kept.born.flatten(), minlength=offered).double()
    share = capacity / offered
    statistic = float(((times - seeds * share) ** 2).sum() / (seeds * share * (1 - share))) * (offered - 1) / offered
    assert 1e-3 < chi2.sf(statistic, offered - 1) < 1 - 1e-3


def test_expired_entries_leave_a_memory_that_is_not_full() -> None:
    kept = memory("ttl", 10, ttl=5)
    offer(kept, 3)
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    ages = []
    for _ in range(6):
        ages.append(sorted((kept.ages[0, kept.present[0]]).tolist()))
        offer(kept, 1, nothing)  # time goes on
    assert ages == [[1, 2, 3], [2, 3, 4], [3, 4], [4], [], []]
    assert (int(kept.inserted), int(kept.evicted)) == (3, 3)


@EACH
def test_existing_entries_win_ties(policy: str) -> None:
    # Old enough to be judged, young enough to live, and alike in everything.
    record = Record(torch.full((1, 6), 5), torch.ones(1, 6), torch.ones(1, 6), torch.full((1, 6), 0.5))
    stay = entries_to_keep(policy, record, PolicySettings(now=8, ttl=7, probation=2), 4)
    assert stay.tolist() == [[True, True, True, True, False, False]]


@JUDGED
def test_the_youngest_stay_if_too_many_entries_are_on_probation(policy: str) -> None:
    record = Record(torch.tensor([[4, 6, 5, 7]]), torch.ones(1, 4), torch.ones(1, 4), torch.zeros(1, 4))
    assert entries_to_keep(policy, record, PolicySettings(now=8, probation=5), 2).tolist() == [
        [False, True, False, True]
    ]


@EACH
def test_empty_places_are_never_kept(policy: str) -> None:
    record = Record(torch.tensor([[-1, 3, -1, 4]]), torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 4))
    stay = entries_to_keep(policy, record, PolicySettings(now=6, ttl=7, probation=2), 3)
    assert stay.tolist() == [[False, True, False, True]]
