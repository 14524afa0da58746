"""The module as the source's documentation has it, not as its code does: the least used slots, through a learnt gate.

    h = mean_t x_t                                             of a context
    U = the ``updated`` slots that were written least often    the first of those written as often
    g = σ(w_g [W_m M[k], h] + b_g)                             a number a slot
    M[k] ← g·W_s h + (1 − g)·M[k] for k in U                   W_s is its "write layer"
    read_t = softmax_k(W_q x_t · W_p M[k] / √d) W_v M[k]       W_p projects to ``low_rank`` numbers, W_q too

Source: documentation of the implicit memory module, with 16 slots of which 4 are updated. State size: K·(d + 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.errors import MemkitError
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.layers import Generators, Linear


class DocumentedMemory(MemoryLayer):
    """The memory; equations above. A state is the slots [S, B, K, d] and how often each was written [S, B, K]."""

    def __init__(
        self, generators: Generators, width: int, *, slots: int = 16, updated: int = 4, low_rank: int = 32
    ) -> None:
        super().__init__()
        if not 1 <= updated <= slots:
            raise MemkitError(f"DocumentedMemory: updated={updated} must be from 1 to slots={slots}")
        self.slots, self.updated = slots, updated
        self.summary = Linear(generators, width, width)
        self.old = Linear(generators, width, width)
        self.gate = Linear(generators, 2 * width, 1)
        self.query = Linear(generators, width, low_rank)
        self.project = Linear(generators, width, low_rank)
        self.value = Linear(generators, width, width)
        self.shape = (len(generators), width)

    def empty(self, episodes: int, device: torch.device) -> State:
        seeds, width = self.shape
        return (
            torch.zeros(seeds, episodes, self.slots, width, device=device),
            torch.zeros(seeds, episodes, self.slots, device=device),
        )

    def written(self, state: State, x: Tensor) -> State:
        slots, uses = state
        means = x.mean(-2)
        for mean, summary in zip(means.unbind(2), self.summary(means).unbind(2), strict=True):
            # Among slots that were used equally often, the first ones.
            order = uses + torch.arange(self.slots, device=x.device) / self.slots
            least = order.topk(self.updated, -1, largest=False).indices
            chosen = torch.zeros_like(uses).scatter(-1, least, 1.0)
            seen = torch.cat([self.old(slots), mean.unsqueeze(-2).expand_as(slots)], -1)
            gate = torch.sigmoid(self.gate(seen)) * chosen.unsqueeze(-1)
            slots = slots + gate * (summary.unsqueeze(-2) - slots)
            uses = uses + chosen
        return slots, uses

    def read(self, state: State, x: Tensor) -> Tensor:
        slots, _ = state
        scores = self.query(x).flatten(2, 3) @ self.project(slots).mT / x.shape[-1] ** 0.5
        read: Tensor = torch.softmax(scores, -1) @ self.value(slots)
        return read.view_as(x)
