"""The two-stage compiler: an extractor replaces every name by its value, and a Transformer executes the result.

    input        X means jump do X then X means walk do X
    table        X → jump, stated at 2;  X → walk, stated at 8
    compiled     .  .    .    do jump then .  .   .   do walk        a dot: removed, a vector of zeros

    R, keep = extractor(tokens)                   R [S, B, L, L]: the token whose value replaces a token; keep [S, B, L]
    x_t = keep_t Σ_s R[t, s] E[token_s] + position_t                                       → [S, B, L, d]
    x ← Block(x), `layers` times, read at the last token as in memkit/models/transformer.py → [S, B, P, answers]

    extractor="last-write"   a rule, with a table of the last value of each name: above, `do walk then do walk`
    extractor="positional"   a rule, with a table that knows where each binding was stated: the latest before the use
    extractor="learnt"       trained with the executor; it is not told which tokens bind, or which are names

The learnt extractor's table is positional as well. With c_t the tokens t − 2 … t + 2, concatenated:

    (b_t, keep_t) = σ(W tanh(T c_t))              whether t is a bound value, and whether t is kept
    n_t = Σ_o softmax_o(u·e_{t−o} + a_o) e_{t−o}  the name that is bound to it: one of the last three tokens
    m[t, s] = b_s σ(e_t·(N n_s + q) + r)          whether t is the name that s binds, for s < t
    R[t, s] = m[t, s] Π_{s<r<t} (1 − m[t, r])     the latest such s; the remaining weight is that of e_t itself
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.addressing import WINDOW, window
from memkit.models.layers import (
    Embedding,
    Generators,
    LayerNorm,
    Linear,
    constant,
    normal,
    one_hot,
    split_positions,
    weighted_rows,
)
from memkit.models.transformer import Block

Extraction: TypeAlias = Literal["last-write", "positional", "learnt"]
REACH = 2
"""How many tokens the learnt extractor uses on each side of a token."""


class ExtractedCommand(NamedTuple):
    """The result of an extractor."""

    source: Tensor
    """The token whose embedding replaces each token, [S, B, L, L], sums to 1; or itself if it is not a name."""
    keep: Tensor
    """1 for each token that is kept, 0 for each that is removed, [S, B, L]."""


def extract_by_rule(tokens: Tensor, *, binders: tuple[int, ...], extraction: Extraction) -> ExtractedCommand:
    """Extract by the rule that `V binder A` binds the value A to the name V: tokens [S, B, L].

    A "last-write" table replaces each use of a name by the last value bound to it anywhere in the command, a
    "positional" table by the last value bound to it before the use. A name without such a binding is not replaced.
    """
    length = tokens.shape[-1]
    before_binder = torch.isin(tokens, torch.tensor(binders, device=tokens.device))[..., :-1]
    is_binder = F.pad(before_binder, (1, 0))
    bound_names = F.pad(tokens[..., :-REACH], (REACH, 0))
    removed = is_binder | F.pad(is_binder[..., 1:], (0, 1)) | F.pad(is_binder[..., 2:], (0, 2))
    binds_token = is_binder.unsqueeze(-2) & (bound_names.unsqueeze(-2) == tokens.unsqueeze(-1))
    if extraction == "positional":
        binds_token = binds_token.tril(-1)
    # Positions count from 1, so that 0 means never.
    positions = torch.arange(1, length + 1, device=tokens.device)
    latest = (binds_token * positions).amax(-1)
    source = F.one_hot(torch.where(latest > 0, latest, positions) - 1, length)
    return ExtractedCommand(source.float(), (~removed).float())


class LearntExtractor(nn.Module):
    """The learnt extractor; see the equations above."""

    def __init__(self, generators: Generators, *, width: int, hidden: int) -> None:
        super().__init__()
        self.look = Linear(generators, (2 * REACH + 1) * width, hidden)
        self.tag = Linear(generators, hidden, 2)
        with torch.no_grad():
            # All tokens are kept at first; otherwise the executor would have nothing to learn from.
            self.tag.bias[..., 1] += 3.0
        # N and the score u share one map: a map with one output would round differently for a single seed.
        self.name = Linear(generators, width, width + 1)
        self.offset = constant(generators, 1, 1, WINDOW)
        self.bias = constant(generators, 1, 1, 1, value=-2.0)

    def forward(self, tokens: Tensor, words: Tensor) -> ExtractedCommand:
        """Return the extraction of tokens [S, B, L], given the word embeddings [S, W, d]."""
        one_hot_tokens = one_hot(tokens, words)
        length = one_hot_tokens.shape[2]
        padded = F.pad(one_hot_tokens, (0, 0, REACH, REACH))
        neighbourhood = torch.cat([padded[:, :, o : o + length] for o in range(2 * REACH + 1)], -1)
        maps = self.look.weight.view(len(words), 2 * REACH + 1, words.shape[-1], -1)
        table = torch.einsum("swd,sodn->sown", words, maps).flatten(1, 2)
        hidden = torch.tanh(weighted_rows(neighbourhood, table) + self.look.bias.unsqueeze(1))
        binds, keep = torch.sigmoid(self.tag(hidden)).unbind(-1)
        name_queries, score = self.name(words).split_with_sizes([words.shape[-1], 1], -1)
        recent = window(one_hot_tokens)
        name_scores = (recent * score.view(len(score), 1, 1, 1, -1)).sum(-1) + self.offset
        names = (torch.softmax(name_scores, -1).unsqueeze(-1) * recent).sum(3)
        match_scores = weighted_rows(one_hot_tokens, words @ name_queries.transpose(1, 2)) @ names.transpose(2, 3)
        matches = (binds.unsqueeze(2) * torch.sigmoid(match_scores + self.bias)).tril(-1)
        # The latest token that binds the name: no later token does. The product over later tokens is computed in
        # logarithms, since a product has no gradient at 0.
        log_misses = torch.log1p(-matches.clamp(max=1 - 1e-6))
        log_later_misses = log_misses.flip(-1).cumsum(-1).flip(-1) - log_misses
        source = matches * torch.exp(log_later_misses)
        remaining = torch.diag_embed(1 - source.sum(-1))
        return ExtractedCommand(source + remaining, keep)


class TwoStageNetwork(nn.Module):
    """An extractor, then a Transformer that sees values in place of names; see the equations above.

    ``binders`` are the tokens that the rules use; the learnt extractor does not get them.

    >>> import torch
    >>> from memkit.models import TwoStageNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 2, "length": 6}
    >>> network = TwoStageNetwork(generators=[torch.Generator().manual_seed(0)], **task, width=16, binders=(3,))
    >>> commands = torch.tensor([[[7, 3, 8, 4, 7, 5]]])  # token 3 binds 8 to 7
    >>> network.extract(commands).keep  # the binding is removed
    tensor([[[0., 0., 0., 1., 1., 1.]]])
    >>> network(commands).shape
    torch.Size([1, 1, 2, 5])
    """

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
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
        binders: tuple[int, ...] = (),
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
        self.embedding = Embedding(generators, tokens, width)
        self.tagger = LearntExtractor(generators, width=width, hidden=hidden) if extractor == "learnt" else None
        self.position = normal(generators, 1, length, width, scale=1.0)
        self.blocks = nn.ModuleList(Block(generators, width, heads, expansion) for _ in range(layers))
        self.last = LayerNorm(generators, width)
        self.decoder = Linear(generators, width, positions * answers)

    def extract(self, tokens: Tensor) -> ExtractedCommand:
        """Return the result of the first stage for tokens [S, B, L]."""
        if self.tagger is None:
            return extract_by_rule(tokens, binders=self.binders, extraction=self.extractor)
        compiled: ExtractedCommand = self.tagger(tokens, self.embedding.weight)
        return compiled

    def execute(self, tokens: Tensor, compiled: ExtractedCommand) -> Tensor:
        """Return the result of the second stage, logits [S, B, P, answers], for tokens [S, B, L]."""
        visible, words = tokens != 0, self.embedding.weight
        mixture = compiled.keep.unsqueeze(-1) * (compiled.source @ one_hot(tokens, words))
        x = weighted_rows(mixture, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        return split_positions(self.decoder(self.last(x[:, :, -1])), self.positions)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L], where 0 is padding."""
        return self.execute(tokens, self.extract(tokens))
