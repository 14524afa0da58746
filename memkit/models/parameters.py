"""The size of a network."""

from __future__ import annotations

from torch import nn

from memkit.training.protocols import WithActiveParameters


def parameters_per_seed(model: nn.Module) -> int:
    """Return the number of trained parameters of one seed; every parameter's first axis is the seeds.

    For a network that grows, count those that it uses at present.
    """
    if isinstance(model, WithActiveParameters):
        return model.active_parameters()[0]
    return sum(parameter[0].numel() for parameter in model.parameters() if parameter.requires_grad)
