"""How large a network is."""

from __future__ import annotations

from torch import nn

from memkit.training.protocols import WithActiveParameters


def parameters_per_seed(model: nn.Module) -> int:
    """Return the number of trained parameters of one seed; every parameter's first axis is the seeds.

    Of a network that grows, those that it uses by now.
    """
    if isinstance(model, WithActiveParameters):
        return model.active_parameters()[0]
    return sum(parameter[0].numel() for parameter in model.parameters() if parameter.requires_grad)
