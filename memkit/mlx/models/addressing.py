"""Addressing in MLX: where a slot network writes and reads; for the equations see memkit/models/addressing.py.

Shapes are those of a single seed: an array [S, B, L, K] there is [B, L, K] here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
from mlx import nn

from memkit.mlx.models.layers import Keys, Linear, one_hot, weighted_rows
from memkit.models.addressing import ASSIGNMENTS, COLD, HOT, WINDOW, Assignment


class Noise(NamedTuple):
    """The source of the noise of a training batch."""

    key: mx.array
    step: mx.array
    """The number of batches before this one."""


class SlotAssignment(nn.Module):
    """A map from scores over the slots [..., K] to an address: non-negative weights that sum to 1."""

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
            uniform_noise = mx.random.uniform(1e-7, 1 - 1e-7, scores.shape, key=noise.key)
            return mx.softmax((scores - mx.log(-mx.log(uniform_noise))) / temperature, -1)
        soft = mx.softmax(scores, -1)
        if self.kind == "soft":
            return soft
        hard = (mx.argmax(scores, -1, keepdims=True) == mx.arange(scores.shape[-1])).astype(scores.dtype)
        return hard if self.kind == "argmax" else hard + (soft - mx.stop_gradient(soft))


class MemoryPlan(NamedTuple):
    """The memory operations at each token, as in :class:`memkit.models.addressing.MemoryPlan`."""

    write_address: mx.array
    gate: mx.array
    read_address: mx.array
    when: mx.array
    values: mx.array
    bias: mx.array
    value_selection: mx.array
    value_weights: mx.array
    age: mx.array | None = None

    @property
    def value(self) -> mx.array:
        """The value that each token writes, [B, L, d]."""
        weights = (self.value_weights[..., None] * self.value_selection).sum(2)
        return weighted_rows(weights, self.values) + self.bias


def shift_right(x: mx.array, count: int) -> mx.array:
    """Shift x [B, L, ...] by some tokens to the right; the first tokens are filled with zeros."""
    return mx.concatenate([mx.zeros_like(x[:, :count]), x[:, : x.shape[1] - count]], 1)


def window(x: mx.array) -> mx.array:
    """Return the last three vectors at each token, newest first, padded with zeros: [B, L, d] → [B, L, 3, d]."""
    return mx.stack([shift_right(x, o) for o in range(WINDOW)], 2)


def window_table(words: mx.array, weight: mx.array) -> mx.array:
    """Return a linear map of the last three tokens as a table: words [W, d], weight [3·d, n] → [3·W, n]."""
    maps = weight.reshape(WINDOW, words.shape[-1], -1)
    return (words[None] @ maps).reshape(WINDOW * words.shape[0], -1)


def window_linear(recent: mx.array, words: mx.array, *maps: Linear) -> mx.array:
    """Return several linear maps of the last three tokens, concatenated: one-hot tokens [B, L, 3, W] → [B, L, n]."""
    weight = mx.concatenate([linear.weight for linear in maps], -1)
    bias = mx.concatenate([linear.bias for linear in maps], -1)
    return weighted_rows(recent.reshape(*recent.shape[:2], -1), window_table(words, weight)) + bias


class RuleAddressing(nn.Module):
    """Addressing by a fixed rule; ``binders`` and ``queries`` are tokens."""

    def __init__(
        self,
        keys: Keys,
        *,
        width: int,
        slots: int,
        positions: int,
        sharpness: float,
        assign: SlotAssignment,
        binders: Sequence[int],
        queries: Sequence[int],
    ) -> None:
        super().__init__()
        if not binders or not queries:
            raise ValueError("addressing='rule' needs the tokens `binders` and `queries` that its rule uses")
        self.positions, self.sharpness, self.assign = positions, sharpness, assign
        self.binders, self.queries = tuple(binders), tuple(queries)
        self.address = Linear(keys, width, slots)
        self.value = Linear(keys, width, width)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> MemoryPlan:
        one_hot_tokens = one_hot(tokens, words)
        address = weighted_rows(one_hot_tokens, self.assign(self.sharpness * self.address(words), noise))
        is_read = shift_right(_is_one_of(tokens, self.queries), 1)
        # Answer p uses the p-th read; if there are fewer reads, the remaining answers use the last one.
        read_count = mx.cumsum(is_read.astype(mx.int32), -1)
        read_number = mx.minimum(mx.arange(1, self.positions + 1)[None, :, None], read_count[:, -1:, None])
        return MemoryPlan(
            write_address=shift_right(address, 2),
            gate=shift_right(_is_one_of(tokens, self.binders), 1).astype(words.dtype),
            read_address=address,
            when=(is_read[:, None] & (read_count[:, None] == read_number)).astype(words.dtype),
            values=words @ self.value.weight,
            bias=self.value.bias,
            value_selection=one_hot_tokens[:, :, None],
            value_weights=mx.ones((*tokens.shape, 1), words.dtype),
        )


class FactorisedAddressing(nn.Module):
    """Learnt addressing; the address comes from one token, and so does the value."""

    def __init__(
        self,
        keys: Keys,
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
        self.address = Linear(keys, width, slots)
        self.value = Linear(keys, width, width)
        # Three choices among the last three tokens: the key to write at, the value to write, the key to read at.
        self.choose = Linear(keys, width, 3)
        self.choose_offset = mx.zeros((WINDOW, 3))
        self.gate = Linear(keys, WINDOW * width, 1)
        self.when = Linear(keys, WINDOW * width, positions)
        self.when_time = _initial_read_times(positions, length)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> MemoryPlan:
        recent = window(one_hot(tokens, words))
        # [B, L, 3 offsets, 3 choices]
        choices = mx.softmax(weighted_rows(recent, self.choose(words)) + self.choose_offset, 2)
        write_choice, value_choice, read_choice = (choices[..., i] for i in range(3))
        candidates = weighted_rows(recent, words @ self.address.weight)
        keys = mx.stack([(choice[..., None] * candidates).sum(2) for choice in (write_choice, read_choice)], 2)
        keys = keys + self.address.bias
        addresses = self.assign(self.sharpness * keys, noise)
        projected = window_linear(recent, words, self.gate, self.when)
        return MemoryPlan(
            write_address=addresses[:, :, 0],
            gate=mx.sigmoid(projected[..., 0]),
            read_address=addresses[:, :, 1],
            when=mx.softmax(projected[..., 1:].swapaxes(1, 2) + self.when_time, -1),
            values=words @ self.value.weight,
            bias=self.value.bias,
            value_selection=recent,
            value_weights=value_choice,
        )


class UnfactorisedAddressing(nn.Module):
    """Learnt addressing; address, value and gate are linear in the last three tokens together."""

    def __init__(
        self,
        keys: Keys,
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
        self.write_address = Linear(keys, WINDOW * width, slots)
        self.read_address = Linear(keys, WINDOW * width, slots)
        self.value = Linear(keys, WINDOW * width, width)
        self.gate = Linear(keys, WINDOW * width, 1)
        self.when = Linear(keys, WINDOW * width, positions)
        self.when_time = _initial_read_times(positions, length)

    def __call__(self, tokens: mx.array, words: mx.array, noise: Noise | None = None) -> MemoryPlan:
        recent = window(one_hot(tokens, words))
        slots = self.write_address.weight.shape[-1]
        projected = window_linear(recent, words, self.write_address, self.read_address, self.gate, self.when)
        keys = projected[..., : 2 * slots].reshape(*tokens.shape, 2, slots)
        addresses = self.assign(self.sharpness * keys, noise)
        return MemoryPlan(
            write_address=addresses[:, :, 0],
            gate=mx.sigmoid(projected[..., 2 * slots]),
            read_address=addresses[:, :, 1],
            when=mx.softmax(projected[..., 2 * slots + 1 :].swapaxes(1, 2) + self.when_time, -1),
            values=window_table(words, self.value.weight),
            bias=self.value.bias,
            value_selection=recent.reshape(*tokens.shape, 1, -1),
            value_weights=mx.ones((*tokens.shape, 1), words.dtype),
        )


def _initial_read_times(positions: int, length: int) -> mx.array:
    """Return the initial logits of the time of reading, [P, L]; highest at the last token, where controls read too."""
    logits = mx.zeros((positions, length))
    logits[..., -1] = 4.0
    return logits


def _is_one_of(tokens: mx.array, allowed: Sequence[int]) -> mx.array:
    """Return whether each token is among the allowed ones: [B, L] → bool [B, L]."""
    return (tokens[..., None] == mx.array(list(allowed))).any(-1)
