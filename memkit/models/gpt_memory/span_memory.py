"""The base of memories of spans: entries, and how they are read while it is undecided where a fact begins.

    entries           of the contexts: keys k_n, values v_n[j], gates g_n      memkit/models/gpt_memory/spans.py
    a_t ∝ exp(β·q_{t−j}·k + m),  and exp(β₀) for reading nothing               over what was written and j = 0 … P−1
    read_t = W Σ a_t[·, j]·v[j]

Each token compares every written key with the query of j tokens ago: where they match, value j is what comes next. So
a cue is recognised wherever it stands, and the network need not count tokens.

It is hard to learn at the same time where a fact begins and by which key it is asked for: each is of use only with the
other, and from random initial values it takes hundreds of steps in which nothing is recalled. In the first ``soft``
steps of training an entry is therefore left undecided. Every token of a context is then a candidate, weighted by its
probability: m is log p_t' + log of how much of the context was written. The fact that is asked for is found from the
start, and p learns from it where facts begin.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.memories import lru
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.gpt_memory.spans import Entries, Spans, identity, later
from memkit.models.layers import Generators, constant

NEVER = 1e-6
"""Added to how much was written, so that its logarithm is finite."""


class Undecided(NamedTuple):
    """A state in which entries are left undecided: every token of the N contexts.

    Attributes:
        keys: [S, B, N, L, k].
        values: of a token as one of those that come after a key, [S, B, N, L, d].
        log_places: log p of each token in its context, [S, B, N, L].
        held: how much of a context stands in each slot, [S, B, K, N].
        ages: of the slots, [S, B, K].
    """

    keys: Tensor
    values: Tensor
    log_places: Tensor
    held: Tensor
    ages: Tensor


class SpanMemory(MemoryLayer):
    """Learns to make entries; what becomes of them is a subclass's.

    Attributes:
        ahead: P, tokens that are recalled by a key.
        key: width of a key.
        slots: contexts that are held while entries are undecided, and by a memory of slots after it.
        sharpness: β at first.
        soft: training steps in which entries are left undecided; a step begins where an empty state is written.
    """

    def __init__(
        self,
        generators: Generators,
        width: int,
        *,
        slots: int = 8,
        ahead: int = 4,
        key: int = 64,
        sharpness: float = 8.0,
        soft: int = 80,
    ) -> None:
        super().__init__()
        for name, value in (("slots", slots), ("ahead", ahead), ("key", key)):
            if value < 1:
                raise MemkitError(f"{type(self).__name__}: {name}={value} must be at least 1")
        self.slots, self.ahead, self.key, self.soft = slots, ahead, key, soft
        self.seeds, self.width = len(generators), width
        self.spans = Spans(generators, width, key=key, ahead=ahead)
        self.outward = identity(generators, width)
        self.sharpness = constant(generators, 1, value=sharpness)
        self.nothing = constant(generators, 1)
        self.taken: Tensor
        self.register_buffer("taken", torch.zeros(len(generators)))

    @abstractmethod
    def keep(self, state: State, entries: Entries) -> State:
        """The state after some entries, one after another."""

    @abstractmethod
    def recall(self, state: State, queries: Tensor) -> Tensor:
        """Return what every token reads: queries [S, B, Q, L, k] → [S, B, Q, L, d]."""

    @property
    def undecided(self) -> bool:
        """True in training up to step ``soft``, while the entries are left undecided."""
        return self.training and float(self.taken[0]) <= self.soft

    def written(self, state: State, x: Tensor) -> State:
        if isinstance(state, Undecided):
            return self.candidates(x, state)
        if self.training:
            self.taken += 1
        return self.candidates(x) if self.undecided else self.keep(state, self.spans.entries(x))

    def read(self, state: State, x: Tensor) -> Tensor:
        queries = self.spans.queries(x)
        if isinstance(state, Undecided):
            amounts = torch.log(state.held.sum(-2) + NEVER).unsqueeze(-1) + state.log_places
            weights = self.weights(state.keys.flatten(2, 3), amounts.flatten(2), queries)
            reached = follow(weights.view(*weights.shape[:-1], *amounts.shape[2:])).flatten(-2)
            recalled = (reached.flatten(2, 3) @ state.values.flatten(2, 3)).view_as(x)
        else:
            recalled = self.recall(state, queries)
        read: Tensor = self.outward(recalled)
        return read

    def candidates(self, x: Tensor, before: Undecided | None = None) -> Undecided:
        """Every token of the contexts, and of those before."""
        found = self.spans.candidates(x)
        ages = lru.reset(self.slots, *found.gates.shape[:2], device=x.device) if before is None else before.ages
        placed = lru.place(ages, found.gates)
        made = Undecided(found.keys, found.values, found.log_places, placed.weights, placed.ages)
        if before is None:
            return made
        return Undecided(
            torch.cat([before.keys, made.keys], 2),
            torch.cat([before.values, made.values], 2),
            torch.cat([before.log_places, made.log_places], 2),
            torch.cat([before.held * placed.kept.unsqueeze(-1), made.held], 3),
            made.ages,
        )

    def weights(self, keys: Tensor, amounts: Tensor, queries: Tensor) -> Tensor:
        """a_t: keys [S, B, M, k], m [S, B, M] and queries [S, B, Q, L, k] → [S, B, Q, L, P, M]."""
        products = (queries.flatten(2, 3) @ keys.mT).view(*queries.shape[:-1], -1)
        scores = self.sharpness.view(-1, 1, 1, 1, 1) * products + amounts[:, :, None, None]
        return self.shares(torch.stack([later(scores, j) for j in range(self.ahead)], -2))

    def shares(self, scores: Tensor) -> Tensor:
        """Scores [S, B, Q, L, P, M] → shares of 1; what is left of it reads nothing."""
        # Before the first token nothing was read that could serve as a query.
        places, ago = (torch.arange(n, device=scores.device) for n in scores.shape[3:5])
        asked = scores.masked_fill((places.unsqueeze(1) < ago).unsqueeze(-1), -torch.inf)
        nothing = self.nothing.view(-1, 1, 1, 1, 1).expand(*asked.shape[:4], 1)
        return torch.softmax(torch.cat([asked.flatten(-2), nothing], -1), -1)[..., :-1].view_as(asked)


def follow(weights: Tensor) -> Tensor:
    """Weights of keys, by how far behind it is read: [..., P, N, L] → those of the tokens that come then, [..., N, L].

    By the key of token t, what is read j tokens after it is token t + 1 + j.
    """
    ahead, length = weights.shape[-3], weights.shape[-1]
    moved = [F.pad(weights[..., j, :, : length - 1 - j], (1 + j, 0)) for j in range(ahead)]
    return torch.stack(moved).sum(0)


def attended(weights: Tensor, values: Tensor) -> Tensor:
    """Weights [S, B, Q, L, P, M] and values [S, B, M, P, d] → [S, B, Q, L, d]."""
    flat = values.transpose(2, 3).flatten(2, 3)
    return (weights.flatten(2, 3).flatten(3) @ flat).view(*weights.shape[:4], -1)
