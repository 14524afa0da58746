"""The recurrent control in MLX; for the equations see memkit/models/lstm.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.layers import LSTM, Embedding, Keys, Linear, split_positions


class LSTMNetwork(nn.Module):
    """An LSTM that reads the command and answers from its last state. ``length`` is not used."""

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
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions = positions
        self.state_size = 2 * layers * width
        self.embedding = Embedding(keys, tokens, width)
        self.layers = [LSTM(keys, width, width) for _ in range(layers)]
        self.decoder = Linear(keys, width, positions * answers)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return split_positions(self.decoder(x[:, -1]), self.positions)
