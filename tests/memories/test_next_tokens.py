"""A store of next tokens against its equations, one entry at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from memkit.errors import MemkitError
from memkit.memories import next_tokens
from memkit.memories.next_tokens import EVICTIONS, Entries

TOKENS = 4
TEXT = st.lists(st.integers(0, TOKENS - 1), min_size=1, max_size=12)
DECAY = st.sampled_from([0.3, 0.5, 0.8, 1.0])


def entries(texts: list[list[int]], n: int = 3, seed: int = 0) -> Entries:
    """Return an entry for each token of some texts except the first of each, with random surprises."""
    generator = torch.Generator().manual_seed(seed)
    store = next_tokens.empty(n)
    for text in texts:
        read = torch.tensor(text)
        surprises = torch.rand(len(text) - 1, generator=generator)
        store = next_tokens.append(store, Entries(next_tokens.context_keys(read[:-1], n), read[1:], surprises))
    return store


def apart(query: list[int], key: list[int], decay: float) -> float:
    """Return the distance, by its equation."""
    costs = [decay**j for j in range(len(key))]
    unlike = [q != k or q < 0 for q, k in zip(query, key, strict=True)]
    return sum(cost for cost, here in zip(costs, unlike, strict=True) if here) / sum(costs)


def suffix(one: list[int], other: list[int]) -> int:
    """Return the length of the common suffix."""
    same = 0
    for a, b in zip(one, other, strict=True):
        if a != b or a < 0:
            break
        same += 1
    return same


def result(
    store: Entries, query: Tensor, *, k: int = 8, tau: float = 0.1, most: float = 0.9
) -> next_tokens.StoreReading:
    return next_tokens.read(store, query, tokens=TOKENS, k=k, decay=0.5, tau=tau, most=most)


def test_a_key_is_the_tokens_up_to_a_token_most_recent_first() -> None:
    assert next_tokens.context_keys(torch.tensor([[5, 6, 7]]), 2).tolist() == [[[5, -1], [6, 5], [7, 6]]]


@given(query=TEXT, texts=st.lists(TEXT, min_size=1, max_size=4), decay=DECAY)
def test_distance_is_the_weighted_number_of_mismatches(query: list[int], texts: list[list[int]], decay: float) -> None:
    asked = next_tokens.context_keys(torch.tensor(query), 3)
    keys = torch.cat([next_tokens.context_keys(torch.tensor(text), 3) for text in texts])
    expected = [[apart(q, k, decay) for k in keys.tolist()] for q in asked.tolist()]
    torch.testing.assert_close(next_tokens.distances(asked, keys, decay=decay), torch.tensor(expected))


@given(query=TEXT, text=TEXT, decay=st.sampled_from([0.2, 0.4, 0.5]))
def test_with_decay_up_to_a_half_the_longest_common_suffix_is_nearest(
    query: list[int], text: list[int], decay: float
) -> None:
    asked, keys = (next_tokens.context_keys(torch.tensor(tokens), 6) for tokens in (query, text))
    nearest = next_tokens.distances(asked, keys, decay=decay).argmin(1)
    for q, chosen in zip(asked.tolist(), nearest.tolist(), strict=True):
        same = [suffix(q, key) for key in keys.tolist()]
        assert same[chosen] == max(same)


@given(texts=st.lists(TEXT, min_size=1, max_size=4), query=TEXT, k=st.integers(1, 9), tau=st.sampled_from([0.05, 1.0]))
def test_a_read_follows_its_equation(texts: list[list[int]], query: list[int], k: int, tau: float) -> None:
    store, asked = entries(texts), next_tokens.context_keys(torch.tensor(query), 3)
    read = result(store, asked, k=k, tau=tau)
    for row, one in enumerate(asked.tolist()):
        near = sorted(apart(one, key, 0.5) for key in store.keys.tolist())[:k]
        if not near:
            assert read.weights[row] == 0
            assert not read.probabilities[row].any()
            continue
        assert math.isclose(float(read.weights[row]), 0.9 * math.exp(-near[0] / tau), rel_tol=1e-4)
        assert math.isclose(float(read.probabilities[row].sum()), 1, rel_tol=1e-5)
        if len(store.values) <= k:
            shares = torch.zeros(TOKENS)
            for key, value in zip(store.keys.tolist(), store.values.tolist(), strict=True):
                shares[value] += math.exp(-apart(one, key, 0.5) / tau)
            torch.testing.assert_close(read.probabilities[row], shares / shares.sum(), rtol=1e-4, atol=1e-6)


def test_results_do_not_depend_on_the_number_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = entries([[0, 1, 2, 3, 1, 2, 0]]), next_tokens.context_keys(torch.tensor([0, 1, 2, 0, 3, 1]), 3)
    whole = result(store, asked)
    monkeypatch.setattr(next_tokens, "_PAIRS", 1)
    torch.testing.assert_close(result(store, asked), whole)


@given(seed=st.integers(0, 2**31), query=TEXT)
def test_a_mixture_is_a_distribution_and_an_empty_store_changes_nothing(seed: int, query: list[int]) -> None:
    asked = next_tokens.context_keys(torch.tensor(query), 3)
    alone = torch.log_softmax(torch.randn(len(query), TOKENS, generator=torch.Generator().manual_seed(seed)), -1)
    mixed = next_tokens.mix(alone, result(entries([[0, 1, 2, 3, 0, 2]]), asked))
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(len(query)))
    torch.testing.assert_close(next_tokens.mix(alone, result(next_tokens.empty(3), asked)), alone)


def test_without_a_match_the_language_model_is_unchanged() -> None:
    alone = torch.log_softmax(torch.tensor([[2.0, 1.0, 0.0, -1.0]]), -1)
    read = result(entries([[0, 0, 0, 1]]), torch.tensor([[3, 3, 3]]), tau=0.01)
    torch.testing.assert_close(next_tokens.mix(alone, read), alone)


@given(texts=st.lists(TEXT, min_size=1, max_size=5), capacity=st.integers(1, 12), eviction=st.sampled_from(EVICTIONS))
def test_eviction_does_not_depend_on_how_entries_were_appended(
    texts: list[list[int]], capacity: int, eviction: next_tokens.Eviction
) -> None:
    whole = entries(texts)
    once = next_tokens.append(next_tokens.empty(3), whole, capacity=capacity, eviction=eviction)
    store = next_tokens.empty(3)
    for one in range(len(whole.values)):
        new = Entries(*(part[one : one + 1] for part in whole))
        store = next_tokens.append(store, new, capacity=capacity, eviction=eviction)
    for here, there in zip(once, store, strict=True):
        assert here.tolist() == there.tolist()
    assert len(once.values) == min(capacity, len(whole.values))


def test_each_policy_evicts_the_right_entries() -> None:
    keys = torch.arange(4).unsqueeze(1)
    whole = Entries(keys, torch.arange(4), torch.tensor([3.0, 1.0, 1.0, 2.0]))
    kept = {
        eviction: next_tokens.append(next_tokens.empty(1), whole, capacity=3, eviction=eviction).values.tolist()
        for eviction in ("none", "fifo", "surprise")
    }
    assert kept == {"none": [0, 1, 2], "fifo": [1, 2, 3], "surprise": [0, 2, 3]}


def test_an_unknown_eviction_is_refused_in_one_sentence() -> None:
    with pytest.raises(MemkitError, match="eviction='surprize' is unknown; did you mean 'surprise'"):
        next_tokens.append(next_tokens.empty(1), next_tokens.empty(1), eviction="surprize")  # type: ignore[arg-type]


def test_permuting_moves_values_only_and_does_not_change_the_given_store() -> None:
    store = entries([[0, 1, 2, 3, 0, 2, 1]])
    before = [part.clone() for part in store]
    other = next_tokens.permute_values(store, torch.Generator().manual_seed(1))
    assert other.keys.tolist() == store.keys.tolist()
    assert other.values.tolist() != store.values.tolist()
    assert sorted(other.values.tolist()) == sorted(store.values.tolist())
    for part, was in zip(store, before, strict=True):
        assert part.tolist() == was.tolist()
