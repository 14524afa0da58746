"""Scores on images, and shifts of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit.tasks.images.scoring import accuracy, balanced_accuracy, flipped, predictions
from memkit.tasks.images.shifts import turn


class Says(nn.Module):
    """Gives every image the class that stands in its first pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x[..., 0, 0].long(), 4).float()


def examples() -> tuple[Tensor, Tensor]:
    pixels = torch.zeros(6, 2, 2)
    pixels[:, 0, 0] = torch.tensor([0.0, 1, 1, 2, 3, 3])
    return pixels, torch.tensor([0, 1, 0, 2, 3, 2])


def test_accuracy_and_its_mean_over_groups() -> None:
    assert predictions(Says(), examples()[0]).tolist() == [0, 1, 1, 2, 3, 3]
    assert accuracy(Says(), examples()) == pytest.approx(4 / 6)
    assert balanced_accuracy(Says(), examples(), ((0,), (1, 2, 3))) == pytest.approx((1 / 2 + 3 / 4) / 2)


def test_flips() -> None:
    class Other(Says):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.clamp(max=1))

    assert flipped(Says(), Other(), examples()[0]) == pytest.approx(3 / 6)
    assert flipped(Says(), Says(), examples()[0]) == 0


def test_turning() -> None:
    pixels = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(turn(pixels, 0), pixels, atol=1e-6)
    assert torch.allclose(turn(pixels, 90), torch.rot90(pixels, 1, (1, 2)), atol=1e-5)
    assert torch.allclose(turn(pixels, 360), pixels, atol=1e-5)
    assert turn(pixels, 30).shape == pixels.shape
