"""The cross-attention binder in MLX; for the equations see memkit/models/cross_attention.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.addressing import window
from memkit.mlx.models.layers import Embedding, Keys, Linear, normal, one_hot, split_positions, weighted_rows
from memkit.mlx.models.transformer import Block
from memkit.models.addressing import WINDOW


class CrossAttentionNetwork(nn.Module):
    """A network whose answers attend to the bindings that the command states, and copy a value each."""

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
        """Return the attention weights, tokens [B, L] → [B, H, P, 1 + L]; the first is that of "no word"."""
        words, visible = self.embedding.weight, tokens != 0
        one_hot_tokens = one_hot(tokens, words)
        x = weighted_rows(one_hot_tokens, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        queries = split_positions(self.query(x[:, -1]), self.positions)
        # Keys and scores are computed once per word, and looked up: [B, L, 3 offsets, d + 1].
        projected = weighted_rows(window(one_hot_tokens), self.key(words))
        names, offset_scores = projected[..., :-1], projected[..., -1:]
        keys = (mx.softmax(offset_scores + self.offset, 2) * names).sum(2) + self.key_position
        no_key = mx.broadcast_to(self.no_key, (len(keys), *self.no_key.shape))
        keys = mx.concatenate([no_key, keys], 1)
        queries, keys = (x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2) for x in (queries, keys))
        scores = queries @ keys.swapaxes(2, 3) * queries.shape[-1] ** -0.5
        allowed = mx.concatenate([mx.ones_like(visible[:, :1]), visible], -1)
        return mx.softmax(mx.where(allowed[:, None, None], scores, -mx.inf), -1)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L], where 0 is padding."""
        weights, words = self.attention(tokens), self.embedding.weight
        values = self.value(words).reshape(len(words), self.heads, -1).swapaxes(0, 1)  # [H, W, d/H]
        no_value = self.no_value.reshape(self.heads, 1, -1)
        one_hot_tokens = one_hot(tokens, words)[:, None]
        word_weights = weights[..., 1:] @ one_hot_tokens  # [B, H, P, W]
        mixed = word_weights @ values[None] + weights[..., :1] * no_value[None]
        batch, _, positions, _ = mixed.shape
        return self.decoder(mixed.swapaxes(1, 2).reshape(batch, positions, -1))
