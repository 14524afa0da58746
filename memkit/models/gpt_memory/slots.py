"""Gated slots with keys and values; an entry overwrites the slot that was written longest ago.

    entries           of the contexts: keys k_n, values v_n[j], gates g_n      memkit/models/gpt_memory/spans.py
    M = place(g)      one slot per entry, K slots                              memkit/memories/lru.py
    a_t ∝ exp(β·q_{t−j}·key[k] + log m[k]),  and exp(β₀) for reading nothing   over slots k and j = 0 … P−1
    read_t = W Σ_{k,j} a_t[k, j]·value[k, j]                                   memkit/models/gpt_memory/span_memory.py

m[k] is the amount that was written into slot k, from 0 to 1. State size: K·(k + P·d + 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.memories import lru
from memkit.models.gpt_memory.layer import State
from memkit.models.gpt_memory.span_memory import EPSILON, SpanMemory, weighted_values
from memkit.models.gpt_memory.spans import Entries


class SlotMemory(SpanMemory):
    """Slots with keys and values; see the equations above.

    A state is keys [S, B, K, k], values [S, B, K, P, d], log m [S, B, K] and ages [S, B, K].
    """

    def empty(self, episodes: int, device: torch.device) -> State:
        outer = (self.seeds, episodes, self.slots)
        return (
            torch.zeros(*outer, self.key, device=device),
            torch.zeros(*outer, self.ahead, self.width, device=device),
            torch.full(outer, EPSILON, device=device).log(),
            lru.reset(self.slots, *outer[:2], device=device),
        )

    def store_entries(self, state: State, entries: Entries) -> State:
        keys, values, log_amounts, ages = state
        placement = lru.place(ages, entries.gates)
        kept = placement.kept.unsqueeze(-1)
        keys = kept * keys + placement.weights @ entries.keys
        values = kept.unsqueeze(-1) * values + (placement.weights @ entries.values.flatten(-2)).view_as(values)
        written = placement.kept * (log_amounts.exp() - EPSILON) + placement.weights.sum(-1)
        return keys, values, torch.log(written + EPSILON), placement.ages

    def recall(self, state: State, queries: Tensor) -> Tensor:
        keys, values, log_amounts, _ = state
        return weighted_values(self.match_weights(keys, log_amounts, queries), values)

    def permute_values(self, state: State, order: Tensor) -> State:
        keys, values, *rest = state
        return keys, values[:, :, order], *rest
