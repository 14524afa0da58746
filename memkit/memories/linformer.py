"""LinformerMemory, the implicit memory module of a published GPT: slots that drift towards what is read.

    state    M  [..., K, d]   K slots of width d
    hidden   x  [..., L, d]   hidden states of a context

    write    p_t = softmax_k(cos(x_t, M[k]) / √d / temperature)            over slots
             u[k] = Σ_t p_t[k]·x_t / |x_t|,  u[k] ← u[k] / |u[k]|
             M[k] ← norm(M[k] + lr / (1 + |u[k]|) · u[k])                  |u[k]| is 1, so this is lr / 2
    read     c_t[k] = cos(x_t, M[k]), of which a linear map is added to x_t

Source: the module as published, June 2024, with K = 8, lr = 0.01, norm = "l2", temperature = 1. It also had settings lr
and norm, which were set and never read; here they are. With norm = "layer" a slot is brought to mean 0 and variance 1,
hence to the length √d, beside which lr is small. State size: K·d numbers.

Divided by √d, cosines differ by hardly anything, so p is nearly uniform: all slots move by nearly one vector, and
become alike.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Norm: TypeAlias = Literal["l2", "layer"]
NORMS = ("l2", "layer")


def shares(slots: Tensor, hidden: Tensor, *, temperature: float) -> Tensor:
    """Return the share of each token that each slot takes: [..., K, d] and [..., L, d] → [..., L, K]."""
    return torch.softmax(cosines(slots, hidden) / (hidden.shape[-1] ** 0.5 * temperature), -1)


def write(slots: Tensor, hidden: Tensor, *, lr: float, norm: Norm, temperature: float) -> Tensor:
    """The slots after one context."""
    taken = shares(slots, hidden, temperature=temperature).mT @ F.normalize(hidden, dim=-1)
    moved = slots + lr / 2 * F.normalize(taken, dim=-1)
    return F.normalize(moved, dim=-1) if norm == "l2" else F.layer_norm(moved, moved.shape[-1:])


def cosines(slots: Tensor, hidden: Tensor) -> Tensor:
    """Return the cosine of every token with every slot: [..., K, d] and [..., L, d] → [..., L, K]."""
    return F.normalize(hidden, dim=-1) @ F.normalize(slots, dim=-1).mT
