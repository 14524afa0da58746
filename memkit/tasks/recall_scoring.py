"""Scores of a model of one seed on the episodes of the recall task.

A model maps episodes to the logits of their asked contexts, [B, Q, L, V]; see memkit/models/recalling.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.tasks.facts import ENDING_LENGTH
from memkit.tasks.recall import Episodes

Model = Callable[[Episodes], Tensor]


def logits_of(model: Model, episodes: Episodes) -> Tensor:
    """Return the logits of the asked contexts [B, Q, L, V], without gradients.

    Raises:
        MemkitError: the episodes have no asked contexts.
    """
    if not episodes.asked.shape[1]:
        raise MemkitError("these episodes ask for no fact; draw them with asked=1 or more")
    with torch.inference_mode():
        return model(episodes)


def endings(logits: Tensor, episodes: Episodes) -> tuple[Tensor, Tensor]:
    """Return the logits of the endings [B, Q, ENDING_LENGTH, V], and their tokens [B, Q, ENDING_LENGTH]."""
    positions = episodes.cue.unsqueeze(-1) + torch.arange(ENDING_LENGTH)
    ending_logits = logits.gather(2, positions.unsqueeze(-1).expand(-1, -1, -1, logits.shape[-1]))
    return ending_logits, episodes.asked.gather(2, positions + 1)


def exact_match(model: Model, episodes: Episodes) -> float:
    """Return the share of cues whose greedy completion is exactly the ending of their fact."""
    return scores(model, episodes)["exact match"]


def scores(model: Model, episodes: Episodes) -> dict[str, float]:
    """Return the exact match of greedy completions, and the nats per token of the true endings, at most log V each."""
    logits, tokens = endings(logits_of(model, episodes), episodes)
    nats = F.cross_entropy(logits.flatten(0, -2), tokens.flatten(), reduction="none")
    return {
        "exact match": float((logits.argmax(-1) == tokens).all(-1).double().mean()),
        "nats a token": float(nats.clamp(max=math.log(logits.shape[-1])).double().mean()),
    }


def forced_choice(model: Model, episodes: Episodes) -> float:
    """Return the share of cues for which the right ending is the most probable among those of the episode's facts.

    Chance is 1 / the number of facts.
    """
    facts, asked = episodes.facts.shape[1], episodes.which.shape[1]
    # Each asked context is repeated with the ending of every fact.
    which = torch.arange(facts).repeat(len(episodes.facts), asked)
    rows = torch.arange(len(episodes.facts)).unsqueeze(1)
    cue = episodes.cue.repeat_interleave(facts, 1)
    positions = cue.unsqueeze(-1) + 1 + torch.arange(ENDING_LENGTH)
    contexts = episodes.asked.repeat_interleave(facts, 1)
    contexts = contexts.scatter(-1, positions, episodes.facts[rows, which, -ENDING_LENGTH:])
    before = episodes.before.repeat_interleave(facts, 1)
    candidates = episodes._replace(asked=contexts, which=which, cue=cue, before=before)
    logits, tokens = endings(logits_of(model, candidates), candidates)
    nats = F.cross_entropy(logits.flatten(0, -2), tokens.flatten(), reduction="none").view(tokens.shape).mean(-1)
    chosen = nats.view(len(episodes.facts), asked, facts).argmin(-1)
    return float((chosen == episodes.which).double().mean())


def influence(model: Model, without: Model, episodes: Episodes) -> Mapping[str, float]:
    """Return the influence of a memory on the next-token distribution: the total variation distance between two models.

    Args:
        without: the model without the memory.

    Returns:
        The mean distance "at the ending" and "elsewhere".
    """
    with_memory, without_memory = (torch.softmax(logits_of(one, episodes), -1) for one in (model, without))
    distance = (with_memory - without_memory).abs().sum(-1) / 2
    is_ending = episodes.answering
    return {"at the ending": float(distance[is_ending].mean()), "elsewhere": float(distance[~is_ending].mean())}
