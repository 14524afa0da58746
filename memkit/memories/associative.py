"""An associative matrix that is written by the delta rule: a write corrects what a key recalls.

    state    M  [..., n, m]   recalls values of width m by keys of width n
    key      k  [..., n]      of length 1
    value    v  [..., m]
    gate     β  [...]         0 (do not write) to 1 (k recalls v afterwards)

    write    M ← M + β·k (v − kᵀM)
    read     r = qᵀM

Widrow & Hoff 1960; as fast weights: Schlag, Irie & Schmidhuber 2021, Linear transformers are secretly fast weight
programmers, equation 24. Keys that are not orthogonal interfere with each other. State size: n·m numbers.
"""

from __future__ import annotations

from torch import Tensor


def reset(like: Tensor, inputs: int, outputs: int) -> Tensor:
    """Return a matrix that recalls zeros, [..., n, m], with the leading axes of ``like`` [...].

    >>> import torch
    >>> from memkit.memories import associative
    >>> associative.reset(torch.zeros(5), 3, 2).shape
    torch.Size([5, 3, 2])
    """
    return like.new_zeros(*like.shape, inputs, outputs)


def write(state: Tensor, key: Tensor, value: Tensor, gate: Tensor) -> Tensor:
    """Return the matrix after one write; shapes and equations are above.

    >>> import torch
    >>> from memkit.memories import associative
    >>> state, key = associative.reset(torch.tensor(0.0), 2, 2), torch.tensor([0.0, 1.0])
    >>> state = associative.write(state, key, torch.tensor([3.0, 4.0]), torch.tensor(1.0))
    >>> associative.read(state, key)
    tensor([3., 4.])
    """
    error = value - read(state, key)
    return state + (gate.unsqueeze(-1) * key).unsqueeze(-1) * error.unsqueeze(-2)


def read(state: Tensor, query: Tensor) -> Tensor:
    """Return what a query recalls: state [..., n, m], query [..., n] → [..., m].

    >>> import torch
    >>> from memkit.memories import associative
    >>> associative.read(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 0.0]))
    tensor([1., 2.])
    """
    return (query.unsqueeze(-2) @ state).squeeze(-2)
