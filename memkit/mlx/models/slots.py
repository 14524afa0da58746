"""The slot network in MLX; for the equations see memkit/models/slots.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories import slots, versions
from memkit.mlx.models.addressing import (
    FactorisedAddressing,
    MemoryPlan,
    Noise,
    RuleAddressing,
    SlotAssignment,
    UnfactorisedAddressing,
    window,
    window_linear,
)
from memkit.mlx.models.layers import Embedding, Keys, Linear, normal, one_hot, split_positions, weighted_rows
from memkit.models.addressing import WINDOW, Assignment
from memkit.models.slots import Addressing, Memory


class SlotNetwork(nn.Module):
    """A network in which information passes from the command to the answer through slots.

    The options are those of :class:`memkit.models.slots.SlotNetwork`.
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
        shared: dict[str, Any] = {"width": width, "slots": slots, "positions": positions, "sharpness": sharpness}
        shared["assign"] = SlotAssignment(kind=assign, anneal=anneal)
        if addressing == "rule":
            self.addressing = RuleAddressing(keys, **shared, binders=binders, queries=queries)
        elif addressing in ("factorised", "unfactorised"):
            addressing_class = FactorisedAddressing if addressing == "factorised" else UnfactorisedAddressing
            self.addressing = addressing_class(keys, **shared, length=length)
        else:
            raise ValueError(f"addressing must be 'rule', 'factorised' or 'unfactorised', not {addressing!r}")
        if memory == "static":
            self.constant = normal(keys, slots, width, scale=1.0)
        self.decoder = Linear(keys, width, answers)
        self.direct = Linear(keys, width, positions * answers) if direct else None
        self.versions = versions
        self.state_size = slots * width * (versions if memory == "versioned" else 1)
        self.age = Linear(keys, WINDOW * width, positions * versions) if memory == "versioned" else None

    def read(self, plan: MemoryPlan) -> mx.array:
        """Return the reads that the answers use: [B, P, d]."""
        if self.memory == "static":
            return weighted_rows(plan.when @ plan.read_address, self.constant)
        operations = plan.write_address, plan.gate, plan.read_address, plan.when
        if self.memory == "versioned":
            assert plan.age is not None
            write_weights = versions.write_weights(*operations, plan.age)
        else:
            write_weights = slots.write_weights(*operations, writing=self.memory)
        weights = (write_weights[..., None] * plan.value_weights[:, None]).reshape(*write_weights.shape[:2], -1)
        marks = plan.value_selection.reshape(len(weights), -1, plan.value_selection.shape[-1])
        return weighted_rows(weights @ marks, plan.values) + write_weights.sum(-1, keepdims=True) * plan.bias

    def plan(self, tokens: mx.array, noise: Noise | None = None) -> MemoryPlan:
        """Return the memory operations at each token of the commands [B, L]."""
        words = self.embedding.weight
        plan: MemoryPlan = self.addressing(tokens, words, noise)
        if self.age is None:
            return plan
        age = window_linear(window(one_hot(tokens, words))[:, -1:], words, self.age)[:, 0]
        return plan._replace(age=mx.softmax(split_positions(age, self.positions), -1))

    def __call__(self, tokens: mx.array, plan: MemoryPlan | None = None, *, noise: Noise | None = None) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L], or for another ``plan`` than that of the tokens."""
        plan = self.plan(tokens, noise) if plan is None else plan
        return self.answer(self.read(plan), tokens)

    def balance_penalty(self, tokens: mx.array) -> mx.array:
        """Return the penalty that training adds to the loss: ``balance`` times the imbalance of the reads."""
        plan = self.plan(tokens)
        read = (plan.when @ plan.read_address).mean((0, 1))
        return self.balance * (read.shape[-1] * read.square().sum() - 1)

    def stepwise(
        self, tokens: mx.array, plan: MemoryPlan | None = None, *, edit: Callable[[mx.array], mx.array] | None = None
    ) -> mx.array:
        """Return the same logits, computed token by token from the equations.

        ``edit`` maps the memory [B, K, d] to the memory that is read; writes continue on the original.
        """
        plan = self.plan(tokens) if plan is None else plan
        reads = []
        for t, memory in enumerate(self.states(plan)):
            edited = memory if edit is None else edit(memory)
            address = plan.read_address[:, t]
            if self.memory == "versioned":
                assert plan.age is not None
                # Each answer reads with its own weights of the versions.
                answer_reads = [versions.read(edited, address, plan.age[:, p]) for p in range(self.positions)]
                reads.append(mx.stack(answer_reads, 1))
            else:
                reads.append(slots.read(edited, address)[:, None])
        when = plan.when.swapaxes(1, 2)[..., None]  # [B, L, P, 1]
        return self.answer((when * mx.stack(reads, 1)).sum(1), tokens)

    def contents(self, tokens: mx.array) -> mx.array:
        """Return the memory after the commands [B, L]: [B, K, d], or [B, N, K, d] of a versioned memory."""
        *_, last = self.states(self.plan(tokens))
        return last

    def states(self, plan: MemoryPlan) -> Iterator[mx.array]:
        """Yield the memory after the write of each token: [B, K, d], or [B, N, K, d] of a versioned memory."""
        values = plan.value
        if self.memory == "static":
            for _ in range(values.shape[1]):
                yield mx.broadcast_to(self.constant, (len(values), *self.constant.shape))
            return
        empty, count = values[:, 0], plan.write_address.shape[-1]
        versioned = self.memory == "versioned"
        state = versions.reset(empty, count, self.versions) if versioned else slots.reset(empty, count)
        for t in range(values.shape[1]):
            operation = plan.write_address[:, t], values[:, t], plan.gate[:, t]
            if self.memory == "versioned":
                state = versions.push(state, *operation)
            else:
                state = slots.write(state, *operation, writing=self.memory)
            yield state

    def answer(self, read: mx.array, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] from the reads [B, P, d] and, with ``direct``, from the last token."""
        logits = self.decoder(read)
        if self.direct is None:
            return logits
        words = self.embedding.weight
        return logits + split_positions(
            weighted_rows(one_hot(tokens[:, -1], words), self.direct(words)), self.positions
        )
