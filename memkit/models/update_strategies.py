"""Strategies that choose which contexts are written, for a model that was trained to write all of them.

    every context     as trained                                        memkit/models/recalling.py
    surprising        the contexts with the most nats per token, measured with the memory off
    evenly spaced     the same number of contexts, whatever they contain: the control
    reset             all contexts, but the memory is emptied before every n-th one

All strategies share weights, contexts and facts. The surprise of a context is the mean of −log p over all its tokens
except the first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt import GPT
from memkit.models.recalling import Recalling


def surprise(model: GPT, contexts: Tensor) -> Tensor:
    """Return the nats per token of contexts [B, C, L], each read on its own with the memory off: [B, C]."""
    with torch.inference_mode():
        logits = model.complete({}, contexts[None, ..., :-1])[0]
    nats = F.cross_entropy(logits.flatten(0, -2), contexts[..., 1:].flatten(), reduction="none")
    return nats.view(*contexts.shape[:2], -1).mean(-1)


def surprising(model: GPT, keep: int) -> Recalling:
    """Return the model with only the ``keep`` most surprising contexts written, in their original order.

    Raises:
        MemkitError: on reading, if there are fewer contexts than that.
    """

    def written(contexts: Tensor) -> Tensor:
        selected = surprise(model, contexts).topk(_checked_count(keep, contexts), dim=-1).indices.sort(-1).values
        return contexts.gather(1, selected.unsqueeze(-1).expand(-1, -1, contexts.shape[-1]))

    return Recalling(model, written=lambda episodes: written(episodes.written))


def evenly_spaced(model: GPT, keep: int) -> Recalling:
    """Return the model with only ``keep`` evenly spaced contexts written, including the last one.

    Raises:
        MemkitError: on reading, if there are fewer contexts than that.
    """

    def written(contexts: Tensor) -> Tensor:
        count = contexts.shape[1]
        return contexts[:, torch.arange(1, _checked_count(keep, contexts) + 1) * count // keep - 1]

    return Recalling(model, written=lambda episodes: written(episodes.written))


def reset(model: GPT, every: int) -> Recalling:
    """Return the model with its memory emptied before each context whose index (from 0) is a multiple of ``every``.

    Raises:
        MemkitError: ``every`` is less than 1.
    """
    if every < 1:
        raise MemkitError(f"reset: every={every} must be at least 1")

    def written(contexts: Tensor) -> Tensor:
        count = contexts.shape[1]
        return contexts[:, (count - 1) // every * every :]

    return Recalling(model, written=lambda episodes: written(episodes.written))


def _checked_count(keep: int, contexts: Tensor) -> int:
    """Return ``keep`` if it is from 1 to the number of contexts [B, C, L]; otherwise raise MemkitError."""
    count = contexts.shape[1]
    if not 1 <= keep <= count:
        raise MemkitError(f"keep={keep} must be from 1 to the {count} contexts that are read")
    return keep
