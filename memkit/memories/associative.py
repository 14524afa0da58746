"""An associative matrix that is written by the delta rule: what a key recalls is corrected, not added to.

    state    M  [..., n, m]   recalls values of width m by keys of width n
    key      k  [..., n]      of length 1
    value    v  [..., m]
    gate     β  [...]         0 (leave as it is) to 1 (k recalls v from now on)

    write    M ← M + β·k (v − kᵀM)
    read     r = qᵀM

Widrow & Hoff 1960; as fast weights: Schlag, Irie & Schmidhuber 2021, Linear transformers are secretly fast weight
programmers, equation 24. Keys that are not orthogonal disturb each other's values. State size: n·m numbers.
"""

from __future__ import annotations

from torch import Tensor


def reset(like: Tensor, inputs: int, outputs: int) -> Tensor:
    """A matrix that recalls nothing: zeros [..., n, m], with the leading axes of ``like`` [...]."""
    return like.new_zeros(*like.shape, inputs, outputs)


def write(state: Tensor, key: Tensor, value: Tensor, gate: Tensor) -> Tensor:
    """The matrix after one write."""
    wrong = value - read(state, key)
    return state + (gate.unsqueeze(-1) * key).unsqueeze(-1) * wrong.unsqueeze(-2)


def read(state: Tensor, query: Tensor) -> Tensor:
    """Return what a query recalls: [..., n, m] and [..., n] → [..., m]."""
    return (query.unsqueeze(-2) @ state).squeeze(-2)
