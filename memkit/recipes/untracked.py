"""Changes that training makes to a model outside its state dict, and that a restored model would lack.

A claim's test receives a new model that has loaded the stored state. A memory in a non-persistent buffer, or in an
attribute that is a plain tensor, is not part of that state. The new model would behave as if it had learnt nothing.

Right after training, :func:`check_untracked_changes` builds such a model and compares it with the trained one,
attribute by attribute. An attribute that differs may still be a cache that is computed again when it is needed, such as
a causal mask, or an attention map that is kept for inspection. So the check restores two models, copies the differing
attributes of the trained model into one of them, and lets both compute one training batch in evaluation mode. It raises
an error if

*   the outputs differ, or only one of the two models can compute the batch;
*   or the attribute still differs after the batch, in a tensor at the same path and of the same shape, or in the length
    of a list: it is a memory that a claim's test may read.

The comparison covers tensors and NumPy arrays in non-persistent buffers and in the attributes of every module,
including those in lists, tuples, dicts and objects of other classes. Numbers and strings count if the outputs depend on
them. The check does not find: an attribute that is None, or lacks a key, in a new model, and that evaluation neither
writes nor reads (a claim's test that reads it finds nothing); a number that does not affect the outputs; anything
outside the model's attributes (globals, closures, files, ``__slots__``, sets); differences that appear only for other
inputs than one training batch; and models of MLX. With vmap, the comparison covers the module of the first seed, which
computes for all seeds.
"""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from memkit.errors import MemkitError
from memkit.recipes.diagnosis import check_trainable
from memkit.scheduling.devices import lacks_memory
from memkit.training.protocols import has_seed_axis
from memkit.training.streams import generator, stream_seed

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))
"""The attributes that torch gives every module."""
_OPAQUE_PACKAGES = sys.stdlib_module_names | {"builtins", "numpy", "torch"}
"""The packages whose objects are not searched."""
_SEQUENCES = (list, tuple, deque)
_SCALARS = (bool, int, float, complex, str)
_NUMERIC_KINDS = "biufc"  # NumPy's letters for booleans, integers, real and complex numbers
AttributePath = tuple[str, str]
"""The dotted name of a module, "" for the model itself, and the name of an attribute."""


@dataclass(frozen=True)
class ModelRecorder:
    """A recipe's model for the trainer, which checks and records every model that it creates.

    Attributes:
        recipe: the recipe whose model it replaces.
        models: the created models, each with the initial seeds of the generators that it received.
    """

    recipe: Recipe
    models: list[tuple[Any, tuple[int, ...]]] = field(default_factory=list)

    @property
    def seed_axis(self) -> bool:
        return has_seed_axis(self.recipe.model)

    def __call__(self, **options: Any) -> Any:
        streams = tuple(stream.initial_seed() for stream in options.get("generators", ()))
        model = self.recipe.model(**options)
        if isinstance(model, nn.Module):
            check_trainable(self.recipe, model)
        self.models.append((model, streams))
        return model

    def __repr__(self) -> str:
        return repr(self.recipe.model)


def with_recorded_models(recipe: Recipe) -> tuple[Recipe, ModelRecorder]:
    """Return the recipe with a model that records what it creates, and this model."""
    recorder = ModelRecorder(recipe)
    recording_recipe = copy.copy(recipe)
    # Not with replace(): a recipe would reject a model that cannot be imported by its name.
    object.__setattr__(recording_recipe, "model", recorder)
    return recording_recipe, recorder


def check_untracked_changes(recipe: Recipe, seeds: Sequence[int], recorder: ModelRecorder, device: str) -> None:
    """Check that training changed nothing in the models that their states do not contain.

    Args:
        seeds: the seeds that were trained.
        recorder: the recorder of the trained models.
        device: the device that they were trained on.

    Raises:
        MemkitError: if training changed such an attribute. The message names it, and says what to do instead.
    """
    seed_of_stream = {stream_seed(seed, "initial values", recipe.stream): seed for seed in seeds}
    # With vmap, the first seed's module computes for all seeds, and has the attributes that the others would have.
    models = recorder.models[:1] if recipe.vmap else recorder.models
    for i, (trained, streams) in enumerate(models):
        restorer = _Restorer(recipe, [seed_of_stream[stream] for stream in streams] or [seeds[i]], device, trained)
        attributes = _attributes(trained, mapped_seeds=len(seeds) if recipe.vmap else 0)
        restored = _attributes(restorer.model())
        differing = {
            path: contents.value
            for path, contents in attributes.items()
            if not contents.same_as(restored.get(path, _EMPTY))
        }
        if differing and (lost := restorer.relevant(differing)):
            raise MemkitError(_message(recipe, trained, lost))


@dataclass(frozen=True)
class _Restorer:
    """A factory of models with the state of a trained model."""

    recipe: Recipe
    seeds: Sequence[int]
    device: str
    trained: nn.Module

    def model(self, device: str = "cpu") -> nn.Module:
        """Return a new model with the trained state, in evaluation mode."""
        from memkit.training.building import build

        model = build(self.recipe, self.seeds)
        model.load_state_dict(self.trained.state_dict())
        return model.to(device).eval()

    def relevant(self, differing: Mapping[AttributePath, Any]) -> list[AttributePath]:
        """Return the attributes that make a difference: each one that does so alone, or else all of them together."""
        inputs = self._inputs().to(self.device)
        unmodified = self._evaluate({}, inputs)

        def make_a_difference(copied: Mapping[AttributePath, Any]) -> bool:
            modified = self._evaluate(copied, inputs)
            if (modified.outputs is None) != (unmodified.outputs is None):
                return True
            if modified.outputs and unmodified.outputs and not modified.outputs.same_as(unmodified.outputs):
                return True
            return any(modified.contents(path).remembers(unmodified.contents(path)) for path in copied)

        if not make_a_difference(differing):
            return []
        return [path for path, value in differing.items() if make_a_difference({path: value})] or list(differing)

    def _evaluate(self, copied: Mapping[AttributePath, Any], inputs: Tensor) -> _Evaluation:
        """Compute a batch with a restored model into which some attributes of the trained one are copied."""
        model = self.model(self.device)
        modules = dict(model.named_modules())
        for (prefix, name), value in copied.items():
            if (module := modules.get(prefix)) is None:
                continue
            namespace: Any = module._buffers if name in module._buffers else vars(module)
            namespace[name] = _copy(value, lambda tensor: tensor.detach().clone())
        with torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []), torch.no_grad():
            torch.manual_seed(self.seeds[0])
            try:
                outputs = _Contents.of(model(inputs), set())
            except Exception as error:  # a model may refuse to compute anything before it has seen some data
                if lacks_memory(error):
                    raise
                outputs = None
        return _Evaluation(outputs, _attributes(model))

    def _inputs(self) -> Tensor:
        """Return the inputs of a training batch of each seed, in the form that the model takes."""
        from memkit.training.building import sampler

        generators = [generator(seed, "data", self.recipe.stream) for seed in self.seeds]
        batches = [
            sampler(self.recipe, seed)(data_generator, self.recipe.batch)[0]
            for seed, data_generator in zip(self.seeds, generators, strict=True)
        ]
        return torch.stack(batches) if has_seed_axis(self.recipe.model) else batches[0]


@dataclass(frozen=True)
class _Contents:
    """The contents of an attribute.

    Attributes:
        value: the attribute's value.
        leaves: path within the value → tensor, array, number or string.
        lengths: path within the value → length of a list.
    """

    value: Any
    leaves: Mapping[str, Any]
    lengths: Mapping[str, int]

    @classmethod
    def of(cls, value: Any, visited: set[int]) -> _Contents:
        """Return the contents of a value: each object once, and none that was visited before."""
        leaves: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for path, part in _walk(value, visited):
            if isinstance(part, np.ndarray) and part.dtype.kind in _NUMERIC_KINDS:
                leaves[path] = torch.from_numpy(part.copy())
            elif isinstance(part, (Tensor, *_SCALARS)):
                leaves[path] = part
            elif isinstance(part, _SEQUENCES):
                lengths[path] = len(part)
        return cls(value, leaves, lengths)

    def same_as(self, other: _Contents) -> bool:
        return self.leaves.keys() == other.leaves.keys() and all(
            _same_shape_and_dtype(leaf, other.leaves[path]) and _equal(leaf, other.leaves[path])
            for path, leaf in self.leaves.items()
        )

    def remembers(self, other: _Contents) -> bool:
        """Return whether a tensor at the same path and of the same shape, or the length of a list, differs.

        A number does not count: the number of batches seen, for example, is not a memory of their contents.
        """
        pairs = [(leaf, other.leaves[path]) for path, leaf in self.leaves.items() if path in other.leaves]
        if any(
            isinstance(one, Tensor) and _same_shape_and_dtype(one, two) and not _equal(one, two) for one, two in pairs
        ):
            return True
        return any(self.lengths[path] != other.lengths[path] for path in self.lengths.keys() & other.lengths.keys())


_EMPTY = _Contents(None, {}, {})


@dataclass(frozen=True)
class _Evaluation:
    """The outputs of a model for a batch, None if it raised, and the contents of its attributes afterwards."""

    outputs: _Contents | None
    attributes: Mapping[AttributePath, _Contents]

    def contents(self, path: AttributePath) -> _Contents:
        return self.attributes.get(path, _EMPTY)


def _message(recipe: Recipe, trained: nn.Module, lost: Sequence[AttributePath]) -> str:
    modules = dict(trained.named_modules())
    names = [f"{prefix}.{name}" if prefix else name for prefix, name in lost]
    kinds = {"buffer" if name in modules[prefix]._buffers else "attribute" for prefix, name in lost}
    kind = kinds.pop() if len(kinds) == 1 else "attribute"
    which = f"the {kind} {names[0]!r}" if len(names) == 1 else f"the {kind}s {', '.join(map(repr, names))}"
    hint = " (persistent, as it is by default)" if kind == "buffer" else ""
    return (
        f"{recipe.summary}: training changed {which} of {type(trained).__name__}, which the stored state does not "
        "contain, so a restored model would lack what was learnt; register it as a parameter or a persistent buffer, "
        f"self.register_buffer({lost[0][1]!r}, tensor){hint}"
    )


def _attributes(model: nn.Module, *, mapped_seeds: int = 0) -> dict[AttributePath, _Contents]:
    """Return the contents of the attributes and the non-persistent buffers of every module.

    Args:
        mapped_seeds: the number of seeds that the model computed for with vmap; 0 without vmap.
    """
    visited = {id(module) for module in model.modules()}
    contents = {}
    for prefix, module in model.named_modules():
        values = {name: value for name, value in vars(module).items() if name not in _MODULE_ATTRIBUTES}
        values |= {name: module._buffers.get(name) for name in sorted(module._non_persistent_buffers_set)}
        for name, value in values.items():
            contents[prefix, name] = _Contents.of(_first_seed(value, mapped_seeds) if mapped_seeds else value, visited)
    return contents


def _same_shape_and_dtype(one: Any, other: Any) -> bool:
    """Return whether both are tensors of the same shape and dtype, or neither is a tensor."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _shape(one) == _shape(other) and one.dtype == other.dtype
    return not isinstance(one, Tensor) and not isinstance(other, Tensor)


def _shape(tensor: Tensor) -> torch.Size | None:
    return None if tensor.is_nested else tensor.shape


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor):
        return bool(one == other or (one != one and other != other))
    try:
        one, other = _dense(one), _dense(other)
        return bool(((one == other) | ((one != one) & (other != other))).all())  # nan counts as equal to nan
    except (RuntimeError, TypeError):  # tensors without values, or of a kind that torch cannot compare
        return True


def _dense(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def _walk(value: Any, visited: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield (path, part) for a value and everything in it; skip objects that were visited before."""
    todo = [("", value)]
    while todo:
        path, part = todo.pop()
        if isinstance(part, (Tensor, np.ndarray, *_SCALARS)):
            yield path, part
        elif id(part) not in visited:
            visited.add(id(part))
            yield path, part
            items = enumerate(_items(part))
            todo += [(f"{path}/{key if isinstance(key, _SCALARS) else i}", item) for i, (key, item) in items]


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the (key, value) pairs of a list, tuple or dict, or of an object's attributes; () for anything else."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, _SEQUENCES):
        return enumerate(value)
    return list(vars(value).items()) if _has_attributes(value) else ()


def _has_attributes(value: Any) -> bool:
    """Return whether a value is of a class of the model's author, so that its attributes may be memories.

    Objects of Python, NumPy and torch, such as loggers and locks, are not.
    """
    if isinstance(value, (nn.Module, SimpleNamespace)):
        return True
    package = type(value).__module__.partition(".")[0]
    return package not in _OPAQUE_PACKAGES and isinstance(getattr(value, "__dict__", None), dict)


def _copy(value: Any, copy_tensor: Callable[[Tensor], Tensor], memo: dict[int, Any] | None = None) -> Any:
    """Return a copy of an attribute, with ``copy_tensor`` applied to its tensors.

    A value without tensors, numbers and strings is returned as it is.
    """
    memo = {} if memo is None else memo
    if isinstance(value, Tensor):
        return copy_tensor(value)
    if isinstance(value, np.ndarray):
        return value.copy()
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, (nn.Module, *_SCALARS)) or not _Contents.of(value, set()).leaves:
        return value
    if isinstance(value, tuple):
        parts = [_copy(part, copy_tensor, memo) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    try:
        copied = memo[id(value)] = copy.copy(value)
    except Exception:  # it cannot be copied
        return value
    if copied is value:
        return value
    if isinstance(copied, dict):
        copied.update({name: _copy(part, copy_tensor, memo) for name, part in copied.items()})
    elif isinstance(copied, (list, deque)):
        for i, part in enumerate(value):
            copied[i] = _copy(part, copy_tensor, memo)
    elif _has_attributes(copied):
        vars(copied).update({name: _copy(part, copy_tensor, memo) for name, part in vars(copied).items()})
    return copied


def _first_seed(value: Any, seeds: int) -> Any:
    """Return an attribute of a module that computed under vmap, with the first seed's part of each tensor.

    A tensor that the module stored represents all seeds, and can be read only within vmap.
    """

    def first(tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided or tensor.is_nested:
            return tensor  # vmap does not support these
        return vmap(lambda _: tensor.detach())(torch.arange(seeds))[0].clone()

    return _copy(value, first)
