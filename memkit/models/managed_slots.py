"""The managed slot network: a slot network that learns to clear slots and to protect what it has written.

    e_t = E[token_t]                                        tokens [S, B, L] → [S, B, L, d]
    plan = factorised(tokens, E)                            w_t, v_t, g_t, a_t, when: memkit/models/addressing.py
    c_t, q_t = σ(C [e_t, e_{t−1}, e_{t−2}] + b)             gates of clearing and protecting, [S, B, L] each
    M_t, p_t = clear(c_t a_t), write(w_t, v_t, g_t), protect(q_t a_t)       memory [S, B, K, d], protection [S, B, K]
    r_t = Σ_k a_t[k] M_t[k]                                 the read at t, after all of these
    logits_p = W Σ_t when_p[t] r_t + b                      → [S, B, P, answers]

Clearing and protecting use the read address: `clear X` and `recall X` have the same address. Without ``clears`` or
``protects``, that gate is 0 whatever the weights are; :func:`unprotected` and :func:`uncleared` switch a gate off in a
trained network. Without both, this is the slot network with memory="overwriting" and direct=False, which has
2·(3·width + 1) parameters fewer. State size: slots·(width + 1) numbers per sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memkit.memories import managed
from memkit.models.addressing import (
    WINDOW,
    Assignment,
    FactorisedAddressing,
    MemoryPlan,
    SlotAssignment,
    window,
    window_linear,
)
from memkit.models.layers import Embedding, Generators, Linear, one_hot, weighted_rows


class SlotManagement(NamedTuple):
    """Clearing and protection of each slot at each token, gates times addresses: [S, B, L, K] each."""

    clearing: Tensor
    protecting: Tensor


class ManagedSlotNetwork(nn.Module):
    """A slot network with learnt gates for clearing and protecting; see the equations above.

    Both gates start at σ(``closed``), almost closed: a network that protects slots by chance can no longer learn.

    >>> import torch
    >>> from memkit.models import ManagedSlotNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 1, "length": 6}
    >>> network = ManagedSlotNetwork(generators=[torch.Generator().manual_seed(0)], **task, width=16, slots=4)
    >>> network(torch.randint(1, 12, (1, 8, 6))).shape  # 1 seed, 8 commands of 6 tokens
    torch.Size([1, 8, 1, 5])
    >>> network.state_size  # 4 slots of width 16, and the protection of each
    68
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
        self.state_size = slots * (width + 1)
        self.embedding = Embedding(generators, tokens, width, scale=0.3)
        self.addressing = FactorisedAddressing(
            generators,
            width=width,
            slots=slots,
            positions=positions,
            length=length,
            sharpness=sharpness,
            assign=SlotAssignment(generators, kind=assign, anneal=anneal),
        )
        self.decoder = Linear(generators, width, answers)
        self.manage = Linear(generators, WINDOW * width, 2)
        with torch.no_grad():
            self.manage.bias.fill_(closed)

    def plan(self, tokens: Tensor) -> tuple[MemoryPlan, SlotManagement]:
        """Return the memory operations at each token of the commands [S, B, L]."""
        words = self.embedding.weight
        plan: MemoryPlan = self.addressing(tokens, words)
        gates = torch.sigmoid(window_linear(window(one_hot(tokens, words)), words, self.manage))
        gates = gates * gates.new_tensor([self.clears, self.protects])
        clearing, protecting = (gate.unsqueeze(-1) * plan.read_address for gate in gates.unbind(-1))
        return plan, SlotManagement(clearing, protecting)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L]."""
        plan, managing = self.plan(tokens)
        write_weights = managed.write_weights(plan.write_address, plan.gate, *managing, plan.read_address, plan.when)
        # How much of each vector reaches an answer. Each write contains the bias, so its weight is that of all writes.
        weights = (write_weights.unsqueeze(-1) * plan.value_weights.unsqueeze(2)).flatten(3)
        weights = weights @ plan.value_selection.flatten(2, 3)
        totals = torch.cat([weights, write_weights.sum(-1, keepdim=True)], -1)
        logits: Tensor = self.decoder(weighted_rows(totals, torch.cat([plan.values, plan.bias], 1)))
        return logits

    def stepwise(self, tokens: Tensor) -> Tensor:
        """Return the same logits, computed token by token from the equations."""
        plan, managing = self.plan(tokens)
        addresses = plan.read_address.unbind(2)
        states = self.states(plan, managing)
        reads = [managed.read(state, address) for state, address in zip(states, addresses, strict=True)]
        logits: Tensor = self.decoder(plan.when @ torch.stack(reads, 2))
        return logits

    def states(self, plan: MemoryPlan, managing: SlotManagement) -> Iterator[managed.State]:
        """Yield the memory after each token: contents [S, B, K, d] and protection [S, B, K]."""
        state = managed.reset(plan.value[:, :, 0], plan.write_address.shape[-1])
        open_gate = torch.ones_like(plan.gate[:, :, 0])
        for t, value in enumerate(plan.value.unbind(2)):
            state = managed.clear(state, managing.clearing[:, :, t], open_gate)
            state = managed.write(state, plan.write_address[:, :, t], value, plan.gate[:, :, t])
            state = managed.protect(state, managing.protecting[:, :, t], open_gate)
            yield state


def unprotected(model: ManagedSlotNetwork) -> ManagedSlotNetwork:
    """Return the model with protection switched off and the same weights; an intervention."""
    model.protects = False
    return model


def uncleared(model: ManagedSlotNetwork) -> ManagedSlotNetwork:
    """Return the model with clearing switched off and the same weights; an intervention."""
    model.clears = False
    return model
