"""The cross-attention binder in MLX; equations in memkit/models/cross_attention.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.addressing import window
from memkit.mlx.models.layers import Embedding, Keys, Linear, by_position, look_up, normal, one_hot
from memkit.mlx.models.transformer import Block
from memkit.models.addressing import WINDOW


class CrossAttentionNetwork(nn.Module):
    """Each answer looks for its binding among those the command states, and copies its value."""

    def __init__(
        self,
        *,
        keys: Keys,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        layers: int = 1,
        heads: int = 4,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions, self.heads = positions, heads
        self.state_size = 2 * (layers + 1) * length * width
        self.embedding = Embedding(keys, tokens, width)
        self.position = normal(keys, length, width, scale=1.0)
        self.blocks = [Block(keys, width, heads, expansion) for _ in range(layers)]
        self.query = Linear(keys, width, positions * width)
        self.key = Linear(keys, width, width + 1)
        self.offset = mx.zeros((WINDOW, 1))
        self.key_position = normal(keys, length, width, scale=1.0)
        self.value = Linear(keys, width, width)
        self.no_key = normal(keys, 1, width, scale=1.0)
        self.no_value = normal(keys, 1, width, scale=1.0)
        self.decoder = Linear(keys, width, answers)

    def attention(self, tokens: mx.array) -> mx.array:
        """Return the attention of each answer: tokens [B, L] → [B, H, P, 1 + L], first the weight of no word."""
        words, visible = self.embedding.weight, tokens != 0
        marks = one_hot(tokens, words)
        x = look_up(marks, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        query = by_position(self.query(x[:, -1]), self.positions)
        # Keys and scores are computed once per word, and looked up: [B, L, 3 offsets, d + 1].
        found = look_up(window(marks), self.key(words))
        names, scores = found[..., :-1], found[..., -1:]
        keys = (mx.softmax(scores + self.offset, 2) * names).sum(2) + self.key_position
        nobody = mx.broadcast_to(self.no_key, (len(keys), *self.no_key.shape))
        keys = mx.concatenate([nobody, keys], 1)
        query, keys = (x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2) for x in (query, keys))
        alike = query @ keys.swapaxes(2, 3) * query.shape[-1] ** -0.5
        seen = mx.concatenate([mx.ones_like(visible[:, :1]), visible], -1)
        return mx.softmax(mx.where(seen[:, None, None], alike, -mx.inf), -1)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Tokens [B, L], 0 being padding, → logits [B, P, answers]."""
        weights, words = self.attention(tokens), self.embedding.weight
        values = self.value(words).reshape(len(words), self.heads, -1).swapaxes(0, 1)  # [H, W, d/H]
        nothing = self.no_value.reshape(self.heads, 1, -1)
        marks = one_hot(tokens, words)[:, None]
        looked = weights[..., 1:] @ marks  # [B, H, P, W]
        found = looked @ values[None] + weights[..., :1] * nothing[None]
        batch, _, positions, _ = found.shape
        return self.decoder(found.swapaxes(1, 2).reshape(batch, positions, -1))
