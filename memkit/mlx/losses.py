"""Losses in MLX."""

from __future__ import annotations

import mlx.core as mx

from memkit.training.protocols import IGNORED


def cross_entropy(outputs: mx.array, targets: mx.array) -> mx.array:
    """Return the mean cross-entropy of one seed, in nats: outputs [..., C], targets [...].

    Targets that equal ``IGNORED`` do not count.
    """
    is_counted = targets != IGNORED
    is_target = mx.where(is_counted, targets, 0)[..., None] == mx.arange(outputs.shape[-1])
    losses = mx.logsumexp(outputs, -1) - mx.where(is_target, outputs, 0.0).sum(-1)
    return (losses * is_counted).sum() / mx.maximum(is_counted.sum(), 1)
