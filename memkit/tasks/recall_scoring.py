"""Scores of how well a model of one seed recalls episodes, one number each.

A model maps episodes to the logits of their asked contexts, [B, Q, L, V]: see memkit/models/recalling.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.tasks.facts import REST
from memkit.tasks.recall import Episodes

Model = Callable[[Episodes], Tensor]


def logits_of(model: Model, episodes: Episodes) -> Tensor:
    """Logits of the asked contexts [B, Q, L, V], without gradients.

    Raises:
        MemkitError: nothing is asked for, so there is nothing to score.
    """
    if not episodes.asked.shape[1]:
        raise MemkitError("these episodes ask for no fact: draw them with asked=1 or more")
    with torch.inference_mode():
        return model(episodes)


def endings(logits: Tensor, episodes: Episodes) -> tuple[Tensor, Tensor]:
    """The logits of the endings [B, Q, REST, V], and their tokens [B, Q, REST]."""
    places = episodes.cue.unsqueeze(-1) + torch.arange(REST)
    chosen = logits.gather(2, places.unsqueeze(-1).expand(-1, -1, -1, logits.shape[-1]))
    return chosen, episodes.asked.gather(2, places + 1)


def exact_match(model: Model, episodes: Episodes) -> float:
    """The share of cues whose greedy completion is their fact's ending, token by token."""
    return scores(model, episodes)["exact match"]


def scores(model: Model, episodes: Episodes) -> dict[str, float]:
    """Exact match of greedy completions, and nats a token of the true endings, of which each counts at most log V."""
    logits, tokens = endings(logits_of(model, episodes), episodes)
    nats = F.cross_entropy(logits.flatten(0, -2), tokens.flatten(), reduction="none")
    return {
        "exact match": float((logits.argmax(-1) == tokens).all(-1).double().mean()),
        "nats a token": float(nats.clamp(max=math.log(logits.shape[-1])).double().mean()),
    }


def forced_choice(model: Model, episodes: Episodes) -> float:
    """The share of cues for which, of the endings of the episode's facts, the right one is the most probable.

    Chance is one in as many as there are facts.
    """
    facts, asked = episodes.facts.shape[1], episodes.which.shape[1]
    # Each question once with every ending.
    which = torch.arange(facts).repeat(len(episodes.facts), asked)
    rows = torch.arange(len(episodes.facts)).unsqueeze(1)
    cue = episodes.cue.repeat_interleave(facts, 1)
    places = cue.unsqueeze(-1) + 1 + torch.arange(REST)
    contexts = episodes.asked.repeat_interleave(facts, 1)
    contexts = contexts.scatter(-1, places, episodes.facts[rows, which, -REST:])
    tried = episodes._replace(asked=contexts, which=which, cue=cue, before=episodes.before.repeat_interleave(facts, 1))
    logits, tokens = endings(logits_of(model, tried), tried)
    nats = F.cross_entropy(logits.flatten(0, -2), tokens.flatten(), reduction="none").view(tokens.shape).mean(-1)
    chosen = nats.view(len(episodes.facts), asked, facts).argmin(-1)
    return float((chosen == episodes.which).double().mean())


def influence(model: Model, without: Model, episodes: Episodes) -> Mapping[str, float]:
    """Return how far a memory moves the next-token distribution: total variation, at the endings and elsewhere."""
    with_memory, without_memory = (torch.softmax(logits_of(one, episodes), -1) for one in (model, without))
    moved = (with_memory - without_memory).abs().sum(-1) / 2
    ending = episodes.answering
    return {"at the ending": float(moved[ending].mean()), "elsewhere": float(moved[~ending].mean())}
