"""Changes that training made to a model outside its state, which a restored model would lack.

A claim's test sees a model that was built anew and given the stored state. A memory in a non-persistent buffer, or in
an attribute that is a plain tensor, is not part of that state: such a model would answer as if it had learnt nothing.

:func:`refuse_untracked` builds that model right after training and compares it with the trained one, attribute by
attribute. An attribute that differs may still be a cache, made again when it is needed: a causal mask, an attention map
kept to be looked at. So two models are restored, one of them is given what the trained one held, and both compute one
training batch in evaluation mode. What the attribute held is refused where

*   the outputs differ, or only the model without it can compute the batch, or the other way round;
*   or afterwards the attribute still differs in a tensor at the same place and of the same shape, or in the length of a
    list: it remembers, and a claim's test may read it.

The comparison covers tensors and NumPy arrays in non-persistent buffers and in attributes of every module, also within
lists, tuples, dicts and objects of other classes there; and numbers and texts there, where outputs depend on them. It
does not catch: an attribute that is None, or lacks a key, in a new model, and that evaluation neither makes nor reads
(a claim's test that reads it finds nothing there); a number that no output shows; anything outside the model's
attributes (globals, closures, files, __slots__, sets); what only other inputs than one training batch would show; and
models of MLX. With vmap, the comparison covers the first seed's module, which computes for all seeds.
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
from memkit.recipes.diagnosis import refuse_untrainable
from memkit.scheduling.devices import lacks_memory
from memkit.training.protocols import has_seed_axis
from memkit.training.streams import generator, stream_seed

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_OF_TORCH = frozenset(vars(nn.Module()))
_CLOSED = sys.stdlib_module_names | {"builtins", "numpy", "torch"}
_LISTS = (list, tuple, deque)
_PLAIN = (bool, int, float, complex, str)
_NUMBERS = "biufc"  # NumPy's letters for truth values, whole, real and complex numbers
Place = tuple[str, str]
"""The dotted name of a module, "" for the model itself, and the name of an attribute."""


@dataclass(frozen=True)
class Watched:
    """A recipe's model that keeps what it has made, and refuses what cannot be trained; to the trainer it is the model.

    Attributes:
        recipe: whose model it is.
        made: the models, with the first numbers of the generators that they were given.
    """

    recipe: Recipe
    made: list[tuple[Any, tuple[int, ...]]] = field(default_factory=list)

    @property
    def seed_axis(self) -> bool:
        return has_seed_axis(self.recipe.model)

    def __call__(self, **options: Any) -> Any:
        streams = tuple(stream.initial_seed() for stream in options.get("generators", ()))
        made = self.recipe.model(**options)
        if isinstance(made, nn.Module):
            refuse_untrainable(self.recipe, made)
        self.made.append((made, streams))
        return made

    def __repr__(self) -> str:
        return repr(self.recipe.model)


def watched(recipe: Recipe) -> tuple[Recipe, Watched]:
    """Return the recipe with a model that keeps what it makes, and that model."""
    model = Watched(recipe)
    same = copy.copy(recipe)
    object.__setattr__(same, "model", model)  # not by replace(): the model is no object that a recipe could name
    return same, model


def refuse_untracked(recipe: Recipe, seeds: Sequence[int], model: Watched, device: str) -> None:
    """Refuse models in which training has changed something that their states do not hold.

    Args:
        seeds: the seeds that were trained.
        model: what made the models.
        device: the device that they were trained on.

    Raises:
        MemkitError: a sentence that names the attribute, and what would be right.
    """
    of_stream = {stream_seed(seed, "initial values", recipe.stream): seed for seed in seeds}
    # With vmap, the first seed's module computes for all seeds, and holds what the others would.
    made = model.made[:1] if recipe.vmap else model.made
    for i, (trained, streams) in enumerate(made):
        restored = _Restored(recipe, [of_stream[stream] for stream in streams] or [seeds[i]], device, trained)
        held, anew = _held(trained, mapped=len(seeds) if recipe.vmap else 0), _held(restored.model())
        differing = {place: own.value for place, own in held.items() if not own.same_as(anew.get(place, _NOTHING))}
        if differing and (lost := restored.lacks(differing)):
            raise MemkitError(_sentence(recipe, trained, lost))


@dataclass(frozen=True)
class _Restored:
    """Models of some seeds that are built anew and given the state of a trained one."""

    recipe: Recipe
    seeds: Sequence[int]
    device: str
    trained: nn.Module

    def model(self, device: str = "cpu") -> nn.Module:
        """Return one of them, in evaluation mode."""
        from memkit.training.building import build

        model = build(self.recipe, self.seeds)
        model.load_state_dict(self.trained.state_dict())
        return model.to(device).eval()

    def lacks(self, differing: Mapping[Place, Any]) -> list[Place]:
        """Return which of the trained model's attributes matter: each that does by itself, or else all together."""
        inputs = self._inputs().to(self.device)
        without = self._computed({}, inputs)

        def matter(given: Mapping[Place, Any]) -> bool:
            having = self._computed(given, inputs)
            if (having.outputs is None) != (without.outputs is None):
                return True
            if having.outputs and without.outputs and not having.outputs.same_as(without.outputs):
                return True
            return any(having.of(place).remembers(without.of(place)) for place in given)

        if not matter(differing):
            return []
        return [place for place, value in differing.items() if matter({place: value})] or list(differing)

    def _computed(self, given: Mapping[Place, Any], inputs: Tensor) -> _Computed:
        model = self.model(self.device)
        modules = dict(model.named_modules())
        for (prefix, name), value in given.items():
            if (module := modules.get(prefix)) is None:
                continue
            own: Any = module._buffers if name in module._buffers else vars(module)
            own[name] = _copied(value, lambda tensor: tensor.detach().clone())
        with torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []), torch.no_grad():
            torch.manual_seed(self.seeds[0])
            try:
                outputs = _Held.found(model(inputs), set())
            except Exception as error:  # a model may compute nothing before it has been told something
                if lacks_memory(error):
                    raise
                outputs = None
        return _Computed(outputs, _held(model))

    def _inputs(self) -> Tensor:
        """A training batch of each seed, as the model takes it."""
        from memkit.training.building import sampler

        streams = [generator(seed, "data", self.recipe.stream) for seed in self.seeds]
        batches = [
            sampler(self.recipe, seed)(stream, self.recipe.batch)[0]
            for seed, stream in zip(self.seeds, streams, strict=True)
        ]
        return torch.stack(batches) if has_seed_axis(self.recipe.model) else batches[0]


@dataclass(frozen=True)
class _Held:
    """The contents of an attribute.

    Attributes:
        value: the attribute.
        leaves: the tensors, arrays, numbers and texts in it, each with its place.
        lengths: how long the lists in it are, each with its place.
    """

    value: Any
    leaves: Mapping[str, Any]
    lengths: Mapping[str, int]

    @classmethod
    def found(cls, value: Any, seen: set[int]) -> _Held:
        """Return what there is in a value, but for what was seen before, each object once."""
        leaves: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for place, part in _walk(value, seen):
            if isinstance(part, np.ndarray) and part.dtype.kind in _NUMBERS:
                leaves[place] = torch.from_numpy(part.copy())
            elif isinstance(part, (Tensor, *_PLAIN)):
                leaves[place] = part
            elif isinstance(part, _LISTS):
                lengths[place] = len(part)
        return cls(value, leaves, lengths)

    def same_as(self, other: _Held) -> bool:
        return self.leaves.keys() == other.leaves.keys() and all(
            _alike(own, other.leaves[place]) and _equal(own, other.leaves[place]) for place, own in self.leaves.items()
        )

    def remembers(self, other: _Held) -> bool:
        """Return whether a tensor at the same place and of the same shape, or a list's length, differs from another's.

        A number does not count: the number of batches seen, for example, is no memory of them.
        """
        pairs = [(own, other.leaves[place]) for place, own in self.leaves.items() if place in other.leaves]
        if any(isinstance(one, Tensor) and _alike(one, two) and not _equal(one, two) for one, two in pairs):
            return True
        return any(self.lengths[place] != other.lengths[place] for place in self.lengths.keys() & other.lengths.keys())


_NOTHING = _Held(None, {}, {})


@dataclass(frozen=True)
class _Computed:
    """The outputs of a model for a batch, None where it raised, and what its attributes hold afterwards."""

    outputs: _Held | None
    held: Mapping[Place, _Held]

    def of(self, place: Place) -> _Held:
        return self.held.get(place, _NOTHING)


def _sentence(recipe: Recipe, trained: nn.Module, lost: Sequence[Place]) -> str:
    modules = dict(trained.named_modules())
    names = [f"{prefix}.{name}" if prefix else name for prefix, name in lost]
    kinds = {"buffer" if name in modules[prefix]._buffers else "attribute" for prefix, name in lost}
    kind = kinds.pop() if len(kinds) == 1 else "attribute"
    which = f"the {kind} {names[0]!r}" if len(names) == 1 else f"the {kind}s {', '.join(map(repr, names))}"
    hint = " (persistent, as it is by default)" if kind == "buffer" else ""
    return (
        f"{recipe.summary}: training changed {which} of {type(trained).__name__}, which the stored state does not "
        "hold, so a restored model would lack what was learnt; register it as a parameter or a persistent buffer, "
        f"self.register_buffer({lost[0][1]!r}, tensor){hint}"
    )


def _held(model: nn.Module, *, mapped: int = 0) -> dict[Place, _Held]:
    """The attributes of every module, and the buffers that its state dict leaves out.

    Args:
        mapped: by vmap, for how many seeds the model was run.
    """
    seen = {id(module) for module in model.modules()}
    found = {}
    for prefix, module in model.named_modules():
        attributes = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
        attributes |= {name: module._buffers.get(name) for name in sorted(module._non_persistent_buffers_set)}
        for name, value in attributes.items():
            found[prefix, name] = _Held.found(_first_seed(value, mapped) if mapped else value, seen)
    return found


def _alike(one: Any, other: Any) -> bool:
    """Return whether both are tensors of one shape and type, or neither is a tensor."""
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
        return bool(((one == other) | ((one != one) & (other != other))).all())  # nan is the same as nan here
    except (RuntimeError, TypeError):  # tensors without values, or of a kind that torch does not compare
        return True


def _dense(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def _walk(value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield a value and everything in it, each with its place; skip objects that were seen before."""
    todo = [("", value)]
    while todo:
        at, part = todo.pop()
        if isinstance(part, (Tensor, np.ndarray, *_PLAIN)):
            yield at, part
        elif id(part) not in seen:
            seen.add(id(part))
            yield at, part
            named = enumerate(_parts(part))
            todo += [(f"{at}/{name if isinstance(name, _PLAIN) else i}", own) for i, (name, own) in named]


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the (name, value) pairs in a list, tuple, dict or object of the author's; none for anything else."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, _LISTS):
        return enumerate(value)
    return list(vars(value).items()) if _has_attributes(value) else ()


def _has_attributes(value: Any) -> bool:
    """Return whether it is an object of the author's, whose attributes may be memories; no logger, lock or type."""
    if isinstance(value, (nn.Module, SimpleNamespace)):
        return True
    package = type(value).__module__.partition(".")[0]
    return package not in _CLOSED and isinstance(getattr(value, "__dict__", None), dict)


def _copied(value: Any, change: Callable[[Tensor], Tensor], memo: dict[int, Any] | None = None) -> Any:
    """An attribute with copies of the tensors in it, changed; what holds no tensor and no number stays what it is."""
    memo = {} if memo is None else memo
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, np.ndarray):
        return value.copy()
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, (nn.Module, *_PLAIN)) or not _Held.found(value, set()).leaves:
        return value
    if isinstance(value, tuple):
        parts = [_copied(part, change, memo) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    try:
        made = memo[id(value)] = copy.copy(value)
    except Exception:  # it cannot be copied
        return value
    if made is value:
        return value
    if isinstance(made, dict):
        made.update({name: _copied(part, change, memo) for name, part in made.items()})
    elif isinstance(made, (list, deque)):
        for i, part in enumerate(value):
            made[i] = _copied(part, change, memo)
    elif _has_attributes(made):
        vars(made).update({name: _copied(part, change, memo) for name, part in vars(made).items()})
    return made


def _first_seed(value: Any, seeds: int) -> Any:
    """Return the first seed's part of an attribute of a module that vmap ran.

    A tensor that the module kept is one of vmap's own, which stands for all seeds and is of use only within vmap.
    """

    def first(tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided or tensor.is_nested:
            return tensor  # vmap supports none of these
        return vmap(lambda _: tensor.detach())(torch.arange(seeds))[0].clone()

    return _copied(value, first)
