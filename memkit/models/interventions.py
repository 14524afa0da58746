"""Interventions: a trained slot network whose memory, or whose addresses, are edited while it answers.

    Edited(model, edit, which)   every read finds the memory edited; what is written, and where, stays as it was
    Readdressed(model, rename)   the addresses are those of other tokens than the command's; what is written, how
                                 much of it, and when it is read stay the command's own

The weights stay as they are, so two such networks of one seed differ in the edit and in nothing else: it has
caused what differs in their answers. Like every network they map tokens [S, B, L] to logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from memkit.models.slots import SlotNetwork

Indices: TypeAlias = tuple[Tensor, ...]
Which: TypeAlias = Callable[[SlotNetwork, Tensor], Indices]
"""(model, tokens [S, B, L]) → the slots that are edited, [S, B] each, or what else the edit goes by."""
Edit: TypeAlias = Callable[..., Tensor]
"""(memory [S, B, K, d], *indices) → the memory that is read instead: :func:`memkit.memories.slots.swap`, say."""
Rename: TypeAlias = Callable[[SlotNetwork, Tensor], Tensor]
"""(model, tokens [S, B, L]) → the tokens [S, B, L] that the addresses are made for."""


class Edited(nn.Module):
    """A slot network that finds its memory edited whenever it reads."""

    seed_axis = True

    def __init__(self, model: SlotNetwork, edit: Edit, which: Which) -> None:
        super().__init__()
        self.model, self.edit, self.which = model, edit, which

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        indices = self.which(self.model, tokens)
        return self.model.stepwise(tokens, edit=lambda memory: self.edit(memory, *indices))


class Readdressed(nn.Module):
    """A slot network that addresses its memory as if the command had other tokens."""

    seed_axis = True

    def __init__(self, model: SlotNetwork, rename: Rename) -> None:
        super().__init__()
        self.model, self.rename = model, rename

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        other = self.model.plan(self.rename(self.model, tokens))
        plan = self.model.plan(tokens)._replace(write_address=other.write_address, read_address=other.read_address)
        logits: Tensor = self.model(tokens, plan)
        return logits


def address_read(model: SlotNetwork, tokens: Tensor) -> Tensor:
    """The address that is read at a command's last token: [S, B, L] → [S, B, K]."""
    return model.plan(tokens).read_address[:, :, -1]


def slot_read(model: SlotNetwork, tokens: Tensor) -> Tensor:
    """The slot that is read most at a command's last token: [S, B, L] → [S, B]."""
    return address_read(model, tokens).argmax(-1)
