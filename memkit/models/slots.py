"""The slot network: what a command states is written to slots, and answers are computed from what is read there.

    e_t = E[token_t]                                        tokens [S, B, L] → [S, B, L, d]
    plan = addressing(tokens, E)                            where and what to write, where and when to read
    M_t = write(M_{t−1}, w_t, v_t, g_t)                     memory [S, B, K, d]: see memkit/memories/slots.py
    r_t = Σ_k a_t[k] M_t[k]                                 the read at t, after writing
    h_p = Σ_t when_p[t] r_t                                 the reads that answer p uses → [S, B, P, d]
    logits_p = W h_p [+ U_p e_L] + b                        → [S, B, P, answers]

    memory="static"        M is a learnt constant; nothing is written
    memory="additive"      M_0 = 0, and writes are added
    memory="overwriting"   M_0 = 0, and a write replaces the content of its slot
    memory="versioned"     M_0 = 0, and the replaced content becomes the previous version of its slot, see
                           memkit/memories/versions.py; answer p reads version n with weight softmax(linear in the last
                           three tokens of the command)

With ``direct``, the last token (it may be `twice`) reaches the answer as well, but no other token does. What the
command states reaches the answer only through the slots. State size: slots·width numbers per sequence, times the number
of versions in a versioned memory.

All maps between the embeddings, the memory and the answers are linear. So the network computes one table of the vectors
that can be written, one per word, and for each command only how much of each vector reaches an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from memkit.memories import slots, versions
from memkit.models.addressing import (
    WINDOW,
    Assignment,
    FactorisedAddressing,
    MemoryPlan,
    RuleAddressing,
    SlotAssignment,
    UnfactorisedAddressing,
    window,
    window_linear,
)
from memkit.models.layers import Embedding, Generators, Linear, normal, one_hot, split_positions, weighted_rows

Memory: TypeAlias = Literal["static", "additive", "overwriting", "versioned"]
Addressing: TypeAlias = Literal["rule", "factorised", "unfactorised"]


class SlotNetwork(nn.Module):
    """A network in which information passes from the command to the answer through slots; see the equations above.

    ``binders`` and ``queries`` are the tokens that ``addressing="rule"`` uses; learnt addressings do not get them.
    ``assign`` and ``anneal`` define how scores become addresses, see memkit/models/addressing.py. ``versions`` is for a
    versioned memory only. ``balance`` is the weight of a penalty on reading some slots more often than others
    (:func:`read_imbalance`), like the load-balancing loss of a mixture of experts.

    >>> import torch
    >>> from memkit.models import SlotNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 1, "length": 6}
    >>> options = {"width": 16, "slots": 4, "memory": "overwriting", "addressing": "factorised"}
    >>> network = SlotNetwork(generators=[torch.Generator().manual_seed(0)], **task, **options)
    >>> commands = torch.randint(1, 12, (1, 8, 6))  # 1 seed, 8 commands of 6 tokens
    >>> network(commands).shape
    torch.Size([1, 8, 1, 5])
    >>> network.contents(commands).shape  # the memory after each command: 4 slots of width 16
    torch.Size([1, 8, 4, 16])
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
        shared: dict[str, Any] = {"width": width, "slots": slots, "positions": positions, "sharpness": sharpness}
        shared["assign"] = SlotAssignment(generators, kind=assign, anneal=anneal)
        self.addressing: nn.Module
        if addressing == "rule":
            self.addressing = RuleAddressing(generators, **shared, binders=tuple(binders), queries=tuple(queries))
        elif addressing in ("factorised", "unfactorised"):
            addressing_class = FactorisedAddressing if addressing == "factorised" else UnfactorisedAddressing
            self.addressing = addressing_class(generators, **shared, length=length)
        else:
            raise ValueError(f"addressing must be 'rule', 'factorised' or 'unfactorised', not {addressing!r}")
        if memory == "static":
            self.constant = normal(generators, 1, slots, width, scale=1.0)
        self.decoder = Linear(generators, width, answers)
        self.direct = Linear(generators, width, positions * answers) if direct else None
        self.versions = versions
        self.state_size = slots * width * (versions if memory == "versioned" else 1)
        self.age = Linear(generators, WINDOW * width, positions * versions) if memory == "versioned" else None

    def read(self, plan: MemoryPlan) -> Tensor:
        """Return the reads that the answers use: [S, B, P, d]."""
        if self.memory == "static":
            # All commands of the batch read the same learnt table.
            constant: Tensor = (plan.when @ plan.read_address) @ self.constant
            return constant
        operations = plan.write_address, plan.gate, plan.read_address, plan.when
        if self.memory == "versioned":
            assert plan.age is not None
            write_weights = versions.write_weights(*operations, plan.age)
        else:
            write_weights = slots.write_weights(*operations, writing=self.memory)
        weights = (write_weights.unsqueeze(-1) * plan.value_weights.unsqueeze(2)).flatten(3)
        # How much of each vector reaches an answer. Each write contains the bias, so its weight is that of all writes.
        totals = [weights @ plan.value_selection.flatten(2, 3), write_weights.sum(-1, keepdim=True)]
        return weighted_rows(torch.cat(totals, -1), torch.cat([plan.values, plan.bias], 1))

    def plan(self, tokens: Tensor) -> MemoryPlan:
        """Return the memory operations at each token of the commands [S, B, L]."""
        words = self.embedding.weight
        plan: MemoryPlan = self.addressing(tokens, words)
        if self.age is None:
            return plan
        last_window = window(one_hot(tokens, words))[:, :, -1:]
        age = split_positions(window_linear(last_window, words, self.age), self.positions)
        return plan._replace(age=torch.softmax(age.squeeze(2), -1))

    def forward(self, tokens: Tensor, plan: MemoryPlan | None = None) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L].

        Args:
            plan: memory operations to use instead of those of the tokens.
        """
        plan = self.plan(tokens) if plan is None else plan
        logits = self.answer(self.read(plan), tokens)
        if self.balance and self.training:
            logits = add_penalty_gradient(logits, self.balance * read_imbalance(plan))
        return logits

    def stepwise(
        self, tokens: Tensor, plan: MemoryPlan | None = None, *, edit: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return the same logits, computed token by token from the equations.

        Args:
            plan: memory operations to use instead of those of the tokens.
            edit: maps the memory [S, B, K, d] to the memory that is read; writes continue on the original.
        """
        plan = self.plan(tokens) if plan is None else plan
        reads = []
        for t, memory in enumerate(self.states(plan)):
            edited = memory if edit is None else edit(memory)
            address = plan.read_address[:, :, t]
            reads.append(slots.read(edited, address if plan.age is None else address.unsqueeze(2)))
        if plan.age is None:
            return self.answer(plan.when @ torch.stack(reads, 2), tokens)
        read = torch.einsum("sbpt,sbpn,sbtnd->sbpd", plan.when, plan.age, torch.stack(reads, 2))
        return self.answer(read, tokens)

    def contents(self, tokens: Tensor) -> Tensor:
        """Return the memory after commands [S, B, L]: [S, B, K, d], or [S, B, N, K, d] of a versioned memory."""
        *_, last = self.states(self.plan(tokens))
        return last

    def states(self, plan: MemoryPlan) -> Iterator[Tensor]:
        """Yield the memory after the write of each of the L tokens.

        Each is [S, B, K, d], or [S, B, N, K, d] of a versioned memory.
        """
        values = plan.value
        if self.memory == "static":
            for _ in range(values.shape[2]):
                yield self.constant.expand(-1, values.shape[1], -1, -1)
            return
        empty, count = values[:, :, 0], plan.write_address.shape[-1]
        versioned = self.memory == "versioned"
        state = versions.reset(empty, count, self.versions) if versioned else slots.reset(empty, count)
        for t, value in enumerate(values.unbind(2)):
            operation = plan.write_address[:, :, t], value, plan.gate[:, :, t]
            if self.memory == "versioned":
                state = versions.push(state, *operation)
            else:
                state = slots.write(state, *operation, writing=self.memory)
            yield state

    def answer(self, read: Tensor, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] from the reads [S, B, P, d] and, with ``direct``, from the last token."""
        logits: Tensor = self.decoder(read)
        if self.direct is None:
            return logits
        words = self.embedding.weight
        return logits + split_positions(
            weighted_rows(one_hot(tokens[:, :, -1], words), self.direct(words)), self.positions
        )


def read_imbalance(plan: MemoryPlan) -> Tensor:
    """Return how unevenly a batch reads its slots, per seed [S].

    It is 0 if all K slots are read equally, and K − 1 if only one is read.
    """
    read = (plan.when @ plan.read_address).mean((1, 2))
    return read.shape[-1] * read.square().sum(-1) - 1


class _PenaltyGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, penalty: Tensor) -> Tensor:
        ctx.penalty = penalty.shape
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.new_ones(ctx.penalty)


def add_penalty_gradient(logits: Tensor, penalty: Tensor) -> Tensor:
    """Return the logits unchanged, but add the gradient of a penalty in the backward pass.

    If a loss per seed [S] is computed from the returned logits, its gradient is that of loss + penalty.

    Args:
        logits: [S, ...].
        penalty: [S].
    """
    unchanged: Tensor = _PenaltyGradient.apply(logits, penalty)  # type: ignore[no-untyped-call]
    return unchanged
