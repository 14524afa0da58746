"""The two-stage compiler: an extractor puts a value in the place of every name, a Transformer executes what is left.

    input        X means jump do X then X means walk do X
    table        X → jump, stated at 2;  X → walk, stated at 8
    compiled     .  .    .    do jump then .  .   .   do walk        a dot: taken out, a vector of zeros

    R, keep = extractor(tokens)                   [S, B, L, L] whose value stands at a token, [S, B, L] what is left in
    x_t = keep_t Σ_s R[t, s] E[token_s] + position_t                                       → [S, B, L, d]
    x ← Block(x), `layers` times, read at the last token as memkit/models/transformer.py is → [S, B, P, answers]

    extractor="last-write"   by rule, from a table that holds each name's last value: above, `do walk then do walk`
    extractor="positional"   by rule, from a table that keeps when a binding was made: the latest one before the use
    extractor="learnt"       a tagger, trained with the executor, told neither what binds nor which tokens are names

The tagger's table is positional, too. With c_t the tokens t − 2 … t + 2 side by side:

    (b_t, keep_t) = σ(W tanh(T c_t))              whether a value that is bound stands at t, and what is left in
    n_t = Σ_o softmax_o(u·e_{t−o} + a_o) e_{t−o}  its name: one of the last three tokens
    m[t, s] = b_s σ(e_t·(N n_s + q) + r)          whether t has the name that s binds, for s < t
    R[t, s] = m[t, s] Π_{s<r<t} (1 − m[t, r])     by the latest one that does; what is left over is e_t itself
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
    by_position,
    constant,
    look_up,
    normal,
    one_hot,
)
from memkit.models.transformer import Block

Extraction: TypeAlias = Literal["last-write", "positional", "learnt"]
REACH = 2
"""How many tokens the tagger looks back, and as many ahead."""


class Compiled(NamedTuple):
    """An extractor's result for a command."""

    source: Tensor
    """[S, B, L, L], the token whose value stands at a token, sums to 1: itself, but for names."""
    keep: Tensor
    """[S, B, L], 0 where a token is taken out, 1 where it is left in."""


def by_rule(tokens: Tensor, *, binders: tuple[int, ...], extraction: Extraction) -> Compiled:
    """Extraction by the rule that `V binder A` binds A to V: tokens [S, B, L].

    A last-write table gives every use of a name the value that was bound last in the whole command, a positional
    one the value that was bound last before the use. A name that is bound nowhere, or later only, stands for itself.
    """
    length = tokens.shape[-1]
    follows = torch.isin(tokens, torch.tensor(binders, device=tokens.device))[..., :-1]
    binds = F.pad(follows, (1, 0))
    names = F.pad(tokens[..., :-REACH], (REACH, 0))
    taken_out = binds | F.pad(binds[..., 1:], (0, 1)) | F.pad(binds[..., 2:], (0, 2))
    stated = binds.unsqueeze(-2) & (names.unsqueeze(-2) == tokens.unsqueeze(-1))
    if extraction == "positional":
        stated = stated.tril(-1)
    # Times count from 1, so that 0 means never.
    times = torch.arange(1, length + 1, device=tokens.device)
    latest = (stated * times).amax(-1)
    source = F.one_hot(torch.where(latest > 0, latest, times) - 1, length)
    return Compiled(source.float(), (~taken_out).float())


class Tagger(nn.Module):
    """The extractor, learnt; equations above."""

    def __init__(self, generators: Generators, *, width: int, hidden: int) -> None:
        super().__init__()
        self.look = Linear(generators, (2 * REACH + 1) * width, hidden)
        self.tag = Linear(generators, hidden, 2)
        with torch.no_grad():
            # Everything is kept at first, or the executor has nothing to learn from.
            self.tag.bias[..., 1] += 3.0
        # N and the score u share one map: a map with a single output would round differently for a single seed.
        self.name = Linear(generators, width, width + 1)
        self.offset = constant(generators, 1, 1, WINDOW)
        self.bias = constant(generators, 1, 1, 1, value=-2.0)

    def forward(self, tokens: Tensor, words: Tensor) -> Compiled:
        """Tokens [S, B, L] and the words' embeddings [S, W, d]."""
        marks = one_hot(tokens, words)
        length = marks.shape[2]
        padded = F.pad(marks, (0, 0, REACH, REACH))
        around = torch.cat([padded[:, :, o : o + length] for o in range(2 * REACH + 1)], -1)
        maps = self.look.weight.view(len(words), 2 * REACH + 1, words.shape[-1], -1)
        table = torch.einsum("swd,sodn->sown", words, maps).flatten(1, 2)
        seen = torch.tanh(look_up(around, table) + self.look.bias.unsqueeze(1))
        binds, keep = torch.sigmoid(self.tag(seen)).unbind(-1)
        wanted, score = self.name(words).split_with_sizes([words.shape[-1], 1], -1)
        recent = window(marks)
        offers = (recent * score.view(len(score), 1, 1, 1, -1)).sum(-1) + self.offset
        names = (torch.softmax(offers, -1).unsqueeze(-1) * recent).sum(3)
        alike = look_up(marks, words @ wanted.transpose(1, 2)) @ names.transpose(2, 3)
        has = (binds.unsqueeze(2) * torch.sigmoid(alike + self.bias)).tril(-1)
        # The latest token that binds the name: no later one does. In logarithms, as products have no gradient at 0.
        misses = torch.log1p(-has.clamp(max=1 - 1e-6))
        later = misses.flip(-1).cumsum(-1).flip(-1) - misses
        found = has * torch.exp(later)
        own = torch.diag_embed(1 - found.sum(-1))
        return Compiled(found + own, keep)


class TwoStageNetwork(nn.Module):
    """An extractor, then a Transformer that sees names by their values only; equations above.

    ``binders`` are the tokens that the rules go by; the learnt extractor is not told them.
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
            raise ValueError(f"extractor={extractor!r} needs the tokens `binders` that the rule goes by")
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.state_size = 2 * layers * length * width
        self.positions, self.binders = positions, tuple(binders)
        self.extractor: Extraction = extractor
        self.embedding = Embedding(generators, tokens, width)
        self.tagger = Tagger(generators, width=width, hidden=hidden) if extractor == "learnt" else None
        self.position = normal(generators, 1, length, width, scale=1.0)
        self.blocks = nn.ModuleList(Block(generators, width, heads, expansion) for _ in range(layers))
        self.last = LayerNorm(generators, width)
        self.decoder = Linear(generators, width, positions * answers)

    def extract(self, tokens: Tensor) -> Compiled:
        """The first stage: tokens [S, B, L] → what is to be executed."""
        if self.tagger is None:
            return by_rule(tokens, binders=self.binders, extraction=self.extractor)
        compiled: Compiled = self.tagger(tokens, self.embedding.weight)
        return compiled

    def execute(self, tokens: Tensor, compiled: Compiled) -> Tensor:
        """The second stage: [S, B, L] → logits [S, B, P, answers]."""
        visible, words = tokens != 0, self.embedding.weight
        marks = compiled.keep.unsqueeze(-1) * (compiled.source @ one_hot(tokens, words))
        x = look_up(marks, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        return by_position(self.decoder(self.last(x[:, :, -1])), self.positions)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L], 0 being padding, → logits [S, B, P, answers]."""
        return self.execute(tokens, self.extract(tokens))
