"""Layers with a leading seed axis: S networks of one shape, each with parameters of its own, in one program.

    S seeds   B batch   L length   d width   H heads

    Linear      x [S, ..., in]                  → [S, ..., out]      y = x W[s] + b[s], one baddbmm
    Embedding   tokens [S, ...]                 → [S, ..., d]
    LayerNorm   x [S, ..., d]                   → [S, ..., d]
    LSTM        x [S, B, L, d]                  → [S, B, L, hidden]  one fused matmul a step
    Attention   x [S, B, L, d]                  → [S, B, L, d]       seeds folded into the batch

Parameters of seed s are drawn from ``generators[s]`` alone, layer by layer in the order of construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Generators = Sequence[torch.Generator]


def normal(generators: Generators, *shape: int, scale: float) -> nn.Parameter:
    """A parameter [S, *shape], normal with standard deviation ``scale``."""
    return nn.Parameter(torch.stack([torch.randn(shape, generator=g) for g in generators]) * scale)


def uniform(generators: Generators, *shape: int, bound: float) -> nn.Parameter:
    """A parameter [S, *shape], uniform in ±``bound``."""
    return nn.Parameter(torch.stack([torch.rand(shape, generator=g) for g in generators]) * 2 * bound - bound)


def constant(generators: Generators, *shape: int, value: float = 0.0) -> nn.Parameter:
    """A parameter [S, *shape] that starts at ``value`` in every seed."""
    return nn.Parameter(torch.full((len(generators), *shape), value))


def by_position(logits: Tensor, positions: int) -> Tensor:
    """[S, B, positions·answers] → [S, B, positions, answers]."""
    return logits.reshape(*logits.shape[:-1], positions, -1)


class Linear(nn.Module):
    """y = x W[s] + b[s]; drawn as ``nn.Linear`` does, uniform in ±1/√inputs."""

    def __init__(self, generators: Generators, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = uniform(generators, inputs, outputs, bound=inputs**-0.5)
        self.bias = uniform(generators, 1, outputs, bound=inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.baddbmm(self.bias, flat, self.weight).reshape(*x.shape[:-1], -1)


class Embedding(nn.Module):
    """A vector a token, standard normal times ``scale``."""

    def __init__(self, generators: Generators, tokens: int, width: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = normal(generators, tokens, width, scale=scale)

    def forward(self, tokens: Tensor) -> Tensor:
        seeds, count, _ = self.weight.shape
        # One table of S·tokens rows: seed s looks in its own part.
        first = torch.arange(seeds, device=tokens.device).view(-1, *[1] * (tokens.dim() - 1)) * count
        return F.embedding(tokens + first, self.weight.flatten(0, 1))


def one_hot(tokens: Tensor, like: Tensor) -> Tensor:
    """Tokens [S, ...] and a table like [S, W, d] → [S, ..., W]: 1 at the token, 0 elsewhere."""
    return (tokens.unsqueeze(-1) == torch.arange(like.shape[1], device=tokens.device)).to(like.dtype)


def look_up(marks: Tensor, table: Tensor) -> Tensor:
    """The rows that are marked, or mixtures of rows: marks [S, ..., N] and a table [S, N, n] → [S, ..., n].

    For tables of some dozens of rows a product with one-hot marks is several times faster than an embedding,
    whose gradient is collected token by token.
    """
    return (marks.flatten(1, -2) @ table).view(*marks.shape[:-1], -1)


class LayerNorm(nn.Module):
    """Mean 0 and variance 1 over the last axis, then a learnt scale and shift."""

    def __init__(self, generators: Generators, width: int) -> None:
        super().__init__()
        self.weight = constant(generators, width, value=1.0)
        self.bias = constant(generators, width)

    def forward(self, x: Tensor) -> Tensor:
        shape = (x.shape[0], *[1] * (x.dim() - 2), x.shape[-1])
        return torch.addcmul(self.bias.view(shape), F.layer_norm(x, x.shape[-1:]), self.weight.view(shape))


class LSTM(nn.Module):
    """Hochreiter & Schmidhuber's cell, with a forget gate that starts open (bias 1)."""

    def __init__(self, generators: Generators, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inward = Linear(generators, inputs, 4 * hidden)
        self.recurrent = uniform(generators, hidden, 4 * hidden, bound=hidden**-0.5)
        with torch.no_grad():
            self.inward.bias[:, :, hidden : 2 * hidden] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        # [L, S, B, 4h]: the inputs of all steps at once; only what depends on the state stays in the loop.
        inward = self.inward(x.movedim(2, 1)).movedim(1, 0)
        hidden = cell = x.new_zeros(*x.shape[:2], self.hidden)
        seen = []
        for step in inward.unbind(0):
            gates = torch.baddbmm(step, hidden, self.recurrent)
            into, forget, out, candidate = gates.chunk(4, -1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(candidate)
            hidden = torch.sigmoid(out) * torch.tanh(cell)
            seen.append(hidden)
        return torch.stack(seen, 2)


class Attention(nn.Module):
    """Multi-head self-attention; every token sees every token that ``visible`` lets it see."""

    def __init__(self, generators: Generators, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} with {heads} heads")
        self.heads = heads
        self.inward = Linear(generators, width, 3 * width)
        self.outward = Linear(generators, width, width)

    def forward(self, x: Tensor, visible: Tensor | None = None, *, last: bool = False) -> Tensor:
        """x [S, B, L, d]; visible bool [S, B, L], which tokens may be looked at (padding may not).

        With ``last`` only the last token looks, and what it sees is returned: [S, B, 1, d].
        """
        seeds, batch, length, width = x.shape
        mask = None if visible is None else visible.reshape(seeds * batch, 1, 1, length)
        # [S·B, H, L, d/H]
        query, key, value = (
            part.reshape(seeds * batch, length, self.heads, -1).transpose(1, 2) for part in self.inward(x).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query[:, :, -1:] if last else query, key, value, attn_mask=mask)
        changed: Tensor = self.outward(mixed.transpose(1, 2).reshape(seeds, batch, -1, width))
        return changed
