"""MLX modules for tests, as a user would write them."""

from __future__ import annotations

import mlx.core as mx
from mlx import nn


class Perceptron(nn.Module):
    """Two layers of ``mlx.nn``, drawn from MLX's global generator."""

    def __init__(self, *, width: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, width), nn.Linear(width, 2)

    def __call__(self, x: mx.array) -> mx.array:
        return self.last(mx.tanh(self.first(x)))


class Nothing(nn.Module):
    """A module without parameters."""

    def __call__(self, x: mx.array) -> mx.array:
        return x


def not_a_module(*, width: int = 8) -> object:
    return object()


class Fixed(nn.Module):
    """A module with given initial values, those of :class:`tests.mlx.twins.Fixed` in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = mx.linspace(-1.0, 1.0, 8).reshape(2, 4)
        self.out = mx.linspace(0.5, -0.5, 8).reshape(4, 2)

    def __call__(self, x: mx.array) -> mx.array:
        return mx.tanh(x @ self.weight) @ self.out


class Exploding(nn.Module):
    """A module that overflows from the second step on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = mx.zeros((2, 2))

    def __call__(self, x: mx.array) -> mx.array:
        return x @ self.weight + mx.where(mx.abs(self.weight).sum() > 0, mx.inf, 0.0)
