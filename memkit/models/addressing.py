"""Addressing: where a slot network writes and reads, given by a fixed rule or learnt.

An addressing turns tokens [S, B, L] and the word embeddings E [S, W, d] into one :class:`MemoryPlan`.

    Rule          Write after a binder word (`V means A`, `V is A`): the address comes from V, the value from A, and the
                  gate is 1. Read at the word after a query word (`do V`, `recall V`). Only the maps below are learnt.
    Factorised    The address comes from ONE of the last three tokens, and the value from ONE of them. Attention over
                  the offsets o = 0, 1, 2 chooses it, with scores u·e_{t−o} + b_o: the score of a token does not
                  depend on its neighbours. The gate and the time of reading are linear in the last three tokens.
    Unfactorised  Address, value and gate are linear in the last three tokens together.

    address w_t = assign(sharpness · A k_t) over the K slots, value v_t = V x_t. With Rule and Factorised, k and x are
    embeddings of single tokens (or mixtures of them, while attention is soft), and reading uses the same A as writing.
    Before the first token, e = 0.

    assign = "soft"               softmax
             "argmax"             1 for the highest score, 0 for the others; A gets no gradient and keeps its initial
                                  values
             "straight-through"   argmax in the forward pass, softmax in the backward pass
             "gumbel"             in training softmax((scores + Gumbel noise) / temperature); the temperature falls from
                                  HOT to COLD over the first ``anneal`` batches; in evaluation softmax(scores / COLD)

Maps of single tokens are computed once per word, as a table, and then looked up: there are about twenty words, but
hundreds of tokens in a batch. A linear map of three tokens is the sum of three such tables.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.layers import Generators, Linear, constant, one_hot, weighted_rows

WINDOW = 3
"""The number of most recent tokens that an addressing uses, including the current one."""
HOT, COLD = 1.0, 0.1
"""Temperatures of Gumbel-softmax at the start and at the end of annealing."""

Assignment: TypeAlias = Literal["soft", "argmax", "straight-through", "gumbel"]
ASSIGNMENTS: tuple[Assignment, ...] = ("soft", "argmax", "straight-through", "gumbel")


class SlotAssignment(nn.Module):
    """A map from scores over the slots [S, ..., K] to an address: non-negative weights that sum to 1; see above.

    The Gumbel noise of a seed comes from its own generator, which is derived from that of its initial values. So a seed
    gets the same noise in every cohort.
    """

    def __init__(self, generators: Generators, *, kind: Assignment, anneal: int) -> None:
        super().__init__()
        if kind not in ASSIGNMENTS:
            raise ValueError(f"assign must be one of {', '.join(map(repr, ASSIGNMENTS))}, not {kind!r}")
        if anneal < 1:
            raise ValueError(f"anneal must be at least 1, not {anneal}")
        self.kind, self.anneal, self.batches = kind, anneal, 0
        # Nothing is drawn from the seed's own generator, so that later draws do not depend on the kind.
        self.noise = [torch.Generator().manual_seed(~generator.initial_seed()) for generator in generators]

    @property
    def temperature(self) -> float:
        """The temperature of the next batch; ``COLD`` in evaluation."""
        return float(HOT * (COLD / HOT) ** min(1.0, self.batches / self.anneal)) if self.training else COLD

    def forward(self, scores: Tensor) -> Tensor:
        if self.kind == "gumbel":
            return self._gumbel(scores)
        soft = torch.softmax(scores, -1)
        if self.kind == "soft":
            return soft
        hard = F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
        return hard if self.kind == "argmax" else hard + (soft - soft.detach())

    def _gumbel(self, scores: Tensor) -> Tensor:
        temperature = self.temperature
        if self.training:
            self.batches += 1
            uniform_noise = torch.stack([torch.rand(scores.shape[1:], generator=generator) for generator in self.noise])
            scores = scores - (-uniform_noise.clamp(1e-7, 1 - 1e-7).log()).log().to(scores)
        return torch.softmax(scores / temperature, -1)


class MemoryPlan(NamedTuple):
    """The memory operations at each token of the commands; P answers, N table rows, O offsets."""

    write_address: Tensor
    """Where each token writes, [S, B, L, K]; sums to 1 over the slots."""
    gate: Tensor
    """How much each token writes, [S, B, L], 0 to 1."""
    read_address: Tensor
    """Where each token reads, [S, B, L, K]; sums to 1 over the slots."""
    when: Tensor
    """Weights of the reads that make up each answer, [S, B, P, L]; sums to 1 over the tokens."""
    values: Tensor
    """The table of vectors from which values are composed, [S, N, d]."""
    bias: Tensor
    """The vector that is added to each value, [S, 1, d]."""
    value_selection: Tensor
    """The table rows that make up each value, [S, B, L, O, N]: one-hot, or several ones."""
    value_weights: Tensor
    """Weights of the offsets, [S, B, L, O]: v_t = bias + Σ_o weight_t[o] · Σ_n selection_t[o, n] · values[n]."""
    age: Tensor | None = None
    """With several versions per slot, the weights of the versions for each answer, [S, B, P, N]; sums to 1."""

    @property
    def value(self) -> Tensor:
        """The value that each token writes, [S, B, L, d]."""
        weights = (self.value_weights.unsqueeze(-1) * self.value_selection).sum(3)
        return weighted_rows(weights, self.values) + self.bias.unsqueeze(1)


def window(x: Tensor) -> Tensor:
    """Return the last three vectors at each token, newest first, padded with zeros: [S, B, L, d] → [S, B, L, 3, d]."""
    padded = F.pad(x, (0, 0, WINDOW - 1, 0))
    length = x.shape[2]
    return torch.stack([padded[:, :, WINDOW - 1 - o : WINDOW - 1 - o + length] for o in range(WINDOW)], 3)


def window_table(words: Tensor, weight: Tensor) -> Tensor:
    """Return a linear map of the last three tokens as a table of rows, one for each offset and word.

    Args:
        words: word embeddings, [S, W, d].
        weight: the weights of the map, [S, 3·d, n].

    Returns:
        [S, 3·W, n]
    """
    seeds, _, outputs = weight.shape
    return torch.einsum("swd,sodn->sown", words, weight.view(seeds, WINDOW, -1, outputs)).flatten(1, 2)


def window_linear(recent: Tensor, words: Tensor, *maps: Linear) -> Tensor:
    """Return several linear maps of the last three tokens, concatenated: one-hot tokens [S, B, L, 3, W] → [S, B, L, n].

    The maps share one matrix product. For a single seed, a map with one output would use a matrix-vector kernel, which
    rounds differently from the kernel for a cohort; a seed's result must not depend on its cohort.
    """
    weight = torch.cat([linear.weight for linear in maps], -1)
    bias = torch.cat([linear.bias for linear in maps], -1)
    return weighted_rows(recent.flatten(3), window_table(words, weight)) + bias.unsqueeze(1)


class RuleAddressing(nn.Module):
    """Addressing by a fixed rule, as in the published model; ``binders`` and ``queries`` are tokens."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        sharpness: float,
        assign: SlotAssignment,
        binders: tuple[int, ...],
        queries: tuple[int, ...],
    ) -> None:
        super().__init__()
        if not binders or not queries:
            raise ValueError("addressing='rule' needs the tokens `binders` and `queries` that its rule uses")
        self.positions, self.sharpness, self.assign = positions, sharpness, assign
        self.binders, self.queries = binders, queries
        self.address = Linear(generators, width, slots)
        self.value = Linear(generators, width, width)

    def forward(self, tokens: Tensor, words: Tensor) -> MemoryPlan:
        one_hot_tokens = one_hot(tokens, words)
        is_binder, is_query = _is_one_of(tokens, self.binders), _is_one_of(tokens, self.queries)
        address = weighted_rows(one_hot_tokens, self.assign(self.sharpness * self.address(words)))
        gate = F.pad(is_binder[:, :, :-1], (1, 0)).to(words.dtype)
        is_read = F.pad(is_query[:, :, :-1], (1, 0))
        # Answer p uses the p-th read; if there are fewer reads, the remaining answers use the last one.
        read_count = is_read.cumsum(-1)
        read_number = torch.arange(1, self.positions + 1, device=tokens.device).view(1, 1, -1, 1)
        read_number = torch.minimum(read_number, read_count[:, :, -1:].unsqueeze(-1))
        when = (is_read.unsqueeze(2) & (read_count.unsqueeze(2) == read_number)).to(words.dtype)
        return MemoryPlan(
            write_address=F.pad(address[:, :, :-2], (0, 0, 2, 0)),
            gate=gate,
            read_address=address,
            when=when,
            values=words @ self.value.weight,
            bias=self.value.bias,
            value_selection=one_hot_tokens.unsqueeze(3),
            value_weights=words.new_ones(()).expand(*tokens.shape, 1),
        )


class FactorisedAddressing(nn.Module):
    """Learnt addressing; the address comes from one token, and so does the value."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        length: int,
        sharpness: float,
        assign: SlotAssignment,
    ) -> None:
        super().__init__()
        self.sharpness, self.assign = sharpness, assign
        self.address = Linear(generators, width, slots)
        self.value = Linear(generators, width, width)
        # Three choices among the last three tokens: the key to write at, the value to write, the key to read at.
        self.choose = Linear(generators, width, 3)
        self.choose_offset = constant(generators, 1, 1, WINDOW, 3)
        self.gate = Linear(generators, WINDOW * width, 1)
        self.when = Linear(generators, WINDOW * width, positions)
        self.when_time = _initial_read_times(generators, positions, length)

    def forward(self, tokens: Tensor, words: Tensor) -> MemoryPlan:
        recent = window(one_hot(tokens, words))
        # [S, B, L, 3 offsets, 3 choices]
        choice = torch.softmax(weighted_rows(recent, self.choose(words)) + self.choose_offset, 3)
        key_choices, value_choice = choice[..., ::2].transpose(3, 4), choice[..., 1]
        keys = key_choices @ weighted_rows(recent, words @ self.address.weight) + self.address.bias[:, :, None, None]
        write_address, read_address = self.assign(self.sharpness * keys).unbind(3)
        projected = window_linear(recent, words, self.gate, self.when)
        gate, when = projected.split_with_sizes([1, self.when_time.shape[2]], -1)
        return MemoryPlan(
            write_address=write_address,
            gate=torch.sigmoid(gate).squeeze(-1),
            read_address=read_address,
            when=torch.softmax(when.transpose(2, 3) + self.when_time, -1),
            values=words @ self.value.weight,
            bias=self.value.bias,
            value_selection=recent,
            value_weights=value_choice,
        )


class UnfactorisedAddressing(nn.Module):
    """Learnt addressing; address, value and gate are linear in the last three tokens together."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        length: int,
        sharpness: float,
        assign: SlotAssignment,
    ) -> None:
        super().__init__()
        self.sharpness, self.assign = sharpness, assign
        self.write_address = Linear(generators, WINDOW * width, slots)
        self.read_address = Linear(generators, WINDOW * width, slots)
        self.value = Linear(generators, WINDOW * width, width)
        self.gate = Linear(generators, WINDOW * width, 1)
        self.when = Linear(generators, WINDOW * width, positions)
        self.when_time = _initial_read_times(generators, positions, length)

    def forward(self, tokens: Tensor, words: Tensor) -> MemoryPlan:
        recent = window(one_hot(tokens, words))
        slots = self.write_address.weight.shape[-1]
        projected = window_linear(recent, words, self.write_address, self.read_address, self.gate, self.when)
        keys, gate, when = projected.split_with_sizes([2 * slots, 1, self.when_time.shape[2]], -1)
        write_address, read_address = self.assign(self.sharpness * keys.view(*keys.shape[:3], 2, slots)).unbind(3)
        return MemoryPlan(
            write_address=write_address,
            gate=torch.sigmoid(gate).squeeze(-1),
            read_address=read_address,
            when=torch.softmax(when.transpose(2, 3) + self.when_time, -1),
            values=window_table(words, self.value.weight),
            bias=self.value.bias,
            value_selection=recent.flatten(3).unsqueeze(3),
            value_weights=words.new_ones(()).expand(*tokens.shape, 1),
        )


def _initial_read_times(generators: Generators, positions: int, length: int) -> nn.Parameter:
    """Return the initial logits of the time of reading, [S, 1, P, L].

    They are highest at the last token, where the controls read too. Without this preference, most seeds keep
    averaging all reads (5 of 8 development seeds).
    """
    logits = constant(generators, 1, positions, length)
    with torch.no_grad():
        logits[..., -1] = 4.0
    return logits


def _is_one_of(tokens: Tensor, allowed: tuple[int, ...]) -> Tensor:
    """Return whether each token is among the allowed ones: [S, B, L] → bool [S, B, L]."""
    return torch.isin(tokens, torch.tensor(allowed, device=tokens.device))
