"""Slots: a small table of vectors, written and read by weight over its rows.

    state    M  [..., K, d]   K slots of width d
    address  w  [..., K]      non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gate     g  [...]         0 (leave as it is) to 1 (write)

    additive      M[k] ← M[k] + g·w[k]·v
    overwriting   M[k] ← (1 − g·w[k])·M[k] + g·w[k]·v
    read          r = Σ_k w[k]·M[k]

    recalled      c[p, s] = Σ_t when_p[t] · Σ_k a_t[k] · Π_{s<u≤t} (1 − g_u·w_u[k]) · g_s·w_s[k] over t ≥ s, without Π
                  when additive: how much of what was written at step s reaches answer p, which is made of
                  the reads at all steps: Σ_t when_p[t]·r_t = Σ_s c[p, s]·v_s

Functions of tensors: nothing is kept here, a caller threads the state through. In this project the leading
axes are [S, B], seeds and batch. State size: K·d numbers a sequence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

Writing: TypeAlias = Literal["additive", "overwriting"]


def reset(like: Tensor, slots: int) -> Tensor:
    """An empty memory for values like ``like`` [..., d]: zeros [..., slots, d]."""
    return like.new_zeros(*like.shape[:-1], slots, like.shape[-1])


def write(state: Tensor, address: Tensor, value: Tensor, gate: Tensor, *, writing: Writing) -> Tensor:
    """The state after one write; shapes and equations above. The state given is left as it was."""
    weight = (gate.unsqueeze(-1) * address).unsqueeze(-1)
    value = value.unsqueeze(-2)
    if writing == "additive":
        return state + weight * value
    if writing == "overwriting":
        return state + weight * (value - state)
    raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")


def read(state: Tensor, address: Tensor) -> Tensor:
    """Return the contents at an address: [..., K, d] and [..., K] → [..., d]."""
    return (address.unsqueeze(-2) @ state).squeeze(-2)


def swap(state: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """The contents of two slots exchanged: [..., K, d] and indices [...] → [..., K, d]."""
    one, other = one.unsqueeze(-1), other.unsqueeze(-1)
    order = torch.arange(state.shape[-2], device=state.device).expand(state.shape[:-1])
    order = order.scatter(-1, one, other).scatter(-1, other, one)
    return state.gather(-2, order.unsqueeze(-1).expand_as(state))


def ablate(state: Tensor, slot: Tensor) -> Tensor:
    """One slot emptied: [..., K, d] and indices [...] → [..., K, d]."""
    kept = torch.arange(state.shape[-2], device=state.device) != slot.unsqueeze(-1)
    return state * kept.unsqueeze(-1)


def shuffle(state: Tensor, order: Tensor) -> Tensor:
    """Every command has the memory of another one: [S, B, K, d] and a permutation [B] → [S, B, K, d]."""
    return state[:, order]


def recalled(write_address: Tensor, gate: Tensor, read_address: Tensor, when: Tensor, *, writing: Writing) -> Tensor:
    """Writing and reading T steps in closed form: how much of each write reaches each of P answers.

    From an empty memory, every step writes and then reads. Addresses [..., T, K], gates [..., T] and weights of
    the reads [..., P, T] → [..., P, T]; times the values [..., T, d] it gives what stepping through
    :func:`write` and :func:`read` and weighing the reads gives. The state's K·d numbers are never held, which
    is several times faster for short commands: the reads go back through the writes instead, K numbers each.
    """
    weight = (gate.unsqueeze(-1) * write_address).unsqueeze(-3)
    reads = when.unsqueeze(-1) * read_address.unsqueeze(-3)
    if writing not in ("additive", "overwriting"):
        raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")
    # At each step, from the last one back: how much of a slot's contents is read from then on.
    *earlier, later = reads.unbind(-2)
    kept = (1 - weight).unbind(-2)
    found = [later]
    for step in reversed(range(len(earlier))):
        if writing == "additive":
            found.append(earlier[step] + found[-1])
        else:
            found.append(torch.addcmul(earlier[step], kept[step + 1], found[-1]))
    ahead = torch.stack(found[::-1], -2)
    return (ahead * weight).sum(-1)
