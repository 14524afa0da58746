"""Managed slots: overwriting slots that can also be cleared, and protected from later writes.

    state    M  [..., K, d]   K slots of width d
             p  [..., K]      protection of each slot, 0 to 1
    address  w  [..., K]      non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gates    g, c, a  [...]   how much is written, cleared and protected, 0 to 1

    clear    M[k] ← (1 − c·w[k])·M[k]
    write    M[k] ← (1 − u)·M[k] + u·v   with u = g·w[k]·(1 − p[k])
    protect  p[k] ← p[k] + a·w[k]·(1 − p[k])
    read     r = Σ_k w[k]·M[k]

    recalled  the weight of the value written at step s in answer p, as in memkit/memories/slots.py; here each step
              clears, writes, protects, and then reads. Protection depends on addresses and gates only, so answers are
              still linear in the values: u_t[k] = g_t·w_t[k]·Π_{s<t} (1 − a_s·w_s[k]), and a slot keeps the share
              (1 − u_t)·(1 − c_t·w_t) of its content.

Protection is from writes only: clearing empties a protected slot, and it remains protected. With c = a = 0, these are
overwriting slots. State size: K·(d + 1) numbers per sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.memories import slots


class State(NamedTuple):
    """The contents of the slots [..., K, d], and the protection of each [..., K]."""

    contents: Tensor
    protection: Tensor


def reset(like: Tensor, count: int) -> State:
    """Return an empty, unprotected memory of ``count`` slots for values shaped like ``like`` [..., d].

    >>> import torch
    >>> from memkit.memories import managed
    >>> state = managed.reset(torch.zeros(2, 3), 4)  # 2 sequences, 4 slots of width 3
    >>> state.contents.shape, state.protection.shape
    (torch.Size([2, 4, 3]), torch.Size([2, 4]))
    """
    contents = slots.reset(like, count)
    return State(contents, contents[..., 0])


def clear(state: State, address: Tensor, gate: Tensor) -> State:
    """Return the state with the content at an address cleared, as far as the gate is open.

    >>> import torch
    >>> from memkit.memories import managed
    >>> state = managed.State(torch.tensor([[4.0], [6.0]]), torch.tensor([0.0, 0.5]))
    >>> address, open_gate = torch.tensor([0.0, 1.0]), torch.tensor(1.0)
    >>> managed.clear(state, address, open_gate).contents.flatten()
    tensor([4., 0.])
    """
    return state._replace(contents=state.contents * (1 - gate.unsqueeze(-1) * address).unsqueeze(-1))


def write(state: State, address: Tensor, value: Tensor, gate: Tensor) -> State:
    """Return the state after a write, which has less effect on protected slots.

    >>> import torch
    >>> from memkit.memories import managed
    >>> state = managed.State(torch.tensor([[4.0], [6.0]]), torch.tensor([0.0, 0.5]))
    >>> address, open_gate = torch.tensor([0.0, 1.0]), torch.tensor(1.0)
    >>> managed.write(state, address, torch.tensor([8.0]), open_gate).contents.flatten()  # half protected: half written
    tensor([4., 7.])
    """
    unprotected = address * (1 - state.protection)
    return state._replace(contents=slots.write(state.contents, unprotected, value, gate, writing="overwriting"))


def protect(state: State, address: Tensor, gate: Tensor) -> State:
    """Return the state with the content at an address protected, as far as the gate is open.

    >>> import torch
    >>> from memkit.memories import managed
    >>> state = managed.State(torch.tensor([[4.0], [6.0]]), torch.tensor([0.0, 0.5]))
    >>> address, open_gate = torch.tensor([0.0, 1.0]), torch.tensor(1.0)
    >>> managed.protect(state, address, open_gate).protection
    tensor([0., 1.])
    """
    more = gate.unsqueeze(-1) * address * (1 - state.protection)
    return state._replace(protection=state.protection + more)


def read(state: State, address: Tensor) -> Tensor:
    """Return the content at an address [..., K]: [..., d].

    >>> import torch
    >>> from memkit.memories import managed
    >>> state = managed.State(torch.tensor([[4.0], [6.0]]), torch.tensor([0.0, 0.5]))
    >>> address, open_gate = torch.tensor([0.0, 1.0]), torch.tensor(1.0)
    >>> managed.read(state, address)
    tensor([6.])
    """
    return slots.read(state.contents, address)


def write_weights(
    write_address: Tensor,
    gate: Tensor,
    clearing: Tensor,
    protecting: Tensor,
    read_address: Tensor,
    read_weights: Tensor,
) -> Tensor:
    """Return the weight of each write in each of P answers after T steps, in closed form: [..., P, T].

    The memory starts empty; each step clears, writes, protects and reads.

    Args:
        write_address, read_address: [..., T, K].
        gate: of the writes, [..., T].
        clearing: c·w, [..., T, K].
        protecting: a·w, [..., T, K].
        read_weights: the weights of the reads in each answer, [..., P, T].

    >>> import torch
    >>> from memkit.memories import managed
    >>> address, nothing = torch.ones(2, 1), torch.zeros(2, 1)  # one slot, written at 2 steps
    >>> protecting = torch.tensor([[1.0], [0.0]])  # the first write is protected
    >>> managed.write_weights(address, torch.ones(2), nothing, protecting, address, torch.tensor([[0.0, 1.0]]))
    tensor([[1., 0.]])
    """
    unprotected = F.pad((1 - protecting).cumprod(-2)[..., :-1, :], (0, 0, 1, 0), value=1.0)
    weight = (gate.unsqueeze(-1) * write_address * unprotected).unsqueeze(-3)
    weighted_reads = read_weights.unsqueeze(-1) * read_address.unsqueeze(-3)
    # Backwards through the steps: the weight of a slot's content in the reads of this step and all later ones.
    *earlier_reads, last_read = weighted_reads.unbind(-2)
    kept = ((1 - weight) * (1 - clearing.unsqueeze(-3))).unbind(-2)
    reversed_weights = [last_read]
    for step in reversed(range(len(earlier_reads))):
        reversed_weights.append(torch.addcmul(earlier_reads[step], kept[step + 1], reversed_weights[-1]))
    later_weights = torch.stack(reversed_weights[::-1], -2)
    return (later_weights * weight).sum(-1)
