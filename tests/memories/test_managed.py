"""The managed memory against its equations: by known values, as overwriting slots, and in closed form."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.memories import managed, slots

ONE, OTHER = torch.eye(2)
OPEN = torch.tensor(1.0)


def drawn(seed: int, steps: int, count: int = 3) -> tuple[torch.Tensor, ...]:
    """Return random addresses [2, 3, T, K], values [2, 3, T, 4], and gates of writes, clears, protections [2, 3, T]."""
    g = torch.Generator().manual_seed(seed)
    writes, reads = (torch.softmax(4 * torch.randn(2, 3, steps, count, generator=g), -1) for _ in range(2))
    # Some gates are fully closed or fully open.
    gates = [(1.6 * torch.rand(2, 3, steps, generator=g) - 0.3).clamp(0, 1) for _ in range(3)]
    return writes, reads, torch.randn(2, 3, steps, 4, generator=g), *gates


def test_a_protected_slot_keeps_its_value_and_another_does_not() -> None:
    state = managed.reset(torch.zeros(1), 2)
    assert state.contents.shape == (2, 1)
    assert state.protection.tolist() == [0, 0]
    state = managed.write(state, ONE, torch.tensor([1.0]), OPEN)
    state = managed.write(state, OTHER, torch.tensor([2.0]), OPEN)
    before = managed.State(*(part.clone() for part in state))
    protected = managed.protect(state, ONE, OPEN)
    assert all(torch.equal(part, was) for part, was in zip(state, before, strict=True))
    assert protected.protection.tolist() == [1, 0]
    for address in (ONE, OTHER):
        protected = managed.write(protected, address, torch.tensor([7.0]), OPEN)
    assert [managed.read(protected, address).item() for address in (ONE, OTHER)] == [1, 7]


def test_a_clear_empties_its_slot_only_protected_or_not() -> None:
    state = managed.State(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 0.0]))
    cleared = managed.clear(state, ONE, OPEN)
    assert cleared.contents.tolist() == [[0], [2]]
    assert cleared.protection.tolist() == [1, 0]
    assert managed.write(cleared, ONE, torch.tensor([3.0]), OPEN).contents.tolist() == [[0], [2]]
    assert managed.clear(state, OTHER, OPEN / 4).contents.tolist() == [[1], [1.5]]


@settings(deadline=None)  # the first call warms torch up
@given(seed=st.integers(0, 2**31))
def test_protection_grows_towards_one_and_never_decreases(seed: int) -> None:
    writes, _, values, _, _, protecting = drawn(seed, 6)
    state = managed.reset(values[:, :, 0], 3)
    for t in range(6):
        after = managed.protect(state, writes[:, :, t], protecting[:, :, t])
        assert (after.protection >= state.protection).all()
        assert (after.protection <= 1).all()
        assert torch.equal(after.contents, state.contents)
        state = after
    expected = 1 - (1 - protecting.unsqueeze(-1) * writes).prod(2)
    torch.testing.assert_close(state.protection, expected)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 6))
def test_the_closed_form_equals_stepping(seed: int, steps: int) -> None:
    writes, reads, values, gate, clear, protect = drawn(seed, steps)
    when = torch.softmax(torch.randn(2, 3, 2, steps, generator=torch.Generator().manual_seed(seed)), -1)
    state, all_reads = managed.reset(values[:, :, 0], 3), []
    for t in range(steps):
        state = managed.clear(state, reads[:, :, t], clear[:, :, t])
        state = managed.write(state, writes[:, :, t], values[:, :, t], gate[:, :, t])
        state = managed.protect(state, reads[:, :, t], protect[:, :, t])
        all_reads.append(managed.read(state, reads[:, :, t]))
    clearing, protecting = (strength.unsqueeze(-1) * reads for strength in (clear, protect))
    got = managed.write_weights(writes, gate, clearing, protecting, reads, when)
    torch.testing.assert_close(got @ values, when @ torch.stack(all_reads, 2), rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 6))
def test_without_management_these_are_overwriting_slots(seed: int, steps: int) -> None:
    writes, reads, _, gate, _, _ = drawn(seed, steps)
    nothing, when = torch.zeros_like(reads), torch.eye(steps)
    got = managed.write_weights(writes, gate, nothing, nothing, reads, when)
    torch.testing.assert_close(got, slots.write_weights(writes, gate, reads, when, writing="overwriting"))


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 5))
def test_a_clear_equals_a_write_of_zeros(seed: int, steps: int) -> None:
    """Compare with overwriting slots that have one more step before each, which writes zeros."""
    writes, reads, values, gate, clear, _ = drawn(seed, steps)
    clearing = clear.unsqueeze(-1) * reads
    got = managed.write_weights(writes, gate, clearing, torch.zeros_like(reads), reads, torch.eye(steps)) @ values

    def alternating(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.stack([first, second], 3).flatten(2, 3)

    addresses = alternating(reads, writes), alternating(clear.unsqueeze(-1), gate.unsqueeze(-1)).squeeze(-1)
    twice = torch.eye(2 * steps)[1::2]
    weights = slots.write_weights(*addresses, alternating(reads, reads), twice, writing="overwriting")
    torch.testing.assert_close(got, weights @ alternating(torch.zeros_like(values), values), rtol=1e-4, atol=1e-5)
