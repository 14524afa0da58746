"""Layers for a single seed, whose initial values are drawn from keys that are passed in.

    B batch   L length   d width   H heads

    Linear      x [..., in]         → [..., out]      y = x W + b, one matrix product
    Embedding   tokens [...]        → [..., d]
    LayerNorm   x [..., d]          → [..., d]
    LSTM        x [B, L, d]         → [B, L, hidden]
    Attention   x [B, L, d]         → [B, L, d]

``mlx.nn`` has such layers too, but draws their initial values from one generator for the whole process. Initial values
have the distributions of memkit/models/layers.py, and parameters have the same names. There, parameters have a seed
axis; here, a cohort is trained by mapping one network over its parameters (memkit/mlx/trainer.py).
"""

from __future__ import annotations

import mlx.core as mx
from mlx import nn


class Keys:
    """A source of random keys: one per draw, in the order of the draws."""

    def __init__(self, seed: int) -> None:
        self._key = mx.random.key(seed)

    def __call__(self) -> mx.array:
        self._key, key = mx.random.split(self._key)
        return key


def normal(keys: Keys, *shape: int, scale: float) -> mx.array:
    """Return normal random numbers with standard deviation ``scale``."""
    return mx.random.normal(shape, key=keys()) * scale


def uniform(keys: Keys, *shape: int, bound: float) -> mx.array:
    """Return uniform random numbers in ±``bound``."""
    return mx.random.uniform(-bound, bound, shape, key=keys())


def split_positions(logits: mx.array, positions: int) -> mx.array:
    """Reshape logits [B, positions·answers] to [B, positions, answers]."""
    return logits.reshape(*logits.shape[:-1], positions, -1)


class Linear(nn.Module):
    """Linear layer y = x W + b, initialised uniformly in ±1/√inputs."""

    def __init__(self, keys: Keys, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = uniform(keys, inputs, outputs, bound=inputs**-0.5)
        self.bias = uniform(keys, outputs, bound=inputs**-0.5)

    def __call__(self, x: mx.array) -> mx.array:
        return weighted_rows(x, self.weight) + self.bias


class Embedding(nn.Module):
    """Embedding table: one vector per token, standard normal times ``scale``."""

    def __init__(self, keys: Keys, tokens: int, width: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = normal(keys, tokens, width, scale=scale)

    def __call__(self, tokens: mx.array) -> mx.array:
        return weighted_rows(one_hot(tokens, self.weight), self.weight)


def one_hot(tokens: mx.array, table: mx.array) -> mx.array:
    """Return one-hot vectors [..., W] of tokens [...], for a table [W, d] and in its data type."""
    return (tokens[..., None] == mx.arange(table.shape[0])).astype(table.dtype)


def weighted_rows(weights: mx.array, table: mx.array) -> mx.array:
    """Return weighted sums of a table's rows, as one matrix product: weights [..., N], table [N, n] → [..., n].

    A product with more axes would, when mapped over seeds, become as many small products as there are commands.
    """
    return (weights.reshape(-1, weights.shape[-1]) @ table).reshape(*weights.shape[:-1], -1)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, with a learnt scale and shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = mx.ones(width)
        self.bias = mx.zeros(width)

    def __call__(self, x: mx.array) -> mx.array:
        centred = x - x.mean(-1, keepdims=True)
        return centred * mx.rsqrt(centred.square().mean(-1, keepdims=True) + 1e-5) * self.weight + self.bias


class LSTM(nn.Module):
    """Hochreiter and Schmidhuber's LSTM; the bias of the forget gate starts at 1, so that the gate starts open."""

    def __init__(self, keys: Keys, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inward = Linear(keys, inputs, 4 * hidden)
        self.recurrent = uniform(keys, hidden, 4 * hidden, bound=hidden**-0.5)
        self.inward.bias[hidden : 2 * hidden] = 1.0

    def __call__(self, x: mx.array) -> mx.array:
        # The input part of the gates is computed for all steps at once, outside the loop.
        input_gates = self.inward(x)
        hidden = cell = mx.zeros((x.shape[0], self.recurrent.shape[0]))
        states = []
        for t in range(x.shape[1]):
            gates = input_gates[:, t] + hidden @ self.recurrent
            input_gate, forget_gate, output_gate, candidate = mx.split(gates, 4, -1)
            cell = mx.sigmoid(forget_gate) * cell + mx.sigmoid(input_gate) * mx.tanh(candidate)
            hidden = mx.sigmoid(output_gate) * mx.tanh(cell)
            states.append(hidden)
        return mx.stack(states, 1)


class Attention(nn.Module):
    """Multi-head self-attention without a causal mask."""

    def __init__(self, keys: Keys, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} with {heads} heads")
        self.heads = heads
        self.inward = Linear(keys, width, 3 * width)
        self.outward = Linear(keys, width, width)

    def __call__(self, x: mx.array, visible: mx.array, *, last: bool = False) -> mx.array:
        """Return the attention output: x [B, L, d] → [B, L, d].

        Args:
            visible: bool [B, L], False for tokens that must not be attended to, such as padding.
            last: compute the output of the last token only, [B, 1, d].
        """
        batch, length, width = x.shape
        # [B, H, L, d/H]
        queries, keys, values = (
            part.reshape(batch, length, self.heads, -1).swapaxes(1, 2) for part in mx.split(self.inward(x), 3, -1)
        )
        queries = queries[:, :, -1:] if last else queries
        scores = queries @ keys.swapaxes(2, 3) * (width // self.heads) ** -0.5
        weights = mx.softmax(mx.where(visible[:, None, None], scores, -mx.inf), -1)
        return self.outward((weights @ values).swapaxes(1, 2).reshape(batch, -1, width))
