"""The control with attention over the whole command in MLX; for the equations see memkit/models/transformer.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.layers import Attention, Embedding, Keys, LayerNorm, Linear, normal, split_positions


class Block(nn.Module):
    """A pre-norm Transformer block."""

    def __init__(self, keys: Keys, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.before_attention = LayerNorm(width)
        self.attention = Attention(keys, width, heads)
        self.before_feedforward = LayerNorm(width)
        self.widen = Linear(keys, width, expansion * width)
        self.narrow = Linear(keys, expansion * width, width)

    def __call__(self, x: mx.array, visible: mx.array, *, last: bool) -> mx.array:
        """Return the output of the block, x [B, L, d] → [B, L, d], or of the last token only, [B, 1, d]."""
        update = self.attention(self.before_attention(x), visible, last=last)
        x = (x[:, -1:] if last else x) + update
        return x + self.narrow(nn.gelu(self.widen(self.before_feedforward(x))))


class TransformerNetwork(nn.Module):
    """A Transformer encoder with learnt positions that answers from the last token."""

    def __init__(
        self,
        *,
        keys: Keys,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions = positions
        self.state_size = 2 * layers * length * width
        self.embedding = Embedding(keys, tokens, width)
        self.position = normal(keys, length, width, scale=1.0)
        self.blocks = [Block(keys, width, heads, expansion) for _ in range(layers)]
        self.last = LayerNorm(width)
        self.decoder = Linear(keys, width, positions * answers)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L], where 0 is padding."""
        visible = tokens != 0
        x = self.embedding(tokens) + self.position
        for number, block in enumerate(self.blocks, start=1):
            # Only the last token is needed for the answers, so the last block computes no other.
            x = block(x, visible, last=number == len(self.blocks))
        return split_positions(self.decoder(self.last(x[:, -1])), self.positions)
