"""The slot network in MLX; equations in memkit/models/slots.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories import slots, versions
from memkit.mlx.models.addressing import Assign, Factorised, Noise, Plan, Rule, Unfactorised, of_three, window
from memkit.mlx.models.layers import Embedding, Keys, Linear, by_position, look_up, normal, one_hot
from memkit.models.addressing import WINDOW, Assignment
from memkit.models.slots import Addressing, Memory


class SlotNetwork(nn.Module):
    """A network whose only way from the command to the answer is a memory of slots.

    Options are those of :class:`memkit.models.slots.SlotNetwork`.
    """

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
        versions: int = 2,
        direct: bool = True,
        memory: Memory = "additive",
        addressing: Addressing = "rule",
        assign: Assignment = "soft",
        sharpness: float = 1.0,
        anneal: int = 500,
        balance: float = 0.0,
        binders: Sequence[int] = (),
        queries: Sequence[int] = (),
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
        self.noisy = assign == "gumbel"
        self.embedding = Embedding(keys, tokens, width, scale=0.3)
        shape: dict[str, Any] = {"width": width, "slots": slots, "positions": positions, "sharpness": sharpness}
        shape["assign"] = Assign(kind=assign, anneal=anneal)
        if addressing == "rule":
            self.addressing = Rule(keys, **shape, binders=binders, queries=queries)
        elif addressing in ("factorised", "unfactorised"):
            learnt = Factorised if addressing == "factorised" else Unfactorised
            self.addressing = learnt(keys, **shape, length=length)
        else:
            raise ValueError(f"addressing must be 'rule', 'factorised' or 'unfactorised', not {addressing!r}")
        if memory == "static":
            self.constant = normal(keys, slots, width, scale=1.0)
        self.decoder = Linear(keys, width, answers)
        self.direct = Linear(keys, width, positions * answers) if direct else None
        self.versions = versions
        self.state_size = slots * width * (versions if memory == "versioned" else 1)
        self.age = Linear(keys, WINDOW * width, positions * versions) if memory == "versioned" else None

    def read(self, plan: Plan) -> mx.array:
        """Return the vectors that the answers are made of: [B, P, d]."""
        if self.memory == "static":
            return look_up(plan.when @ plan.read_address, self.constant)
        reads_and_writes = plan.write_address, plan.gate, plan.read_address, plan.when
        if self.memory == "versioned":
            assert plan.age is not None
            reached = versions.recalled(*reads_and_writes, plan.age)
        else:
            reached = slots.recalled(*reads_and_writes, writing=self.memory)
        weights = (reached[..., None] * plan.shares[:, None]).reshape(*reached.shape[:2], -1)
        marks = plan.marks.reshape(len(weights), -1, plan.marks.shape[-1])
        return look_up(weights @ marks, plan.values) + reached.sum(-1, keepdims=True) * plan.bias

    def plan(self, tokens: mx.array, noise: Noise | None = None) -> Plan:
        """Return the memory operations at every token of the commands [B, L]."""
        words = self.embedding.weight
        plan: Plan = self.addressing(tokens, words, noise)
        if self.age is None:
            return plan
        age = of_three(window(one_hot(tokens, words))[:, -1:], words, self.age)[:, 0]
        return plan._replace(age=mx.softmax(by_position(age, self.positions), -1))

    def __call__(self, tokens: mx.array, plan: Plan | None = None, *, noise: Noise | None = None) -> mx.array:
        """Tokens [B, L] → logits [B, P, answers]; by another plan than its own, if one is given."""
        plan = self.plan(tokens, noise) if plan is None else plan
        return self.answer(self.read(plan), tokens)

    def charge(self, tokens: mx.array) -> mx.array:
        """Return the charge that training adds to the loss: ``balance`` times how unevenly a batch reads its slots."""
        plan = self.plan(tokens)
        read = (plan.when @ plan.read_address).mean((0, 1))
        return self.balance * (read.shape[-1] * read.square().sum() - 1)

    def stepwise(
        self, tokens: mx.array, plan: Plan | None = None, *, edit: Callable[[mx.array], mx.array] | None = None
    ) -> mx.array:
        """The same logits by the equations as they stand, with the memory [B, K, d] in hand at every token."""
        plan = self.plan(tokens) if plan is None else plan
        reads = []
        for t, memory in enumerate(self.states(plan)):
            found = memory if edit is None else edit(memory)
            address = plan.read_address[:, t]
            if self.memory == "versioned":
                assert plan.age is not None
                # One read per answer, each of its own version.
                by_answer = [versions.read(found, address, plan.age[:, p]) for p in range(self.positions)]
                reads.append(mx.stack(by_answer, 1))
            else:
                reads.append(slots.read(found, address)[:, None])
        when = plan.when.swapaxes(1, 2)[..., None]  # [B, L, P, 1]
        return self.answer((when * mx.stack(reads, 1)).sum(1), tokens)

    def contents(self, tokens: mx.array) -> mx.array:
        """The memory after the commands [B, L]: [B, K, d], of a versioned memory [B, N, K, d]."""
        *_, last = self.states(self.plan(tokens))
        return last

    def states(self, plan: Plan) -> Iterator[mx.array]:
        """The memory after each token's write, [B, K, d] L times over; [B, N, K, d] of a versioned memory."""
        values = plan.value
        if self.memory == "static":
            for _ in range(values.shape[1]):
                yield mx.broadcast_to(self.constant, (len(values), *self.constant.shape))
            return
        empty, count = values[:, 0], plan.write_address.shape[-1]
        versioned = self.memory == "versioned"
        state = versions.reset(empty, count, self.versions) if versioned else slots.reset(empty, count)
        for t in range(values.shape[1]):
            written = plan.write_address[:, t], values[:, t], plan.gate[:, t]
            if self.memory == "versioned":
                state = versions.push(state, *written)
            else:
                state = slots.write(state, *written, writing=self.memory)
            yield state

    def answer(self, read: mx.array, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] from the reads [B, P, d] and, with ``direct``, the last token."""
        logits = self.decoder(read)
        if self.direct is None:
            return logits
        words = self.embedding.weight
        return logits + by_position(look_up(one_hot(tokens[:, -1], words), self.direct(words)), self.positions)
