"""Where memories of a GPT write: shares of each context by slot, and how many contexts these tell apart."""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.memories import linformer, lru
from memkit.models.gpt import GPT
from memkit.models.gpt_memory.linformer import LinformerMemory
from memkit.models.gpt_memory.slots import SlotMemory


def shares_of_writes(model: GPT, contexts: Tensor) -> Tensor:
    """Of what each context writes, the share of each slot: contexts [B, C, L] → [B, C, K], each 1 in all.

    Of a memory that is written after several blocks, after the first of them.

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


def contexts_told_apart(model: GPT, contexts: Tensor) -> float:
    """exp I(context; slot) of the writes, mean over episodes: 1 if all write alike, K if each has a slot of its own."""
    shares = shares_of_writes(model, contexts).double()
    information = _entropy(shares.mean(1)) - _entropy(shares).mean(1)
    return float(information.exp().mean())


def _entropy(shares: Tensor) -> Tensor:
    """In nats, over the last axis."""
    entropy: Tensor = -torch.special.xlogy(shares, shares).sum(-1)
    return entropy
