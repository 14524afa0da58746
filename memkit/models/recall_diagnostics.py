"""The slots that memories of a GPT write and read: those of facts and of cues, and what these tell apart."""

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
    """Return the only memory of a model, one with slots.

    Raises:
        MemkitError: the model has another memory, none, or several.
    """
    layers = [model.layer(name) for name in model.memories]
    if len(layers) != 1 or not isinstance(layers[0], SlotMemory):
        kinds = ", ".join(type(layer).__name__ for layer in layers) or "none"
        raise MemkitError(f"the model must have one memory of slots, SlotMemory, and it has {kinds}")
    return layers[0]


def placed(model: GPT, contexts: Tensor) -> tuple[Entries, lru.Placed]:
    """Return the entries of contexts [B, C, L], and the slots that hold them at the end: tensors [1, B, ...]."""
    layer = slot_memory(model)
    with torch.inference_mode():
        entries = layer.spans.entries(model.hidden(contexts[None]))
        return entries, lru.place(lru.reset(layer.slots, 1, len(contexts)), entries.gates)


def slot_of_each_fact(model: GPT, episodes: Episodes) -> Tensor:
    """Return the slot that holds most of each fact: [B, K]."""
    _, found = placed(model, episodes.written)
    where = episodes.where.unsqueeze(1).expand(-1, found.weights.shape[2], -1)
    return found.weights[0].gather(-1, where).argmax(1)


def reads(model: GPT, episodes: Episodes) -> Tensor:
    """Return how much of each slot's values reaches each token of the asked contexts: [B, Q, L, P, K]."""
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


def shares_of_writes(model: GPT, contexts: Tensor) -> Tensor:
    """Return the share of each slot in what each context writes: contexts [B, C, L] → [B, C, K], sums to 1 over slots.

    If a memory is written after several blocks, the shares are those after the first of them.

    Raises:
        TypeError: the memory has no slots that are addressed.
    """
    name, *_ = model.memory_of.values()
    layer = model.layer(name)
    if not isinstance(layer, (SlotMemory, LinformerMemory)):
        raise TypeError(f"{type(layer).__name__} addresses no slots")
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
    """Return the share of each slot in what is read at the second word of each cue: [B, Q, K], sums to 1 over slots.

    In a LinformerMemory, a slot's share is by the length of what its cosine adds to the hidden state: |cos|·|W[k]|.
    If a memory is read after several blocks, the shares are those after the first of them.

    Raises:
        TypeError: the memory has no slots that are addressed.
    """
    name, *_ = model.memory_of.values()
    layer = model.layer(name)
    rows, questions = torch.arange(len(episodes.cue)).unsqueeze(1), torch.arange(episodes.cue.shape[1])
    if isinstance(layer, SlotMemory):
        read = reads(model, episodes)[rows, questions, episodes.cue].sum(-2)
    elif isinstance(layer, LinformerMemory):
        with torch.inference_mode():
            slots = model.remember(episodes.written[None])[name][0][0]
            x = model.hidden(episodes.asked[None, ..., :-1])[0, rows, questions, episodes.cue]
            read = linformer.cosines(slots, x).abs() * layer.outward.weight[0].norm(dim=-1)
    else:
        raise TypeError(f"{type(layer).__name__} addresses no slots")
    return read / read.sum(-1, keepdim=True)


def contexts_told_apart(model: GPT, contexts: Tensor) -> float:
    """exp I(context; slot) of the writes, mean over episodes: 1 if all write alike, K if each has a slot of its own."""
    return _told_apart(shares_of_writes(model, contexts))


def cues_told_apart(model: GPT, episodes: Episodes) -> float:
    """exp I(cue; slot) of the reads, mean over episodes: 1 if all cues read alike, K if each reads its own slot."""
    return _told_apart(shares_of_reads(model, episodes))


def _told_apart(shares: Tensor) -> float:
    """Shares [B, N, K] of N things that are as frequent."""
    shares = shares.double()
    information = _entropy(shares.mean(1)) - _entropy(shares).mean(1)
    return float(information.exp().mean())


def _entropy(shares: Tensor) -> Tensor:
    """In nats, over the last axis."""
    entropy: Tensor = -torch.special.xlogy(shares, shares).sum(-1)
    return entropy
