"""The two-stage compiler in MLX; for the equations see memkit/models/two_stage.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.addressing import shift_right, window
from memkit.mlx.models.layers import Embedding, Keys, LayerNorm, Linear, normal, one_hot, split_positions, weighted_rows
from memkit.mlx.models.transformer import Block
from memkit.models.addressing import WINDOW
from memkit.models.two_stage import REACH, Extraction


class ExtractedCommand(NamedTuple):
    """The result of an extractor: the source of each token [B, L, L], and which tokens are kept [B, L]."""

    source: mx.array
    keep: mx.array


def extract_by_rule(tokens: mx.array, *, binders: Sequence[int], extraction: Extraction) -> ExtractedCommand:
    """Extract by the rule that `V binder A` binds the value A to the name V: tokens [B, L]."""
    length = tokens.shape[-1]
    before_binder = (tokens[..., None] == mx.array(list(binders))).any(-1)
    before_binder = before_binder & (mx.arange(length) < length - 1)  # the last token cannot bind: no token follows it
    is_binder = shift_right(before_binder, 1)
    bound_names = shift_right(tokens, REACH)
    removed = is_binder | before_binder | _shift_left(before_binder)
    binds_token = is_binder[:, None] & (bound_names[:, None] == tokens[..., None])
    if extraction == "positional":
        binds_token = binds_token & mx.tril(mx.ones((length, length), mx.bool_), -1)
    # Positions count from 1, so that 0 means never.
    positions = mx.arange(1, length + 1)
    latest = mx.where(binds_token, positions, 0).max(-1)
    source = mx.where(latest > 0, latest, positions)[..., None] == positions
    return ExtractedCommand(source.astype(mx.float32), (~removed).astype(mx.float32))


class LearntExtractor(nn.Module):
    """The learnt extractor."""

    def __init__(self, keys: Keys, *, width: int, hidden: int) -> None:
        super().__init__()
        self.look = Linear(keys, (2 * REACH + 1) * width, hidden)
        self.tag = Linear(keys, hidden, 2)
        # All tokens are kept at first; otherwise the executor would have nothing to learn from.
        self.tag.bias[1] += 3.0
        self.name = Linear(keys, width, width + 1)
        self.offset = mx.zeros(WINDOW)
        self.bias = mx.full((1,), -2.0)

    def __call__(self, tokens: mx.array, words: mx.array) -> ExtractedCommand:
        """Return the extraction of tokens [B, L], given the word embeddings [W, d]."""
        one_hot_tokens = one_hot(tokens, words)
        batch, length, count = one_hot_tokens.shape
        padding = mx.zeros((batch, REACH, count))
        padded = mx.concatenate([padding, one_hot_tokens, padding], 1)
        neighbourhood = mx.concatenate([padded[:, o : o + length] for o in range(2 * REACH + 1)], -1)
        maps = self.look.weight.reshape(2 * REACH + 1, words.shape[-1], -1)
        table = (words[None] @ maps).reshape((2 * REACH + 1) * count, -1)
        hidden = mx.tanh(weighted_rows(neighbourhood, table) + self.look.bias)
        tags = mx.sigmoid(self.tag(hidden))
        projected = self.name(words)
        name_queries, score = projected[:, :-1], projected[:, -1]
        recent = window(one_hot_tokens)
        name_scores = (recent * score).sum(-1) + self.offset
        names = (mx.softmax(name_scores, -1)[..., None] * recent).sum(2)
        match_scores = weighted_rows(one_hot_tokens, words @ name_queries.T) @ names.swapaxes(1, 2)
        matches = tags[:, None, :, 0] * mx.sigmoid(match_scores + self.bias)
        matches = matches * mx.tril(mx.ones((length, length)), -1)
        # The latest token that binds the name: no later token does. The product over later tokens is computed in
        # logarithms, since a product has no gradient at 0.
        log_misses = mx.log1p(-mx.minimum(matches, 1 - 1e-6))
        log_later_misses = mx.cumsum(log_misses, -1, reverse=True) - log_misses
        source = matches * mx.exp(log_later_misses)
        remaining = (1 - source.sum(-1))[..., None] * mx.eye(length)
        return ExtractedCommand(source + remaining, tags[..., 1])


class TwoStageNetwork(nn.Module):
    """An extractor, then a Transformer that sees values in place of names.

    The options are those of :class:`memkit.models.two_stage.TwoStageNetwork`.
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
            raise ValueError(f"extractor={extractor!r} needs the tokens `binders` that its rule uses")
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.state_size = 2 * layers * length * width
        self.positions, self.binders = positions, tuple(binders)
        self.extractor: Extraction = extractor
        self.embedding = Embedding(keys, tokens, width)
        self.tagger = LearntExtractor(keys, width=width, hidden=hidden) if extractor == "learnt" else None
        self.position = normal(keys, length, width, scale=1.0)
        self.blocks = [Block(keys, width, heads, expansion) for _ in range(layers)]
        self.last = LayerNorm(width)
        self.decoder = Linear(keys, width, positions * answers)

    def extract(self, tokens: mx.array) -> ExtractedCommand:
        """Return the result of the first stage for tokens [B, L]."""
        if self.tagger is None:
            return extract_by_rule(tokens, binders=self.binders, extraction=self.extractor)
        return self.tagger(tokens, self.embedding.weight)

    def execute(self, tokens: mx.array, compiled: ExtractedCommand) -> mx.array:
        """Return the result of the second stage, logits [B, P, answers], for tokens [B, L]."""
        visible, words = tokens != 0, self.embedding.weight
        mixture = compiled.keep[..., None] * (compiled.source @ one_hot(tokens, words))
        x = weighted_rows(mixture, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        return split_positions(self.decoder(self.last(x[:, -1])), self.positions)

    def __call__(self, tokens: mx.array) -> mx.array:
        """Return logits [B, P, answers] for tokens [B, L], where 0 is padding."""
        return self.execute(tokens, self.extract(tokens))


def _shift_left(marks: mx.array) -> mx.array:
    """Shift marks [B, L] by one token to the left; the last token is filled with zeros."""
    return mx.concatenate([marks[:, 1:], mx.zeros_like(marks[:, :1])], 1)
