"""Slots that are written in the order of their age: a new content goes where nothing was written for longest.

    state    a [..., K]   age of each slot, in writes
    gate     g [...]      0 (write nothing) to 1 (write)

    where    k* = argmax_k a[k], the first of several
    age      a[k] ← a[k] + 1 for all k, then a[k*] ← (1 − g)·a[k*]
    content  c[k*] ← (1 − g)·c[k*] + g·c_new

A gate of 0 leaves the slot the oldest, so that the next content goes there; what is not written costs nothing. With
gates of 1 a slot is written again after K writes. That is the least recently used slot where a use is a write; reading
does not make a slot younger, since a memory is read here when it is written no more.

Several writes in closed form: the content of slot k after N of them is kept[k]·c_0[k] + Σ_n w[k, n]·c_n, so that
contents, which are large, are moved once. Santoro et al. 2016, Meta-learning with memory-augmented neural networks,
section 3.2, have soft weights in place of argmax. State size: K ages and K contents.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Placed(NamedTuple):
    """The slots into which N contents were written.

    Attributes:
        weights: how much of each content each slot holds at the end, [..., K, N].
        kept: how much each slot still holds of what it held before, [..., K].
        ages: the slots' ages at the end, [..., K].
    """

    weights: Tensor
    kept: Tensor
    ages: Tensor


def reset(slots: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Ages of slots that were never written, [*shape, slots]: the first one is the oldest."""
    return torch.arange(slots, 0, -1, dtype=torch.float32, device=device).expand(*shape, slots)


def oldest(ages: Tensor) -> Tensor:
    """The slot that is written next, one-hot: [..., K] → [..., K]."""
    return torch.nn.functional.one_hot(ages.argmax(-1), ages.shape[-1]).to(ages.dtype)


def place(ages: Tensor, gates: Tensor) -> Placed:
    """Write N contents one after another, with gates [..., N], into slots of ages [..., K]."""
    kept = torch.ones_like(ages)
    weights: list[Tensor] = []
    for gate in gates.unbind(-1):
        where = oldest(ages) * gate.unsqueeze(-1)
        left = 1 - where
        ages = (ages + 1) * left
        kept = kept * left
        weights = [*(earlier * left for earlier in weights), where]
    return Placed(torch.stack(weights, -1), kept, ages)
