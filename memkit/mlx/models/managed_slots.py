"""The managed slot network in MLX: slots that the network learns to clear, and to protect from later writes.

For the equations see memkit/models/managed_slots.py. Shapes are those of one seed: B commands of L tokens, K slots of
width d, P answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.memories import managed
from memkit.mlx.models.addressing import FactorisedAddressing, MemoryPlan, Noise, SlotAssignment, window, window_linear
from memkit.mlx.models.layers import Embedding, Keys, Linear, one_hot, weighted_rows
from memkit.models.addressing import WINDOW, Assignment


class SlotManagement(NamedTuple):
    """The share of each slot that is cleared and protected at each token [B, L, K]: the gate times the read address."""

    clearing: mx.array
    protecting: mx.array


class ManagedSlotNetwork(nn.Module):
    """A slot network with learnt gates for clearing and protecting.

    The options are those of :class:`memkit.models.managed_slots.ManagedSlotNetwork`. ``keys`` provides random keys for
    the initial values (:class:`memkit.mlx.models.layers.Keys`); they are not keys of a memory.
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
        self.addressing = FactorisedAddressing(
            keys,
            width=width,
            slots=slots,
            positions=positions,
            length=length,
            sharpness=sharpness,
            assign=SlotAssignment(kind=assign, anneal=anneal),
        )
        self.decoder = Linear(keys, width, answers)
        self.manage = Linear(keys, WINDOW * width, 2)
        self.manage.bias = mx.full((2,), closed)

    def plan(self, tokens: mx.array, noise: Noise | None = None) -> tuple[MemoryPlan, SlotManagement]:
        """Return what each token of commands [B, L] writes, reads, clears and protects.

        Args:
            tokens: integers [B, L].
            noise: the Gumbel noise of a training batch; None in evaluation.
        """
        words = self.embedding.weight  # [W, d], one embedding for each word of the vocabulary
        plan: MemoryPlan = self.addressing(tokens, words, noise)
        gates = mx.sigmoid(window_linear(window(one_hot(tokens, words)), words, self.manage))
        # At the read address: `clear X` addresses the slot that `recall X` does.
        clearing = self.clears * gates[..., :1] * plan.read_address
        return plan, SlotManagement(clearing, self.protects * gates[..., 1:] * plan.read_address)

    def __call__(self, tokens: mx.array, *, noise: Noise | None = None) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L]."""
        plan, managing = self.plan(tokens, noise)
        # [B, P, L]: the weight with which each write reaches each answer.
        write_weights = managed.write_weights(plan.write_address, plan.gate, *managing, plan.read_address, plan.when)
        weights = (write_weights[..., None] * plan.value_weights[:, None]).reshape(*write_weights.shape[:2], -1)
        marks = plan.value_selection.reshape(len(weights), -1, plan.value_selection.shape[-1])
        # Each write contains the bias once, so the weight of the bias is that of all writes.
        read = weighted_rows(weights @ marks, plan.values) + write_weights.sum(-1, keepdims=True) * plan.bias
        return self.decoder(read)

    def stepwise(self, tokens: mx.array) -> mx.array:
        """Return the logits, computed token by token from the equations; tests compare them with the closed form."""
        plan, managing = self.plan(tokens)
        states = enumerate(self.states(plan, managing))
        reads = mx.stack([managed.read(state, plan.read_address[:, t]) for t, state in states], 1)
        return self.decoder(plan.when @ reads)

    def states(self, plan: MemoryPlan, managing: SlotManagement) -> Iterator[managed.State]:
        """Yield the memory after each token: contents [B, K, d] and protection [B, K]."""
        values = plan.value
        # Only the shape of the values counts here: the memory is empty at first.
        state = managed.reset(values[:, 0], plan.write_address.shape[-1])
        # The gates are part of `managing` already.
        open_gate = mx.ones_like(plan.gate[:, 0])
        for t in range(values.shape[1]):
            state = managed.clear(state, managing.clearing[:, t], open_gate)
            state = managed.write(state, plan.write_address[:, t], values[:, t], plan.gate[:, t])
            state = managed.protect(state, managing.protecting[:, t], open_gate)
            yield state
