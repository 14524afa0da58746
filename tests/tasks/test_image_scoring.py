"""Scores on images, and shifts of images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit.tasks.images.scoring import accuracy, balanced_accuracy, flipped, predictions
from memkit.tasks.images.shifts import turn


class FirstPixel(nn.Module):
    """A model that predicts the value of an image's first pixel as its class."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x[..., 0, 0].long(), 4).float()


def examples() -> tuple[Tensor, Tensor]:
    pixels = torch.zeros(6, 2, 2)
    pixels[:, 0, 0] = torch.tensor([0.0, 1, 1, 2, 3, 3])
    return pixels, torch.tensor([0, 1, 0, 2, 3, 2])


def test_accuracy_and_its_mean_over_groups() -> None:
    assert predictions(FirstPixel(), examples()[0]).tolist() == [0, 1, 1, 2, 3, 3]
    assert accuracy(FirstPixel(), examples()) == pytest.approx(4 / 6)
    assert balanced_accuracy(FirstPixel(), examples(), ((0,), (1, 2, 3))) == pytest.approx((1 / 2 + 3 / 4) / 2)


def test_flips() -> None:
    class Other(FirstPixel):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.clamp(max=1))

    assert flipped(FirstPixel(), Other(), examples()[0]) == pytest.approx(3 / 6)
    assert flipped(FirstPixel(), FirstPixel(), examples()[0]) == 0


def test_rotation() -> None:
    pixels = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(turn(pixels, 0), pixels, atol=1e-6)
    assert torch.allclose(turn(pixels, 90), torch.rot90(pixels, 1, (1, 2)), atol=1e-5)
    assert torch.allclose(turn(pixels, 360), pixels, atol=1e-5)
    assert turn(pixels, 30).shape == pixels.shape
