"""The managed slot network in MLX; equations in memkit/models/managed_slots.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories import managed
from memkit.mlx.models.addressing import Assign, Factorised, Noise, Plan, of_three, window
from memkit.mlx.models.layers import Embedding, Keys, Linear, look_up, one_hot
from memkit.models.addressing import WINDOW, Assignment


class Managing(NamedTuple):
    """The clearing and the protection of slots at every token, gates times addresses: [B, L, K] each."""

    clearing: mx.array
    protecting: mx.array


class ManagedSlotNetwork(nn.Module):
    """A slot network with learnt gates of clearing and protecting.

    Options are those of :class:`memkit.models.managed_slots.ManagedSlotNetwork`.
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
        assign: Assignment = "soft",
        sharpness: float = 1.0,
        anneal: int = 500,
        closed: float = -3.0,
        clears: bool = True,
        protects: bool = True,
    ) -> None:
        super().__init__()
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.clears, self.protects = clears, protects
        self.noisy = assign == "gumbel"
        self.state_size = slots * (width + 1)
        self.embedding = Embedding(keys, tokens, width, scale=0.3)
        self.addressing = Factorised(
            keys,
            width=width,
            slots=slots,
            positions=positions,
            length=length,
            sharpness=sharpness,
            assign=Assign(kind=assign, anneal=anneal),
        )
        self.decoder = Linear(keys, width, answers)
        self.manage = Linear(keys, WINDOW * width, 2)
        self.manage.bias = mx.full((2,), closed)

    def plan(self, tokens: mx.array, noise: Noise | None = None) -> tuple[Plan, Managing]:
        """Return the memory operations at every token of the commands [B, L]."""
        words = self.embedding.weight
        plan: Plan = self.addressing(tokens, words, noise)
        gates = mx.sigmoid(of_three(window(one_hot(tokens, words)), words, self.manage))
        clearing = self.clears * gates[..., :1] * plan.read_address
        return plan, Managing(clearing, self.protects * gates[..., 1:] * plan.read_address)

    def __call__(self, tokens: mx.array, *, noise: Noise | None = None) -> mx.array:
        """Tokens [B, L] → logits [B, P, answers]."""
        plan, managing = self.plan(tokens, noise)
        reached = managed.recalled(plan.write_address, plan.gate, *managing, plan.read_address, plan.when)
        weights = (reached[..., None] * plan.shares[:, None]).reshape(*reached.shape[:2], -1)
        marks = plan.marks.reshape(len(weights), -1, plan.marks.shape[-1])
        found = look_up(weights @ marks, plan.values) + reached.sum(-1, keepdims=True) * plan.bias
        return self.decoder(found)

    def stepwise(self, tokens: mx.array) -> mx.array:
        """The same logits by the equations as they stand, with the memory in hand at every token."""
        plan, managing = self.plan(tokens)
        states = enumerate(self.states(plan, managing))
        reads = mx.stack([managed.read(state, plan.read_address[:, t]) for t, state in states], 1)
        return self.decoder(plan.when @ reads)

    def states(self, plan: Plan, managing: Managing) -> Iterator[managed.State]:
        """The memory after each token: contents [B, K, d] and protection [B, K], L times over."""
        values = plan.value
        state = managed.reset(values[:, 0], plan.write_address.shape[-1])
        whole = mx.ones_like(plan.gate[:, 0])
        for t in range(values.shape[1]):
            state = managed.clear(state, managing.clearing[:, t], whole)
            state = managed.write(state, plan.write_address[:, t], values[:, t], plan.gate[:, t])
            state = managed.protect(state, managing.protecting[:, t], whole)
            yield state
