"""Scores of a trained network on images: plain numbers between 0 and 1, one a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memkit.tasks.images.classification import Examples, among

_CHUNK = 2048


def predictions(model: nn.Module, pixels: Tensor) -> Tensor:
    """The classes that a model of one seed gives images [N, H, W]: [N]; of equal logits the lower class."""
    with torch.inference_mode():
        return torch.cat([model(part.unsqueeze(0))[0].argmax(-1) for part in torch.split(pixels, _CHUNK)])


def accuracy(model: nn.Module, examples: Examples) -> float:
    """The share of images that get their class."""
    return float((predictions(model, examples[0]) == examples[1]).double().mean())


def balanced_accuracy(model: nn.Module, examples: Examples, groups: tuple[tuple[int, ...], ...]) -> float:
    """The mean over groups of classes of the accuracy among their images: no group counts more for being larger."""
    return sum(accuracy(model, among(examples, group)) for group in groups) / len(groups)


def error_over_images(one: nn.Module, other: nn.Module, examples: Examples) -> float:
    """The standard error, over images, of the difference of two models' accuracies: what this test set leaves open.

    Seeds share the test set, so an interval over seeds says nothing of it.
    """
    right = [(predictions(model, examples[0]) == examples[1]).double() for model in (one, other)]
    return float((right[0] - right[1]).std() / len(examples[1]) ** 0.5)


def flipped(one: nn.Module, other: nn.Module, pixels: Tensor) -> float:
    """The share of images [N, H, W] that two models of one seed give different classes."""
    return float((predictions(one, pixels) != predictions(other, pixels)).double().mean())
