"""The memory network in MLX; equations in memkit/models/memory_network.py."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories.slots import recalled, reset, write
from memkit.mlx.models.addressing import Assign
from memkit.mlx.models.layers import LSTM, Embedding, Keys, Linear, by_position
from memkit.models.addressing import Assignment


class MemoryNetwork(nn.Module):
    """An LSTM with slots beside it. ``length`` is the task's, and not needed."""

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
            raise ValueError("assign='gumbel' is annealed by batches with one address each; here there are two")
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.positions, self.slots = positions, slots
        self.state_size = (2 + slots * memory) * width
        self.assign = Assign(kind=assign, anneal=1)
        self.memory = memory
        self.embedding = Embedding(keys, tokens, width)
        self.encoder = LSTM(keys, width, width)
        self.where = Linear(keys, width, slots + 1)
        self.value = Linear(keys, width, width)
        self.whence = Linear(keys, width, positions * slots)
        self.direct = Linear(keys, width, positions * answers)
        self.recalled = Linear(keys, width, answers)

    def writes(self, h: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """Return the writes' addresses, values and gates: h [B, L, d] → [B, L, K], [B, L, d], [B, L]."""
        where = self.where(h)
        return self.assign(where[..., : self.slots]), self.value(h), mx.sigmoid(where[..., self.slots])

    def contents(self, tokens: mx.array) -> mx.array:
        """The memory after a command, step by step: tokens [B, L] → [B, K, d]."""
        to, values, gate = self.writes(self.encoder(self.embedding(tokens)))
        state = reset(values[:, 0], self.slots)
        for t in range(tokens.shape[-1]):
            state = write(state, to[:, t], values[:, t], gate[:, t], writing="overwriting")
        return state

    def read(self, h: mx.array) -> mx.array:
        """Return what the answers read at the end of the command: h [B, L, d] → [B, P, d]."""
        to, values, gate = self.writes(h)
        whom = self.assign(by_position(self.whence(h[:, -1]), self.positions))
        # Each answer reads once, at the last of the L steps, with an address of its own.
        earlier = mx.zeros((*whom.shape[:2], h.shape[1] - 1, whom.shape[-1]))
        reads = mx.concatenate([earlier, whom[:, :, None]], 2)
        last = (mx.arange(h.shape[1]) == h.shape[1] - 1).astype(h.dtype)[None]
        reached = recalled(to[:, None], gate[:, None], reads, last, writing="overwriting").squeeze(2)
        return reached @ values

    def __call__(self, tokens: mx.array) -> mx.array:
        """Tokens [B, L] → logits [B, P, answers]."""
        h = self.encoder(self.embedding(tokens))
        logits = by_position(self.direct(h[:, -1]), self.positions)
        return logits + self.recalled(self.read(h)) if self.memory else logits
