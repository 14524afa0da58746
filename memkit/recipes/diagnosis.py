"""Reasons why a model cannot be trained or stored: batches, outputs or states that are not usable tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from memkit.errors import MemkitError
from memkit.recipes.recipe import Recipe
from memkit.training.protocols import has_seed_axis
from memkit.training.streams import generator

_SPARSE = ", which vmap does not support; leave out sparse=True, or leave out vmap to train one seed at a time"


def check_trainable(recipe: Recipe, model: nn.Module) -> None:
    """Check, before training begins, that a new model can be trained and stored.

    Raises:
        MemkitError: if it has parameters without a shape, if its state contains values that a run's file cannot store,
            or if vmap does not support it. The message names the module.
    """
    for path, module in model.named_modules():
        reason = _lazy_reason(module, vmap=recipe.vmap) or (_vmap_reason(module) if recipe.vmap else "")
        if reason:
            raise MemkitError(f"{recipe.summary}: {_module_name(path, module)} {reason}")
    for name, value in model.state_dict().items():
        if reason := _storage_reason(name, value):
            path = name.rpartition(".")[0]
            module = dict(model.named_modules()).get(path, model)
            raise MemkitError(f"{recipe.summary}: {_module_name(path, module)} {reason}")


def _lazy_reason(module: nn.Module, *, vmap: bool) -> str:
    """Return why a lazy module cannot be trained, and what to write instead; "" if the module is not lazy."""
    # A buffer may get its shape in the first forward pass, but vmap stacks the seeds' buffers before that.
    tensors = [*module.parameters(recurse=False), *(module.buffers(recurse=False) if vmap else ())]
    if not any(is_lazy(tensor) for tensor in tensors):
        return ""
    name = type(module).__name__
    example = f", with {name.removeprefix('Lazy')}(...) instead of {name}(...)" if name.startswith("Lazy") else ""
    return (
        "has no shape until the first batch, but parameters must have their shapes when the model is created; give the "
        f"number of inputs{example}"
    )


def _vmap_reason(module: nn.Module) -> str:
    """Return why vmap does not support a module, and what to write instead; "" if it does."""
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse and module.weight.requires_grad:
        return f"has sparse gradients{_SPARSE}"
    if type(module).get_extra_state is not nn.Module.get_extra_state:
        return (
            "has get_extra_state(), but with vmap the first seed's module computes for all seeds, so the extra state "
            "of the others would not change; use a buffer, self.register_buffer(name, tensor), or leave vmap out"
        )
    return ""


def _storage_reason(name: str, value: Any) -> str:
    """Return why an entry of a state dict cannot be stored, and what to write instead; "" if it can be stored."""
    entry = name.rpartition(".")[2]
    if entry == "_extra_state" and not isinstance(value, Tensor):
        return (
            f"returns {_type_name(value)} from get_extra_state(), but only tensors can be stored; return a tensor, "
            "or use a buffer, self.register_buffer(name, tensor)"
        )
    if not isinstance(value, Tensor):
        return (
            f"puts {_type_name(value)} into the state dict as {entry!r}, but only tensors can be stored; use a buffer, "
            f"self.register_buffer({entry!r}, tensor)"
        )
    if value.layout is not torch.strided or value.is_quantized:
        return f"has {entry!r} as a tensor that is not dense, which cannot be stored; use a dense tensor"
    if value.dtype is torch.complex128:
        return f"has {entry!r} in torch.complex128, which cannot be stored; use torch.complex64"
    return ""


def sparse_gradient_reason(recipe: Recipe, error: RuntimeError) -> str:
    """Return a message for an error that vmap raised because of sparse gradients; "" for any other error."""
    if not recipe.vmap or "sparse" not in str(error).lower():
        return ""
    return f"{recipe.summary}: the model has sparse gradients{_SPARSE}"


def _module_name(path: str, module: nn.Module) -> str:
    """Return the name of a module in its model, with its class: ``'embedding' (Embedding)``."""
    return f"{path!r} ({type(module).__name__})" if path else type(module).__name__


def non_tensor_reason(recipe: Recipe, seed: int) -> str:
    """Return a message if the task or the model returned something other than tensors; "" if both returned tensors.

    It is called after training has raised an exception.

    Args:
        seed: the seed of the run that could not be trained.
    """
    from memkit.training.building import build, sampler

    model = build(recipe, [seed])
    batch: Any = sampler(recipe, seed)(generator(seed, "data", recipe.stream), recipe.batch)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        returned = ", ".join(map(_type_name, batch)) if isinstance(batch, (tuple, list)) else _type_name(batch)
        return f"{recipe.summary}: the task drew {returned}; a batch must be two tensors, (inputs, targets)"
    inputs = batch[0][None] if has_seed_axis(recipe.model) else batch[0]
    with torch.no_grad():
        outputs = model(inputs)
    if isinstance(outputs, Tensor):
        return ""
    logits = " such as its logits" if hasattr(outputs, "logits") or "logits" in _keys(outputs) else ""
    return (
        f"{recipe.summary}: the model returned {_type_name(outputs)}, but the loss needs a tensor; wrap the model in a "
        f"module whose forward() returns one{logits}"
    )


def _keys(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _type_name(value: Any) -> str:
    """Return the name of a value's type with its article: ``a dict``."""
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
