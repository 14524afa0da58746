"""Between torch and MLX: arrays, and a trained MLX network as a claim's test sees it.

A claim's test, its figures and its interventions are written for torch: they hand a network tokens [1, B, L], look at
its plan, and edit its memory. So that a replication measures the same thing by the same test, :class:`FromMLX` passes
all of that on. What the network computes, it computes in MLX; only what goes in, comes out, or is edited on the way is
converted.
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
    """A tensor's numbers as an MLX array; 64-bit integers as 32-bit ones, which Metal calculates with faster."""
    numbers = tensor.detach().cpu().numpy()
    return mx.array(numbers.astype(np.int32) if numbers.dtype == np.int64 else numbers)


def to_torch(array: mx.array) -> Tensor:
    """An MLX array's numbers as a tensor of its own; 32-bit integers as 64-bit ones, which torch takes for indices."""
    numbers = np.array(array)
    return torch.from_numpy(numbers.astype(np.int64) if numbers.dtype == np.int32 else numbers)


def _into(value: Any) -> Any:
    """Convert a value from torch to MLX, without its seed axis of one; functions of tensors become those of arrays."""
    if isinstance(value, Tensor):
        return to_mlx(value[0])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_into, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_into, value))
    if isinstance(value, Mapping):
        return {name: _into(item) for name, item in value.items()}
    if callable(value):
        return lambda *arguments: _into(value(*map(_out_of, arguments)))
    return value


def _out_of(value: Any) -> Any:
    """Convert a value from MLX to torch, with a seed axis of one; methods of MLX become methods that torch can call."""
    if isinstance(value, mx.array):
        return to_torch(value).unsqueeze(0)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_out_of, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_out_of, value))
    if isinstance(value, nn.Module):
        return FromMLX(value)
    if callable(value):
        return lambda *positional, **named: _out_of(value(*_into(positional), **_into(named)))
    return value


class FromMLX(torch.nn.Module):
    """An MLX network of one seed that is called, looked at and edited like a network of torch with a seed axis of one.

    It has no parameters of torch, and gives torch no gradient; :meth:`loss_gradients` has MLX's own.
    """

    seed_axis = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.__dict__["network"] = network
        self.train(network.training)

    def train(self, mode: bool = True) -> FromMLX:
        """Training mode, or evaluation mode."""
        self.__dict__["network"].train(mode)
        return super().train(mode)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Call the network; tensors [1, ...] in and out."""
        return _out_of(self.network(*_into(arguments), **_into(named)))

    def loss_gradients(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The gradient of the mean cross-entropy by parameter: inputs [N, ...] and targets [N, ...], in one batch."""
        network = self.__dict__["network"]
        parameters = network.trainable_parameters()

        def loss(own: Any) -> mx.array:
            network.update(own)
            return cross_entropy(network(to_mlx(inputs)), to_mlx(targets))

        found = mx.grad(loss)(parameters)
        network.update(parameters)
        return {name: to_torch(array).unsqueeze(0) for name, array in tree_flatten(found)}

    def __getattr__(self, name: str) -> Any:
        network = self.__dict__["network"]
        if name.startswith("__") or not hasattr(network, name):
            return super().__getattr__(name)
        return _out_of(getattr(network, name))

    def __setattr__(self, name: str, value: Any) -> None:
        network = self.__dict__.get("network")
        if network is not None and hasattr(network, name) and name != "training":
            setattr(network, name, value)
        else:
            super().__setattr__(name, value)
