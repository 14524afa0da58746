"""Slots whose writing and reading are learnt as attention, with no structure given: recurrent-memory style.

    h = LayerNorm(M), y = LayerNorm'(x)                     slots [K, d], and hidden states of a context [L, d]
    write    s = Attention(h → [h, y])                      slots look at slots and tokens
             g = sigmoid(W_g [h, s]),  M ← (1 − g) ∘ M + g ∘ s
    read     read_t = Attention'(y_t → h)                   tokens look at slots

Attention has ``heads`` heads. After Bulatov, Kuratov & Burtsev 2022, Recurrent memory transformer, where slots are
tokens of the network itself. State size: K·d.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.layers import Generators, LayerNorm, Linear, normal


class Looking(nn.Module):
    """Attention of some vectors to others."""

    def __init__(self, generators: Generators, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(generators, width, width)
        self.key_value = Linear(generators, width, 2 * width)
        self.outward = Linear(generators, width, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """[S, ..., n, d] look at [S, ..., m, d] → [S, ..., n, d]."""
        key, value = (self.by_head(part) for part in self.key_value(seen).chunk(2, -1))
        mixed = F.scaled_dot_product_attention(self.by_head(self.query(x)), key, value)
        looked: Tensor = self.outward(mixed.transpose(1, 2).reshape_as(x))
        return looked

    def by_head(self, x: Tensor) -> Tensor:
        """[S, ..., n, d] → [·, H, n, d/H]."""
        *_, length, width = x.shape
        return x.reshape(-1, length, self.heads, width // self.heads).transpose(1, 2)


class LearntSlots(MemoryLayer):
    """The memory; equations above. A state is the slots [S, B, K, d]; they begin at learnt values."""

    def __init__(self, generators: Generators, width: int, *, slots: int = 8, heads: int = 4) -> None:
        super().__init__()
        if slots < 1 or width % heads:
            raise MemkitError(
                f"LearntSlots: slots={slots} must be at least 1, and width={width} a multiple of heads={heads}"
            )
        self.first = normal(generators, slots, width, scale=1.0)
        self.before_slots, self.before_tokens = LayerNorm(generators, width), LayerNorm(generators, width)
        self.writing, self.reading = Looking(generators, width, heads), Looking(generators, width, heads)
        self.gate = Linear(generators, 2 * width, width)

    def empty(self, episodes: int, device: torch.device) -> State:
        return (self.first.unsqueeze(1).expand(-1, episodes, -1, -1),)

    def written(self, state: State, x: Tensor) -> State:
        (slots,) = state
        tokens = self.before_tokens(x)
        for context in tokens.unbind(2):
            held = self.before_slots(slots)
            seen = self.writing(held, torch.cat([held, context], -2))
            gate = torch.sigmoid(self.gate(torch.cat([held, seen], -1)))
            slots = slots + gate * (seen - slots)
        return (slots,)

    def read(self, state: State, x: Tensor) -> Tensor:
        (slots,) = state
        seen = self.before_slots(slots).unsqueeze(2).expand(-1, -1, x.shape[2], -1, -1)
        read: Tensor = self.reading(self.before_tokens(x), seen)
        return read
