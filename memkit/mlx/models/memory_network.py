"""The memory network in MLX; for the equations see memkit/models/memory_network.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories.slots import reset, write, write_weights
from memkit.mlx.models.addressing import SlotAssignment
from memkit.mlx.models.layers import LSTM, Embedding, Keys, Linear, split_positions
from memkit.models.addressing import Assignment


class MemoryNetwork(nn.Module):
    """An LSTM with slots. ``length`` is accepted, but not used."""

    def __init__(
        self,
        *,
        keys: Keys,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        slots: int = 4,
        assign: Assignment = "argmax",
        memory: bool = True,
    ) -> None:
        super().__init__()
        if assign == "gumbel":
            raise ValueError("assign='gumbel' is not supported: it is annealed by batches with one address, not two")
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.positions, self.slots = positions, slots
        self.state_size = (2 + slots * memory) * width
        self.assign = SlotAssignment(kind=assign, anneal=1)
        self.memory = memory
        self.embedding = Embedding(keys, tokens, width)
        self.encoder = LSTM(keys, width, width)
        self.where = Linear(keys, width, slots + 1)
        self.value = Linear(keys, width, width)
        self.whence = Linear(keys, width, positions * slots)
        self.direct = Linear(keys, width, positions * answers)
        self.recalled = Linear(keys, width, answers)

    def writes(self, h: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """Return the addresses [B, L, K], values [B, L, d] and gates [B, L] of the writes, from h [B, L, d]."""
        projected = self.where(h)
        return self.assign(projected[..., : self.slots]), self.value(h), mx.sigmoid(projected[..., self.slots])

    def contents(self, tokens: mx.array) -> mx.array:
        """Return the memory after a command, computed step by step: tokens [B, L] → [B, K, d]."""
        addresses, values, gates = self.writes(self.encoder(self.embedding(tokens)))
        state = reset(values[:, 0], self.slots)
        for t in range(tokens.shape[-1]):
            state = write(state, addresses[:, t], values[:, t], gates[:, t], writing="overwriting")
        return state

    def read(self, h: mx.array) -> mx.array:
        """Return what the answers read at the end of the command: h [B, L, d] → [B, P, d]."""
        write_addresses, values, gates = self.writes(h)
        read_addresses = self.assign(split_positions(self.whence(h[:, -1]), self.positions))
        # Each answer reads once, at the last of the L steps, from its own address.
        earlier = mx.zeros((*read_addresses.shape[:2], h.shape[1] - 1, read_addresses.shape[-1]))
        reads = mx.concatenate([earlier, read_addresses[:, :, None]], 2)
        read_weights = (mx.arange(h.shape[1]) == h.shape[1] - 1).astype(h.dtype)[None]
        weights = write_weights(write_addresses[:, None], gates[:, None], reads, read_weights, writing="overwriting")
        return weights.squeeze(2) @ values

    def __call__(self, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L]."""
        h = self.encoder(self.embedding(tokens))
        logits = split_positions(self.direct(h[:, -1]), self.positions)
        return logits + self.recalled(self.read(h)) if self.memory else logits
