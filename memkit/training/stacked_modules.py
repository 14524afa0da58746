"""Ordinary modules of one kind, one a seed, as one module with a seed axis, by ``torch.func.vmap``.

    modules   S modules, made seed by seed
    inputs    [S, B, ...] → outputs [S, B, ...]: what each module makes of the inputs of its own seed

Parameters and buffers are stacked; the module of the first seed lends its code. A buffer that a module changes
while it trains (running statistics, a counter) is kept, a seed apart.
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

# Words of torch's message when it cannot map a program over the seeds, and what they mean for its author.
_REASONS = (
    ("random operation", "draws random numbers while it trains (dropout?), and a seed would not draw its own"),
    ("control flow", "takes decisions in Python by what its tensors hold"),
    (".item()", "turns a tensor into a number, by .item() or float()"),
    ("data pointer", "leaves torch on its way, by .numpy() for one"),
    ("batching rule not implemented", "uses a layer that torch.func.vmap does not know (nn.LSTM and nn.GRU are such)"),
)


class Stacked(nn.Module):
    """The modules of several seeds as one."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        # A tuple, lest they be registered and their parameters trained beside the stacked ones.
        self._seeds = tuple(modules)
        held = [{**dict(module.named_parameters()), **dict(module.named_buffers())} for module in modules]
        if any(_shapes(other) != _shapes(held[0]) for other in held):
            raise _refusal(modules[0], "has parameters or buffers whose shapes differ between seeds")
        if any(_attributes(module) != _attributes(modules[0]) for module in modules):
            raise _refusal(modules[0], "keeps values that differ between seeds and are neither parameters nor buffers")
        self._trained = [name for name, p in modules[0].named_parameters() if p.requires_grad]
        self._aliases = _aliases(modules[0])
        self._buffers_of_one = [name for name, _ in modules[0].named_buffers()]
        stacked = {name: torch.stack([tensors[name].detach() for tensors in held]) for name in held[0]}
        self.trained = nn.ParameterList(nn.Parameter(stacked.pop(name)) for name in self._trained)
        self._others = stacked

    def forward(self, inputs: Tensor) -> Any:
        """Inputs [S, ...] → outputs, every tensor in them with the seeds in front."""
        module = self._seeds[0]

        def one(trained: dict[str, Tensor], others: dict[str, Tensor], x: Tensor) -> tuple[Any, dict[str, Tensor]]:
            tensors = {**trained, **others}
            tensors.update({alias: tensors[name] for alias, name in self._aliases.items()})
            outputs = functional_call(module, tensors, (x,), tie_weights=False)
            # functional_call leaves in the dict what the module has made of its buffers.
            return outputs, {name: tensors[name] for name in self._buffers_of_one}

        trained = dict(zip(self._trained, self.trained, strict=True))
        # The fused attention has no rule for vmap; attention in plain matrix products has.
        with sdpa_kernel(SDPBackend.MATH):
            outputs, buffers = _mapped(module, one)(trained, self._others, inputs)
        self._others.update({name: tensor.detach().contiguous() for name, tensor in buffers.items()})
        return outputs

    @property
    def template(self) -> nn.Module:
        """The module that lends its code."""
        return self._seeds[0]

    def each(self, loss: Loss) -> Loss:
        """A loss of one seed's outputs and targets, as one of all seeds', [S]."""
        return _mapped(self._seeds[0], lambda outputs, targets: loss(outputs, targets).mean())

    def state_of(self, at: int) -> dict[str, Tensor]:
        """The state dict of the seed at that place, as it stands; on the CPU."""
        module = self._seeds[at]
        stacked = {**dict(zip(self._trained, self.trained, strict=True)), **self._others}
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                tensor.copy_(stacked[name][at])
        return module.state_dict()

    def train(self, mode: bool = True) -> Stacked:
        self._seeds[0].train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Stacked:
        self._others = {name: fn(tensor) for name, tensor in self._others.items()}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _mapped(module: nn.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of one seed's arguments, as one of all seeds'."""
    over_seeds = vmap(function)

    def run(*arguments: Any) -> Any:
        try:
            return over_seeds(*arguments)
        except RuntimeError as error:
            function(*_first(arguments))  # a failure with a single seed is the module's own error, not one of vmap
            said = str(error)
            known = [reason for words, reason in _REASONS if words in said.lower()]
            reason = known[0] if known else f"cannot be mapped over seeds (torch: {said.splitlines()[0]})"
            raise _refusal(module, reason) from error

    return run


def _refusal(module: nn.Module, reason: str) -> MemkitError:
    return MemkitError(
        f"Recipe: vmap=True, but {type(module).__name__} {reason}; leave vmap out, and its seeds train one by one"
    )


def _first(value: Any) -> Any:
    """The first seed's share of arguments."""
    if isinstance(value, dict):
        return {name: _first(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_first(item) for item in value)
    return value[0]


def _aliases(module: nn.Module) -> dict[str, str]:
    """Further names of tensors that several parts of a module share, and the name each has in named_parameters.

    functional_call can tie weights by itself, but then it leaves a part that is used under two names changed.
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
    """Return what a module's parts keep besides parameters and buffers: plain values, and tensors as lists."""
    kept = [value for part in module.modules() for value in vars(part).values()]
    plain = [value for value in kept if isinstance(value, (bool, int, float, str, tuple))]
    return plain + [value.tolist() for value in kept if isinstance(value, Tensor)]
