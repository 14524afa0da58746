"""Versioned slots: content that a write replaces is kept as the previous version of the slot.

    state    M  [..., N, K, d]   N versions of K slots of width d, the latest first
    address  w  [..., K]         non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gate     g  [...]            0 (do not write) to 1 (write)
    age      b  [..., N]         non-negative weights over the versions: which one is read

    push     M⁰[k] ← (1 − u)·M⁰[k] + u·v,   Mⁿ[k] ← (1 − u)·Mⁿ[k] + u·Mⁿ⁻¹[k]   with u = g·w[k]
    read     r = Σ_n b[n] Σ_k w[k]·Mⁿ[k]

The version of a value is the number of later writes to its slot; the oldest version is dropped. If each u were the
probability of a hard write, Mⁿ[k] would be the expected value of the content that n writes to the slot have followed.
With one version, these are overwriting slots. State size: N·K·d numbers per sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.memories import slots


def reset(like: Tensor, count: int, versions: int) -> Tensor:
    """Return an empty memory, zeros [..., versions, count, d], for values shaped like ``like`` [..., d].

    >>> import torch
    >>> from memkit.memories import versions
    >>> versions.reset(torch.zeros(5, 3), 4, 2).shape  # 5 sequences, 2 versions of 4 slots of width 3
    torch.Size([5, 2, 4, 3])
    """
    return like.new_zeros(*like.shape[:-1], versions, count, like.shape[-1])


def push(state: Tensor, address: Tensor, value: Tensor, gate: Tensor) -> Tensor:
    """Return the state after one write; shapes and equations are above. The given state is not changed.

    >>> import torch
    >>> from memkit.memories import versions
    >>> state, address, gate = torch.tensor([[[1.0]], [[0.0]]]), torch.ones(1), torch.tensor(1.0)
    >>> versions.push(state, address, torch.tensor([2.0]), gate).flatten()  # the latest version first
    tensor([2., 1.])
    """
    weight = (gate.unsqueeze(-1) * address)[..., None, :, None]
    shifted = torch.cat([value[..., None, None, :].expand_as(state[..., :1, :, :]), state[..., :-1, :, :]], -3)
    return state + weight * (shifted - state)


def read(state: Tensor, address: Tensor, age: Tensor) -> Tensor:
    """Return the content at an address, in versions weighted by age.

    State [..., N, K, d], address [..., K], age [..., N] → [..., d].

    >>> import torch
    >>> from memkit.memories import versions
    >>> state = torch.tensor([[[2.0]], [[1.0]]])  # 2 versions of one slot
    >>> versions.read(state, torch.ones(1), torch.tensor([0.0, 1.0]))  # the previous version
    tensor([1.])
    """
    return slots.read(slots.read(state, address.unsqueeze(-2)), age)


def write_weights(
    write_address: Tensor, gate: Tensor, read_address: Tensor, read_weights: Tensor, age: Tensor
) -> Tensor:
    """Return the weight of each write in each of P answers after T steps, in closed form: [..., P, T].

    As :func:`memkit.memories.slots.write_weights`, with weights ``age`` [..., P, N] of the versions.

    >>> import torch
    >>> from memkit.memories import versions
    >>> address = torch.ones(2, 1)  # one slot, written at 2 steps
    >>> last_read, previous = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    >>> versions.write_weights(address, torch.ones(2), address, last_read, previous)  # the first write
    tensor([[1., 0.]])
    """
    weight = (gate.unsqueeze(-1) * write_address)[..., None, :, None, :]
    # [..., P, T, N, K]
    weighted_reads = read_weights[..., None, None] * age[..., None, :, None] * read_address[..., None, :, None, :]
    # Backwards through the steps: the weight of each version of a slot in the reads of this step and all later ones.
    *earlier_reads, last_read = weighted_reads.unbind(-3)
    write_weights = weight.unbind(-3)
    reversed_weights = [last_read]
    for step in reversed(range(len(earlier_reads))):
        older = F.pad(reversed_weights[-1][..., 1:, :], (0, 0, 0, 1))
        reversed_weights.append(
            earlier_reads[step] + reversed_weights[-1] + write_weights[step + 1] * (older - reversed_weights[-1])
        )
    later_weights = torch.stack([step[..., 0, :] for step in reversed_weights[::-1]], -2)
    return (later_weights * weight.squeeze(-2)).sum(-1)
