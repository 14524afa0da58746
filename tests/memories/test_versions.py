"""Versioned slots against their equations, and against stacks that are pushed by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.memories import slots, versions


def drawn(seed: int, steps: int, count: int = 3) -> tuple[torch.Tensor, ...]:
    """Return random addresses [2, 3, T, K], values [2, 3, T, 4] and gates [2, 3, T]."""
    g = torch.Generator().manual_seed(seed)
    writes, reads = (torch.softmax(4 * torch.randn(2, 3, steps, count, generator=g), -1) for _ in range(2))
    return writes, reads, torch.randn(2, 3, steps, 4, generator=g), torch.rand(2, 3, steps, generator=g)


def test_sharp_writes_push_versions_in_their_slot_only() -> None:
    one, other = torch.eye(2)
    state = versions.reset(torch.zeros(1), 2, 3)
    assert state.shape == (3, 2, 1)
    for address, value in ((one, 1.0), (one, 2.0), (other, 5.0), (one, 3.0), (one, 4.0)):
        before = state.clone()
        after = versions.push(state, address, torch.tensor([value]), torch.tensor(1.0))
        assert torch.equal(state, before)
        state = after
    assert state[..., 0].tolist() == [[4, 5], [3, 0], [2, 0]]
    latest, previous, oldest = torch.eye(3)
    assert [versions.read(state, one, age).item() for age in (latest, previous, oldest)] == [4, 3, 2]
    assert versions.read(state, other, latest).item() == 5
    assert versions.read(state, (one + other) / 2, (latest + previous) / 2).item() == (4 + 3 + 5 + 0) / 4


def test_a_closed_gate_changes_nothing() -> None:
    state = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    after = versions.push(state, torch.tensor([0.3, 0.7, 0.0]), torch.ones(4), torch.tensor(0.0))
    assert torch.equal(after, state)


@settings(deadline=None)  # the first call warms torch up
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 5))
def test_one_version_equals_the_overwriting_memory(seed: int, steps: int) -> None:
    writes, reads, values, gates = drawn(seed, steps)
    stack, plain = versions.reset(values[:, :, 0], 3, 1), slots.reset(values[:, :, 0], 3)
    for t in range(steps):
        written = writes[:, :, t], values[:, :, t], gates[:, :, t]
        stack, plain = versions.push(stack, *written), slots.write(plain, *written, writing="overwriting")
        torch.testing.assert_close(stack.squeeze(2), plain)
    when = torch.eye(steps)
    got = versions.write_weights(writes, gates, reads, when, torch.ones(2, 3, steps, 1))
    torch.testing.assert_close(got, slots.write_weights(writes, gates, reads, when, writing="overwriting"))


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 6), version_count=st.integers(1, 4))
def test_the_closed_form_equals_stepping(seed: int, steps: int, version_count: int) -> None:
    writes, reads, values, gates = drawn(seed, steps)
    g = torch.Generator().manual_seed(seed)
    when = torch.softmax(torch.randn(2, 3, 2, steps, generator=g), -1)
    age = torch.softmax(torch.randn(2, 3, 2, version_count, generator=g), -1)
    state, expected = versions.reset(values[:, :, 0], 3, version_count), torch.zeros(2, 3, 2, 4)
    for t in range(steps):
        state = versions.push(state, writes[:, :, t], values[:, :, t], gates[:, :, t])
        for p in range(2):
            expected[:, :, p] += when[:, :, p, t, None] * versions.read(state, reads[:, :, t], age[:, :, p])
    got = versions.write_weights(writes, gates, reads, when, age) @ values
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_version_is_the_expected_value_over_random_writes(back: int) -> None:
    """With u = 1/2 at each of three writes, a version is the mean over all 8 outcomes of hard writes."""
    values = torch.tensor([[1.0], [10.0], [100.0]])
    state = versions.reset(values[0], 1, 3)
    for value in values:
        state = versions.push(state, torch.ones(1), value, torch.tensor(0.5))
    expected = 0.0
    for flips in range(8):
        written = [float(values[t, 0]) for t in range(3) if flips >> t & 1][::-1]
        expected += written[back] / 8 if back < len(written) else 0.0
    assert state[back, 0, 0].item() == pytest.approx(expected)
