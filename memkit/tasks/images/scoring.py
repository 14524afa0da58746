"""Scores of a trained network on images: one plain number per seed, between 0 and 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memkit.tasks.images.classification import Examples, among

_CHUNK = 2048


def predictions(model: nn.Module, pixels: Tensor) -> Tensor:
    """Return the classes [N] that a model of one seed predicts for images [N, H, W]; ties go to the lower class."""
    with torch.inference_mode():
        return torch.cat([model(part.unsqueeze(0))[0].argmax(-1) for part in torch.split(pixels, _CHUNK)])


def accuracy(model: nn.Module, examples: Examples) -> float:
    """Return the share of images that are classified correctly."""
    return float((predictions(model, examples[0]) == examples[1]).double().mean())


def balanced_accuracy(model: nn.Module, examples: Examples, groups: tuple[tuple[int, ...], ...]) -> float:
    """Return the mean over groups of classes of the accuracy on their images; all groups count equally."""
    return sum(accuracy(model, among(examples, group)) for group in groups) / len(groups)


def error_over_images(one: nn.Module, other: nn.Module, examples: Examples) -> float:
    """Return the standard error over images of the difference between two models' accuracies.

    All seeds share the test set, so an interval over seeds does not include the uncertainty due to its finite size.
    """
    is_right = [(predictions(model, examples[0]) == examples[1]).double() for model in (one, other)]
    return float((is_right[0] - is_right[1]).std() / len(examples[1]) ** 0.5)


def flipped(one: nn.Module, other: nn.Module, pixels: Tensor) -> float:
    """Return the share of images [N, H, W] for which two models of one seed predict different classes."""
    return float((predictions(one, pixels) != predictions(other, pixels)).double().mean())
