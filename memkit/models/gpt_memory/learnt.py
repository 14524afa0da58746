"""Slots that are written and read by learnt attention, as in a recurrent memory transformer.

    h = LayerNorm(M), y = LayerNorm'(x)                     slots [K, d], and hidden states of a context [L, d]
    write    s = Attention(h → [h, y])                      slots attend to slots and tokens
             g = sigmoid(W_g [h, s]),  M ← (1 − g) ∘ M + g ∘ s
    read     read_t = Attention'(y_t → h)                   tokens attend to slots

Both attentions have ``heads`` heads. After Bulatov, Kuratov & Burtsev 2022, Recurrent memory transformer, where the
slots are tokens of the network itself. State size: K·d.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.layers import Generators, LayerNorm, Linear, normal


class CrossAttention(nn.Module):
    """Multi-head attention of vectors to the vectors of a context."""

    def __init__(self, generators: Generators, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(generators, width, width)
        self.key_value = Linear(generators, width, 2 * width)
        self.outward = Linear(generators, width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return x [S, ..., n, d] attending to a context [S, ..., m, d]: [S, ..., n, d]."""
        keys, values = (self.split_heads(part) for part in self.key_value(context).chunk(2, -1))
        attended = F.scaled_dot_product_attention(self.split_heads(self.query(x)), keys, values)
        output: Tensor = self.outward(attended.transpose(1, 2).reshape_as(x))
        return output

    def split_heads(self, x: Tensor) -> Tensor:
        """Reshape x [S, ..., n, d] to [·, H, n, d/H]."""
        *_, length, width = x.shape
        return x.reshape(-1, length, self.heads, width // self.heads).transpose(1, 2)


class LearntSlots(MemoryLayer):
    """Slots with learnt attention. A state is the slots [S, B, K, d], which start at learnt values."""

    def __init__(self, generators: Generators, width: int, *, slots: int = 8, heads: int = 4) -> None:
        super().__init__()
        if slots < 1 or width % heads:
            raise MemkitError(
                f"LearntSlots: slots={slots} must be at least 1, and width={width} a multiple of heads={heads}"
            )
        self.first = normal(generators, slots, width, scale=1.0)
        self.before_slots, self.before_tokens = LayerNorm(generators, width), LayerNorm(generators, width)
        self.writing, self.reading = CrossAttention(generators, width, heads), CrossAttention(generators, width, heads)
        self.gate = Linear(generators, 2 * width, width)

    def empty(self, episodes: int, device: torch.device) -> State:
        return (self.first.unsqueeze(1).expand(-1, episodes, -1, -1),)

    def written(self, state: State, x: Tensor) -> State:
        (slots,) = state
        tokens = self.before_tokens(x)
        for context in tokens.unbind(2):
            normalised = self.before_slots(slots)
            proposed = self.writing(normalised, torch.cat([normalised, context], -2))
            gate = torch.sigmoid(self.gate(torch.cat([normalised, proposed], -1)))
            slots = slots + gate * (proposed - slots)
        return (slots,)

    def read(self, state: State, x: Tensor) -> Tensor:
        (slots,) = state
        normalised = self.before_slots(slots).unsqueeze(2).expand(-1, -1, x.shape[2], -1, -1)
        read: Tensor = self.reading(self.before_tokens(x), normalised)
        return read
