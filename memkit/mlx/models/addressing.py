"""Addressing in MLX: where a slot network writes and reads; equations in memkit/models/addressing.py.

Shapes are those of one seed: what is [S, B, L, K] there is [B, L, K] here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.layers import Keys, Linear, look_up, one_hot
from memkit.models.addressing import ASSIGNMENTS, COLD, HOT, WINDOW, Assignment


class Noise(NamedTuple):
    """The source of a training batch's noise."""

    key: mx.array
    step: mx.array
    """Batches before this one."""


class Assign(nn.Module):
    """Scores over the slots [..., K] → an address, non-negative and of sum 1."""

    def __init__(self, *, kind: Assignment, anneal: int) -> None:
        super().__init__()
        if kind not in ASSIGNMENTS:
            raise ValueError(f"assign must be one of {', '.join(map(repr, ASSIGNMENTS))}, not {kind!r}")
        if anneal < 1:
            raise ValueError(f"anneal must be at least 1, not {anneal}")
        self.kind, self.anneal = kind, anneal

    def __call__(self, scores: mx.array, noise: Noise | None = None) -> mx.array:
        if self.kind == "gumbel":
            if noise is None:
                return mx.softmax(scores / COLD, -1)
            temperature = HOT * (COLD / HOT) ** mx.minimum(1.0, noise.step / self.anneal)
            drawn = mx.random.uniform(1e-7, 1 - 1e-7, scores.shape, key=noise.key)
            return mx.softmax((scores - mx.log(-mx.log(drawn))) / temperature, -1)
        soft = mx.softmax(scores, -1)
        if self.kind == "soft":
            return soft
        hard = (mx.argmax(scores, -1, keepdims=True) == mx.arange(scores.shape[-1])).astype(scores.dtype)
        return hard if self.kind == "argmax" else hard + (soft - mx.stop_gradient(soft))


class Plan(NamedTuple):
    """The memory operations at every token, as in :class:`memkit.models.addressing.Plan`."""

    write_address: mx.array
    gate: mx.array
    read_address: mx.array
    when: mx.array
    values: mx.array
    bias: mx.array
    marks: mx.array
    shares: mx.array
    age: mx.array | None = None

    @property
    def value(self) -> mx.array:
        """[B, L, d], what is written at every token."""
        return look_up((self.shares[..., None] * self.marks).sum(2), self.values) + self.bias


def before(x: mx.array, count: int) -> mx.array:
    """Later by some tokens, zeros before: [B, L, ...] → [B, L, ...]."""
    return mx.concatenate([mx.zeros_like(x[:, :count]), x[:, : x.shape[1] - count]], 1)


def window(x: mx.array) -> mx.array:
    """The last three tokens' vectors at every token: [B, L, d] → [B, L, 3, d], zeros before them."""
    return mx.stack([before(x, o) for o in range(WINDOW)], 2)


def by_place(words: mx.array, weight: mx.array) -> mx.array:
    """A linear map of the last three tokens together as a table: [W, d], [3·d, n] → [3·W, n]."""
    maps = weight.reshape(WINDOW, words.shape[-1], -1)
    return (words[None] @ maps).reshape(WINDOW * words.shape[0], -1)


def of_three(seen: mx.array, words: mx.array, *maps: Linear) -> mx.array:
    """Linear maps of the last three tokens, side by side: one-hot [B, L, 3, W] → [B, L, all their outputs]."""
    weight = mx.concatenate([linear.weight for linear in maps], -1)
    bias = mx.concatenate([linear.bias for linear in maps], -1)
    return look_up(seen.reshape(*seen.shape[:2], -1), by_place(words, weight)) + bias


class Rule(nn.Module):
    """Positions by rule; ``binders`` and ``queries`` are tokens."""

    def __init__(
        self,
        keys: Keys,
        *,
        width: int,
        slots: int,
        positions: int,
        sharpness: float,
        assign: Assign,
        binders: Sequence[int],
        queries: Sequence[int],
    ) -> None:
        super().__init__()
        if not binders or not queries:
            raise ValueError("addressing='rule' needs the tokens `binders` and `queries` that the rule goes by")
        self.positions, self.sharpness, self.assign = positions, sharpness, assign
        self.binders, self.queries = tuple(binders), tuple(queries)
        self.address = Linear(keys, width, slots)
        self.value = Linear(keys, width, width)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> Plan:
        marks = one_hot(tokens, words)
        address = look_up(marks, self.assign(self.sharpness * self.address(words), noise))
        asked = before(_one_of(tokens, self.queries), 1)
        # The p-th answer is made of the p-th read; where there are fewer reads, the last one serves the rest.
        nth = mx.cumsum(asked.astype(mx.int32), -1)
        turn = mx.minimum(mx.arange(1, self.positions + 1)[None, :, None], nth[:, -1:, None])
        return Plan(
            write_address=before(address, 2),
            gate=before(_one_of(tokens, self.binders), 1).astype(words.dtype),
            read_address=address,
            when=(asked[:, None] & (nth[:, None] == turn)).astype(words.dtype),
            values=words @ self.value.weight,
            bias=self.value.bias,
            marks=marks[:, :, None],
            shares=mx.ones((*tokens.shape, 1), words.dtype),
        )


class Factorised(nn.Module):
    """Everything learnt; the address comes from one token, and so does the value."""

    def __init__(
        self,
        keys: Keys,
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
        self.address = Linear(keys, width, slots)
        self.value = Linear(keys, width, width)
        # Three choices among the last three tokens: which slot to write to, what to write, which slot to read.
        self.choose = Linear(keys, width, 3)
        self.choose_offset = mx.zeros((WINDOW, 3))
        self.gate = Linear(keys, WINDOW * width, 1)
        self.when = Linear(keys, WINDOW * width, positions)
        self.when_time = _last_first(positions, length)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> Plan:
        seen = window(one_hot(tokens, words))
        # [B, L, 3 offsets, 3 choices]
        chosen = mx.softmax(look_up(seen, self.choose(words)) + self.choose_offset, 2)
        to, what, whom = (chosen[..., i] for i in range(3))
        offers = look_up(seen, words @ self.address.weight)
        keys = mx.stack([(choice[..., None] * offers).sum(2) for choice in (to, whom)], 2) + self.address.bias
        addresses = self.assign(self.sharpness * keys, noise)
        found = of_three(seen, words, self.gate, self.when)
        return Plan(
            write_address=addresses[:, :, 0],
            gate=mx.sigmoid(found[..., 0]),
            read_address=addresses[:, :, 1],
            when=mx.softmax(found[..., 1:].swapaxes(1, 2) + self.when_time, -1),
            values=words @ self.value.weight,
            bias=self.value.bias,
            marks=seen,
            shares=what,
        )


class Unfactorised(nn.Module):
    """Everything learnt; address, value and gate are linear in the last three tokens together."""

    def __init__(
        self,
        keys: Keys,
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
        self.write_address = Linear(keys, WINDOW * width, slots)
        self.read_address = Linear(keys, WINDOW * width, slots)
        self.value = Linear(keys, WINDOW * width, width)
        self.gate = Linear(keys, WINDOW * width, 1)
        self.when = Linear(keys, WINDOW * width, positions)
        self.when_time = _last_first(positions, length)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> Plan:
        seen = window(one_hot(tokens, words))
        slots = self.write_address.weight.shape[-1]
        found = of_three(seen, words, self.write_address, self.read_address, self.gate, self.when)
        keys = found[..., : 2 * slots].reshape(*tokens.shape, 2, slots)
        addresses = self.assign(self.sharpness * keys, noise)
        return Plan(
            write_address=addresses[:, :, 0],
            gate=mx.sigmoid(found[..., 2 * slots]),
            read_address=addresses[:, :, 1],
            when=mx.softmax(found[..., 2 * slots + 1 :].swapaxes(1, 2) + self.when_time, -1),
            values=by_place(words, self.value.weight),
            bias=self.value.bias,
            marks=seen.reshape(*tokens.shape, 1, -1),
            shares=mx.ones((*tokens.shape, 1), words.dtype),
        )


def _last_first(positions: int, length: int) -> mx.array:
    """The time of reading, [P, L]: it starts at the last token, where the controls read too."""
    times = mx.zeros((positions, length))
    times[..., -1] = 4.0
    return times


def _one_of(tokens: mx.array, wanted: Sequence[int]) -> mx.array:
    return (tokens[..., None] == mx.array(list(wanted))).any(-1)
