"""How large a network is."""

from __future__ import annotations

from torch import nn


def parameters_per_seed(model: nn.Module) -> int:
    """The number of trained parameters of one seed; every parameter's first axis is the seeds."""
    return sum(parameter[0].numel() for parameter in model.parameters() if parameter.requires_grad)
