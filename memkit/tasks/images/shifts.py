"""Shifts of the input distribution: what is done to images that a network was not trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def turn(pixels: Tensor, degrees: float) -> Tensor:
    """Images [N, H, W] turned about their middle, counterclockwise; bilinear, 0 beyond the edge."""
    a = math.radians(degrees)
    back = torch.tensor([[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]]).to(pixels)
    grid = F.affine_grid(back.expand(len(pixels), 2, 3), [len(pixels), 1, *pixels.shape[1:]], align_corners=False)
    return F.grid_sample(pixels.unsqueeze(1), grid, align_corners=False).squeeze(1)
