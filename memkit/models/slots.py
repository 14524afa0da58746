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
    memory="versioned"     M_0 = 0, what is replaced becomes the slot's previous version: memkit/memories/versions.py;
                           answer p is made of version n by softmax(linear in the command's last three tokens)

With ``direct`` the last token reaches the answer too (it may be `twice`); no other does. What the command
stated comes through the slots or not at all. State size: slots·width numbers a sequence, times versions where there
are such.

Everything between the memory and the embeddings is linear, so it is computed the short way round: the vectors
that can be written are made once a word, and only how much of each reaches an answer is made command by command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from memkit.memories import slots, versions
from memkit.models.addressing import WINDOW, Assign, Assignment, Factorised, Plan, Rule, Unfactorised, of_three, window
from memkit.models.layers import Embedding, Generators, Linear, by_position, look_up, normal, one_hot

Memory: TypeAlias = Literal["static", "additive", "overwriting", "versioned"]
Addressing: TypeAlias = Literal["rule", "factorised", "unfactorised"]


class SlotNetwork(nn.Module):
    """A network whose only way from the command to the answer is a memory of slots; equations above.

    ``binders`` and ``queries`` are the tokens that the rule of ``addressing="rule"`` goes by; the learnt
    addressings are not told them. ``assign`` and ``anneal`` turn scores into addresses: memkit/models/addressing.py.
    ``versions`` are kept by a versioned memory alone. ``balance`` is how much training is charged for reading some
    slots more than others (:func:`unevenness`), as a mixture of experts is for its load.
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
        versions: int = 2,
        direct: bool = True,
        memory: Memory = "additive",
        addressing: Addressing = "rule",
        assign: Assignment = "soft",
        sharpness: float = 1.0,
        anneal: int = 500,
        balance: float = 0.0,
        binders: tuple[int, ...] = (),
        queries: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        if memory not in ("static", "additive", "overwriting", "versioned"):
            raise ValueError(f"memory must be 'static', 'additive', 'overwriting' or 'versioned', not {memory!r}")
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        if versions < 2:
            raise ValueError(f"versions must be at least 2, not {versions}; memory='overwriting' keeps one")
        if balance < 0:
            raise ValueError(f"balance must be 0 or more, not {balance}")
        self.memory, self.positions, self.balance = memory, positions, balance
        self.embedding = Embedding(generators, tokens, width, scale=0.3)
        shape: dict[str, Any] = {"width": width, "slots": slots, "positions": positions, "sharpness": sharpness}
        shape["assign"] = Assign(generators, kind=assign, anneal=anneal)
        self.addressing: nn.Module
        if addressing == "rule":
            self.addressing = Rule(generators, **shape, binders=tuple(binders), queries=tuple(queries))
        elif addressing in ("factorised", "unfactorised"):
            learnt = Factorised if addressing == "factorised" else Unfactorised
            self.addressing = learnt(generators, **shape, length=length)
        else:
            raise ValueError(f"addressing must be 'rule', 'factorised' or 'unfactorised', not {addressing!r}")
        if memory == "static":
            self.constant = normal(generators, 1, slots, width, scale=1.0)
        self.decoder = Linear(generators, width, answers)
        self.direct = Linear(generators, width, positions * answers) if direct else None
        self.versions = versions
        self.state_size = slots * width * (versions if memory == "versioned" else 1)
        self.age = Linear(generators, WINDOW * width, positions * versions) if memory == "versioned" else None

    def read(self, plan: Plan) -> Tensor:
        """Return the vectors that the answers are made of: [S, B, P, d]."""
        if self.memory == "static":
            # Broadcast over the batch: every command reads the same learnt table.
            constant: Tensor = (plan.when @ plan.read_address) @ self.constant
            return constant
        reads_and_writes = plan.write_address, plan.gate, plan.read_address, plan.when
        if self.memory == "versioned":
            assert plan.age is not None
            reached = versions.recalled(*reads_and_writes, plan.age)
        else:
            reached = slots.recalled(*reads_and_writes, writing=self.memory)
        weights = (reached.unsqueeze(-1) * plan.shares.unsqueeze(2)).flatten(3)
        # How much of each vector reaches an answer, and how much of the bias: as much as of all writes together.
        parts = [weights @ plan.marks.flatten(2, 3), reached.sum(-1, keepdim=True)]
        return look_up(torch.cat(parts, -1), torch.cat([plan.values, plan.bias], 1))

    def plan(self, tokens: Tensor) -> Plan:
        """Return the memory operations at every token of the commands [S, B, L]."""
        words = self.embedding.weight
        plan: Plan = self.addressing(tokens, words)
        if self.age is None:
            return plan
        last = window(one_hot(tokens, words))[:, :, -1:]
        age = by_position(of_three(last, words, self.age), self.positions)
        return plan._replace(age=torch.softmax(age.squeeze(2), -1))

    def forward(self, tokens: Tensor, plan: Plan | None = None) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]; by another plan than its own, if one is given."""
        plan = self.plan(tokens) if plan is None else plan
        logits = self.answer(self.read(plan), tokens)
        if self.balance and self.training:
            logits = charged(logits, self.balance * unevenness(plan))
        return logits

    def stepwise(
        self, tokens: Tensor, plan: Plan | None = None, *, edit: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """The same logits by the equations as they stand, with the memory in hand at every token.

        Args:
            edit: what is done to the memory [S, B, K, d] before each read; the writes go on in the memory as it was.
        """
        plan = self.plan(tokens) if plan is None else plan
        reads = []
        for t, memory in enumerate(self.states(plan)):
            found = memory if edit is None else edit(memory)
            address = plan.read_address[:, :, t]
            reads.append(slots.read(found, address if plan.age is None else address.unsqueeze(2)))
        if plan.age is None:
            return self.answer(plan.when @ torch.stack(reads, 2), tokens)
        read = torch.einsum("sbpt,sbpn,sbtnd->sbpd", plan.when, plan.age, torch.stack(reads, 2))
        return self.answer(read, tokens)

    def contents(self, tokens: Tensor) -> Tensor:
        """The memory after the commands [S, B, L]: [S, B, K, d], of a versioned memory [S, B, N, K, d]."""
        *_, last = self.states(self.plan(tokens))
        return last

    def states(self, plan: Plan) -> Iterator[Tensor]:
        """The memory after each token's write, [S, B, K, d] L times over; [S, B, N, K, d] of a versioned memory."""
        values = plan.value
        if self.memory == "static":
            for _ in range(values.shape[2]):
                yield self.constant.expand(-1, values.shape[1], -1, -1)
            return
        empty, count = values[:, :, 0], plan.write_address.shape[-1]
        versioned = self.memory == "versioned"
        state = versions.reset(empty, count, self.versions) if versioned else slots.reset(empty, count)
        for t, value in enumerate(values.unbind(2)):
            written = plan.write_address[:, :, t], value, plan.gate[:, :, t]
            if self.memory == "versioned":
                state = versions.push(state, *written)
            else:
                state = slots.write(state, *written, writing=self.memory)
            yield state

    def answer(self, read: Tensor, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] from the reads [S, B, P, d] and, with ``direct``, the last token."""
        logits: Tensor = self.decoder(read)
        if self.direct is None:
            return logits
        words = self.embedding.weight
        return logits + by_position(look_up(one_hot(tokens[:, :, -1], words), self.direct(words)), self.positions)


def unevenness(plan: Plan) -> Tensor:
    """Return how unevenly a batch reads its slots, per seed [S]: 0 if it reads all equally, K − 1 if only one."""
    read = (plan.when @ plan.read_address).mean((1, 2))
    return read.shape[-1] * read.square().sum(-1) - 1


class _Charge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, penalty: Tensor) -> Tensor:
        ctx.penalty = penalty.shape
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.new_ones(ctx.penalty)


def charged(logits: Tensor, penalty: Tensor) -> Tensor:
    """The logits as they are; but the gradient of a loss a seed that is made of them is that of loss + penalty [S]."""
    found: Tensor = _Charge.apply(logits, penalty)  # type: ignore[no-untyped-call]
    return found
