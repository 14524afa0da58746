"""A GPT with a store of next tokens, and scores of continuations."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memkit.errors import MemkitError
from memkit.memories import next_tokens
from memkit.models.continuing import ending_costs, greedy, pad_endings, score_endings
from memkit.models.gpt import GPT
from memkit.models.next_token_memory import NextTokenMemory, next_token_log_probabilities
from memkit.training.streams import generator

TOKENS, BLOCK = 11, 24


def network(seeds: int = 1, **options: Any) -> GPT:
    shape: dict[str, Any] = {"tokens": TOKENS, "block": BLOCK, "width": 8, "heads": 2, "initial": 0.3, **options}
    return GPT(generators=[generator(seed) for seed in range(seeds)], **shape).eval()


def text(seed: int, *shape: int) -> Tensor:
    return torch.randint(TOKENS, shape, generator=generator(seed))


MODEL = network(memory={"kind": "linformer"}, after=None, shared=True)
MEMORY = NextTokenMemory(MODEL, n=4)


def test_all_tokens_except_the_first_are_written_with_their_surprise() -> None:
    read = text(0, 3, 9)
    store = MEMORY.remember(read)
    assert store.values.tolist() == read[:, 1:].flatten().tolist()
    assert store.keys[:, 0].tolist() == read[:, :-1].flatten().tolist()
    with torch.inference_mode():
        logits = MODEL.complete(MODEL.empty(read[None, None]), read[None, None, :, :-1])[0, 0]
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), read[:, 1:].flatten(), reduction="none")
    torch.testing.assert_close(store.surprises, nats)


def test_reading_in_parts_equals_reading_at_once() -> None:
    read = text(1, 5, 9)
    memory = NextTokenMemory(MODEL, capacity=17, eviction="surprise")
    store = memory.empty()
    for context in read.split(1):
        store = memory.remember(context, store)
    torch.testing.assert_close(store, memory.remember(read))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), length=st.integers(1, BLOCK), last=st.integers(1, BLOCK))
def test_an_empty_store_does_not_change_predictions(seed: int, length: int, last: int) -> None:
    asked, last = text(seed, 2, length), min(last, length)
    mixed = MEMORY(MEMORY.empty(), asked, last)
    assert mixed.shape == (2, last, TOKENS)
    torch.testing.assert_close(mixed, next_token_log_probabilities(MODEL, None, asked, last))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), last=st.integers(1, 12))
def test_predictions_do_not_depend_on_the_number_of_tokens_requested(seed: int, last: int) -> None:
    store, asked = MEMORY.remember(text(seed, 4, 12)), text(seed + 1, 3, 12)
    mixed = MEMORY(store, asked, last)
    torch.testing.assert_close(mixed, MEMORY(store, asked, 12)[:, -last:])
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(3, last))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_a_text_read_once_is_completed_from_its_beginning(seed: int) -> None:
    read = torch.randperm(TOKENS, generator=generator(seed)).unsqueeze(0)
    prompt, ending = read[:, :5], read[:, 5:]
    reader = partial(MEMORY, MEMORY.remember(read))
    assert greedy(reader, prompt, ending.shape[1]).tolist() == ending.tolist()
    with_it, without = (score_endings(one, prompt, ending) for one in (reader, partial(MEMORY, MEMORY.empty())))
    assert bool(with_it.exact.all())
    assert float(with_it.nats_per_token) < float(without.nats_per_token)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_exact_means_that_greedy_decoding_gives_the_ending(seed: int, count: int) -> None:
    reader = partial(MEMORY, MEMORY.remember(text(seed, 3, 12)))
    prompts = text(seed + 1, 4, 6)
    endings = greedy(reader, prompts, count)
    assert bool(score_endings(reader, prompts, endings).exact.all())
    endings[0, -1] = (endings[0, -1] + 1) % TOKENS
    assert score_endings(reader, prompts, endings).exact.tolist() == [False, True, True, True]


def test_padding_does_not_change_the_scores_of_endings() -> None:
    reader, prompts = partial(MEMORY, MEMORY.remember(text(0, 3, 12))), text(1, 3, 6)
    rows = [[1, 2, 3], [4], [5, 6]]
    together = score_endings(reader, prompts, pad_endings(rows))
    each = ending_costs(reader, prompts, pad_endings(rows))
    for at, row in enumerate(rows):
        no_states = score_endings(reader, prompts[at : at + 1], torch.tensor([row]))
        torch.testing.assert_close(together.nats_per_token[at : at + 1], no_states.nats_per_token)
        torch.testing.assert_close(together.nats[at, : len(row)], no_states.nats[0])
        assert bool(together.nats[at, len(row) :].isnan().all())
        torch.testing.assert_close(each[at, at], no_states.nats_per_token[0])


def test_only_the_end_of_a_long_context_is_read() -> None:
    long = text(2, 2, BLOCK + 9)
    torch.testing.assert_close(
        next_token_log_probabilities(MODEL, None, long, 3),
        next_token_log_probabilities(MODEL, None, long[:, -BLOCK:], 3),
    )


def test_given_memory_states_are_read() -> None:
    asked, read = text(3, 2, 8), text(4, 5, 8)
    held = MODEL.remember(read[None, None])
    no_states, with_states = NextTokenMemory(MODEL, states={}), NextTokenMemory(MODEL, states=held)
    expected = torch.log_softmax(MODEL.complete(held, asked[None, None])[0, 0], -1)
    torch.testing.assert_close(with_states(with_states.empty(), asked, 8), expected.detach())
    assert not torch.allclose(no_states(no_states.empty(), asked, 8), expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "n=0 and k=8 must be at least 1"),
        ({"most": 1.0}, "most=1.0 at least 0 and less than 1"),
        ({"tau": 0.0}, "tau=0.0 greater than 0"),
        ({"capacity": 0}, "capacity=0 must be at least 1, or None"),
        ({"eviction": "lru"}, "eviction='lru' is unknown"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MemkitError, match=sentence):
        NextTokenMemory(MODEL, **options)


def test_a_model_of_several_seeds_is_refused() -> None:
    with pytest.raises(MemkitError, match="the model must have one seed, and has 2"):
        NextTokenMemory(network(2))


def test_a_context_of_one_token_writes_nothing() -> None:
    assert not len(MEMORY.remember(text(5, 3, 1)).values)
    assert next_tokens.empty(MEMORY.n).keys.shape == MEMORY.empty().keys.shape


def test_a_context_longer_than_the_block_cannot_be_written() -> None:
    memory = NextTokenMemory(network())
    longer = memory.model.block + 2
    with pytest.raises(MemkitError, match=rf"^last={longer - 1} must be from 1 to {longer - 2}: "):
        memory.remember(torch.zeros(1, longer, dtype=torch.int64))
