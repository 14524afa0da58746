"""Losses in MLX."""

from __future__ import annotations

import mlx.core as mx

from memkit.training.protocols import IGNORED


def cross_entropy(outputs: mx.array, targets: mx.array) -> mx.array:
    """Mean cross-entropy of one seed: [..., C] and targets [...] → a number; ignored targets do not count."""
    counted = targets != IGNORED
    marks = mx.where(counted, targets, 0)[..., None] == mx.arange(outputs.shape[-1])
    losses = mx.logsumexp(outputs, -1) - mx.where(marks, outputs, 0.0).sum(-1)
    return (losses * counted).sum() / mx.maximum(counted.sum(), 1)
