"""LinformerMemory against the published equations, written out token by token in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from memkit.memories import linformer
from memkit.memories.linformer import NORMS, Norm

Array = np.ndarray[Any, np.dtype[np.float64]]


def published(slots: Array, hidden: Array, *, lr: float, norm: str, temperature: float) -> Array:
    """Return the slots [K, d] after one context [L, d]."""

    def cosine(a: Array, b: Array) -> float:
        return float(sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5))

    count, width = slots.shape
    taken = np.zeros_like(slots)
    for x in hidden:
        scores = np.array([np.exp(cosine(x, m) / width**0.5 / temperature) for m in slots])
        for k in range(count):
            taken[k] += scores[k] / scores.sum() * x / np.linalg.norm(x)
    for k in range(count):
        taken[k] /= np.linalg.norm(taken[k])
    moved = slots + lr / (1 + np.linalg.norm(taken, axis=-1, keepdims=True)) * taken
    if norm == "l2":
        return np.stack([row / np.linalg.norm(row) for row in moved])
    return np.stack([(row - row.mean()) / (row.var() + 1e-5) ** 0.5 for row in moved])


def drawn(seed: int, slots: int, length: int, width: int = 6) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, n, width, generator=g, dtype=torch.float64) for n in (slots, length))  # type: ignore[return-value]


@given(
    seed=st.integers(0, 2**31),
    slots=st.integers(1, 4),
    length=st.integers(1, 4),
    lr=st.sampled_from([0.0, 0.01, 0.5]),
    norm=st.sampled_from(NORMS),
    temperature=st.sampled_from([0.05, 1.0, 10.0]),
)
def test_a_write_follows_the_equations(
    seed: int, slots: int, length: int, lr: float, norm: Norm, temperature: float
) -> None:
    state, hidden = drawn(seed, slots, length)
    before = state.clone()
    after = linformer.write(state, hidden, lr=lr, norm=norm, temperature=temperature)
    assert torch.equal(state, before)
    for b in range(2):
        expected = published(state[b].numpy(), hidden[b].numpy(), lr=lr, norm=norm, temperature=temperature)
        np.testing.assert_allclose(after[b].numpy(), expected, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 2**31), slots=st.integers(1, 4), length=st.integers(1, 4))
def test_cosines_and_shares_follow_the_equations(seed: int, slots: int, length: int) -> None:
    state, hidden = drawn(seed, slots, length)
    cosines, shares = linformer.cosines(state, hidden), linformer.shares(state, hidden, temperature=0.5)
    assert cosines.shape == shares.shape == (2, length, slots)
    for b in range(2):
        for t in range(length):
            expected = [float(hidden[b, t] @ m / hidden[b, t].norm() / m.norm()) for m in state[b]]
            np.testing.assert_allclose(cosines[b, t].numpy(), expected)
            weights = np.exp(np.array(expected) / 6**0.5 / 0.5)
            np.testing.assert_allclose(shares[b, t].numpy(), weights / weights.sum())


@pytest.mark.parametrize("norm", NORMS)
def test_slots_keep_their_length_and_stay_finite_over_a_long_stream(norm: Norm) -> None:
    g = torch.Generator().manual_seed(0)
    state = 0.01 * torch.randn(2, 8, 16, generator=g)
    for step in range(500):
        hidden = 10.0 ** (step % 7 - 3) * torch.randn(2, 5, 16, generator=g)
        state = linformer.write(state, hidden, lr=0.3, norm=norm, temperature=1.0)
    assert state.isfinite().all()
    if norm == "l2":
        torch.testing.assert_close(state.norm(dim=-1), torch.ones(2, 8))
    else:
        torch.testing.assert_close(state.mean(-1), torch.zeros(2, 8), rtol=0, atol=1e-5)
        torch.testing.assert_close(state.var(-1, correction=0), torch.ones(2, 8), rtol=1e-3, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_zero_vectors_cause_no_nan(norm: Norm) -> None:
    state, _ = drawn(0, 3, 1)
    after = linformer.write(state, torch.zeros(2, 4, 6, dtype=torch.float64), lr=0.5, norm=norm, temperature=1.0)
    expected = linformer.write(state, torch.ones(2, 4, 6, dtype=torch.float64), lr=0.0, norm=norm, temperature=1.0)
    torch.testing.assert_close(after, expected)


def test_temperature_limits_are_uniform_and_one_hot() -> None:
    state, hidden = drawn(1, 4, 5)
    torch.testing.assert_close(
        linformer.shares(state, hidden, temperature=1e9), torch.full((2, 5, 4), 0.25, dtype=torch.float64)
    )
    cold = linformer.shares(state, hidden, temperature=1e-9)
    nearest = linformer.cosines(state, hidden).argmax(-1)
    assert torch.equal(cold, torch.nn.functional.one_hot(nearest, 4).double())
    for temperature in (1e-30, 1e-9, 1e9, 1e30):
        after = linformer.write(state.float(), hidden.float(), lr=0.01, norm="l2", temperature=temperature)
        torch.testing.assert_close(after.norm(dim=-1), torch.ones(2, 4))


def test_at_low_temperature_a_distant_slot_does_not_move() -> None:
    state = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    after = linformer.write(state, torch.tensor([[1.0, 1.0]]), lr=1.0, norm="l2", temperature=1e-9)
    assert torch.equal(after[1], state[1])
    assert float(after[0] @ torch.tensor([1.0, 1.0])) > 1


def test_at_the_published_temperature_all_slots_move_in_the_same_direction() -> None:
    g = torch.Generator().manual_seed(2)
    state, hidden = torch.randn(8, 64, generator=g), torch.randn(16, 64, generator=g)
    shares = linformer.shares(state, hidden, temperature=1.0)
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / 8), rtol=0.1, atol=0)
    before = torch.nn.functional.normalize(state, dim=-1)
    for _ in range(1000):
        state = linformer.write(state, hidden, lr=0.01, norm="l2", temperature=1.0)
    assert float((before @ before.mT).fill_diagonal_(0).max()) < 0.5
    assert float((state @ state.mT).min()) > 0.99
