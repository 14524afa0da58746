"""An associative matrix instead of slots; the delta rule corrects what the key of a fact recalls.

    entries           of the contexts: keys k_n, values v_n[j], gates g_n      memkit/models/gpt_memory/spans.py
    M ← M + g_n·k_n (v_n − k_nᵀM)                                              memkit/memories/associative.py
    r_t[j] = q_{t−j}ᵀM, of which value j is used
    a_t[j] ∝ exp(β·|r_t[j]| / √d),  and exp(β₀) for reading nothing            over j = 0 … P−1
    read_t = W Σ_j a_t[j]·r_t[j]

Nothing is evicted, but keys that are not orthogonal interfere with each other. State size: k·P·d.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memkit.memories import associative
from memkit.models.gpt_memory.layer import State
from memkit.models.gpt_memory.span_memory import SpanMemory
from memkit.models.gpt_memory.spans import Entries, shift_right
from memkit.models.layers import Generators


class DeltaMemory(SpanMemory):
    """An associative matrix. A state is the matrix [S, B, k, P·d]."""

    def __init__(
        self,
        generators: Generators,
        width: int,
        *,
        ahead: int = 4,
        key: int = 64,
        sharpness: float = 8.0,
        soft: int = 80,
    ) -> None:
        shape: dict[str, Any] = {"ahead": ahead, "key": key, "sharpness": sharpness, "soft": soft}
        super().__init__(generators, width, **shape)

    def empty(self, episodes: int, device: torch.device) -> State:
        outer = torch.empty(self.seeds, episodes, device=device)
        return (associative.reset(outer, self.key, self.ahead * self.width),)

    def store_entries(self, state: State, entries: Entries) -> State:
        (matrix,) = state
        for key, value, gate in zip(*(part.unbind(2) for part in entries[:3]), strict=True):
            matrix = associative.write(matrix, key, value.flatten(-2), gate)
        return (matrix,)

    def recall(self, state: State, queries: Tensor) -> Tensor:
        (matrix,) = state
        recalled = (queries.flatten(2, 3) @ matrix).view(*queries.shape[:-1], self.ahead, -1)
        by_offset = torch.stack([shift_right(recalled[..., j, :], j) for j in range(self.ahead)], -2)
        scores = by_offset.norm(dim=-1, keepdim=True) * self.sharpness.view(-1, 1, 1, 1, 1, 1) / self.width**0.5
        return (self.softmax_with_nothing(scores).mT @ by_offset).squeeze(-2)
