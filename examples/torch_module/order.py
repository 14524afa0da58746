"""A task and two modules of one's own: which of two marks comes first in a sequence?"""

import torch
from torch import nn

LENGTH, TOKENS = 12, 6
"""Tokens 0 and 1 are the marks, each of which stands once in a sequence."""


def marks(generator, size):
    """Sequences [size, LENGTH] with both marks, and whether mark 0 comes first [size]."""
    x = torch.randint(2, TOKENS, (size, LENGTH), generator=generator)
    places = torch.rand(size, LENGTH, generator=generator).argsort(-1)[:, :2]
    x.scatter_(1, places, torch.tensor([0, 1]).expand(size, 2))
    return x, (places[:, 0] < places[:, 1]).long()


class Recurrent(nn.Module):
    """A GRU, whose last state says which mark came first."""

    def __init__(self, *, width=24):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.answer = nn.Linear(width, 2)

    def forward(self, x):
        """Tokens [B, L] → logits [B, 2]."""
        return self.answer(self.recurrent(self.embedding(x))[0][:, -1])


class Bag(nn.Module):
    """The mean of all tokens' vectors, and a layer on top: it cannot know an order."""

    def __init__(self, *, width=48):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width)
        self.answer = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x):
        """Tokens [B, L] → logits [B, 2]."""
        return self.answer(self.embedding(x).mean(1))
