"""Slots in the order of their age, against writing one content after another."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memkit.memories import lru


def stepped(ages: Tensor, contents: Tensor, gates: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    """Return contents [K, d] and ages [K] after the writes, by the equations."""
    age, slots = ages.tolist(), [content.clone() for content in initial]
    for content, gate in zip(contents, gates.tolist(), strict=True):
        to = max(range(len(age)), key=lambda k: (age[k], -k))
        age = [a + 1 for a in age]
        age[to] *= 1 - gate
        slots[to] = (1 - gate) * slots[to] + gate * content
    return torch.stack(slots), torch.tensor(age)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    slots=st.integers(1, 5),
    # Ages that differ by rounding could be ordered differently by the two methods; quarters are exact.
    gates=st.lists(st.integers(0, 4).map(lambda quarters: quarters / 4), min_size=1, max_size=9),
)
def test_the_closed_form_equals_writing_one_by_one(seed: int, slots: int, gates: list[float]) -> None:
    g = torch.Generator().manual_seed(seed)
    contents, initial = torch.randn(2, 3, len(gates), 4, generator=g), torch.randn(2, 3, slots, 4, generator=g)
    ages, every = lru.reset(slots, 2, 3), torch.tensor(gates)
    placement = lru.place(ages, every.expand(2, 3, -1))
    after = placement.kept.unsqueeze(-1) * initial + placement.weights @ contents
    for s in range(2):
        for b in range(3):
            expected, age = stepped(ages[s, b], contents[s, b], every, initial[s, b])
            torch.testing.assert_close(after[s, b], expected)
            torch.testing.assert_close(placement.ages[s, b], age)


@given(seed=st.integers(0, 2**31), slots=st.integers(1, 5), first=st.integers(1, 5), then=st.integers(1, 5))
def test_writing_in_parts_equals_writing_at_once(seed: int, slots: int, first: int, then: int) -> None:
    gates = torch.randint(5, (2, first + then), generator=torch.Generator().manual_seed(seed)) / 4
    once = lru.place(lru.reset(slots, 2), gates)
    before = lru.place(lru.reset(slots, 2), gates[:, :first])
    after = lru.place(before.ages, gates[:, first:])
    torch.testing.assert_close(after.ages, once.ages)
    torch.testing.assert_close(after.kept * before.kept, once.kept)
    torch.testing.assert_close(torch.cat([after.kept.unsqueeze(-1) * before.weights, after.weights], -1), once.weights)


@given(seed=st.integers(0, 2**31), slots=st.integers(1, 5), writes=st.integers(1, 9))
def test_kept_shares_and_weights_sum_to_one(seed: int, slots: int, writes: int) -> None:
    """The content of a slot is a weighted mean of its initial content and of what was written."""
    placement = lru.place(lru.reset(slots), torch.rand(writes, generator=torch.Generator().manual_seed(seed)))
    assert placement.weights.shape == (slots, writes)
    assert (placement.weights >= 0).all()
    torch.testing.assert_close(placement.kept + placement.weights.sum(-1), torch.ones(slots))


def test_a_closed_gate_changes_ages_only() -> None:
    ages = torch.tensor([2.0, 5.0, 1.0])
    placement = lru.place(ages, torch.zeros(4))
    assert torch.equal(placement.kept, torch.ones(3))
    assert not placement.weights.any()
    assert placement.ages.tolist() == [6, 9, 5]
    # The oldest slot is still written next.
    assert lru.oldest(placement.ages).tolist() == [0, 1, 0]


def test_open_gates_fill_the_slots_in_order_and_then_overwrite_the_oldest() -> None:
    ages, places = lru.reset(3), []
    for _ in range(7):
        placement = lru.place(ages, torch.ones(1))
        places.append(int(placement.weights.argmax()))
        ages = placement.ages
    assert places == [0, 1, 2, 0, 1, 2, 0]


def test_a_closed_gate_takes_no_slot() -> None:
    gates = torch.tensor([1.0, 0, 0, 1, 0, 1, 0, 0])
    placement = lru.place(lru.reset(3), gates)
    assert placement.weights.argmax(-1).tolist() == [0, 3, 5]
    assert placement.kept.tolist() == [0, 0, 0]


@pytest.mark.parametrize("slots", [1, 4, 8])
@pytest.mark.parametrize("contents", [1, 4, 5, 16])
def test_the_last_contents_survive_one_per_slot(slots: int, contents: int) -> None:
    placement = lru.place(lru.reset(slots, 2), torch.ones(2, contents))
    survive = min(slots, contents)
    expected = torch.tensor([0.0] * (contents - survive) + [1.0] * survive)
    assert torch.equal(placement.weights.sum(-2), expected.expand(2, -1))
    assert float(placement.weights.sum() / 2 / contents) == pytest.approx(min(1, slots / contents))


def test_the_first_of_equally_old_slots_is_written() -> None:
    assert lru.oldest(torch.tensor([[3.0, 4.0, 4.0], [7.0, 7.0, 7.0]])).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_reset_shapes() -> None:
    assert lru.reset(3).tolist() == [3, 2, 1]
    assert lru.reset(3, 2, 4).shape == (2, 4, 3)


def test_gates_get_a_gradient_from_contents() -> None:
    gates = torch.tensor([0.5, 0.5, 0.5], requires_grad=True)
    placement = lru.place(lru.reset(2), gates)
    placement.weights.sum(-2)[0].backward()
    assert gates.grad is not None
    assert gates.grad[0] > 0
