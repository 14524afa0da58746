"""Memories of spans: entries, reads by key and offset, and candidates in the first training steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt_memory import State
from memkit.models.gpt_memory.span_memory import EPSILON, CandidateState, SpanMemory
from memkit.models.gpt_memory.spans import shift_right
from tests.models.gpt_memories import (
    BY_SPANS,
    EPISODES,
    LENGTH,
    SEEDS,
    WIDTH,
    after,
    close,
    hidden,
    layer,
    linear,
    normed,
    spans,
)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), length=st.integers(1, 5), by=st.integers(0, 7))
def test_shift_right_fills_with_zeros(seed: int, length: int, by: int) -> None:
    x = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(seed))
    nothing = torch.zeros(2, 3)
    for t in range(length):
        assert torch.equal(shift_right(x, by)[:, t], x[:, t - by] if t >= by else nothing)


@BY_SPANS
@pytest.mark.parametrize("training", [False, True])
def test_entries_follow_the_equations(kind: str, training: bool) -> None:
    memory, x = spans(kind).train(training), hidden(2)
    maps, ahead = memory.spans, memory.ahead
    entries, queries = maps.entries(x), maps.queries(x)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            for n in range(2):
                y = normed(maps.norm, s, x[s, b, n])
                pairs = torch.cat([torch.cat([torch.zeros(1, WIDTH), y[:-1]]), y], -1)
                keys = F.normalize(linear(maps.key, s, pairs), dim=-1)
                torch.testing.assert_close(queries[s, b, n], keys, rtol=1e-4, atol=1e-5)
                place, gate = linear(maps.point, s, pairs).unbind(-1)
                # P tokens have to follow.
                p = torch.cat([place[: LENGTH - ahead].softmax(-1), torch.zeros(ahead)])
                torch.testing.assert_close(entries.position_probabilities[s, b, n], p)
                torch.testing.assert_close(entries.gates[s, b, n], torch.sigmoid((p * gate).sum()))
                values = torch.zeros(LENGTH, ahead, WIDTH)
                for t in range(LENGTH - ahead):
                    values[t] = linear(maps.value, s, y[t + 1 : t + 1 + ahead])
                chosen = p if training else F.one_hot(p.argmax(), LENGTH).float()
                torch.testing.assert_close(entries.keys[s, b, n], chosen @ keys, rtol=1e-4, atol=1e-5)
                expected = (chosen @ values.flatten(1)).view(ahead, WIDTH)
                torch.testing.assert_close(entries.values[s, b, n], expected, rtol=1e-4, atol=1e-5)


def hand_made(memory: SpanMemory, amounts: Tensor) -> State:
    """Return a state with random keys and values, and log amounts [K]."""
    g, outer = torch.Generator().manual_seed(1), (len(SEEDS), EPISODES, memory.slots)
    return (
        F.normalize(torch.randn(*outer, memory.key, generator=g), dim=-1),
        torch.randn(*outer, memory.ahead, WIDTH, generator=g),
        amounts.expand(outer),
        torch.zeros(outer),
    )


def test_a_read_of_slots_follows_the_equations() -> None:
    memory, x = spans("slots"), hidden(1, "asked")
    with torch.no_grad():
        memory.nothing.add_(0.7)
        memory.outward.bias.add_(0.3)
    keys, values, amounts, _ = state = hand_made(memory, torch.tensor([0.0, -1.0, -13.8]))
    read, queries = memory.read(state, x), memory.spans.queries(x)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            for t in range(LENGTH):
                weights: dict[tuple[int, int], Tensor] = {}
                total = torch.tensor(0.7).exp()
                for j in range(min(memory.ahead, t + 1)):
                    for k in range(memory.slots):
                        score = 8.0 * queries[s, b, 0, t - j] @ keys[s, b, k] + amounts[s, b, k]
                        weights[j, k] = score.exp()
                        total = total + weights[j, k]
                recalled = torch.stack([(weight / total) * values[s, b, k, j] for (j, k), weight in weights.items()])
                expected = linear(memory.outward, s, recalled.sum(0))
                torch.testing.assert_close(read[s, b, 0, t], expected, rtol=1e-4, atol=1e-5)


def test_a_value_is_recalled_at_its_offset_from_its_cue() -> None:
    memory, x = spans("slots", key=64), hidden(1, "asked", length=9)
    with torch.no_grad():
        # A query has to match a key almost exactly.
        memory.sharpness.fill_(300.0)
        memory.nothing.fill_(285.0)
    keys, values, amounts, ages = hand_made(memory, torch.tensor([0.0, 0.0, EPSILON]))
    for at in range(9):
        keys = keys.clone()
        keys[:, :, 1] = memory.spans.queries(x)[:, :, 0, at]
        read = memory.read((keys, values, amounts, ages), x)[:, :, 0]
        for t in range(9):
            expected_read = 0 <= t - at < memory.ahead
            expected = values[:, :, 1, t - at] if expected_read else torch.zeros_like(read[:, :, t])
            torch.testing.assert_close(read[:, :, t], expected, rtol=1e-3, atol=1e-3)


def test_an_empty_slot_is_not_read_even_by_its_key() -> None:
    memory, x = spans("slots", key=64), hidden(1, "asked")
    keys, values, amounts, ages = hand_made(memory, torch.full((3,), EPSILON).log())
    keys = keys.clone()
    keys[:, :, 0] = memory.spans.queries(x)[:, :, 0, 2]
    read = memory.read((keys, values, amounts, ages), x)
    assert (read.norm(dim=-1) < 0.1).all()


@BY_SPANS
@pytest.mark.parametrize("training", [False, True])
def test_an_empty_memory_reads_as_zero(kind: str, training: bool) -> None:
    memory, x = spans(kind).train(training), hidden(2, "asked")
    torch.testing.assert_close(memory.read(memory.empty(EPISODES, x.device), x), torch.zeros_like(x))


def test_gates_scale_writes_to_slots() -> None:
    memory, x = spans("slots"), hidden(5)
    entries = memory.spans.entries(x)
    keys, values, amounts, ages = after(memory, x)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            age = [3.0, 2.0, 1.0]
            key, value, amount = torch.zeros(3, 5), torch.zeros(3, 3, WIDTH), torch.zeros(3)
            for n, gate in enumerate(entries.gates[s, b]):
                to = age.index(max(age))
                age = [a + 1 for a in age]
                age[to] *= 1 - float(gate.detach())
                key[to] = (1 - gate) * key[to] + gate * entries.keys[s, b, n]
                value[to] = (1 - gate) * value[to] + gate * entries.values[s, b, n]
                amount[to] = (1 - gate) * amount[to] + gate
            close((keys[s, b], values[s, b], ages[s, b]), (key, value, torch.tensor(age)))
            torch.testing.assert_close(amounts[s, b].exp(), amount + EPSILON, rtol=1e-4, atol=1e-6)


def test_permute_values_reorders_values_only() -> None:
    memory, order = spans("slots"), torch.tensor([2, 0, 1])
    state = after(memory, hidden(4))
    permuted = memory.permute_values(state, order)
    for at, (part, before) in enumerate(zip(permuted, state, strict=True)):
        assert torch.equal(part, before[:, :, order] if at == 1 else before)
    close(memory.permute_values(permuted, order.argsort()), state)
    x = hidden(2, "asked")
    assert not torch.isclose(memory.read(permuted, x), memory.read(state, x)).all()


def test_permute_values_reorders_the_slots_of_a_linformer_memory() -> None:
    memory, order = layer("linformer"), torch.tensor([2, 0, 1])
    (slots,) = state = after(memory, hidden(4))
    (permuted,) = memory.permute_values(state, order)
    assert torch.equal(permuted, slots[:, :, order])


def test_the_matrix_follows_the_delta_rule() -> None:
    memory, x, asked = spans("delta"), hidden(4), hidden(1, "asked")
    with torch.no_grad():
        memory.nothing.add_(0.4)
    entries, queries = memory.spans.entries(x), memory.spans.queries(asked)
    (matrix,) = state = after(memory, x)
    read = memory.read(state, asked)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            expected = torch.zeros(5, 3 * WIDTH)
            for n in range(4):
                key, value = entries.keys[s, b, n], entries.values[s, b, n].flatten()
                expected = expected + entries.gates[s, b, n] * torch.outer(key, value - key @ expected)
            torch.testing.assert_close(matrix[s, b], expected, rtol=1e-4, atol=1e-5)
            for t in range(LENGTH):
                candidates = [(queries[s, b, 0, t - j] @ expected).view(3, WIDTH)[j] for j in range(min(3, t + 1))]
                weights = torch.stack([torch.tensor(0.4), *(8 * r.norm() / WIDTH**0.5 for r in candidates)]).softmax(0)
                expected_read = linear(memory.outward, s, weights[1:] @ torch.stack(candidates))
                torch.testing.assert_close(read[s, b, 0, t], expected_read, rtol=1e-4, atol=1e-5)


@BY_SPANS
@pytest.mark.parametrize("soft", [0, 3])
def test_candidates_are_stored_for_the_given_number_of_training_steps(kind: str, soft: int) -> None:
    memory, x, asked = spans(kind, soft=soft), hidden(4), hidden(2, "asked")
    plain = memory.empty(EPISODES, x.device)
    for step in range(1, soft + 3):
        memory.train()
        state = after(memory, x)
        assert isinstance(state, CandidateState) == (step <= soft)
        assert memory.read(state, asked).isfinite().all()
        # Evaluation is not a training step, and stores no candidates.
        memory.eval()
        assert [part.shape for part in after(memory, x)] == [part.shape for part in plain]
    assert memory.taken.tolist() == [soft + 2] * len(SEEDS)


@BY_SPANS
def test_the_number_of_training_steps_is_saved(kind: str) -> None:
    memory, other, x = spans(kind, soft=2).train(), spans(kind, soft=2).train(), hidden(2)
    for _ in range(2):
        after(memory, x)
    other.load_state_dict(memory.state_dict())
    assert not isinstance(after(other, x), CandidateState)


@BY_SPANS
def test_candidates_can_be_written_context_by_context(kind: str) -> None:
    """This holds for more contexts than slots too."""
    memory, x, asked = spans(kind, soft=9).train(), hidden(6), hidden(2, "asked")
    memory.slots = 3
    once = after(memory, x)
    state = memory.empty(EPISODES, x.device)
    for n in range(6):
        state = memory.written(state, x[:, :, n : n + 1])
    assert isinstance(once, CandidateState)
    assert isinstance(state, CandidateState)
    close(state, once)
    assert memory.taken.tolist() == [2, 2], "a training step counts once, however many calls it takes"
    torch.testing.assert_close(memory.read(state, asked), memory.read(once, asked), rtol=1e-4, atol=1e-5)


def test_candidates_are_weighted_by_their_probability() -> None:
    memory, x, asked = spans("slots", soft=9).train(), hidden(5), hidden(1, "asked")
    candidates, queries = memory.spans.candidates(x), memory.spans.queries(asked)
    read = memory.read(after(memory, x), asked)
    for s in range(len(SEEDS)):
        for b in range(EPISODES):
            # How much of each context is stored in the three slots at the end.
            age, stored = [3.0, 2.0, 1.0], torch.zeros(5, 3)
            for n, gate in enumerate(candidates.gates[s, b]):
                to = age.index(max(age))
                age = [a + 1 for a in age]
                age[to] *= 1 - float(gate.detach())
                stored[:, to] *= 1 - gate
                stored[n, to] += gate
            of = stored.sum(-1) + EPSILON
            for t in range(LENGTH):
                weighed, total = torch.zeros(WIDTH), torch.tensor(1.0)
                for j in range(min(3, t + 1)):
                    cosines = candidates.keys[s, b] @ queries[s, b, 0, t - j]
                    weights = (8 * cosines).exp() * candidates.log_positions[s, b].exp() * of.unsqueeze(-1)
                    # The value j + 1 tokens after a key, if the context is long enough.
                    after_key = candidates.values[s, b, :, 1 + j :]
                    weighed = weighed + (weights[:, : -1 - j].unsqueeze(-1) * after_key).sum((0, 1))
                    total = total + weights.sum()
                expected_read = linear(memory.outward, s, weighed / total)
                torch.testing.assert_close(read[s, b, 0, t], expected_read, rtol=1e-4, atol=1e-5)


@BY_SPANS
def test_a_context_too_short_for_an_entry_is_refused(kind: str) -> None:
    memory = layer(kind)
    with pytest.raises(MemkitError, match=r"^a context of 3 tokens must be longer than ahead=3 tokens$"):
        after(memory, hidden(2, length=3))
    assert all(part.isfinite().all() for part in after(memory, hidden(2, length=4)))


@BY_SPANS
def test_short_contexts_can_be_read(kind: str) -> None:
    memory, x = layer(kind), hidden(2, "asked")
    state = after(memory, hidden(4))
    for length in range(1, LENGTH):
        short = memory.read(state, x[..., :length, :])
        torch.testing.assert_close(short, memory.read(state, x)[..., :length, :], rtol=1e-4, atol=1e-5)
