"""Layers with a leading seed axis: S networks of the same shape run as one program, each with its own parameters.

    S seeds   B batch   L length   d width   H heads

    Linear      x [S, ..., in]                  → [S, ..., out]      y = x W[s] + b[s], one baddbmm
    Embedding   tokens [S, ...]                 → [S, ..., d]
    LayerNorm   x [S, ..., d]                   → [S, ..., d]
    LSTM        x [S, B, L, d]                  → [S, B, L, hidden]  one fused matmul per step
    Attention   x [S, B, L, d]                  → [S, B, L, d]       seeds are folded into the batch

The parameters of seed s are drawn from ``generators[s]`` only, layer by layer in the order of construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Generators = Sequence[torch.Generator]


def normal(generators: Generators, *shape: int, scale: float) -> nn.Parameter:
    """Return a parameter [S, *shape] drawn from a normal distribution with standard deviation ``scale``."""
    return nn.Parameter(torch.stack([torch.randn(shape, generator=g) for g in generators]) * scale)


def uniform(generators: Generators, *shape: int, bound: float) -> nn.Parameter:
    """Return a parameter [S, *shape] drawn uniformly from ±``bound``."""
    return nn.Parameter(torch.stack([torch.rand(shape, generator=g) for g in generators]) * 2 * bound - bound)


def constant(generators: Generators, *shape: int, value: float = 0.0) -> nn.Parameter:
    """Return a parameter [S, *shape] that starts at ``value`` in every seed."""
    return nn.Parameter(torch.full((len(generators), *shape), value))


def split_positions(logits: Tensor, positions: int) -> Tensor:
    """Reshape logits [S, B, positions·answers] to [S, B, positions, answers]."""
    return logits.reshape(*logits.shape[:-1], positions, -1)


class Linear(nn.Module):
    """Linear layer y = x W[s] + b[s], initialised like ``nn.Linear``: uniform in ±1/√inputs."""

    def __init__(self, generators: Generators, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = uniform(generators, inputs, outputs, bound=inputs**-0.5)
        self.bias = uniform(generators, 1, outputs, bound=inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.baddbmm(self.bias, flat, self.weight).reshape(*x.shape[:-1], -1)


class Embedding(nn.Module):
    """Embedding table: one vector per token, standard normal times ``scale``."""

    def __init__(self, generators: Generators, tokens: int, width: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = normal(generators, tokens, width, scale=scale)

    def forward(self, tokens: Tensor) -> Tensor:
        seeds, count, _ = self.weight.shape
        # The tables of all seeds form one table of S·tokens rows; the offset selects the rows of each seed.
        offset = torch.arange(seeds, device=tokens.device).view(-1, *[1] * (tokens.dim() - 1)) * count
        return F.embedding(tokens + offset, self.weight.flatten(0, 1))


def one_hot(tokens: Tensor, table: Tensor) -> Tensor:
    """Return one-hot vectors [S, ..., W] of tokens [S, ...], for a table [S, W, d] and in its data type."""
    return (tokens.unsqueeze(-1) == torch.arange(table.shape[1], device=tokens.device)).to(table.dtype)


def weighted_rows(weights: Tensor, table: Tensor) -> Tensor:
    """Return weighted sums of a table's rows: weights [S, ..., N], table [S, N, n] → [S, ..., n].

    One-hot weights look up single rows. For tables of a few dozen rows this product is several times faster than an
    embedding, whose gradient is accumulated token by token.
    """
    return (weights.flatten(1, -2) @ table).view(*weights.shape[:-1], -1)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, with a learnt scale and shift."""

    def __init__(self, generators: Generators, width: int) -> None:
        super().__init__()
        self.weight = constant(generators, width, value=1.0)
        self.bias = constant(generators, width)

    def forward(self, x: Tensor) -> Tensor:
        shape = (x.shape[0], *[1] * (x.dim() - 2), x.shape[-1])
        return torch.addcmul(self.bias.view(shape), F.layer_norm(x, x.shape[-1:]), self.weight.view(shape))


class LSTM(nn.Module):
    """Hochreiter and Schmidhuber's LSTM; the bias of the forget gate starts at 1, so that the gate starts open."""

    def __init__(self, generators: Generators, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inward = Linear(generators, inputs, 4 * hidden)
        self.recurrent = uniform(generators, hidden, 4 * hidden, bound=hidden**-0.5)
        with torch.no_grad():
            self.inward.bias[:, :, hidden : 2 * hidden] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        # [L, S, B, 4h]: the input part of the gates is computed for all steps at once, outside the loop.
        input_gates = self.inward(x.movedim(2, 1)).movedim(1, 0)
        hidden = cell = x.new_zeros(*x.shape[:2], self.hidden)
        states = []
        for from_input in input_gates.unbind(0):
            gates = torch.baddbmm(from_input, hidden, self.recurrent)
            input_gate, forget_gate, output_gate, candidate = gates.chunk(4, -1)
            cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
            hidden = torch.sigmoid(output_gate) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, 2)


class Attention(nn.Module):
    """Multi-head self-attention without a causal mask."""

    def __init__(self, generators: Generators, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} with {heads} heads")
        self.heads = heads
        self.inward = Linear(generators, width, 3 * width)
        self.outward = Linear(generators, width, width)

    def forward(self, x: Tensor, visible: Tensor | None = None, *, last: bool = False) -> Tensor:
        """Return the attention output: x [S, B, L, d] → [S, B, L, d].

        Args:
            visible: bool [S, B, L], False for tokens that must not be attended to, such as padding.
            last: compute the output of the last token only, [S, B, 1, d].
        """
        seeds, batch, length, width = x.shape
        mask = None if visible is None else visible.reshape(seeds * batch, 1, 1, length)
        # [S·B, H, L, d/H]
        queries, keys, values = (
            part.reshape(seeds * batch, length, self.heads, -1).transpose(1, 2) for part in self.inward(x).chunk(3, -1)
        )
        attended = F.scaled_dot_product_attention(queries[:, :, -1:] if last else queries, keys, values, attn_mask=mask)
        output: Tensor = self.outward(attended.transpose(1, 2).reshape(seeds, batch, -1, width))
        return output
