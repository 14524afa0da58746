"""Uncertainty of a classifier, and how to mix its probabilities with others according to it.

    uncertainty   H(q) / log C          of the probabilities q over C classes: 0 for certain, 1 for uniform
    mixture       p = (1 − λ) q + λ v,  λ = min(1, strength · uncertainty)

The mixture is that of Khandelwal et al. (2020, equation 3), where λ is constant.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def normalised_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of softmax(logits), divided by log C: logits [..., C] → [...], 0 to 1."""
    logs = torch.log_softmax(logits, -1)
    return -(logs.exp() * logs).sum(-1) / math.log(logits.shape[-1])


def mix_by_uncertainty(logits: Tensor, other: Tensor, strength: float) -> Tensor:
    """Return the mixture of softmax(logits) with other probabilities, [..., C] each."""
    weight = (strength * normalised_entropy(logits)).clamp(max=1.0).unsqueeze(-1)
    return (1 - weight) * torch.softmax(logits, -1) + weight * other
