"""The doubt of a classifier, and a mixture with other probabilities that weighs them by this doubt.

    doubt    H(q) / log C                         of the probabilities q over C classes: 0 certain, 1 uniform
    mixture  p = (1 − λ) q + λ v,  λ = min(1, strength · doubt)

The mixture is that of Khandelwal et al. (2020, equation 3), whose λ is a constant.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def doubt(logits: Tensor) -> Tensor:
    """Return the entropy of the softmax of logits [..., C] as a share of its maximum, log C: [...], 0 to 1."""
    logs = torch.log_softmax(logits, -1)
    return -(logs.exp() * logs).sum(-1) / math.log(logits.shape[-1])


def mixed_by_doubt(logits: Tensor, other: Tensor, strength: float) -> Tensor:
    """Mix the softmax of logits [..., C] with other probabilities [..., C], and return probabilities [..., C]."""
    share = (strength * doubt(logits)).clamp(max=1.0).unsqueeze(-1)
    return (1 - share) * torch.softmax(logits, -1) + share * other
