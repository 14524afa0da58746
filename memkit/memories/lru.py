"""Slots that are written in the order of their age: new content goes to the slot that was written longest ago.

    state    a [..., K]   age of each slot, in writes
    gate     g [...]      0 (do not write) to 1 (write)

    where    k* = argmax_k a[k]; the first one of equal ages
    age      a[k] ← a[k] + 1 for all k, then a[k*] ← (1 − g)·a[k*]
    content  c[k*] ← (1 − g)·c[k*] + g·c_new

With a gate of 0 the slot remains the oldest, and the next content goes there: content that is not written takes no
space. With gates of 1, a slot is overwritten after K writes. This is the least recently used slot, where only writes
count as use; reads do not, since the memory is read only after it is written.

For several writes there is a closed form: after N writes, the content of slot k is kept[k]·c_0[k] + Σ_n w[k, n]·c_n. So
contents, which are large, are moved only once. Santoro et al. 2016, Meta-learning with memory-augmented neural
networks, section 3.2, use soft weights instead of argmax. State size: K ages and K contents.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Placement(NamedTuple):
    """The slots into which N contents were written.

    Attributes:
        weights: how much of each content each slot contains at the end, [..., K, N].
        kept: how much each slot still contains of its initial content, [..., K].
        ages: the ages of the slots at the end, [..., K].
    """

    weights: Tensor
    kept: Tensor
    ages: Tensor


def reset(slots: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Return ages of slots that were never written, [*shape, slots]; the first slot is the oldest.

    >>> import torch
    >>> from memkit.memories import lru
    >>> lru.reset(3)
    tensor([3., 2., 1.])
    """
    return torch.arange(slots, 0, -1, dtype=torch.float32, device=device).expand(*shape, slots)


def oldest(ages: Tensor) -> Tensor:
    """Return the slot that is written next as a one-hot vector: ages [..., K] → [..., K].

    >>> import torch
    >>> from memkit.memories import lru
    >>> lru.oldest(torch.tensor([1.0, 4.0, 2.0]))
    tensor([0., 1., 0.])
    """
    return torch.nn.functional.one_hot(ages.argmax(-1), ages.shape[-1]).to(ages.dtype)


def place(ages: Tensor, gates: Tensor) -> Placement:
    """Write N contents one after another, with gates [..., N], into slots of ages [..., K].

    >>> import torch
    >>> from memkit.memories import lru
    >>> placement = lru.place(lru.reset(2), torch.ones(3))  # 3 contents, 2 slots
    >>> placement.weights  # the third content replaces the first one
    tensor([[0., 0., 1.],
            [0., 1., 0.]])
    """
    kept = torch.ones_like(ages)
    weights: list[Tensor] = []
    for gate in gates.unbind(-1):
        written = oldest(ages) * gate.unsqueeze(-1)
        retained = 1 - written
        ages = (ages + 1) * retained
        kept = kept * retained
        weights = [*(earlier * retained for earlier in weights), written]
    return Placement(torch.stack(weights, -1), kept, ages)
