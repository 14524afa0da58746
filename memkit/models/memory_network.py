"""The memory network: an LSTM that writes what it has read into slots, and answers from its state and the slots.

    h_t = LSTM(E[token_t], h_{t−1})                              tokens [S, B, L] → [S, B, L, d]
    w_t = assign(A h_t), g_t = σ(G h_t), v_t = V h_t             [S, B, L, K], [S, B, L], [S, B, L, d]
    M_t = (1 − g_t w_t) M_{t−1} + g_t w_t v_t                    memory [S, B, K, d]: see memkit/memories/slots.py
    r_p = Σ_k a_p[k] M_L[k],  a_p = assign(R_p h_L)              what answer p reads → [S, B, P, d]
    logits_p = W_p h_L + U r_p + b_p                             → [S, B, P, answers]

    assign = "soft", "argmax" or "straight-through": memkit/models/addressing.py. With "argmax" A and R get no gradient
    and stay as they were drawn.

The state reaches the answer past the memory, as in the published network, which was said to make its answers
without it. Whether it does can be measured on the same weights: without ``memory`` U r_p is left out, in training or at
evaluation alone (:func:`memory_off`). State size: 2·width + slots·width numbers a sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.slots import recalled, reset, write
from memkit.models.addressing import Assign, Assignment
from memkit.models.layers import LSTM, Embedding, Generators, Linear, by_position


class MemoryNetwork(nn.Module):
    """An LSTM with slots beside it; equations above. ``length`` is the task's, and not needed."""

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
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
        self.positions, self.length, self.slots = positions, length, slots
        self.state_size = (2 + slots * memory) * width
        self.assign = Assign(generators, kind=assign, anneal=1)
        self.memory = memory
        self.embedding = Embedding(generators, tokens, width)
        self.encoder = LSTM(generators, width, width)
        # The gate and the addresses share one map: one with a single output would round differently for a single seed.
        self.where = Linear(generators, width, slots + 1)
        self.value = Linear(generators, width, width)
        self.whence = Linear(generators, width, positions * slots)
        self.direct = Linear(generators, width, positions * answers)
        self.recalled = Linear(generators, width, answers)

    def writes(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the writes' addresses, values and gates: h [S, B, L, d] → [S, B, L, K], [S, B, L, d], [S, B, L]."""
        where, gate = self.where(h).split_with_sizes([self.slots, 1], -1)
        return self.assign(where), self.value(h), torch.sigmoid(gate).squeeze(-1)

    def contents(self, tokens: Tensor) -> Tensor:
        """The memory after a command, step by step: tokens [S, B, L] → [S, B, K, d]."""
        to, values, gate = self.writes(self.encoder(self.embedding(tokens)))
        state = reset(values[:, :, 0], self.slots)
        for t in range(tokens.shape[-1]):
            state = write(state, to[:, :, t], values[:, :, t], gate[:, :, t], writing="overwriting")
        return state

    def read(self, h: Tensor) -> Tensor:
        """Return what the answers read at the end of the command: h [S, B, L, d] → [S, B, P, d]."""
        to, values, gate = self.writes(h)
        whom = self.assign(by_position(self.whence(h[:, :, -1]), self.positions))
        # Each answer reads once, at the last of the L steps, with an address of its own.
        reads = F.pad(whom.unsqueeze(3), (0, 0, h.shape[2] - 1, 0))
        last = F.one_hot(torch.tensor([h.shape[2] - 1], device=h.device), h.shape[2]).to(h.dtype)
        reached = recalled(to.unsqueeze(2), gate.unsqueeze(2), reads, last, writing="overwriting").squeeze(3)
        return reached @ values

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        h = self.encoder(self.embedding(tokens))
        logits = by_position(self.direct(h[:, :, -1]), self.positions)
        if not self.memory:
            return logits
        found: Tensor = self.recalled(self.read(h))
        return logits + found


def memory_off(model: MemoryNetwork) -> MemoryNetwork:
    """An intervention: the same weights, answering without the slots."""
    model.memory = False
    return model
