"""Continuations of a language model: its greedy continuation, and the cost of a given continuation.

A reader is a function that takes contexts [B, L] and a number n, and returns log p [B, n, V] of the token that follows
each of their last n tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Reader: TypeAlias = Callable[[Tensor, int], Tensor]


class EndingScores(NamedTuple):
    """The costs of given endings.

    Attributes:
        nats: −log p of each token given the tokens before it, [B, E]; nan after the end of a shorter ending.
        exact: bool [B], True where the greedy continuation is the ending.
    """

    nats: Tensor
    exact: Tensor

    @property
    def nats_per_token(self) -> Tensor:
        """The mean nats per token of each ending, [B]."""
        return self.nats.nanmean(-1)


def greedy(reader: Reader, prompts: Tensor, count: int) -> Tensor:
    """Return the greedy continuation of prompts [B, P]: [B, count]."""
    text = prompts
    for _ in range(count):
        text = torch.cat([text, reader(text, 1).argmax(-1)], 1)
    return text[:, prompts.shape[1] :]


def score_endings(reader: Reader, prompts: Tensor, endings: Tensor) -> EndingScores:
    """Return the costs of endings [B, E] after prompts [B, P]; −1 pads shorter endings."""
    is_token = endings >= 0
    targets = endings.clamp(min=0)
    log_probabilities = reader(torch.cat([prompts, targets[:, :-1]], 1), endings.shape[1])
    nats = -log_probabilities.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    # Greedy continuation conditions on its own tokens; as long as they are right, they are those of the ending.
    exact = ((log_probabilities.argmax(-1) == targets) | ~is_token).all(-1)
    return EndingScores(nats.masked_fill(~is_token, torch.nan), exact)


def ending_costs(reader: Reader, prompts: Tensor, endings: Tensor) -> Tensor:
    """Return the nats per token of each ending [E, L] after each prompt [B, P]: [B, E]."""
    scored = score_endings(reader, prompts.repeat_interleave(len(endings), 0), endings.repeat(len(prompts), 1))
    return scored.nats_per_token.view(len(prompts), -1)


def pad_endings(rows: list[list[int]]) -> Tensor:
    """Return endings of different lengths as one tensor [B, E], padded with −1."""
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])
