"""A custom task and two custom modules: which of two marks comes first in a sequence?"""

import torch
from torch import nn

LENGTH, TOKENS = 12, 6
"""Tokens 0 and 1 are the marks, each of which stands once in a sequence."""


def marks(generator, size):
    """Draw sequences [size, LENGTH] with both marks, and labels [size]: 1 where mark 0 comes first, else 0."""
    x = torch.randint(2, TOKENS, (size, LENGTH), generator=generator)
    places = torch.rand(size, LENGTH, generator=generator).argsort(-1)[:, :2]
    x.scatter_(1, places, torch.tensor([0, 1]).expand(size, 2))
    return x, (places[:, 0] < places[:, 1]).long()


class Recurrent(nn.Module):
    """A GRU that predicts from its last state which mark came first."""

    def __init__(self, *, width=24):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.answer = nn.Linear(width, 2)

    def forward(self, x):
        """Return logits [B, 2] for tokens [B, L]."""
        return self.answer(self.recurrent(self.embedding(x))[0][:, -1])


class Bag(nn.Module):
    """A network on the mean of the token embeddings, which does not depend on the order of the tokens."""

    def __init__(self, *, width=48):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width)
        self.answer = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x):
        """Return logits [B, 2] for tokens [B, L]."""
        return self.answer(self.embedding(x).mean(1))
