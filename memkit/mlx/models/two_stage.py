"""The two-stage compiler in MLX; equations in memkit/models/two_stage.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.addressing import before, window
from memkit.mlx.models.layers import Embedding, Keys, LayerNorm, Linear, by_position, look_up, normal, one_hot
from memkit.mlx.models.transformer import Block
from memkit.models.addressing import WINDOW
from memkit.models.two_stage import REACH, Extraction


class Compiled(NamedTuple):
    """An extractor's result for a command: whose value a token takes [B, L, L], and which tokens are kept [B, L]."""

    source: mx.array
    keep: mx.array


def by_rule(tokens: mx.array, *, binders: Sequence[int], extraction: Extraction) -> Compiled:
    """Extraction by the rule that `V binder A` binds A to V: tokens [B, L]."""
    length = tokens.shape[-1]
    follows = (tokens[..., None] == mx.array(list(binders))).any(-1)
    follows = follows & (mx.arange(length) < length - 1)  # the last token has no token after it to bind
    binds = before(follows, 1)
    names = before(tokens, REACH)
    taken_out = binds | follows | _ahead(follows)
    stated = binds[:, None] & (names[:, None] == tokens[..., None])
    if extraction == "positional":
        stated = stated & mx.tril(mx.ones((length, length), mx.bool_), -1)
    # Times count from 1, so that 0 means never.
    times = mx.arange(1, length + 1)
    latest = mx.where(stated, times, 0).max(-1)
    source = mx.where(latest > 0, latest, times)[..., None] == times
    return Compiled(source.astype(mx.float32), (~taken_out).astype(mx.float32))


class Tagger(nn.Module):
    """The extractor, learnt."""

    def __init__(self, keys: Keys, *, width: int, hidden: int) -> None:
        super().__init__()
        self.look = Linear(keys, (2 * REACH + 1) * width, hidden)
        self.tag = Linear(keys, hidden, 2)
        # Everything is kept at first, or the executor has nothing to learn from.
        self.tag.bias[1] += 3.0
        self.name = Linear(keys, width, width + 1)
        self.offset = mx.zeros(WINDOW)
        self.bias = mx.full((1,), -2.0)

    def __call__(self, tokens: mx.array, words: mx.array) -> Compiled:
        """Tokens [B, L] and the words' embeddings [W, d]."""
        marks = one_hot(tokens, words)
        batch, length, count = marks.shape
        padding = mx.zeros((batch, REACH, count))
        padded = mx.concatenate([padding, marks, padding], 1)
        around = mx.concatenate([padded[:, o : o + length] for o in range(2 * REACH + 1)], -1)
        maps = self.look.weight.reshape(2 * REACH + 1, words.shape[-1], -1)
        table = (words[None] @ maps).reshape((2 * REACH + 1) * count, -1)
        seen = mx.tanh(look_up(around, table) + self.look.bias)
        tags = mx.sigmoid(self.tag(seen))
        found = self.name(words)
        wanted, score = found[:, :-1], found[:, -1]
        recent = window(marks)
        offers = (recent * score).sum(-1) + self.offset
        names = (mx.softmax(offers, -1)[..., None] * recent).sum(2)
        alike = look_up(marks, words @ wanted.T) @ names.swapaxes(1, 2)
        has = tags[:, None, :, 0] * mx.sigmoid(alike + self.bias)
        has = has * mx.tril(mx.ones((length, length)), -1)
        # The latest token that binds the name: no later one does. In logarithms, as products have no gradient at 0.
        misses = mx.log1p(-mx.minimum(has, 1 - 1e-6))
        later = mx.cumsum(misses, -1, reverse=True) - misses
        named = has * mx.exp(later)
        own = (1 - named.sum(-1))[..., None] * mx.eye(length)
        return Compiled(named + own, tags[..., 1])


class TwoStageNetwork(nn.Module):
    """An extractor, then a Transformer that sees names by their values only.

    Options are those of :class:`memkit.models.two_stage.TwoStageNetwork`.
    """

    def __init__(
        self,
        *,
        keys: Keys,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        expansion: int = 2,
        extractor: Extraction = "positional",
        hidden: int = 16,
        binders: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if extractor not in ("last-write", "positional", "learnt"):
            raise ValueError(f"extractor must be 'last-write', 'positional' or 'learnt', not {extractor!r}")
        if extractor != "learnt" and not binders:
            raise ValueError(f"extractor={extractor!r} needs the tokens `binders` that the rule goes by")
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.state_size = 2 * layers * length * width
        self.positions, self.binders = positions, tuple(binders)
        self.extractor: Extraction = extractor
        self.embedding = Embedding(keys, tokens, width)
        self.tagger = Tagger(keys, width=width, hidden=hidden) if extractor == "learnt" else None
        self.position = normal(keys, length, width, scale=1.0)
        self.blocks = [Block(keys, width, heads, expansion) for _ in range(layers)]
        self.last = LayerNorm(width)
        self.decoder = Linear(keys, width, positions * answers)

    def extract(self, tokens: mx.array) -> Compiled:
        """The first stage: tokens [B, L] → what is to be executed."""
        if self.tagger is None:
            return by_rule(tokens, binders=self.binders, extraction=self.extractor)
        return self.tagger(tokens, self.embedding.weight)

    def execute(self, tokens: mx.array, compiled: Compiled) -> mx.array:
        """The second stage: [B, L] → logits [B, P, answers]."""
        visible, words = tokens != 0, self.embedding.weight
        marks = compiled.keep[..., None] * (compiled.source @ one_hot(tokens, words))
        x = look_up(marks, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        return by_position(self.decoder(self.last(x[:, -1])), self.positions)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Tokens [B, L], 0 being padding, → logits [B, P, answers]."""
        return self.execute(tokens, self.extract(tokens))


def _ahead(marks: mx.array) -> mx.array:
    """One token earlier: [B, L] → [B, L]."""
    return mx.concatenate([marks[:, 1:], mx.zeros_like(marks[:, :1])], 1)
