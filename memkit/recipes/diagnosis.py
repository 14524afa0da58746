"""Why training could not work: what a task drew, or what a model returned or holds, was no tensor, or not of a kind
that can be trained and stored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from memkit.errors import MemkitError
from memkit.recipes.recipe import Recipe
from memkit.training.protocols import has_seed_axis
from memkit.training.streams import generator

_SPARSE = ", which vmap cannot map; leave sparse=True out, or leave vmap out, and its seeds train one by one"


def refuse_untrainable(recipe: Recipe, model: nn.Module) -> None:
    """Refuse a model that was just made, before a step is spent on it.

    Raises:
        MemkitError: it has parameters without a shape, puts into its state what a run's file cannot hold, or does what
            vmap cannot map; the sentence names the module.
    """
    for path, module in model.named_modules():
        reason = _lazy(module, vmap=recipe.vmap) or (_unmapped(module) if recipe.vmap else "")
        if reason:
            raise MemkitError(f"{recipe.summary}: {_place(path, module)} {reason}")
    for name, value in model.state_dict().items():
        if reason := _unstored(name, value):
            path = name.rpartition(".")[0]
            module = dict(model.named_modules()).get(path, model)
            raise MemkitError(f"{recipe.summary}: {_place(path, module)} {reason}")


def _lazy(module: nn.Module, *, vmap: bool) -> str:
    # A buffer may take its shape in the first forward pass; vmap stacks those of the seeds before it.
    tensors = [*module.parameters(recurse=False), *(module.buffers(recurse=False) if vmap else ())]
    if not any(is_lazy(tensor) for tensor in tensors):
        return ""
    name = type(module).__name__
    usual = f", {name.removeprefix('Lazy')}(...) in the place of {name}(...)" if name.startswith("Lazy") else ""
    return (
        "has no shape before it has seen a batch, and what a model has when it is made is what is trained; say how "
        f"many inputs it takes{usual}"
    )


def _unmapped(module: nn.Module) -> str:
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse and module.weight.requires_grad:
        return f"has sparse gradients{_SPARSE}"
    if type(module).get_extra_state is not nn.Module.get_extra_state:
        return (
            "has get_extra_state(), and by vmap the first seed's module computes for all, so that the others' would "
            "not change; keep it in a buffer, self.register_buffer(name, tensor), or leave vmap out"
        )
    return ""


def _unstored(name: str, value: Any) -> str:
    """Why a part of a state dict cannot be stored, and what to write; "" where it can."""
    own = name.rpartition(".")[2]
    if own == "_extra_state" and not isinstance(value, Tensor):
        return (
            f"returns {_kind(value)} from get_extra_state(), and a run's file holds tensors alone; return a tensor "
            "there, or keep it in a buffer, self.register_buffer(name, tensor)"
        )
    if not isinstance(value, Tensor):
        return (
            f"puts {_kind(value)} into the state dict as {own!r}, and a run's file holds tensors alone; make it a "
            f"buffer, self.register_buffer({own!r}, tensor)"
        )
    if value.layout is not torch.strided or value.is_quantized:
        return f"holds {own!r} as a tensor that is not dense, which a run's file cannot hold; keep it dense"
    if value.dtype is torch.complex128:
        return f"holds {own!r} in torch.complex128, which a run's file cannot hold; take torch.complex64"
    return ""


def sparse_under_vmap(recipe: Recipe, error: RuntimeError) -> str:
    """Say that gradients are sparse, once vmap has raised for that; "" where that is not the reason."""
    if not recipe.vmap or "sparse" not in str(error).lower():
        return ""
    return f"{recipe.summary}: the model has sparse gradients{_SPARSE}"


def _place(path: str, module: nn.Module) -> str:
    """A module by its name in the model and its class: ``'embedding' (Embedding)``."""
    return f"{path!r} ({type(module).__name__})" if path else type(module).__name__


def unfit(recipe: Recipe, seed: int) -> str:
    """Name what is no tensor where one is needed, once training has raised; "" where that is not the reason.

    Args:
        seed: of the run that could not be trained.
    """
    from memkit.training.building import build, sampler

    model = build(recipe, [seed])
    batch: Any = sampler(recipe, seed)(generator(seed, "data", recipe.stream), recipe.batch)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        drawn = ", ".join(_kind(part) for part in batch) if isinstance(batch, (tuple, list)) else _kind(batch)
        return f"{recipe.summary}: the task drew {drawn}; a batch is two tensors, (inputs, targets)"
    inputs = batch[0][None] if has_seed_axis(recipe.model) else batch[0]
    with torch.no_grad():
        outputs = model(inputs)
    if isinstance(outputs, Tensor):
        return ""
    logits = " such as its logits" if hasattr(outputs, "logits") or "logits" in _keys(outputs) else ""
    return (
        f"{recipe.summary}: the model returned {_kind(outputs)}, and the loss takes a tensor; wrap the model in a "
        f"module whose forward() returns one{logits}"
    )


def _keys(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
