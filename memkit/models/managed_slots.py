"""The managed slot network: a slot network that learns to clear and to protect what it has written.

    e_t = E[token_t]                                        tokens [S, B, L] → [S, B, L, d]
    plan = factorised(tokens, E)                            w_t, v_t, g_t, a_t, when: memkit/models/addressing.py
    c_t, q_t = σ(C [e_t, e_{t−1}, e_{t−2}] + b)             gates of clearing and protecting, each [S, B, L]
    M_t, p_t = clear(c_t a_t), write(w_t, v_t, g_t), protect(q_t a_t)       memory [S, B, K, d], protection [S, B, K]
    r_t = Σ_k a_t[k] M_t[k]                                 what is read at t, after the rest
    logits_p = W Σ_t when_p[t] r_t + b                      → [S, B, P, answers]

What is cleared or protected is what would be read: `clear X` and `recall X` have the same address. Without ``clears``
or ``protects`` that gate stays at 0, whatever the weights: :func:`unprotected` and :func:`uncleared` switch it off in a
trained network. Without both this is the slot network with memory="overwriting" and direct=False, which has
2·(3·width + 1) parameters less. State size: slots·(width + 1) numbers a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memkit.memories import managed
from memkit.models.addressing import WINDOW, Assign, Assignment, Factorised, Plan, of_three, window
from memkit.models.layers import Embedding, Generators, Linear, look_up, one_hot


class Managing(NamedTuple):
    """The clearing and the protection of slots at every token, gates times addresses: [S, B, L, K] each."""

    clearing: Tensor
    protecting: Tensor


class ManagedSlotNetwork(nn.Module):
    """A slot network with learnt gates of clearing and protecting; equations above.

    Both gates start at σ(``closed``): a network that protected what it meets by chance would learn nothing after.
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
        self.addressing = Factorised(
            generators,
            width=width,
            slots=slots,
            positions=positions,
            length=length,
            sharpness=sharpness,
            assign=Assign(generators, kind=assign, anneal=anneal),
        )
        self.decoder = Linear(generators, width, answers)
        self.manage = Linear(generators, WINDOW * width, 2)
        with torch.no_grad():
            self.manage.bias.fill_(closed)

    def plan(self, tokens: Tensor) -> tuple[Plan, Managing]:
        """Return the memory operations at every token of the commands [S, B, L]."""
        words = self.embedding.weight
        plan: Plan = self.addressing(tokens, words)
        gates = torch.sigmoid(of_three(window(one_hot(tokens, words)), words, self.manage))
        gates = gates * gates.new_tensor([self.clears, self.protects])
        clearing, protecting = (gate.unsqueeze(-1) * plan.read_address for gate in gates.unbind(-1))
        return plan, Managing(clearing, protecting)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        plan, managing = self.plan(tokens)
        reached = managed.recalled(plan.write_address, plan.gate, *managing, plan.read_address, plan.when)
        # How much of each word's vector reaches an answer, and how much of the bias: as much as of all writes together.
        weights = (reached.unsqueeze(-1) * plan.shares.unsqueeze(2)).flatten(3) @ plan.marks.flatten(2, 3)
        shares = torch.cat([weights, reached.sum(-1, keepdim=True)], -1)
        logits: Tensor = self.decoder(look_up(shares, torch.cat([plan.values, plan.bias], 1)))
        return logits

    def stepwise(self, tokens: Tensor) -> Tensor:
        """The same logits by the equations as they stand, with the memory in hand at every token."""
        plan, managing = self.plan(tokens)
        addresses = plan.read_address.unbind(2)
        states = self.states(plan, managing)
        reads = [managed.read(state, address) for state, address in zip(states, addresses, strict=True)]
        logits: Tensor = self.decoder(plan.when @ torch.stack(reads, 2))
        return logits

    def states(self, plan: Plan, managing: Managing) -> Iterator[managed.State]:
        """The memory after each token: contents [S, B, K, d] and protection [S, B, K], L times over."""
        state = managed.reset(plan.value[:, :, 0], plan.write_address.shape[-1])
        whole = torch.ones_like(plan.gate[:, :, 0])
        for t, value in enumerate(plan.value.unbind(2)):
            state = managed.clear(state, managing.clearing[:, :, t], whole)
            state = managed.write(state, plan.write_address[:, :, t], value, plan.gate[:, :, t])
            state = managed.protect(state, managing.protecting[:, :, t], whole)
            yield state


def unprotected(model: ManagedSlotNetwork) -> ManagedSlotNetwork:
    """An intervention: the same weights, with protection switched off."""
    model.protects = False
    return model


def uncleared(model: ManagedSlotNetwork) -> ManagedSlotNetwork:
    """An intervention: the same weights, with clearing switched off."""
    model.clears = False
    return model
