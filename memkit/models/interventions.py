"""Interventions on a trained slot network: its memory or its addresses are edited while it answers.

    Edited(model, edit, which)   every read gets an edited memory; what is written, and where, does not change
    Readdressed(model, rename)   the addresses are those of tokens other than the command's; what is written, how much
                                 of it, and when it is read are those of the command

The weights do not change. So two such networks of one seed differ only in the edit, and the edit causes any difference
between their answers. Like every network, they map tokens [S, B, L] to logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from memkit.models.slots import SlotNetwork

Indices: TypeAlias = tuple[Tensor, ...]
SelectIndices: TypeAlias = Callable[[SlotNetwork, Tensor], Indices]
"""(model, tokens [S, B, L]) → the slots to edit, [S, B] each, or other indices that the edit takes."""
Edit: TypeAlias = Callable[..., Tensor]
"""(memory [S, B, K, d], *indices) → the memory to read instead, such as :func:`memkit.memories.slots.swap`."""
RenameTokens: TypeAlias = Callable[[SlotNetwork, Tensor], Tensor]
"""(model, tokens [S, B, L]) → the tokens [S, B, L] whose addresses are used."""


class Edited(nn.Module):
    """A slot network that reads from an edited memory."""

    seed_axis = True

    def __init__(self, model: SlotNetwork, edit: Edit, which: SelectIndices) -> None:
        super().__init__()
        self.model, self.edit, self.which = model, edit, which

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L]."""
        indices = self.which(self.model, tokens)
        return self.model.stepwise(tokens, edit=lambda memory: self.edit(memory, *indices))


class Readdressed(nn.Module):
    """A slot network that uses the addresses of other tokens."""

    seed_axis = True

    def __init__(self, model: SlotNetwork, rename: RenameTokens) -> None:
        super().__init__()
        self.model, self.rename = model, rename

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L]."""
        other = self.model.plan(self.rename(self.model, tokens))
        plan = self.model.plan(tokens)._replace(write_address=other.write_address, read_address=other.read_address)
        logits: Tensor = self.model(tokens, plan)
        return logits


def final_read_address(model: SlotNetwork, tokens: Tensor) -> Tensor:
    """Return the read address at the last token of each command: tokens [S, B, L] → [S, B, K]."""
    return model.plan(tokens).read_address[:, :, -1]


def most_read_slot(model: SlotNetwork, tokens: Tensor) -> Tensor:
    """Return the slot with the largest read weight at the last token of each command: tokens [S, B, L] → [S, B]."""
    return final_read_address(model, tokens).argmax(-1)
