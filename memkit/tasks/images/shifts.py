"""Shifts of the input distribution: transformations of images that do not occur in training."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def turn(pixels: Tensor, degrees: float) -> Tensor:
    """Rotate images [N, H, W] counterclockwise about their centre, with bilinear interpolation and zeros outside."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    inverse = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).to(pixels)
    grid = F.affine_grid(inverse.expand(len(pixels), 2, 3), [len(pixels), 1, *pixels.shape[1:]], align_corners=False)
    return F.grid_sample(pixels.unsqueeze(1), grid, align_corners=False).squeeze(1)
