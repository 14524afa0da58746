"""Strategies that choose which contexts a memory writes, for a model that was trained to write all that it reads.

    every context     as trained                                        memkit/models/recalling.py
    surprising        those that cost the model most nats per token, with its memory off
    evenly spaced     the same number, whatever they contain: the control
    reset             all, but the memory is emptied before every n-th context

All share weights, contexts and facts. Surprise is the mean of −log p over all tokens of a context except the first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt import GPT
from memkit.models.recalling import Recalling


def surprise(model: GPT, contexts: Tensor) -> Tensor:
    """Nats a token of contexts [B, C, L], each read alone with the memory off: [B, C]."""
    with torch.inference_mode():
        logits = model.complete({}, contexts[None, ..., :-1])[0]
    nats = F.cross_entropy(logits.flatten(0, -2), contexts[..., 1:].flatten(), reduction="none")
    return nats.view(*contexts.shape[:2], -1).mean(-1)


def surprising(model: GPT, keep: int) -> Recalling:
    """Only the ``keep`` most surprising contexts are written, in the order in which they were read.

    Raises:
        MemkitError: there are fewer contexts than that, when it reads.
    """

    def written(contexts: Tensor) -> Tensor:
        chosen = surprise(model, contexts).topk(_at_most(keep, contexts), dim=-1).indices.sort(-1).values
        return contexts.gather(1, chosen.unsqueeze(-1).expand(-1, -1, contexts.shape[-1]))

    return Recalling(model, written=lambda episodes: written(episodes.written))


def evenly_spaced(model: GPT, keep: int) -> Recalling:
    """Only ``keep`` contexts are written, chosen by their number: the last one, and others evenly spaced before it.

    Raises:
        MemkitError: there are fewer contexts than that, when it reads.
    """

    def written(contexts: Tensor) -> Tensor:
        count = contexts.shape[1]
        return contexts[:, torch.arange(1, _at_most(keep, contexts) + 1) * count // keep - 1]

    return Recalling(model, written=lambda episodes: written(episodes.written))


def reset(model: GPT, every: int) -> Recalling:
    """The memory is emptied before every context whose number, from 0, is a multiple of ``every``.

    Raises:
        MemkitError: ``every`` is not positive.
    """
    if every < 1:
        raise MemkitError(f"reset: every={every} must be at least 1")

    def written(contexts: Tensor) -> Tensor:
        count = contexts.shape[1]
        return contexts[:, (count - 1) // every * every :]

    return Recalling(model, written=lambda episodes: written(episodes.written))


def _at_most(keep: int, contexts: Tensor) -> int:
    count = contexts.shape[1]
    if not 1 <= keep <= count:
        raise MemkitError(f"keep={keep} must be from 1 to the {count} contexts that are read")
    return keep
