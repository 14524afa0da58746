"""LinformerMemory, the implicit memory module of a published GPT: slots that drift towards the hidden states.

    state    M  [..., K, d]   K slots of width d
    hidden   x  [..., L, d]   hidden states of a context

    write    p_t = softmax_k(cos(x_t, M[k]) / √d / temperature)            over slots
             u[k] = Σ_t p_t[k]·x_t / |x_t|,  u[k] ← u[k] / |u[k]|
             M[k] ← norm(M[k] + lr / (1 + |u[k]|) · u[k])                  |u[k]| is 1, so the factor is lr / 2
    read     c_t[k] = cos(x_t, M[k]); a linear map of c_t is added to x_t

Source: the module as published in June 2024, with K = 8, lr = 0.01, norm = "l2" and temperature = 1. The module had
settings lr and norm that were set but never used; here they are used. With norm = "layer", a slot is normalised to mean
0 and variance 1, hence to length √d, compared with which lr is small. State size: K·d numbers.

Cosines divided by √d hardly differ, so p is nearly uniform: all slots move in nearly the same direction, and become
similar.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Norm: TypeAlias = Literal["l2", "layer"]
NORMS = ("l2", "layer")


def shares(slots: Tensor, hidden: Tensor, *, temperature: float) -> Tensor:
    """Return how much each slot takes of each token, p: slots [..., K, d], hidden [..., L, d] → [..., L, K].

    >>> import torch
    >>> from memkit.memories import linformer
    >>> shares = linformer.shares(torch.eye(3), torch.ones(5, 3), temperature=1.0)
    >>> shares.shape, bool(torch.allclose(shares, torch.tensor(1 / 3)))
    (torch.Size([5, 3]), True)
    """
    return torch.softmax(cosines(slots, hidden) / (hidden.shape[-1] ** 0.5 * temperature), -1)


def write(slots: Tensor, hidden: Tensor, *, lr: float, norm: Norm, temperature: float) -> Tensor:
    """Return the slots [..., K, d] after a context with hidden states [..., L, d].

    >>> import torch
    >>> from memkit.memories import linformer
    >>> slots = linformer.write(torch.eye(3), torch.ones(5, 3), lr=0.01, norm="l2", temperature=1.0)
    >>> slots.shape, bool(torch.allclose(slots.norm(dim=-1), torch.ones(3)))
    (torch.Size([3, 3]), True)
    """
    updates = shares(slots, hidden, temperature=temperature).mT @ F.normalize(hidden, dim=-1)
    moved = slots + lr / 2 * F.normalize(updates, dim=-1)
    return F.normalize(moved, dim=-1) if norm == "l2" else F.layer_norm(moved, moved.shape[-1:])


def cosines(slots: Tensor, hidden: Tensor) -> Tensor:
    """Return the cosine of each token with each slot: slots [..., K, d], hidden [..., L, d] → [..., L, K].

    >>> import torch
    >>> from memkit.memories import linformer
    >>> linformer.cosines(torch.eye(2), torch.tensor([[2.0, 0.0], [0.0, -3.0]]))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    return F.normalize(hidden, dim=-1) @ F.normalize(slots, dim=-1).mT
