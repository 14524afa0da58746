"""Ordinary modules of one class, one per seed, combined into one module with a seed axis by ``torch.func.vmap``.

    modules   S modules, built seed by seed
    inputs    [S, B, ...] → outputs [S, B, ...]: each module is applied to the inputs of its own seed

Parameters and buffers are stacked; the code is that of the first seed's module. Buffers that a module changes during
training (running statistics, a counter) are kept separately for each seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from memkit.errors import MemkitError

Loss = Callable[[Any, Tensor], Tensor]

# Phrases in torch's message when it cannot map a program over the seeds, and what they mean for the model's author.
_REASONS = (
    (
        "random operation",
        "draws random numbers in training (dropout?), which would not come from each seed's own stream",
    ),
    ("control flow", "branches in Python on the values of tensors"),
    (".item()", "converts a tensor to a number, by .item() or float()"),
    ("data pointer", "computes outside torch, for example by .numpy()"),
    ("batching rule not implemented", "uses a layer that torch.func.vmap does not support, such as nn.LSTM and nn.GRU"),
)


class Stacked(nn.Module):
    """The modules of several seeds, combined into one module with a seed axis."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        # A tuple, so that torch does not register the modules and train their parameters beside the stacked ones.
        self._seeds = tuple(modules)
        tensors_of_seeds = [{**dict(module.named_parameters()), **dict(module.named_buffers())} for module in modules]
        if any(_shapes(tensors) != _shapes(tensors_of_seeds[0]) for tensors in tensors_of_seeds):
            raise _refusal(modules[0], "has parameters or buffers whose shapes differ between seeds")
        if any(_attributes(module) != _attributes(modules[0]) for module in modules):
            raise _refusal(
                modules[0], "has attributes that differ between seeds and are neither parameters nor buffers"
            )
        self._trained = [name for name, p in modules[0].named_parameters() if p.requires_grad]
        self._aliases = _aliases(modules[0])
        self._buffers_of_one = [name for name, _ in modules[0].named_buffers()]
        stacked = {
            name: torch.stack([tensors[name].detach() for tensors in tensors_of_seeds]) for name in tensors_of_seeds[0]
        }
        self.trained = nn.ParameterList(nn.Parameter(stacked.pop(name)) for name in self._trained)
        self._others = stacked

    def forward(self, inputs: Tensor) -> Any:
        """Return the outputs for inputs [S, ...]; in every tensor of the outputs, the seeds are the first dimension."""
        module = self._seeds[0]

        def forward_of_seed(
            trained: dict[str, Tensor], others: dict[str, Tensor], x: Tensor
        ) -> tuple[Any, dict[str, Tensor]]:
            tensors = {**trained, **others}
            tensors.update({alias: tensors[name] for alias, name in self._aliases.items()})
            outputs = functional_call(module, tensors, (x,), tie_weights=False)
            # functional_call updates the dict with the buffers that the module has changed.
            return outputs, {name: tensors[name] for name in self._buffers_of_one}

        trained = dict(zip(self._trained, self.trained, strict=True))
        # vmap supports attention as plain matrix products, but not the fused kernels.
        with sdpa_kernel(SDPBackend.MATH):
            outputs, buffers = _mapped(module, forward_of_seed)(trained, self._others, inputs)
        self._others.update({name: tensor.detach().contiguous() for name, tensor in buffers.items()})
        return outputs

    @property
    def template(self) -> nn.Module:
        """The module whose code runs for all seeds: that of the first seed."""
        return self._seeds[0]

    def loss_per_seed(self, loss: Loss) -> Loss:
        """Turn a loss of one seed's outputs and targets into a function that returns the losses of all seeds, [S]."""
        return _mapped(self._seeds[0], lambda outputs, targets: loss(outputs, targets).mean())

    def state_of(self, row: int) -> dict[str, Tensor]:
        """Return the present state dict of the seed in one row, on the CPU."""
        module = self._seeds[row]
        stacked = {**dict(zip(self._trained, self.trained, strict=True)), **self._others}
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                tensor.copy_(stacked[name][row])
        return module.state_dict()

    def train(self, mode: bool = True) -> Stacked:
        self._seeds[0].train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Stacked:
        self._others = {name: fn(tensor) for name, tensor in self._others.items()}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _mapped(module: nn.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function of one seed's arguments into a function of all seeds' arguments.

    The new function raises MemkitError with a reason if torch cannot map the given one.
    """
    over_seeds = vmap(function)

    def run(*arguments: Any) -> Any:
        try:
            return over_seeds(*arguments)
        except RuntimeError as error:
            function(*_first(arguments))  # if this fails for a single seed, the error is the module's and not vmap's
            message = str(error)
            known = [reason for phrase, reason in _REASONS if phrase in message.lower()]
            reason = known[0] if known else f"cannot be mapped over seeds (torch: {message.splitlines()[0]})"
            raise _refusal(module, reason) from error

    return run


def _refusal(module: nn.Module, reason: str) -> MemkitError:
    """Return the error for a module that cannot be mapped over seeds."""
    return MemkitError(
        f"Recipe: vmap=True, but {type(module).__name__} {reason}; leave vmap out, and its seeds train one by one"
    )


def _first(value: Any) -> Any:
    """Return the arguments of the first seed."""
    if isinstance(value, dict):
        return {name: _first(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_first(item) for item in value)
    return value[0]


def _aliases(module: nn.Module) -> dict[str, str]:
    """Return further name → name in ``named_parameters``, for tensors that several parts of a module share.

    functional_call can tie weights itself, but then leaves a part that is used under two names in a changed state.
    """
    names: dict[int, str] = {}
    aliases = {}
    for prefix, part in module.named_modules():
        for name, tensor in (*part.named_parameters(prefix, recurse=False), *part.named_buffers(prefix, recurse=False)):
            if names.setdefault(id(tensor), name) != name:
                aliases[name] = names[id(tensor)]
    return aliases


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _attributes(module: nn.Module) -> list[Any]:
    """Return the attributes of a module's parts that are plain values, or tensors (as lists) but not parameters."""
    values = [value for part in module.modules() for value in vars(part).values()]
    plain = [value for value in values if isinstance(value, (bool, int, float, str, tuple))]
    return plain + [value.tolist() for value in values if isinstance(value, Tensor)]
