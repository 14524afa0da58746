"""The slot memory against its equations, one slot at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.memories import slots


@settings(deadline=None)  # the first call warms torch up
@given(seed=st.integers(0, 2**31), count=st.integers(1, 5), writing=st.sampled_from(["additive", "overwriting"]))
def test_write_and_read_follow_the_equations(seed: int, count: int, writing: slots.Writing) -> None:
    g = torch.Generator().manual_seed(seed)
    state = torch.randn(2, 3, count, 4, generator=g)
    address = torch.softmax(torch.randn(2, 3, count, generator=g), -1)
    value, gate = torch.randn(2, 3, 4, generator=g), torch.rand(2, 3, generator=g)
    before = state.clone()
    after = slots.write(state, address, value, gate, writing=writing)
    got = slots.read(after, address)
    assert torch.equal(state, before)
    for s in range(2):
        for b in range(3):
            total = torch.zeros(4)
            for k in range(count):
                weight = gate[s, b] * address[s, b, k]
                kept = 1.0 if writing == "additive" else 1 - weight
                expected = kept * state[s, b, k] + weight * value[s, b]
                torch.testing.assert_close(after[s, b, k], expected)
                total += address[s, b, k] * expected
            torch.testing.assert_close(got[s, b], total)


@settings(deadline=None)  # the first call warms torch up
@given(seed=st.integers(0, 2**31))
def test_a_sharp_overwriting_write_is_read_back_exactly_and_touches_nothing_else(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    state, value = torch.randn(1, 1, 3, 4, generator=g), torch.randn(1, 1, 4, generator=g)
    address, gate = torch.tensor([[[0.0, 1.0, 0.0]]]), torch.ones(1, 1)
    after = slots.write(state, address, value, gate, writing="overwriting")
    torch.testing.assert_close(slots.read(after, address), value)
    assert torch.equal(after[:, :, [0, 2]], state[:, :, [0, 2]])
    assert torch.equal(slots.write(state, address, value, 0 * gate, writing="overwriting"), state)


def test_additive_writes_add_and_overwriting_writes_replace() -> None:
    address, gate = torch.tensor([1.0, 0.0]), torch.tensor(1.0)
    first, second = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    for writing, expected in (("additive", first + second), ("overwriting", second)):
        state = slots.reset(first, 2)
        for value in (first, second):
            state = slots.write(state, address, value, gate, writing=writing)  # type: ignore[arg-type]
        assert torch.equal(slots.read(state, address), expected)


def test_reset_is_empty_and_shaped_like_the_values() -> None:
    state = slots.reset(torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).double(), 4)
    assert state.shape == (2, 3, 4, 5)
    assert state.dtype == torch.double
    assert not state.any()


def test_an_unknown_kind_of_writing_is_refused() -> None:
    state = slots.reset(torch.zeros(3), 2)
    with pytest.raises(ValueError, match="writing must be 'additive' or 'overwriting', not 'append'"):
        slots.write(state, torch.ones(2), torch.zeros(3), torch.tensor(1.0), writing="append")  # type: ignore[arg-type]


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 6), writing=st.sampled_from(["additive", "overwriting"]))
def test_the_closed_form_equals_stepping(seed: int, steps: int, writing: slots.Writing) -> None:
    g = torch.Generator().manual_seed(seed)
    writes, reads = (torch.softmax(4 * torch.randn(2, 3, steps, 5, generator=g), -1) for _ in range(2))
    values, gates = (
        torch.randn(2, 3, steps, 4, generator=g),
        torch.rand(2, 3, steps, generator=g).round(decimals=1),
    )
    state, all_reads = slots.reset(values[:, :, 0], 5), []
    for t in range(steps):
        state = slots.write(state, writes[:, :, t], values[:, :, t], gates[:, :, t], writing=writing)
        all_reads.append(slots.read(state, reads[:, :, t]))
    stepped = torch.stack(all_reads, 2)
    weights = slots.write_weights(writes, gates, reads, torch.eye(steps), writing=writing)
    assert torch.equal(weights, weights.tril())
    torch.testing.assert_close(weights @ values, stepped, rtol=1e-4, atol=1e-5)
    when = torch.softmax(torch.randn(2, 3, 2, steps, generator=g), -1)
    weights = slots.write_weights(writes, gates, reads, when, writing=writing)
    torch.testing.assert_close(weights @ values, when @ stepped, rtol=1e-4, atol=1e-5)


def test_edits_by_known_values() -> None:
    state = torch.tensor([[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]])  # [S, B, K, d], two commands
    before = state.clone()
    one, other = torch.tensor([[0, 1]]), torch.tensor([[2, 1]])  # the second command swaps a slot with itself
    assert slots.swap(state, one, other)[..., 0].tolist() == [[[3, 2, 1], [4, 5, 6]]]
    assert slots.ablate(state, one)[..., 0].tolist() == [[[0, 2, 3], [4, 0, 6]]]
    assert slots.shuffle(state, torch.tensor([1, 0]))[..., 0].tolist() == [[[4, 5, 6], [1, 2, 3]]]
    assert torch.equal(state, before)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_swapping_twice_is_the_identity_and_once_moves_the_reads(seed: int, count: int) -> None:
    g = torch.Generator().manual_seed(seed)
    state = torch.randn(2, 3, count, 4, generator=g)
    one, other = (torch.randint(count, (2, 3), generator=g) for _ in range(2))
    swapped = slots.swap(state, one, other)
    assert torch.equal(slots.swap(swapped, one, other), state)
    assert torch.equal(slots.swap(state, other, one), swapped)
    at = torch.nn.functional.one_hot(one, count).float()
    assert torch.equal(slots.read(swapped, at), slots.read(state, torch.nn.functional.one_hot(other, count).float()))
    assert not slots.read(slots.ablate(state, one), at).any()
