"""Gated slots with values, written where nothing was written for longest: the memory that recalls.

    entries           of the contexts: keys k_n, values v_n[j], gates g_n      memkit/models/gpt_memory/spans.py
    M = place(g)      one slot an entry, K slots                               memkit/memories/lru.py
    a_t ∝ exp(β·q_{t−j}·key[k] + log m[k]),  and exp(β₀) for reading nothing   over slots k and j = 0 … P−1
    read_t = W Σ_{k,j} a_t[k, j]·value[k, j]                                   memkit/models/gpt_memory/span_memory.py

m[k] is how much was written into a slot, 0 to 1. State size: K·(k + P·d + 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.memories import lru
from memkit.models.gpt_memory.layer import State
from memkit.models.gpt_memory.span_memory import NEVER, SpanMemory, attended
from memkit.models.gpt_memory.spans import Entries


class SlotMemory(SpanMemory):
    """The memory; equations above. A state is keys [S, B, K, k], values [S, B, K, P, d], log m and ages [S, B, K]."""

    def empty(self, episodes: int, device: torch.device) -> State:
        outer = (self.seeds, episodes, self.slots)
        return (
            torch.zeros(*outer, self.key, device=device),
            torch.zeros(*outer, self.ahead, self.width, device=device),
            torch.full(outer, NEVER, device=device).log(),
            lru.reset(self.slots, *outer[:2], device=device),
        )

    def keep(self, state: State, entries: Entries) -> State:
        keys, values, amounts, ages = state
        placed = lru.place(ages, entries.gates)
        kept = placed.kept.unsqueeze(-1)
        keys = kept * keys + placed.weights @ entries.keys
        values = kept.unsqueeze(-1) * values + (placed.weights @ entries.values.flatten(-2)).view_as(values)
        written = placed.kept * (amounts.exp() - NEVER) + placed.weights.sum(-1)
        return keys, values, torch.log(written + NEVER), placed.ages

    def recall(self, state: State, queries: Tensor) -> Tensor:
        keys, values, amounts, _ = state
        return attended(self.weights(keys, amounts, queries), values)

    def permuted(self, state: State, order: Tensor) -> State:
        keys, values, *rest = state
        return keys, values[:, :, order], *rest
