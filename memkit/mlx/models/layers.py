"""Layers for one seed, whose initial values are drawn from keys that are passed in.

    B batch   L length   d width   H heads

    Linear      x [..., in]         → [..., out]      y = x W + b, one matrix product
    Embedding   tokens [...]        → [..., d]
    LayerNorm   x [..., d]          → [..., d]
    LSTM        x [B, L, d]         → [B, L, hidden]
    Attention   x [B, L, d]         → [B, L, d]

``mlx.nn`` has such layers, but draws their initial values from one generator for the whole process. Initial values have
the distributions of memkit/models/layers.py, and parameters have its names; there they carry a seed axis, here many
seeds are trained by mapping one network over its parameters (memkit/mlx/trainer.py).
"""

from __future__ import annotations

import mlx.core as mx
from mlx import nn


class Keys:
    """Hands out a key for each draw, in the order of the draws."""

    def __init__(self, seed: int) -> None:
        self._key = mx.random.key(seed)

    def __call__(self) -> mx.array:
        self._key, drawn = mx.random.split(self._key)
        return drawn


def normal(keys: Keys, *shape: int, scale: float) -> mx.array:
    """Normal numbers with standard deviation ``scale``."""
    return mx.random.normal(shape, key=keys()) * scale


def uniform(keys: Keys, *shape: int, bound: float) -> mx.array:
    """Uniform numbers in ±``bound``."""
    return mx.random.uniform(-bound, bound, shape, key=keys())


def by_position(logits: mx.array, positions: int) -> mx.array:
    """[B, positions·answers] → [B, positions, answers]."""
    return logits.reshape(*logits.shape[:-1], positions, -1)


class Linear(nn.Module):
    """y = x W + b, uniform in ±1/√inputs at the start."""

    def __init__(self, keys: Keys, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = uniform(keys, inputs, outputs, bound=inputs**-0.5)
        self.bias = uniform(keys, outputs, bound=inputs**-0.5)

    def __call__(self, x: mx.array) -> mx.array:
        return look_up(x, self.weight) + self.bias


class Embedding(nn.Module):
    """A vector a token, standard normal times ``scale``."""

    def __init__(self, keys: Keys, tokens: int, width: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = normal(keys, tokens, width, scale=scale)

    def __call__(self, tokens: mx.array) -> mx.array:
        return look_up(one_hot(tokens, self.weight), self.weight)


def one_hot(tokens: mx.array, like: mx.array) -> mx.array:
    """Tokens [...] and a table like [W, d] → [..., W]: 1 at the token, 0 elsewhere."""
    return (tokens[..., None] == mx.arange(like.shape[0])).astype(like.dtype)


def look_up(marks: mx.array, table: mx.array) -> mx.array:
    """Rows or mixtures of rows, [..., N] and a table [N, n] → [..., n], as one product of two matrices.

    Mapped over seeds, a product with more axes would become as many small ones as there are commands.
    """
    return (marks.reshape(-1, marks.shape[-1]) @ table).reshape(*marks.shape[:-1], -1)


class LayerNorm(nn.Module):
    """Mean 0 and variance 1 over the last axis, then a learnt scale and shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = mx.ones(width)
        self.bias = mx.zeros(width)

    def __call__(self, x: mx.array) -> mx.array:
        centred = x - x.mean(-1, keepdims=True)
        return centred * mx.rsqrt(centred.square().mean(-1, keepdims=True) + 1e-5) * self.weight + self.bias


class LSTM(nn.Module):
    """Hochreiter & Schmidhuber's cell, with a forget gate that starts open (bias 1)."""

    def __init__(self, keys: Keys, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inward = Linear(keys, inputs, 4 * hidden)
        self.recurrent = uniform(keys, hidden, 4 * hidden, bound=hidden**-0.5)
        self.inward.bias[hidden : 2 * hidden] = 1.0

    def __call__(self, x: mx.array) -> mx.array:
        # The inputs of all steps at once; only what depends on the state stays in the loop.
        inward = self.inward(x)
        hidden = cell = mx.zeros((x.shape[0], self.recurrent.shape[0]))
        seen = []
        for t in range(x.shape[1]):
            into, forget, out, candidate = mx.split(inward[:, t] + hidden @ self.recurrent, 4, -1)
            cell = mx.sigmoid(forget) * cell + mx.sigmoid(into) * mx.tanh(candidate)
            hidden = mx.sigmoid(out) * mx.tanh(cell)
            seen.append(hidden)
        return mx.stack(seen, 1)


class Attention(nn.Module):
    """Multi-head self-attention; every token sees every token that ``visible`` lets it see."""

    def __init__(self, keys: Keys, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} with {heads} heads")
        self.heads = heads
        self.inward = Linear(keys, width, 3 * width)
        self.outward = Linear(keys, width, width)

    def __call__(self, x: mx.array, visible: mx.array, *, last: bool = False) -> mx.array:
        """x [B, L, d]; visible bool [B, L], which tokens may be looked at.

        With ``last`` only the last token looks, and what it sees is returned: [B, 1, d].
        """
        batch, length, width = x.shape
        # [B, H, L, d/H]
        query, key, value = (
            part.reshape(batch, length, self.heads, -1).swapaxes(1, 2) for part in mx.split(self.inward(x), 3, -1)
        )
        query = query[:, :, -1:] if last else query
        alike = query @ key.swapaxes(2, 3) * (width // self.heads) ** -0.5
        weights = mx.softmax(mx.where(visible[:, None, None], alike, -mx.inf), -1)
        return self.outward((weights @ value).swapaxes(1, 2).reshape(batch, -1, width))
