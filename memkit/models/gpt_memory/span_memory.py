"""Base class of memories of spans: how entries are read, even before it is decided where a fact begins.

    entries           of the contexts: keys k_n, values v_n[j], gates g_n      memkit/models/gpt_memory/spans.py
    a_t ∝ exp(β·q_{t−j}·k + m),  and exp(β₀) for reading nothing               over stored keys and j = 0 … P−1
    read_t = W Σ a_t[·, j]·v[j]

Each token compares every stored key with the query of j tokens ago. Where the two match, value j is the token that
comes next. So a cue is recognised wherever it stands, and the network does not have to count tokens.

Two things have to be learnt at the same time: where a fact begins, and by which key it is asked for. Each is useful
only with the other, so from random initial values nothing is recalled for hundreds of steps. Therefore, in the first
``soft`` training steps no entry is chosen. Every token of a context is stored as a candidate, weighted by its
probability p_t': m is log p_t' plus the log of how much of the context is stored. With candidates, a fact is found from
the start of training, and p learns from these reads where facts begin.
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
from memkit.models.gpt_memory.spans import Entries, Spans, identity_linear, shift_right
from memkit.models.layers import Generators, constant

EPSILON = 1e-6
"""Added to the amount that was written, so that its logarithm is finite."""


class CandidateState(NamedTuple):
    """A state that stores every token of the N contexts as a candidate.

    Attributes:
        keys: [S, B, N, L, k].
        values: the value of each token, to be read by the keys before it, [S, B, N, L, d].
        log_positions: log p of each token in its context, [S, B, N, L].
        stored: how much of each context is stored in each slot, [S, B, K, N].
        ages: the ages of the slots, [S, B, K].
    """

    keys: Tensor
    values: Tensor
    log_positions: Tensor
    stored: Tensor
    ages: Tensor


class SpanMemory(MemoryLayer):
    """A memory that learns to form entries; subclasses define how entries are stored and recalled.

    Attributes:
        ahead: P, the number of tokens that a key recalls.
        key: the width of a key.
        slots: the number of contexts that fit into the memory; in the delta memory, only while it stores candidates.
        sharpness: the initial value of β.
        soft: the number of training steps that store candidates; a step begins when an empty state is written.
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
        self.outward = identity_linear(generators, width)
        self.sharpness = constant(generators, 1, value=sharpness)
        self.nothing = constant(generators, 1)
        self.taken: Tensor  # training steps taken, [S]
        self.register_buffer("taken", torch.zeros(len(generators)))

    @abstractmethod
    def store_entries(self, state: State, entries: Entries) -> State:
        """Return the state after storing entries, one after another."""

    @abstractmethod
    def recall(self, state: State, queries: Tensor) -> Tensor:
        """Return what each token recalls: queries [S, B, Q, L, k] → [S, B, Q, L, d]."""

    @property
    def stores_candidates(self) -> bool:
        """True in training up to step ``soft``, while every token is stored as a candidate."""
        return self.training and float(self.taken[0]) <= self.soft

    def written(self, state: State, x: Tensor) -> State:
        if isinstance(state, CandidateState):
            return self.append_candidates(x, state)
        if self.training:
            self.taken += 1
        return self.append_candidates(x) if self.stores_candidates else self.store_entries(state, self.spans.entries(x))

    def read(self, state: State, x: Tensor) -> Tensor:
        queries = self.spans.queries(x)
        if isinstance(state, CandidateState):
            amounts = torch.log(state.stored.sum(-2) + EPSILON).unsqueeze(-1) + state.log_positions
            weights = self.match_weights(state.keys.flatten(2, 3), amounts.flatten(2), queries)
            value_weights = weights_of_next_tokens(weights.view(*weights.shape[:-1], *amounts.shape[2:])).flatten(-2)
            recalled = (value_weights.flatten(2, 3) @ state.values.flatten(2, 3)).view_as(x)
        else:
            recalled = self.recall(state, queries)
        read: Tensor = self.outward(recalled)
        return read

    def append_candidates(self, x: Tensor, earlier: CandidateState | None = None) -> CandidateState:
        """Return the earlier candidates, if any, and those of contexts x [S, B, N, L, d]."""
        candidates = self.spans.candidates(x)
        ages = lru.reset(self.slots, *candidates.gates.shape[:2], device=x.device) if earlier is None else earlier.ages
        placement = lru.place(ages, candidates.gates)
        new = CandidateState(
            candidates.keys, candidates.values, candidates.log_positions, placement.weights, placement.ages
        )
        if earlier is None:
            return new
        return CandidateState(
            torch.cat([earlier.keys, new.keys], 2),
            torch.cat([earlier.values, new.values], 2),
            torch.cat([earlier.log_positions, new.log_positions], 2),
            torch.cat([earlier.stored * placement.kept.unsqueeze(-1), new.stored], 3),
            new.ages,
        )

    def match_weights(self, keys: Tensor, amounts: Tensor, queries: Tensor) -> Tensor:
        """Return a_t: how much each token reads from each key at each offset j.

        Args:
            keys: [S, B, M, k].
            amounts: m, [S, B, M].
            queries: [S, B, Q, L, k].

        Returns:
            [S, B, Q, L, P, M]
        """
        products = (queries.flatten(2, 3) @ keys.mT).view(*queries.shape[:-1], -1)
        scores = self.sharpness.view(-1, 1, 1, 1, 1) * products + amounts[:, :, None, None]
        return self.softmax_with_nothing(torch.stack([shift_right(scores, j) for j in range(self.ahead)], -2))

    def softmax_with_nothing(self, scores: Tensor) -> Tensor:
        """Return the softmax of scores [S, B, Q, L, P, M] over P and M, with one more option: to read nothing.

        The weights sum to less than 1; the rest is the weight of reading nothing.
        """
        # The first tokens have no query of j tokens ago.
        positions, offsets = (torch.arange(n, device=scores.device) for n in scores.shape[3:5])
        masked = scores.masked_fill((positions.unsqueeze(1) < offsets).unsqueeze(-1), -torch.inf)
        nothing = self.nothing.view(-1, 1, 1, 1, 1).expand(*masked.shape[:4], 1)
        return torch.softmax(torch.cat([masked.flatten(-2), nothing], -1), -1)[..., :-1].view_as(masked)


def weights_of_next_tokens(weights: Tensor) -> Tensor:
    """Convert weights of keys into weights of the tokens that come next: [..., P, N, L] → [..., N, L].

    The key of token t, read at offset j, recalls token t + 1 + j.
    """
    ahead, length = weights.shape[-3], weights.shape[-1]
    shifted = [F.pad(weights[..., j, :, : length - 1 - j], (1 + j, 0)) for j in range(ahead)]
    return torch.stack(shifted).sum(0)


def weighted_values(weights: Tensor, values: Tensor) -> Tensor:
    """Return weighted sums of values: weights [S, B, Q, L, P, M], values [S, B, M, P, d] → [S, B, Q, L, d]."""
    flat = values.transpose(2, 3).flatten(2, 3)
    return (weights.flatten(2, 3).flatten(3) @ flat).view(*weights.shape[:4], -1)
