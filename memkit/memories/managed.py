"""Managed slots: overwriting slots that can also be emptied, and protected from what is written later.

    state    M  [..., K, d]   K slots of width d
             p  [..., K]      how far each is protected, 0 to 1
    address  w  [..., K]      non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gates    g, c, a  [...]   0 (leave as it is) to 1: how much is written, cleared, protected

    clear    M[k] ← (1 − c·w[k])·M[k]
    write    M[k] ← (1 − u)·M[k] + u·v   with u = g·w[k]·(1 − p[k])
    protect  p[k] ← p[k] + a·w[k]·(1 − p[k])
    read     r = Σ_k w[k]·M[k]

    recalled  how much of what was written at step s reaches answer p: as in memkit/memories/slots.py, where a step
              clears, writes, protects, and then reads. What is protected depends on addresses and gates alone, so
              the values still come in linearly: u_t[k] = g_t·w_t[k]·Π_{s<t} (1 − a_s·w_s[k]), and a slot keeps
              (1 − u_t)·(1 − c_t·w_t) of what stood there.

A protected slot is protected from writes; a clear empties it all the same, and it stays protected. With c = a = 0
these are overwriting slots. State size: K·(d + 1) numbers a sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.memories import slots


class State(NamedTuple):
    """The contents of the slots, and how far each is protected; shapes above."""

    contents: Tensor
    protection: Tensor


def reset(like: Tensor, count: int) -> State:
    """An empty, unprotected memory of ``count`` slots for values like ``like`` [..., d]."""
    contents = slots.reset(like, count)
    return State(contents, contents[..., 0])


def clear(state: State, address: Tensor, gate: Tensor) -> State:
    """The state after what stands at an address was emptied, as far as the gate is open."""
    return state._replace(contents=state.contents * (1 - gate.unsqueeze(-1) * address).unsqueeze(-1))


def write(state: State, address: Tensor, value: Tensor, gate: Tensor) -> State:
    """The state after a write, which protected slots keep out."""
    unprotected = address * (1 - state.protection)
    return state._replace(contents=slots.write(state.contents, unprotected, value, gate, writing="overwriting"))


def protect(state: State, address: Tensor, gate: Tensor) -> State:
    """The state after what stands at an address was protected, as far as the gate is open."""
    more = gate.unsqueeze(-1) * address * (1 - state.protection)
    return state._replace(protection=state.protection + more)


def read(state: State, address: Tensor) -> Tensor:
    """Return the contents at an address: [..., K] → [..., d]."""
    return slots.read(state.contents, address)


def recalled(
    write_address: Tensor,
    gate: Tensor,
    clearing: Tensor,
    protecting: Tensor,
    read_address: Tensor,
    when: Tensor,
) -> Tensor:
    """T steps of clearing, writing, protecting and reading in closed form: how much of each write reaches P answers.

    Addresses [..., T, K]; gates of writing [..., T]; ``clearing`` c·w and ``protecting`` a·w, gates times addresses
    [..., T, K]; weights of the reads [..., P, T] → [..., P, T], from an empty memory.
    """
    unprotected = F.pad((1 - protecting).cumprod(-2)[..., :-1, :], (0, 0, 1, 0), value=1.0)
    weight = (gate.unsqueeze(-1) * write_address * unprotected).unsqueeze(-3)
    reads = when.unsqueeze(-1) * read_address.unsqueeze(-3)
    # At each step, from the last one back: how much of a slot's contents is read from then on.
    *earlier, later = reads.unbind(-2)
    kept = ((1 - weight) * (1 - clearing.unsqueeze(-3))).unbind(-2)
    found = [later]
    for step in reversed(range(len(earlier))):
        found.append(torch.addcmul(earlier[step], kept[step + 1], found[-1]))
    ahead = torch.stack(found[::-1], -2)
    return (ahead * weight).sum(-1)
