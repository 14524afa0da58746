"""Who decides where a slot network writes and reads: a rule, or what it has learnt from the tokens.

An addressing turns tokens [S, B, L] and the words' embeddings E [S, W, d] into one :class:`Plan`.

    Rule          write after a binder word (`V means A`, `V is A`): address from V, value from A, gate 1.
                  Read at the word after a query word (`do V`, `recall V`). No parameters but the maps below.
    Factorised    address from ONE of the last three tokens, value from ONE of them. Which one is attention
                  over the offsets o = 0, 1, 2, scored by u·e_{t−o} + b_o: a token's score does not depend on
                  its neighbours. Gate and time of reading are linear in the last three tokens.
    Unfactorised  address, value and gate are linear in the last three tokens together.

    address w_t = assign(sharpness · A k_t) over the K slots, value v_t = V x_t; with Rule and Factorised, k
    and x are single tokens' embeddings (or a mixture, while attention is soft), and reading uses the same A.
    Before the first token there is nothing: e = 0.

    assign = "soft"               softmax
             "argmax"             the greatest is 1, the others 0; A gets no gradient and stays as it was drawn
             "straight-through"   forwards as argmax, backwards as softmax
             "gumbel"             softmax((scores + Gumbel noise) / temperature) while training: the temperature falls
                                  from HOT to COLD over the first ``anneal`` batches; later softmax(scores / COLD)

A map of single tokens is made once a word, as a table, and looked up: there are some twenty words, and a few hundred
tokens in a batch. A linear map of three tokens is the sum of three such maps.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.layers import Generators, Linear, constant, look_up, one_hot

WINDOW = 3
"""How many tokens back an addressing looks, the present one included."""
HOT, COLD = 1.0, 0.1
"""Temperatures of Gumbel-softmax, at the start and when it is annealed."""

Assignment: TypeAlias = Literal["soft", "argmax", "straight-through", "gumbel"]
ASSIGNMENTS: tuple[Assignment, ...] = ("soft", "argmax", "straight-through", "gumbel")


class Assign(nn.Module):
    """Scores over the slots [S, ..., K] → an address, non-negative and of sum 1; equations above.

    The noise of seed s is drawn from a generator of its own, made from that of its initial values; so a seed meets the
    same noise in any cohort.
    """

    def __init__(self, generators: Generators, *, kind: Assignment, anneal: int) -> None:
        super().__init__()
        if kind not in ASSIGNMENTS:
            raise ValueError(f"assign must be one of {', '.join(map(repr, ASSIGNMENTS))}, not {kind!r}")
        if anneal < 1:
            raise ValueError(f"anneal must be at least 1, not {anneal}")
        self.kind, self.anneal, self.batches = kind, anneal, 0
        # Nothing is drawn from the seed's generator here: later draws must not depend on the kind.
        self.noise = [torch.Generator().manual_seed(~generator.initial_seed()) for generator in generators]

    @property
    def temperature(self) -> float:
        """The temperature for the next batch; in evaluation always ``COLD``."""
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
            drawn = torch.stack([torch.rand(scores.shape[1:], generator=noise) for noise in self.noise])
            scores = scores - (-drawn.clamp(1e-7, 1 - 1e-7).log()).log().to(scores)
        return torch.softmax(scores / temperature, -1)


class Plan(NamedTuple):
    """The memory operations at every token, computed for the whole command at once."""

    write_address: Tensor
    """[S, B, L, K], sums to 1 over the slots."""
    gate: Tensor
    """[S, B, L], how much is written, 0 to 1."""
    read_address: Tensor
    """[S, B, L, K], sums to 1 over the slots."""
    when: Tensor
    """[S, B, P, L], of which time's read an answer is made, sums to 1 over the times."""
    values: Tensor
    """[S, N, d], the vectors that values are made of."""
    bias: Tensor
    """[S, 1, d], added to every value."""
    marks: Tensor
    """[S, B, L, O, N], which vectors: one-hot, or several at once."""
    shares: Tensor
    """[S, B, L, O], in which shares: v_t = bias + Σ_o shares_t[o] · Σ_n marks_t[o, n] · values[n]."""
    age: Tensor | None = None
    """[S, B, P, N], of which version an answer is made where a memory keeps several, sums to 1 over the versions."""

    @property
    def value(self) -> Tensor:
        """[S, B, L, d], what is written at every token, made of the vectors."""
        return look_up((self.shares.unsqueeze(-1) * self.marks).sum(3), self.values) + self.bias.unsqueeze(1)


def window(x: Tensor) -> Tensor:
    """The last three tokens' vectors at every token: [S, B, L, d] → [S, B, L, 3, d], zeros before them."""
    padded = F.pad(x, (0, 0, WINDOW - 1, 0))
    length = x.shape[2]
    return torch.stack([padded[:, :, WINDOW - 1 - o : WINDOW - 1 - o + length] for o in range(WINDOW)], 3)


def by_place(words: Tensor, weight: Tensor) -> Tensor:
    """A linear map of the last three tokens together as a table: [S, W, d], [S, 3·d, n] → [S, 3·W, n]."""
    seeds, _, outputs = weight.shape
    return torch.einsum("swd,sodn->sown", words, weight.view(seeds, WINDOW, -1, outputs)).flatten(1, 2)


def of_three(seen: Tensor, words: Tensor, *maps: Linear) -> Tensor:
    """Linear maps of the last three tokens, side by side: one-hot [S, B, L, 3, W] → [S, B, L, all their outputs].

    A map with a single output would, for a seed alone, take a matrix-vector kernel that rounds otherwise than
    the cohort's; side by side a seed's result does not depend on its company.
    """
    weight = torch.cat([linear.weight for linear in maps], -1)
    bias = torch.cat([linear.bias for linear in maps], -1)
    return look_up(seen.flatten(3), by_place(words, weight)) + bias.unsqueeze(1)


class Rule(nn.Module):
    """Positions by rule, as the published model had them; ``binders`` and ``queries`` are tokens."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        sharpness: float,
        assign: Assign,
        binders: tuple[int, ...],
        queries: tuple[int, ...],
    ) -> None:
        super().__init__()
        if not binders or not queries:
            raise ValueError("addressing='rule' needs the tokens `binders` and `queries` that the rule goes by")
        self.positions, self.sharpness, self.assign = positions, sharpness, assign
        self.binders, self.queries = binders, queries
        self.address = Linear(generators, width, slots)
        self.value = Linear(generators, width, width)

    def forward(self, tokens: Tensor, words: Tensor) -> Plan:
        marks = one_hot(tokens, words)
        binds, asks = _one_of(tokens, self.binders), _one_of(tokens, self.queries)
        address = look_up(marks, self.assign(self.sharpness * self.address(words)))
        gate = F.pad(binds[:, :, :-1], (1, 0)).to(words.dtype)
        asked = F.pad(asks[:, :, :-1], (1, 0))
        # The p-th answer is made of the p-th read; where there are fewer reads, the last one serves the rest.
        nth = asked.cumsum(-1)
        turn = torch.arange(1, self.positions + 1, device=tokens.device).view(1, 1, -1, 1)
        turn = torch.minimum(turn, nth[:, :, -1:].unsqueeze(-1))
        when = (asked.unsqueeze(2) & (nth.unsqueeze(2) == turn)).to(words.dtype)
        return Plan(
            write_address=F.pad(address[:, :, :-2], (0, 0, 2, 0)),
            gate=gate,
            read_address=address,
            when=when,
            values=words @ self.value.weight,
            bias=self.value.bias,
            marks=marks.unsqueeze(3),
            shares=words.new_ones(()).expand(*tokens.shape, 1),
        )


class Factorised(nn.Module):
    """Everything learnt; the address comes from one token, and so does the value."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        length: int,
        sharpness: float,
        assign: Assign,
    ) -> None:
        super().__init__()
        self.sharpness, self.assign = sharpness, assign
        self.address = Linear(generators, width, slots)
        self.value = Linear(generators, width, width)
        # Three choices among the last three tokens: which slot to write to, what to write, which slot to read.
        self.choose = Linear(generators, width, 3)
        self.choose_offset = constant(generators, 1, 1, WINDOW, 3)
        self.gate = Linear(generators, WINDOW * width, 1)
        self.when = Linear(generators, WINDOW * width, positions)
        self.when_time = _last_first(generators, positions, length)

    def forward(self, tokens: Tensor, words: Tensor) -> Plan:
        seen = window(one_hot(tokens, words))
        # [S, B, L, 3 offsets, 3 choices]
        chosen = torch.softmax(look_up(seen, self.choose(words)) + self.choose_offset, 3)
        to_and_whom, what = chosen[..., ::2].transpose(3, 4), chosen[..., 1]
        keys = to_and_whom @ look_up(seen, words @ self.address.weight) + self.address.bias[:, :, None, None]
        write_address, read_address = self.assign(self.sharpness * keys).unbind(3)
        found = of_three(seen, words, self.gate, self.when)
        gate, when = found.split_with_sizes([1, self.when_time.shape[2]], -1)
        return Plan(
            write_address=write_address,
            gate=torch.sigmoid(gate).squeeze(-1),
            read_address=read_address,
            when=torch.softmax(when.transpose(2, 3) + self.when_time, -1),
            values=words @ self.value.weight,
            bias=self.value.bias,
            marks=seen,
            shares=what,
        )


class Unfactorised(nn.Module):
    """Everything learnt; address, value and gate are linear in the last three tokens together."""

    def __init__(
        self,
        generators: Generators,
        *,
        width: int,
        slots: int,
        positions: int,
        length: int,
        sharpness: float,
        assign: Assign,
    ) -> None:
        super().__init__()
        self.sharpness, self.assign = sharpness, assign
        self.write_address = Linear(generators, WINDOW * width, slots)
        self.read_address = Linear(generators, WINDOW * width, slots)
        self.value = Linear(generators, WINDOW * width, width)
        self.gate = Linear(generators, WINDOW * width, 1)
        self.when = Linear(generators, WINDOW * width, positions)
        self.when_time = _last_first(generators, positions, length)

    def forward(self, tokens: Tensor, words: Tensor) -> Plan:
        seen = window(one_hot(tokens, words))
        slots = self.write_address.weight.shape[-1]
        found = of_three(seen, words, self.write_address, self.read_address, self.gate, self.when)
        keys, gate, when = found.split_with_sizes([2 * slots, 1, self.when_time.shape[2]], -1)
        write_address, read_address = self.assign(self.sharpness * keys.view(*keys.shape[:3], 2, slots)).unbind(3)
        return Plan(
            write_address=write_address,
            gate=torch.sigmoid(gate).squeeze(-1),
            read_address=read_address,
            when=torch.softmax(when.transpose(2, 3) + self.when_time, -1),
            values=by_place(words, self.value.weight),
            bias=self.value.bias,
            marks=seen.flatten(3).unsqueeze(3),
            shares=words.new_ones(()).expand(*tokens.shape, 1),
        )


def _last_first(generators: Generators, positions: int, length: int) -> nn.Parameter:
    """The time of reading, [S, 1, P, L]: it starts at the last token, where the controls read too.

    From a start without preference most seeds never leave the average of all reads (development: 5 of 8).
    """
    times = constant(generators, 1, positions, length)
    with torch.no_grad():
        times[..., -1] = 4.0
    return times


def _one_of(tokens: Tensor, wanted: tuple[int, ...]) -> Tensor:
    return torch.isin(tokens, torch.tensor(wanted, device=tokens.device))
