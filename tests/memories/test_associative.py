"""The delta rule against its equation, and its guarantees for orthogonal keys."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit.memories import associative


def orthonormal(g: torch.Generator, count: int, width: int) -> Tensor:
    keys: Tensor = torch.linalg.qr(torch.randn(width, width, generator=g, dtype=torch.float64))[0]
    return keys[:count]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), writes=st.integers(1, 5))
def test_write_and_read_follow_the_equations(seed: int, writes: int) -> None:
    g = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(writes, 2, 3, n, generator=g, dtype=torch.float64) for n in (5, 4))
    gates, query = (torch.rand(*shape, generator=g, dtype=torch.float64) for shape in ((writes, 2, 3), (2, 3, 5)))
    state = torch.randn(2, 3, 5, 4, generator=g, dtype=torch.float64)
    expected, before = state.clone(), state.clone()
    after = state
    for key, value, gate in zip(keys, values, gates, strict=True):
        after = associative.write(after, key, value, gate)
    assert torch.equal(state, before)
    for s in range(2):
        for b in range(3):
            for n in range(writes):
                k, v = keys[n, s, b], values[n, s, b]
                wrong = [v[j] - sum(k[i] * expected[s, b, i, j] for i in range(5)) for j in range(4)]
                for i in range(5):
                    for j in range(4):
                        expected[s, b, i, j] += gates[n, s, b] * k[i] * wrong[j]
    torch.testing.assert_close(after, expected)
    read = torch.einsum("sbi,sbij->sbj", query, expected)
    torch.testing.assert_close(associative.read(after, query), read)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_orthonormal_keys_are_recalled_exactly(seed: int, count: int) -> None:
    g = torch.Generator().manual_seed(seed)
    keys, values = orthonormal(g, count, 6), torch.randn(count, 3, generator=g, dtype=torch.float64)
    state, gate = associative.reset(torch.zeros((), dtype=torch.float64), 6, 3), torch.tensor(1.0)
    for key, value in zip(keys, values, strict=True):
        state = associative.write(state, key, value, gate)
    for key, value in zip(keys, values, strict=True):
        torch.testing.assert_close(associative.read(state, key), value)


@given(seed=st.integers(0, 2**31))
def test_the_same_key_replaces_its_value_and_no_other(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    keys, values = orthonormal(g, 2, 5), torch.randn(3, 3, generator=g, dtype=torch.float64)
    state, gate = associative.reset(torch.zeros((), dtype=torch.float64), 5, 3), torch.tensor(1.0)
    for key, value in zip(keys[[0, 1, 0]], values, strict=True):
        state = associative.write(state, key, value, gate)
    torch.testing.assert_close(associative.read(state, keys[0]), values[2])
    torch.testing.assert_close(associative.read(state, keys[1]), values[1])


def test_a_half_open_gate_writes_half() -> None:
    key, value = torch.tensor([0.6, 0.8]), torch.tensor([2.0])
    state = associative.write(torch.zeros(2, 1), key, value, torch.tensor(0.5))
    torch.testing.assert_close(associative.read(state, key), torch.tensor([1.0]))
    assert torch.equal(associative.write(state, key, value, torch.tensor(0.0)), state)


def test_similar_keys_interfere() -> None:
    keys = F.normalize(torch.tensor([[1.0, 0.2, 0.0], [1.0, 0.0, 0.2]]), dim=-1)
    state, gate = associative.reset(torch.zeros(()), 3, 1), torch.tensor(1.0)
    for key, value in zip(keys, torch.tensor([[1.0], [-1.0]]), strict=True):
        state = associative.write(state, key, value, gate)
    torch.testing.assert_close(associative.read(state, keys[1]), torch.tensor([-1.0]))
    assert float(associative.read(state, keys[0])) < 0.5


def test_reset_recalls_zeros_with_the_given_shape() -> None:
    state = associative.reset(torch.zeros(2, 3, dtype=torch.float64), 5, 4)
    assert (state.shape, state.dtype) == ((2, 3, 5, 4), torch.float64)
    assert not associative.read(state, torch.ones(2, 3, 5, dtype=torch.float64)).any()
