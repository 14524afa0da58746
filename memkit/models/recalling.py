"""The contents of a memory when its model is asked: conditions that share weights, contexts and facts.

    on                  what the model wrote when it read the contexts
    off                 nothing is read
    filler only         the same contexts, written without their facts
    other facts         what another episode wrote, with other facts
    permuted values     every key with the value of another
    in context          nothing is read, but the fact stands before its cue
    own, other emptied  one slot is empty: that of the fact asked for first, or the one after it

Each condition wraps a trained model, and reads episodes in its place.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError
from memkit.models.gpt import GPT, States
from memkit.models.gpt_memory.span_memory import NEVER
from memkit.models.recall_diagnostics import slot_memory, slot_of_each_fact
from memkit.tasks.recall import Episodes

Written = Callable[[Episodes], Tensor]
"""The contexts of some episodes that are written, [B, C, L]."""
Held = Callable[[GPT, States, Episodes], States]
"""What is held in place of what was written."""


def as_written(model: GPT, states: States, episodes: Episodes) -> States:
    """Return the states as they were written."""
    return states


def nothing(model: GPT, states: States, episodes: Episodes) -> States:
    """No memory to read."""
    return {}


class Recalling(nn.Module):
    """A model of one seed that reads episodes under a condition.

    Attributes:
        model: the model.
        written: what it reads.
        held: what becomes of its memory after that.
        inside: whether a fact stands in the context in which it is asked for.
    """

    def __init__(
        self,
        model: GPT,
        *,
        written: Written = lambda episodes: episodes.written,
        held: Held = as_written,
        inside: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.written, self.held, self.inside = model, written, held, inside

    def forward(self, episodes: Episodes) -> Tensor:
        """Logits of the asked contexts, [B, Q, L, V]."""
        states = self.states(episodes)
        asked = episodes.in_context if self.inside else episodes.asked
        logits: Tensor = self.model.complete(states, asked[None, ..., :-1])[0]
        return logits

    def states(self, episodes: Episodes) -> States:
        """Return the memories' states when the model is asked, by the name of the memory: tensors [1, B, ...]."""
        return self.held(self.model, self.model.remember(self.written(episodes)[None]), episodes)


def on(model: GPT) -> Recalling:
    """Return the condition ``on``: the model as trained."""
    return Recalling(model)


def off(model: GPT) -> Recalling:
    """Nothing is read."""
    return Recalling(model, held=nothing)


def filler_only(model: GPT) -> Recalling:
    """The contexts were written without their facts."""
    return Recalling(model, written=lambda episodes: episodes.filler)


def other_facts(model: GPT) -> Recalling:
    """The memory is that of another episode.

    Raises:
        MemkitError: there is no other, when it reads.
    """

    def held(model: GPT, states: States, episodes: Episodes) -> States:
        if len(episodes.facts) < 2:
            raise MemkitError(
                "other_facts takes the memory of another episode, and there is only one: draw two or more"
            )
        return {name: tuple(part.roll(1, 1) for part in state) for name, state in states.items()}

    return Recalling(model, held=held)


def permuted_values(model: GPT) -> Recalling:
    """Every key has the value of the slot before it."""

    def held(model: GPT, states: States, episodes: Episodes) -> States:
        orders = {name: torch.arange(model.layer(name).slots_of(state)).roll(1) for name, state in states.items()}
        return {name: model.layer(name).permuted(state, orders[name]) for name, state in states.items()}

    return Recalling(model, held=held)


def in_context(model: GPT) -> Recalling:
    """Nothing is read, but the fact stands before its cue."""
    return Recalling(model, held=nothing, inside=True)


def own_emptied(model: GPT) -> Recalling:
    """The slot that holds the fact that is asked for first is empty."""
    return Recalling(model, held=functools.partial(_emptied, by=0))


def other_emptied(model: GPT) -> Recalling:
    """The slot after it is empty."""
    return Recalling(model, held=functools.partial(_emptied, by=1))


def _emptied(model: GPT, states: States, episodes: Episodes, *, by: int) -> States:
    own = slot_of_each_fact(model, episodes).gather(1, episodes.which[:, :1])
    ((name, (keys, values, amounts, ages)),) = states.items()
    emptied = torch.zeros_like(amounts, dtype=torch.bool).scatter(-1, (own + by)[None] % amounts.shape[-1], True)
    return {name: (keys, values, amounts.masked_fill(emptied, math.log(NEVER)), ages)}


def with_slots(model: GPT, count: int) -> GPT:
    """A copy of the model with another number of slots, which no weight depends on.

    Raises:
        MemkitError: ``count`` is not positive.
    """
    if count < 1:
        raise MemkitError(f"with_slots: count={count} must be at least 1")
    changed = copy.deepcopy(model)
    slot_memory(changed).slots = count
    return changed
