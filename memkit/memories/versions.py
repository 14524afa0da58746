"""Versioned slots: what a write replaces is not lost but becomes the slot's previous version.

    state    M  [..., N, K, d]   N versions of K slots of width d, the latest first
    address  w  [..., K]         non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gate     g  [...]            0 (leave as it is) to 1 (write)
    age      b  [..., N]         non-negative weights over the versions: which one is read

    push     M⁰[k] ← (1 − u)·M⁰[k] + u·v,   Mⁿ[k] ← (1 − u)·Mⁿ[k] + u·Mⁿ⁻¹[k]   with u = g·w[k]
    read     r = Σ_n b[n] Σ_k w[k]·Mⁿ[k]

A value's time is kept as its age in writes to the same slot; the oldest version is dropped. Were every u a coin
with that probability, Mⁿ[k] would be the mean of the value that n writes to the slot have followed. With one
version these are overwriting slots. State size: N·K·d numbers a sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.memories import slots


def reset(like: Tensor, count: int, versions: int) -> Tensor:
    """An empty memory for values like ``like`` [..., d]: zeros [..., versions, count, d]."""
    return like.new_zeros(*like.shape[:-1], versions, count, like.shape[-1])


def push(state: Tensor, address: Tensor, value: Tensor, gate: Tensor) -> Tensor:
    """The state after one write; shapes and equations above. The state given is left as it was."""
    weight = (gate.unsqueeze(-1) * address)[..., None, :, None]
    newer = torch.cat([value[..., None, None, :].expand_as(state[..., :1, :, :]), state[..., :-1, :, :]], -3)
    return state + weight * (newer - state)


def read(state: Tensor, address: Tensor, age: Tensor) -> Tensor:
    """Return the contents at an address, in the version of an age: [..., N, K, d], [..., K] and [..., N] → [..., d]."""
    return slots.read(slots.read(state, address.unsqueeze(-2)), age)


def recalled(write_address: Tensor, gate: Tensor, read_address: Tensor, when: Tensor, age: Tensor) -> Tensor:
    """Writing and reading T steps in closed form: how much of each write reaches each of P answers.

    As :func:`memkit.memories.slots.recalled`, with ages of the reads [..., P, N].
    """
    weight = (gate.unsqueeze(-1) * write_address)[..., None, :, None, :]
    # [..., P, T, N, K]
    reads = when[..., None, None] * age[..., None, :, None] * read_address[..., None, :, None, :]
    # At each step, from the last one back: how much of a slot's contents, version by version, is read from then on.
    *earlier, later = reads.unbind(-3)
    pushed = weight.unbind(-3)
    found = [later]
    for step in reversed(range(len(earlier))):
        older = F.pad(found[-1][..., 1:, :], (0, 0, 0, 1))
        found.append(earlier[step] + found[-1] + pushed[step + 1] * (older - found[-1]))
    ahead = torch.stack([step[..., 0, :] for step in found[::-1]], -2)
    return (ahead * weight.squeeze(-2)).sum(-1)
