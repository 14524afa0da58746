"""The slot network: what a command says is written into slots, and the answer is made of what is read there.

    e_t = E[token_t]                                        tokens [S, B, L] → [S, B, L, d]
    plan = addressing(tokens, E)                            where and what to write, where and when to read
    M_t = write(M_{t−1}, w_t, v_t, g_t)                     memory [S, B, K, d]: see memkit/memories/slots.py
    r_t = Σ_k a_t[k] M_t[k]                                 what is read at t, after writing
    h_p = Σ_t when_p[t] r_t                                 the reads that answer p is made of → [S, B, P, d]
    logits_p = W h_p [+ U_p e_L] + b                        → [S, B, P, answers]

    memory="static"        M is a learnt constant, and nothing is ever written
    memory="additive"      M_0 = 0, writes add up
    memory="overwriting"   M_0 = 0, a write replaces what stood there

With ``direct`` the last token reaches the answer too (it may be `twice`); no other does. What the command
stated comes through the slots or not at all. State size: slots·width numbers a sequence.

Everything between the memory and the embeddings is linear, so it is computed the short way round: the vectors
that can be written are made once a word, and only how much of each reaches an answer is made command by command.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from memkit.memories.slots import recalled
from memkit.models.addressing import Factorised, Plan, Rule, Unfactorised
from memkit.models.layers import Embedding, Generators, Linear, by_position, look_up, normal, one_hot

Memory: TypeAlias = Literal["static", "additive", "overwriting"]
Addressing: TypeAlias = Literal["rule", "factorised", "unfactorised"]


class SlotNetwork(nn.Module):
    """A network whose only way from the command to the answer is a memory of slots; equations above.

    ``binders`` and ``queries`` are the tokens that the rule of ``addressing="rule"`` goes by; the learnt
    addressings are not told them.
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
        direct: bool = True,
        memory: Memory = "additive",
        addressing: Addressing = "rule",
        sharpness: float = 1.0,
        binders: tuple[int, ...] = (),
        queries: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        if memory not in ("static", "additive", "overwriting"):
            raise ValueError(f"memory must be 'static', 'additive' or 'overwriting', not {memory!r}")
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.memory, self.positions = memory, positions
        self.embedding = Embedding(generators, tokens, width, scale=0.3)
        shape = {"width": width, "slots": slots, "positions": positions}
        self.addressing: nn.Module
        if addressing == "rule":
            self.addressing = Rule(
                generators, **shape, sharpness=sharpness, binders=tuple(binders), queries=tuple(queries)
            )
        elif addressing in ("factorised", "unfactorised"):
            learnt = Factorised if addressing == "factorised" else Unfactorised
            self.addressing = learnt(generators, **shape, length=length, sharpness=sharpness)
        else:
            raise ValueError(f"addressing must be 'rule', 'factorised' or 'unfactorised', not {addressing!r}")
        if memory == "static":
            self.constant = normal(generators, 1, slots, width, scale=1.0)
        self.decoder = Linear(generators, width, answers)
        self.direct = Linear(generators, width, positions * answers) if direct else None

    def read(self, plan: Plan) -> Tensor:
        """What the answers are made of: [S, B, P, d]."""
        if self.memory == "static":
            # Broadcast over the batch: every command reads the same learnt table.
            constant: Tensor = (plan.when @ plan.read_address) @ self.constant
            return constant
        reached = recalled(plan.write_address, plan.gate, plan.read_address, plan.when, writing=self.memory)
        weights = (reached.unsqueeze(-1) * plan.shares.unsqueeze(2)).flatten(3)
        # How much of each vector reaches an answer, and of the bias: as much as of all writes.
        parts = [weights @ plan.marks.flatten(2, 3), reached.sum(-1, keepdim=True)]
        return look_up(torch.cat(parts, -1), torch.cat([plan.values, plan.bias], 1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        words = self.embedding.weight
        plan: Plan = self.addressing(tokens, words)
        logits: Tensor = self.decoder(self.read(plan))
        if self.direct is None:
            return logits
        return logits + by_position(look_up(one_hot(tokens[:, :, -1], words), self.direct(words)), self.positions)
