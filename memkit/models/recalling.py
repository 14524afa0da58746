"""What a memory holds when its model is asked: conditions that share weights, contexts and facts.

    on                  what the model wrote when it read the contexts
    off                 nothing is read
    filler only         the same contexts, written without their facts
    other facts         what another episode wrote, with other facts
    permuted values     every key with the value of another
    in context          nothing is read, but the fact stands before its cue

Each is made of a trained model, and reads episodes in its place.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from memkit.memories import lru
from memkit.models.gpt import GPT, States
from memkit.models.gpt_memory.slots import SlotMemory
from memkit.models.gpt_memory.span_memory import NEVER
from memkit.models.gpt_memory.spans import Entries
from memkit.tasks.recall import Episodes

Written = Callable[[Episodes], Tensor]
"""The contexts of some episodes that are written, [B, C, L]."""
Held = Callable[[GPT, States, Episodes], States]
"""What is held in place of what was written."""


def as_written(model: GPT, states: States, episodes: Episodes) -> States:
    """What was written."""
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
        """What the memory holds when the model is asked, by the name of the memory: tensors [1, B, ...]."""
        return self.held(self.model, self.model.remember(self.written(episodes)[None]), episodes)


def on(model: GPT) -> Recalling:
    """As trained."""
    return Recalling(model)


def off(model: GPT) -> Recalling:
    """Nothing is read."""
    return Recalling(model, held=nothing)


def filler_only(model: GPT) -> Recalling:
    """The contexts were written without their facts."""
    return Recalling(model, written=lambda episodes: episodes.filler)


def other_facts(model: GPT) -> Recalling:
    """The memory is that of another episode."""

    def held(model: GPT, states: States, episodes: Episodes) -> States:
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


def slot_memory(model: GPT) -> SlotMemory:
    """The one memory of a model with slots."""
    (name,) = model.memories
    layer = model.layer(name)
    assert isinstance(layer, SlotMemory)
    return layer


def placed(model: GPT, contexts: Tensor) -> tuple[Entries, lru.Placed]:
    """The entries of contexts [B, C, L], and the slots that they stand in at the end: tensors [1, B, ...]."""
    layer = slot_memory(model)
    with torch.inference_mode():
        entries = layer.spans.entries(model.hidden(contexts[None]))
        return entries, lru.place(lru.reset(layer.slots, 1, len(contexts)), entries.gates)


def slot_of_each_fact(model: GPT, episodes: Episodes) -> Tensor:
    """Which slot holds most of each fact: [B, K]."""
    _, found = placed(model, episodes.written)
    where = episodes.where.unsqueeze(1).expand(-1, found.weights.shape[2], -1)
    return found.weights[0].gather(-1, where).argmax(1)


def reads(model: GPT, episodes: Episodes) -> Tensor:
    """How much of which slot's values reaches each token of the asked contexts: [B, Q, L, P, K]."""
    layer = slot_memory(model)
    with torch.inference_mode():
        ((keys, _, amounts, _),) = model.remember(episodes.written[None]).values()
        queries = layer.spans.queries(model.hidden(episodes.asked[None, ..., :-1]))
        return layer.weights(keys, amounts, queries)[0]


def address_right(model: GPT, episodes: Episodes) -> float:
    """The share of cues at whose second word the slot that is read most is the one that holds their fact."""
    rows, questions = torch.arange(len(episodes.cue)).unsqueeze(1), torch.arange(episodes.cue.shape[1])
    read = reads(model, episodes)[rows, questions, episodes.cue, 0].argmax(-1)
    return float((read == slot_of_each_fact(model, episodes).gather(1, episodes.which)).double().mean())


def with_slots(count: int, model: GPT) -> GPT:
    """The model with another number of slots, which no weight depends on."""
    slot_memory(model).slots = count
    return model
