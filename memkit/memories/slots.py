"""Slots: a small table of vectors, which is written and read with weights over its rows.

    state    M  [..., K, d]   K slots of width d
    address  w  [..., K]      non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gate     g  [...]         0 (do not write) to 1 (write)

    additive      M[k] ← M[k] + g·w[k]·v
    overwriting   M[k] ← (1 − g·w[k])·M[k] + g·w[k]·v
    read          r = Σ_k w[k]·M[k]

    recalled      c[p, s] = Σ_t when_p[t] · Σ_k a_t[k] · Π_{s<u≤t} (1 − g_u·w_u[k]) · g_s·w_s[k] over t ≥ s, without Π
                  when additive: the weight of the value written at step s in answer p, where an answer is a weighted
                  sum of the reads at all steps: Σ_t when_p[t]·r_t = Σ_s c[p, s]·v_s

These are functions of tensors without state of their own: the caller passes the state in, and gets the new state back.
In memkit's networks the leading axes are [S, B], seeds and batch. State size: K·d numbers per sequence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

Writing: TypeAlias = Literal["additive", "overwriting"]


def reset(like: Tensor, slots: int) -> Tensor:
    """Return an empty memory, zeros [..., slots, d], for values shaped like ``like`` [..., d].

    >>> import torch
    >>> from memkit.memories import slots
    >>> slots.reset(torch.ones(2, 3), 4).shape  # 2 sequences, 4 slots of width 3
    torch.Size([2, 4, 3])
    """
    return like.new_zeros(*like.shape[:-1], slots, like.shape[-1])


def write(state: Tensor, address: Tensor, value: Tensor, gate: Tensor, *, writing: Writing) -> Tensor:
    """Return the state after one write; shapes and equations are above. The given state is not changed.

    >>> import torch
    >>> from memkit.memories import slots
    >>> state = slots.reset(torch.zeros(3), 2)
    >>> address, value, gate = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0, 3.0]), torch.tensor(0.5)
    >>> slots.write(state, address, value, gate, writing="overwriting")
    tensor([[0.0000, 0.0000, 0.0000],
            [0.5000, 1.0000, 1.5000]])
    """
    weight = (gate.unsqueeze(-1) * address).unsqueeze(-1)
    value = value.unsqueeze(-2)
    if writing == "additive":
        return state + weight * value
    if writing == "overwriting":
        return state + weight * (value - state)
    raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")


def read(state: Tensor, address: Tensor) -> Tensor:
    """Return the content at an address: state [..., K, d], address [..., K] → [..., d].

    >>> import torch
    >>> from memkit.memories import slots
    >>> slots.read(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 0.5]))
    tensor([2., 3.])
    """
    return (address.unsqueeze(-2) @ state).squeeze(-2)


def swap(state: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Return the state with the contents of two slots exchanged: state [..., K, d], slot indices [...] → [..., K, d].

    >>> import torch
    >>> from memkit.memories import slots
    >>> slots.swap(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor(0), torch.tensor(2)).flatten()
    tensor([3., 2., 1.])
    """
    one, other = one.unsqueeze(-1), other.unsqueeze(-1)
    order = torch.arange(state.shape[-2], device=state.device).expand(state.shape[:-1])
    order = order.scatter(-1, one, other).scatter(-1, other, one)
    return state.gather(-2, order.unsqueeze(-1).expand_as(state))


def ablate(state: Tensor, slot: Tensor) -> Tensor:
    """Return the state with one slot emptied: state [..., K, d], slot index [...] → [..., K, d].

    >>> import torch
    >>> from memkit.memories import slots
    >>> slots.ablate(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor(1)).flatten()
    tensor([1., 0., 3.])
    """
    is_kept = torch.arange(state.shape[-2], device=state.device) != slot.unsqueeze(-1)
    return state * is_kept.unsqueeze(-1)


def shuffle(state: Tensor, order: Tensor) -> Tensor:
    """Return the memories in another order, so that each command has that of another: [S, B, K, d], permutation [B].

    >>> import torch
    >>> from memkit.memories import slots
    >>> slots.shuffle(torch.tensor([[[[1.0]], [[2.0]]]]), torch.tensor([1, 0])).flatten()
    tensor([2., 1.])
    """
    return state[:, order]


def write_weights(
    write_address: Tensor, gate: Tensor, read_address: Tensor, read_weights: Tensor, *, writing: Writing
) -> Tensor:
    """Return the weight of each write in each answer after T steps, in closed form: [..., P, T].

    The memory starts empty, and each step writes and then reads. The weights times the values [..., T, d] equal what
    stepping through :func:`write` and :func:`read` and weighting the reads gives. For short commands this is several
    times faster: it never computes the K·d numbers of the state, but goes through the writes backwards with K numbers
    per read.

    Args:
        write_address, read_address: [..., T, K].
        gate: [..., T].
        read_weights: the weights of the reads in each of P answers, [..., P, T].
        writing: "additive" or "overwriting".

    >>> import torch
    >>> from memkit.memories import slots
    >>> address = torch.ones(2, 1)  # one slot, written at 2 steps
    >>> last_read = torch.tensor([[0.0, 1.0]])  # one answer: the read at the second step
    >>> slots.write_weights(address, torch.ones(2), address, last_read, writing="overwriting")  # only the second write
    tensor([[0., 1.]])
    """
    weight = (gate.unsqueeze(-1) * write_address).unsqueeze(-3)
    weighted_reads = read_weights.unsqueeze(-1) * read_address.unsqueeze(-3)
    if writing not in ("additive", "overwriting"):
        raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")
    # Backwards through the steps: the weight of a slot's content in the reads of this step and all later ones.
    *earlier_reads, last_read = weighted_reads.unbind(-2)
    kept = (1 - weight).unbind(-2)
    reversed_weights = [last_read]
    for step in reversed(range(len(earlier_reads))):
        if writing == "additive":
            reversed_weights.append(earlier_reads[step] + reversed_weights[-1])
        else:
            reversed_weights.append(torch.addcmul(earlier_reads[step], kept[step + 1], reversed_weights[-1]))
    later_weights = torch.stack(reversed_weights[::-1], -2)
    return (later_weights * weight).sum(-1)
