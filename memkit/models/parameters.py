"""The number of parameters of a network."""

from __future__ import annotations

from torch import nn

from memkit.training.protocols import WithActiveParameters


def parameters_per_seed(model: nn.Module) -> int:
    """Return the number of trained parameters of one seed; the first axis of every parameter is the seeds.

    For a network that grows, it is the number that the first seed uses at present.

    >>> import torch
    >>> from memkit.models import FeedForwardNetwork, parameters_per_seed
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = FeedForwardNetwork(generators=generators, inputs=(8, 8), classes=3, widths=(16,))
    >>> parameters_per_seed(network)  # 64 · 16 + 16 + 16 · 3 + 3
    1091
    """
    if isinstance(model, WithActiveParameters):
        return model.active_parameters()[0]
    return sum(parameter[0].numel() for parameter in model.parameters() if parameter.requires_grad)
