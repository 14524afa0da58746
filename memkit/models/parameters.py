"""How large a network is."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def parameters_per_seed(model: nn.Module) -> int:
    """The number of trained parameters of one seed; every parameter's first axis is the seeds.

    Of a network that grows, those that it uses by now.
    """
    active: Callable[[], list[int]] | None = getattr(model, "active_parameters", None)
    if active is not None:
        return active()[0]
    return sum(parameter[0].numel() for parameter in model.parameters() if parameter.requires_grad)
