"""The memory that the documentation of LinformerMemory describes; the published code does something else.

    h = mean_t x_t                                             mean hidden state of a context
    U = the n slots written least often                        n = ``updated``; ties go to the first
    g = σ(w_g [W_m M[k], h] + b_g)                             one gate per slot
    M[k] ← g·W_s h + (1 − g)·M[k] for k in U                   W_s is the "write layer" of the documentation
    read_t = Σ_k softmax_k(W_q x_t · W_p M[k] / √d) W_v M[k]   W_p and W_q project to ``low_rank`` dimensions

d is the width of the hidden states, also under the root, as documented. State size: K·(d + 1).

Source: documentation of the implicit memory module, with 16 slots of which 4 are updated. For the published code see
:mod:`memkit.memories.linformer`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.errors import MemkitError
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.layers import Generators, Linear


class DocumentedMemory(MemoryLayer):
    """The documented memory. A state is the slots [S, B, K, d] and their write counts [S, B, K]."""

    def __init__(
        self, generators: Generators, width: int, *, slots: int = 16, updated: int = 4, low_rank: int = 32
    ) -> None:
        super().__init__()
        if not 1 <= updated <= slots:
            raise MemkitError(f"DocumentedMemory: updated={updated} must be from 1 to slots={slots}")
        self.slots, self.updated = slots, updated
        self.summary = Linear(generators, width, width)  # W_s
        self.old = Linear(generators, width, width)  # W_m
        self.gate = Linear(generators, 2 * width, 1)  # w_g, b_g
        self.query = Linear(generators, width, low_rank)  # W_q
        self.project = Linear(generators, width, low_rank)  # W_p
        self.value = Linear(generators, width, width)  # W_v
        self.shape = (len(generators), width)

    def empty(self, episodes: int, device: torch.device) -> State:
        seeds, width = self.shape
        return (
            torch.zeros(seeds, episodes, self.slots, width, device=device),
            torch.zeros(seeds, episodes, self.slots, device=device),
        )

    def written(self, state: State, x: Tensor) -> State:
        slots, counts = state
        means = x.mean(-2)
        for mean, summary in zip(means.unbind(2), self.summary(means).unbind(2), strict=True):
            # A fraction that grows with the index breaks ties, since topk promises no order among equals.
            priority = counts + torch.arange(self.slots, device=x.device) / self.slots
            least_used = priority.topk(self.updated, -1, largest=False).indices
            selected = torch.zeros_like(counts).scatter(-1, least_used, 1.0)
            gate_inputs = torch.cat([self.old(slots), mean.unsqueeze(-2).expand_as(slots)], -1)
            gate = torch.sigmoid(self.gate(gate_inputs)) * selected.unsqueeze(-1)
            slots = slots + gate * (summary.unsqueeze(-2) - slots)
            counts = counts + selected
        return slots, counts

    def read(self, state: State, x: Tensor) -> Tensor:
        slots, _ = state
        scores = self.query(x).flatten(2, 3) @ self.project(slots).mT / x.shape[-1] ** 0.5
        read: Tensor = torch.softmax(scores, -1) @ self.value(slots)
        return read.view_as(x)
