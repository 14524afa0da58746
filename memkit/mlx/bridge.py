"""A bridge between torch and MLX: converts arrays, and wraps a trained MLX network for the test of a claim.

The test of a claim, its figures and its interventions are written for torch: they pass tokens [1, B, L] to a network,
inspect its plan, and edit its memory. :class:`FromMLX` supports all of this, so that the same test measures a
replication. The network itself computes in MLX; only inputs, outputs and edited values are converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from mlx import nn
from mlx.utils import tree_flatten
from torch import Tensor

from memkit.mlx.losses import cross_entropy


def to_mlx(tensor: Tensor) -> mx.array:
    """Return a tensor as an MLX array; 64-bit integers become 32-bit, with which Metal is faster."""
    numbers = tensor.detach().cpu().numpy()
    return mx.array(numbers.astype(np.int32) if numbers.dtype == np.int64 else numbers)


def to_torch(array: mx.array) -> Tensor:
    """Return a copy of an MLX array as a tensor; 32-bit integers become 64-bit, as torch requires for indices."""
    numbers = np.array(array)
    return torch.from_numpy(numbers.astype(np.int64) if numbers.dtype == np.int32 else numbers)


def _convert_to_mlx(value: Any) -> Any:
    """Convert a value from torch to MLX, dropping its seed axis of size 1; functions are wrapped."""
    if isinstance(value, Tensor):
        return to_mlx(value[0])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_convert_to_mlx, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_convert_to_mlx, value))
    if isinstance(value, Mapping):
        return {name: _convert_to_mlx(item) for name, item in value.items()}
    if callable(value):
        return lambda *arguments: _convert_to_mlx(value(*map(_convert_to_torch, arguments)))
    return value


def _convert_to_torch(value: Any) -> Any:
    """Convert a value from MLX to torch, adding a seed axis of size 1; functions are wrapped."""
    if isinstance(value, mx.array):
        return to_torch(value).unsqueeze(0)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_convert_to_torch, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_convert_to_torch, value))
    if isinstance(value, nn.Module):
        return FromMLX(value)
    if callable(value):
        return lambda *positional, **named: _convert_to_torch(
            value(*_convert_to_mlx(positional), **_convert_to_mlx(named))
        )
    return value


class FromMLX(torch.nn.Module):
    """An MLX network of one seed that can be called, inspected and edited like a torch network with a seed axis.

    The seed axis has size 1. The wrapper has no torch parameters, and gives torch no gradient; :meth:`loss_gradients`
    returns those of MLX.
    """

    seed_axis = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.__dict__["network"] = network
        self.train(network.training)

    def train(self, mode: bool = True) -> FromMLX:
        """Set training mode or evaluation mode."""
        self.__dict__["network"].train(mode)
        return super().train(mode)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Call the network with tensors [1, ...], and return tensors [1, ...]."""
        return _convert_to_torch(self.network(*_convert_to_mlx(arguments), **_convert_to_mlx(named)))

    def loss_gradients(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the gradient of the mean cross-entropy of inputs [N, ...] and targets [N, ...], by parameter."""
        network = self.__dict__["network"]
        parameters = network.trainable_parameters()

        def loss(current: Any) -> mx.array:
            network.update(current)
            return cross_entropy(network(to_mlx(inputs)), to_mlx(targets))

        gradients = mx.grad(loss)(parameters)
        network.update(parameters)
        return {name: to_torch(array).unsqueeze(0) for name, array in tree_flatten(gradients)}

    def __getattr__(self, name: str) -> Any:
        network = self.__dict__["network"]
        if name.startswith("__") or not hasattr(network, name):
            return super().__getattr__(name)
        return _convert_to_torch(getattr(network, name))

    def __setattr__(self, name: str, value: Any) -> None:
        network = self.__dict__.get("network")
        if network is not None and hasattr(network, name) and name != "training":
            setattr(network, name, value)
        else:
            super().__setattr__(name, value)
