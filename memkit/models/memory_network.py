"""The memory network: an LSTM that writes its states to slots, and answers from its last state and the slots.

    h_t = LSTM(E[token_t], h_{t−1})                              tokens [S, B, L] → [S, B, L, d]
    w_t = assign(A h_t), g_t = σ(G h_t), v_t = V h_t             [S, B, L, K], [S, B, L], [S, B, L, d]
    M_t = (1 − g_t w_t) M_{t−1} + g_t w_t v_t                    memory [S, B, K, d]: see memkit/memories/slots.py
    r_p = Σ_k a_p[k] M_L[k],  a_p = assign(R_p h_L)              what answer p reads → [S, B, P, d]
    logits_p = W_p h_L + U r_p + b_p                             → [S, B, P, answers]

    assign = "soft", "argmax" or "straight-through": memkit/models/addressing.py. With "argmax", A and R get no gradient
    and keep their initial values.

As in the published network, the LSTM's state also reaches the answer directly, without the memory; it was reported that
the network answers without its memory. This can be measured with the same weights: without ``memory``, U r_p is left
out, in training or only in evaluation (:func:`memory_off`). State size: 2·width + slots·width numbers per sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.slots import reset, write, write_weights
from memkit.models.addressing import Assignment, SlotAssignment
from memkit.models.layers import LSTM, Embedding, Generators, Linear, split_positions


class MemoryNetwork(nn.Module):
    """An LSTM with slots; see the equations above. ``length`` is accepted, but not used.

    >>> import torch
    >>> from memkit.models import MemoryNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 2, "length": 6}
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = MemoryNetwork(generators=generators, **task, width=16, slots=4)
    >>> network(torch.randint(1, 12, (2, 8, 6))).shape  # 2 seeds, 8 commands of 6 tokens, 2 answers each
    torch.Size([2, 8, 2, 5])
    """

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
            raise ValueError("assign='gumbel' is not supported: it is annealed by batches with one address, not two")
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.positions, self.length, self.slots = positions, length, slots
        self.state_size = (2 + slots * memory) * width
        self.assign = SlotAssignment(generators, kind=assign, anneal=1)
        self.memory = memory
        self.embedding = Embedding(generators, tokens, width)
        self.encoder = LSTM(generators, width, width)
        # The gate and the addresses share one map: a map with one output would round differently for a single seed.
        self.where = Linear(generators, width, slots + 1)
        self.value = Linear(generators, width, width)
        self.whence = Linear(generators, width, positions * slots)
        self.direct = Linear(generators, width, positions * answers)
        self.recalled = Linear(generators, width, answers)

    def writes(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return addresses [S, B, L, K], values [S, B, L, d] and gates [S, B, L] of the writes from h [S, B, L, d]."""
        scores, gate = self.where(h).split_with_sizes([self.slots, 1], -1)
        return self.assign(scores), self.value(h), torch.sigmoid(gate).squeeze(-1)

    def contents(self, tokens: Tensor) -> Tensor:
        """Return the memory after a command, computed step by step: tokens [S, B, L] → [S, B, K, d]."""
        addresses, values, gates = self.writes(self.encoder(self.embedding(tokens)))
        state = reset(values[:, :, 0], self.slots)
        for t in range(tokens.shape[-1]):
            state = write(state, addresses[:, :, t], values[:, :, t], gates[:, :, t], writing="overwriting")
        return state

    def read(self, h: Tensor) -> Tensor:
        """Return what the answers read at the end of the command: h [S, B, L, d] → [S, B, P, d]."""
        write_addresses, values, gates = self.writes(h)
        read_addresses = self.assign(split_positions(self.whence(h[:, :, -1]), self.positions))
        # Each answer reads once, at the last of the L steps, from its own address.
        reads = F.pad(read_addresses.unsqueeze(3), (0, 0, h.shape[2] - 1, 0))
        read_weights = F.one_hot(torch.tensor([h.shape[2] - 1], device=h.device), h.shape[2]).to(h.dtype)
        weights = write_weights(
            write_addresses.unsqueeze(2), gates.unsqueeze(2), reads, read_weights, writing="overwriting"
        )
        return weights.squeeze(3) @ values

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L]."""
        h = self.encoder(self.embedding(tokens))
        logits = split_positions(self.direct(h[:, :, -1]), self.positions)
        if not self.memory:
            return logits
        from_memory: Tensor = self.recalled(self.read(h))
        return logits + from_memory


def memory_off(model: MemoryNetwork) -> MemoryNetwork:
    """Return the model with its slots switched off and the same weights; an intervention."""
    model.memory = False
    return model
