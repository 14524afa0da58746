"""Continuations of a language model: its greedy continuation, and the cost of a given one.

A reader is any function that takes contexts [B, L] and a number n, and returns log p [B, n, V] of the token that
follows each of their last n tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Reader: TypeAlias = Callable[[Tensor, int], Tensor]


class Scored(NamedTuple):
    """A reader's scores for given endings.

    Attributes:
        nats: the cost of each token, given those before it; [B, E], nan after the end of a shorter ending.
        exact: bool [B], True where the reader's greedy continuation is this ending.
    """

    nats: Tensor
    exact: Tensor

    @property
    def a_token(self) -> Tensor:
        """The mean nats per token of each ending, [B]."""
        return self.nats.nanmean(-1)


def greedy(reader: Reader, prompts: Tensor, count: int) -> Tensor:
    """The most probable token after prompts [B, P], then the most probable after that, and so on: [B, count]."""
    text = prompts
    for _ in range(count):
        text = torch.cat([text, reader(text, 1).argmax(-1)], 1)
    return text[:, prompts.shape[1] :]


def score(reader: Reader, prompts: Tensor, endings: Tensor) -> Scored:
    """Endings [B, E] after prompts [B, P]; −1 fills up an ending that is shorter than others."""
    here = endings >= 0
    asked = endings.clamp(min=0)
    said = reader(torch.cat([prompts, asked[:, :-1]], 1), endings.shape[1])
    nats = -said.gather(-1, asked.unsqueeze(-1)).squeeze(-1)
    # Greedy continuation goes on from its own tokens; as long as these are right, they equal the ending's.
    exact = ((said.argmax(-1) == asked) | ~here).all(-1)
    return Scored(nats.masked_fill(~here, torch.nan), exact)


def costs(reader: Reader, prompts: Tensor, endings: Tensor) -> Tensor:
    """Nats a token of every one of E endings [E, L] after every one of the prompts [B, P]: [B, E]."""
    each = score(reader, prompts.repeat_interleave(len(endings), 0), endings.repeat(len(prompts), 1))
    return each.a_token.view(len(prompts), -1)


def padded(rows: list[list[int]]) -> Tensor:
    """Endings of different lengths in one tensor, filled up with −1."""
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])
