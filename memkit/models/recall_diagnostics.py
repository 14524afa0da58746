"""Diagnostics of a GPT's memory: the slots that it writes and reads, and how well they tell contexts and cues apart."""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.errors import MemkitError
from memkit.memories import linformer, lru
from memkit.models.gpt import GPT
from memkit.models.gpt_memory.linformer import LinformerMemory
from memkit.models.gpt_memory.slots import SlotMemory
from memkit.models.gpt_memory.spans import Entries
from memkit.tasks.recall import Episodes


def slot_memory(model: GPT) -> SlotMemory:
    """Return the only memory of a model, which must be a slot memory.

    Raises:
        MemkitError: the model has no memory, several memories, or a memory of another kind.
    """
    layers = [model.layer(name) for name in model.memories]
    if len(layers) != 1 or not isinstance(layers[0], SlotMemory):
        kinds = ", ".join(type(layer).__name__ for layer in layers) or "none"
        raise MemkitError(f"the model must have exactly one memory, a SlotMemory; it has {kinds}")
    return layers[0]


def place_entries(model: GPT, contexts: Tensor) -> tuple[Entries, lru.Placement]:
    """Return the entries of contexts [B, C, L], and the slots that hold them at the end.

    The tensors of both are [1, B, ...].
    """
    layer = slot_memory(model)
    with torch.inference_mode():
        entries = layer.spans.entries(model.hidden(contexts[None]))
        return entries, lru.place(lru.reset(layer.slots, 1, len(contexts)), entries.gates)


def slot_of_each_fact(model: GPT, episodes: Episodes) -> Tensor:
    """Return the slot that holds the largest share of each fact: [B, K]."""
    _, placement = place_entries(model, episodes.written)
    where = episodes.where.unsqueeze(1).expand(-1, placement.weights.shape[2], -1)
    return placement.weights[0].gather(-1, where).argmax(1)


def read_weights(model: GPT, episodes: Episodes) -> Tensor:
    """Return the weight of each value of each slot at each token of the asked contexts: [B, Q, L, P, K]."""
    layer = slot_memory(model)
    with torch.inference_mode():
        ((keys, _, log_amounts, _),) = model.remember(episodes.written[None]).values()
        queries = layer.spans.queries(model.hidden(episodes.asked[None, ..., :-1]))
        return layer.match_weights(keys, log_amounts, queries)[0]


def address_accuracy(model: GPT, episodes: Episodes) -> float:
    """Return how often a cue reads the slot of its fact, 0 to 1.

    A cue reads the slot with the largest weight at its second word; a fact's slot is the one that holds most of it.
    """
    rows, questions = torch.arange(len(episodes.cue)).unsqueeze(1), torch.arange(episodes.cue.shape[1])
    slots_read = read_weights(model, episodes)[rows, questions, episodes.cue, 0].argmax(-1)
    return float((slots_read == slot_of_each_fact(model, episodes).gather(1, episodes.which)).double().mean())


def shares_of_writes(model: GPT, contexts: Tensor) -> Tensor:
    """Return the share of each slot in the write of each context: [B, C, L] → [B, C, K], sums to 1 over slots.

    If a memory is written after several blocks, the shares are those after the first of them.

    Raises:
        TypeError: the memory has no slots with addresses.
    """
    name, *_ = model.memory_of.values()
    layer = model.layer(name)
    if not isinstance(layer, (SlotMemory, LinformerMemory)):
        raise TypeError(f"{type(layer).__name__} has no slots with addresses")
    states = model.empty(contexts[None])
    shares = []
    with torch.inference_mode():
        for context in torch.split(contexts, 1, 1):
            if isinstance(layer, SlotMemory):
                shares.append(lru.oldest(states[name][3])[0])
            else:
                x = model.hidden(context[None])[:, :, 0]
                shares.append(linformer.shares(states[name][0], x, temperature=layer.temperature).mean(-2)[0])
            states = model.remember(context[None], states)
    return torch.stack(shares, 1)


def shares_of_reads(model: GPT, episodes: Episodes) -> Tensor:
    """Return the share of each slot in the read at the second word of each cue: [B, Q, K], sums to 1 over slots.

    In a LinformerMemory, a slot's share is proportional to the length of what it adds to x, |cos|·|W[k]|.
    If a memory is read after several blocks, the shares are those after the first of them.

    Raises:
        TypeError: the memory has no slots with addresses.
    """
    name, *_ = model.memory_of.values()
    layer = model.layer(name)
    rows, questions = torch.arange(len(episodes.cue)).unsqueeze(1), torch.arange(episodes.cue.shape[1])
    if isinstance(layer, SlotMemory):
        amounts = read_weights(model, episodes)[rows, questions, episodes.cue].sum(-2)
    elif isinstance(layer, LinformerMemory):
        with torch.inference_mode():
            slots = model.remember(episodes.written[None])[name][0][0]
            x = model.hidden(episodes.asked[None, ..., :-1])[0, rows, questions, episodes.cue]
            amounts = linformer.cosines(slots, x).abs() * layer.outward.weight[0].norm(dim=-1)
    else:
        raise TypeError(f"{type(layer).__name__} has no slots with addresses")
    return amounts / amounts.sum(-1, keepdim=True)


def effective_contexts(model: GPT, contexts: Tensor) -> float:
    """Return the effective number of contexts that the writes distinguish: exp I(context; slot), mean over episodes.

    It is 1 if all contexts are written alike, and K if each is written to its own slot.
    """
    return _effective_count(shares_of_writes(model, contexts))


def effective_cues(model: GPT, episodes: Episodes) -> float:
    """Return the effective number of cues that the reads distinguish: exp I(cue; slot), mean over episodes.

    It is 1 if all cues read alike, and K if each reads its own slot.
    """
    return _effective_count(shares_of_reads(model, episodes))


def _effective_count(shares: Tensor) -> float:
    """Return the mean over episodes of exp(mutual information), for shares [B, N, K] of N equally likely items."""
    shares = shares.double()
    information = _entropy(shares.mean(1)) - _entropy(shares).mean(1)
    return float(information.exp().mean())


def _entropy(shares: Tensor) -> Tensor:
    """Return the entropy over the last axis, in nats."""
    entropy: Tensor = -torch.special.xlogy(shares, shares).sum(-1)
    return entropy
