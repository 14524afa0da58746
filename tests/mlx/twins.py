"""The modules of tests/mlx/nets.py in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fixed(nn.Module):
    """A module with given initial values."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1.0, 1.0, 8).reshape(2, 4))
        self.out = nn.Parameter(torch.linspace(0.5, -0.5, 8).reshape(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weight) @ self.out
