"""Slots: a small table of vectors, written and read by weight over its rows.

    state    M  [..., K, d]   K slots of width d
    address  w  [..., K]      non-negative weights over the slots, usually a softmax
    value    v  [..., d]
    gate     g  [...]         0 (leave as it is) to 1 (write)

    additive      M[k] ← M[k] + g·w[k]·v
    overwriting   M[k] ← (1 − g·w[k])·M[k] + g·w[k]·v
    read          r = Σ_k w[k]·M[k]

    recalled      R[t, s] = Σ_k a_t[k] · Π_{s<u≤t} (1 − g_u·w_u[k]) · g_s·w_s[k], without Π when additive:
                  how much of what was written at step s a read at step t brings back: r_t = Σ_s R[t, s]·v_s

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
    """What stands at an address: [..., K, d] and [..., K] → [..., d]."""
    return (address.unsqueeze(-2) @ state).squeeze(-2)


def recalled(write_address: Tensor, gate: Tensor, read_address: Tensor, *, writing: Writing) -> Tensor:
    """Writing and reading T steps in closed form: how much of each write a read brings back.

    From an empty memory, every step writes and then reads. Addresses [..., T, K] and gates [..., T] → R
    [..., T, T], lower triangular; ``R @ values`` is what stepping through :func:`write` and :func:`read`
    gives. The state's K·d numbers are never held, which is several times faster for short commands.
    """
    weight = gate.unsqueeze(-1) * write_address
    steps = weight.shape[-2]
    if writing == "additive":
        return (read_address @ weight.transpose(-1, -2)).tril()
    if writing != "overwriting":
        raise ValueError(f"writing must be 'additive' or 'overwriting', not {writing!r}")
    keep = 1 - weight
    rows = []
    left = weight[..., :0, :]  # what is left of the writes so far, [..., t, K]
    for step in range(steps):
        left = torch.cat([left * keep[..., step : step + 1, :], weight[..., step : step + 1, :]], -2)
        row = (left @ read_address[..., step, :].unsqueeze(-1)).squeeze(-1)
        rows.append(torch.nn.functional.pad(row, (0, steps - step - 1)))
    return torch.stack(rows, -2)
