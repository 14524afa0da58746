"""Conditions of recall: what a memory contains when its model is asked, with the same weights, contexts and facts.

    on                  what the model wrote when it read the contexts
    off                 the memory is not read
    filler only         the same contexts, written without their facts
    other facts         the memory of another episode, with other facts
    permuted values     each key has the value of another key
    in context          the memory is not read, but the fact stands before its cue in the context
    own emptied         the slot that holds the fact asked for first is emptied
    other emptied       the next slot is emptied instead

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
from memkit.models.gpt_memory.span_memory import EPSILON
from memkit.models.recall_diagnostics import slot_memory, slot_of_each_fact
from memkit.tasks.recall import Episodes

ContextsToWrite = Callable[[Episodes], Tensor]
"""A function that returns the contexts to be written, [B, C, L]."""
ReplaceStates = Callable[[GPT, States, Episodes], States]
"""A function that returns the memory states to use instead of those that were written."""


def unchanged(model: GPT, states: States, episodes: Episodes) -> States:
    """Return the states as they were written."""
    return states


def no_memory(model: GPT, states: States, episodes: Episodes) -> States:
    """Return no states, so that no memory is read."""
    return {}


class Recalling(nn.Module):
    """A model of one seed that reads episodes under a condition.

    Attributes:
        model: the model.
        written: returns the contexts that are written.
        held: returns the memory states that are read, given those after writing.
        inside: True if the fact stands in the context in which it is asked for.

    >>> import torch
    >>> from memkit.models import GPT, Recalling
    >>> from memkit.tasks.recall import Recall, episodes
    >>> task, generator = Recall(length=14), torch.Generator().manual_seed(0)
    >>> pool, text = task.pools(generator).held_out, task.stretch("held out")
    >>> drawn = episodes(generator, text, pool, 2, facts=4, distractors=3, asked=3, length=14)
    >>> model = GPT(generators=[generator], **task.sizes, width=16, memory={"kind": "slots"})
    >>> tuple(Recalling(model)(drawn).shape)  # 2 episodes, 3 asked contexts of 14 tokens, 330 words
    (2, 3, 14, 330)
    """

    def __init__(
        self,
        model: GPT,
        *,
        written: ContextsToWrite = lambda episodes: episodes.written,
        held: ReplaceStates = unchanged,
        inside: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.written, self.held, self.inside = model, written, held, inside

    def forward(self, episodes: Episodes) -> Tensor:
        """Return logits of the asked contexts, [B, Q, L, V]."""
        states = self.states(episodes)
        contexts = episodes.in_context if self.inside else episodes.asked
        logits: Tensor = self.model.complete(states, contexts[None, ..., :-1])[0]
        return logits

    def states(self, episodes: Episodes) -> States:
        """Return the memory states when the model is asked, by the name of the memory: tensors [1, B, ...]."""
        return self.held(self.model, self.model.remember(self.written(episodes)[None]), episodes)


def on(model: GPT) -> Recalling:
    """Return the model as trained, with its memory."""
    return Recalling(model)


def off(model: GPT) -> Recalling:
    """Return the model without reading its memory."""
    return Recalling(model, held=no_memory)


def filler_only(model: GPT) -> Recalling:
    """Return the model with a memory of the contexts without their facts."""
    return Recalling(model, written=lambda episodes: episodes.filler)


def other_facts(model: GPT) -> Recalling:
    """Return the model with the memory of another episode.

    Raises:
        MemkitError: on reading, if there is only one episode.
    """

    def held(model: GPT, states: States, episodes: Episodes) -> States:
        if len(episodes.facts) < 2:
            raise MemkitError("other_facts uses the memory of another episode, and there is only one; draw two or more")
        return {name: tuple(part.roll(1, 1) for part in state) for name, state in states.items()}

    return Recalling(model, held=held)


def permuted_values(model: GPT) -> Recalling:
    """Return the model with the values of its memory shifted by one slot.

    Each key then has the value of the slot before it.
    """

    def held(model: GPT, states: States, episodes: Episodes) -> States:
        orders = {name: torch.arange(model.layer(name).slot_count(state)).roll(1) for name, state in states.items()}
        return {name: model.layer(name).permute_values(state, orders[name]) for name, state in states.items()}

    return Recalling(model, held=held)


def in_context(model: GPT) -> Recalling:
    """Return the model without reading its memory, with the fact before its cue in the context."""
    return Recalling(model, held=no_memory, inside=True)


def own_emptied(model: GPT) -> Recalling:
    """Return the model after emptying the slot that holds the fact asked for first."""
    return Recalling(model, held=functools.partial(_with_slot_emptied, offset=0))


def other_emptied(model: GPT) -> Recalling:
    """Return the model after emptying the slot after the one that holds the fact asked for first."""
    return Recalling(model, held=functools.partial(_with_slot_emptied, offset=1))


def _with_slot_emptied(model: GPT, states: States, episodes: Episodes, *, offset: int) -> States:
    own_slot = slot_of_each_fact(model, episodes).gather(1, episodes.which[:, :1])
    ((name, (keys, values, log_amounts, ages)),) = states.items()
    mask = torch.zeros_like(log_amounts, dtype=torch.bool).scatter(
        -1, (own_slot + offset)[None] % log_amounts.shape[-1], True
    )
    return {name: (keys, values, log_amounts.masked_fill(mask, math.log(EPSILON)), ages)}


def with_slots(model: GPT, count: int) -> GPT:
    """Return a copy of the model with another number of slots; no weight depends on this number.

    Raises:
        MemkitError: ``count`` is less than 1.
    """
    if count < 1:
        raise MemkitError(f"with_slots: count={count} must be at least 1")
    changed = copy.deepcopy(model)
    slot_memory(changed).slots = count
    return changed
