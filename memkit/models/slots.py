"""The slot network: what a command says is written into slots, and the answer is made of what is read there.

    e_t = E[token_t]                                        tokens [S, B, L] → [S, B, L, d]
    plan = addressing(tokens, e)                            where and what to write, where and when to read
    M_t = write(M_{t−1}, w_t, v_t, g_t)                     memory [S, B, K, d]: see memkit/memories/slots.py
    r_t = Σ_k a_t[k] M_t[k]                                 what is read at t, after writing
    h_p = Σ_t when_p[t] r_t                                 the reads that answer p is made of → [S, B, P, d]
    logits_p = W h_p [+ U_p e_L] + b                        → [S, B, P, answers]

    memory="static"        M is a learnt constant, and nothing is ever written
    memory="additive"      M_0 = 0, writes add up
    memory="overwriting"   M_0 = 0, a write replaces what stood there

With ``direct`` the last token reaches the answer too (it may be `twice`); no other does. What the command
stated comes through the slots or not at all. State size: slots·width numbers a sequence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor, nn

from memkit.memories.slots import recalled
from memkit.models.addressing import Factorised, Plan, Rule, Unfactorised
from memkit.models.layers import Embedding, Generators, Linear, by_position, normal

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

    def reads(self, plan: Plan) -> Tensor:
        """What is read at every token after writing there: [S, B, L, d]."""
        if self.memory == "static":
            # Broadcast over the batch: every command reads the same learnt table.
            constant: Tensor = plan.read_address @ self.constant
            return constant
        return recalled(plan.write_address, plan.gate, plan.read_address, writing=self.memory) @ plan.value

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        embedded = self.embedding(tokens)
        plan: Plan = self.addressing(tokens, embedded)
        read = plan.when @ self.reads(plan)
        logits: Tensor = self.decoder(read)
        if self.direct is None:
            return logits
        return logits + by_position(self.direct(embedded[:, :, -1]), self.positions)
