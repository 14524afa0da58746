"""A recipe: everything that determines a trained model except the seed."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from memkit.aliases import aliases_of_module
from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, check_fields, short_repr, suggestion
from memkit.plain_values import plain_fields, plain_task
from memkit.recipes.references import known_aliases, module_of, reference, resolve
from memkit.source import source_digest
from memkit.training.protocols import Task, TaskWithChecksum, TaskWithData, TaskWithLoss, has_seed_axis

OPTIMIZERS = ("adam", "adamw", "sgd")
BACKENDS = ("torch", "mlx")
# torch's network → MLX's network of the same name. The names are strings because MLX may not be installed.
MLX_NETWORKS = {
    f"memkit.models.{module}:{name}": f"memkit.mlx.models.{module}:{name}"
    for module, name in (
        ("slots", "SlotNetwork"),
        ("managed_slots", "ManagedSlotNetwork"),
        ("memory_network", "MemoryNetwork"),
        ("two_stage", "TwoStageNetwork"),
        ("cross_attention", "CrossAttentionNetwork"),
        ("lstm", "LSTMNetwork"),
        ("transformer", "TransformerNetwork"),
    )
}
# The trainer or the task passes these arguments to the model; a recipe must not.
_RESERVED = ("generators", "keys")


@dataclass(frozen=True)
class Recipe:
    """A task, a model, and how the model is trained.

    >>> from memkit import Recipe
    >>> from memkit.models import LSTMNetwork
    >>> from memkit.tasks.binding import Retrieval
    >>> recipe = Recipe(Retrieval(stored=2), LSTMNetwork, options={"width": 32}, steps=500)
    >>> recipe.summary
    'LSTMNetwork on Retrieval (width 32)'
    >>> wider = recipe.with_(width=64, lr=0.003)
    >>> dict(wider.options), wider.lr, wider.steps
    ({'width': 64}, 0.003, 500)

    Fields with their default value are left out of the JSON, and therefore out of the digest. So a default must never
    change: a run that was trained with the old default would be taken for a run with the new one.

    Attributes:
        task: a function ``task(generator, size) -> (inputs, targets)`` that draws training examples, or a frozen
            dataclass whose ``for_seed(generator)`` returns such a function for each seed. A task may also provide a
            loss, data, early stopping or a curriculum; see :mod:`memkit.training.protocols`.
        model: a ``torch.nn.Module`` class, or a function that returns a module. A class with the attribute
            ``seed_axis = True`` receives ``generators``, one per seed, and trains all seeds at once. An ordinary module
            trains one seed at a time, unless ``vmap`` is set. A model may also provide a memory that is filled during
            training, growth, or the size of its state; see :mod:`memkit.training.protocols`.
        options: keyword arguments of the model, of JSON types; lists are passed as tuples.
        optimizer: "adam", "adamw" or "sgd".
        lr: learning rate.
        weight_decay: weight decay of the optimiser.
        batch: examples per step.
        steps: the number of optimiser steps, or the maximum if the task can end training early (``finished`` in
            :mod:`memkit.training.protocols`).
        clip: maximum norm of each seed's gradient, or None.
        stream: name of the random streams. Two recipes that differ only in it draw different initial values and
            different data from the same seed, as A/A controls need.
        validate_every: steps between two evaluations on the validation examples, which the sampler provides as
            ``validation``, a pair ``(inputs, targets)``; None for no validation. The results are stored with the run.
            Training itself is not affected.
        vmap: whether the seeds of an ordinary module train in one program, with ``torch.func.vmap``. It does not
            support dropout, ``nn.LSTM`` or control flow that depends on tensors. It is worthwhile for small modules:
            with 16 seeds, a step takes 0.4 times as long per seed for an MLP or a few slots, and 0.7 times as long for
            a small Transformer (benchmarks/cohort.py).
        backend: "torch" or "mlx". MLX trains the network of the same name in :mod:`memkit.mlx`, or your own
            ``mlx.nn.Module``, from initial values that MLX draws.
        cpus, gpus: the resources that a cohort requests on a node of a cluster. ``gpus`` may be a fraction, and is used
            only with ``--device cuda``. Neither affects the trained model, so neither is part of the digest.
        tuning: a description of how the free choices were made: which trials, on which seeds. It is part of the
            evidence, but not of the digest.
    """

    task: Any
    model: Callable[..., Any]
    _: KW_ONLY
    options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch: int = 32
    steps: int = 1000
    clip: float | None = None
    stream: str = ""
    validate_every: int | None = None
    vmap: bool = False
    backend: str = "torch"
    cpus: float = field(default=1.0, compare=False)
    gpus: float = field(default=1.0, compare=False)
    tuning: str = field(default="", compare=False)

    def __new__(cls, *args: Any, **kwargs: Any) -> Recipe:
        check_fields(cls, kwargs, "; arguments of the model belong in options={...}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        def check(ok: bool, message: str) -> None:
            if not ok:
                raise MemkitError(f"Recipe: {message}")

        try:
            plain_fields(self, *(f.name for f in fields(self)[2:]))
        except RecursionError as error:
            raise MemkitError("Recipe: options must be JSON types, and one of them contains itself") from error
        object.__setattr__(self, "task", plain_task(self.task))
        check(
            callable(self.task) or isinstance(self.task, Task),
            f"task={self.task!r} must be a function (generator, size) -> (inputs, targets), or have "
            "for_seed(generator)",
        )
        check(
            callable(self.model),
            f"model={self.model!r} must be a torch.nn.Module class or a function that makes one",
        )
        check(
            self.optimizer in OPTIMIZERS,
            f"optimizer={self.optimizer!r} is unknown{suggestion(str(self.optimizer), OPTIMIZERS)}",
        )
        for name in ("batch", "steps", "validate_every"):
            value = getattr(self, name)
            optional = name == "validate_every"
            check(
                (optional and value is None) or is_whole(value, 1),
                f"{name}={short_repr(value)} must be a positive whole number" + (", or None" if optional else ""),
            )
        check(is_real(self.lr) and self.lr > 0, f"lr={short_repr(self.lr)} must be a positive number")
        check(
            is_real(self.weight_decay) and self.weight_decay >= 0,
            f"weight_decay={short_repr(self.weight_decay)} must be 0 or more",
        )
        check(
            self.clip is None or (is_real(self.clip) and self.clip > 0),
            f"clip={short_repr(self.clip)} must be positive, or None",
        )
        check(isinstance(self.stream, str), f"stream={self.stream!r} must be a string")
        check(isinstance(self.tuning, str), f"tuning={self.tuning!r} must be a string")
        for name in ("cpus", "gpus"):
            value = getattr(self, name)
            check(
                is_real(value) and value > 0, f"{name}={short_repr(value)} must be a positive number, such as 1 or 0.25"
            )
        check(
            self.gpus <= 1 or self.gpus == int(self.gpus),
            f"gpus={self.gpus!r} must be a fraction of one GPU or a whole number of GPUs",
        )
        check(isinstance(self.vmap, bool), f"vmap={self.vmap!r} must be True or False")
        check(
            not (self.vmap and has_seed_axis(self.model)),
            f"vmap=True is for ordinary modules, and {_name(self.model)} has a seed axis, so its seeds train together "
            "anyway; leave vmap out",
        )
        check(self.backend in BACKENDS, f"backend={self.backend!r} is unknown{suggestion(str(self.backend), BACKENDS)}")
        if self.backend == "mlx":
            self._check_mlx(check)
        check(isinstance(self.options, Mapping), f"options={self.options!r} must be a dict of names and values")
        # 1 and 1.0 make the same recipe, with the same digest.
        for name in ("lr", "weight_decay", "clip", "cpus", "gpus"):
            if is_real(value := getattr(self, name)):
                object.__setattr__(self, name, float(value))
        known = model_options(self.model)
        for name in self.options:
            if known is not None and name not in known:
                raise MemkitError(f"Recipe: {_name(self.model)} takes no option {name!r}{suggestion(name, known)}")
            check(name not in _RESERVED, f"the option {name!r} is set by the trainer; leave it out")
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise MemkitError(f"Recipe: options must be JSON types: {error}") from error
        reference(self.model)
        _task_to_json(self.task)
        options = {name: _with_tuples(value) for name, value in self.options.items()}
        object.__setattr__(self, "options", MappingProxyType(options))

    def _check_mlx(self, check: Callable[[bool, str], None]) -> None:
        """Check that memkit/mlx/trainer.py supports the recipe."""
        check(
            not isinstance(self.model, type) or _is_mlx_module(self.model) or reference(self.model) in MLX_NETWORKS,
            f"{_name(self.model)} is not an mlx.nn.Module, and memkit.mlx has no network of that name; it has "
            + ", ".join(sorted(name.rpartition(":")[2] for name in MLX_NETWORKS)),
        )
        for name in ("vmap", "validate_every"):
            check(
                not getattr(self, name),
                f"{name}={getattr(self, name)!r} is not supported with backend='mlx'; leave it out",
            )
        check(
            not isinstance(self.task, TaskWithLoss),
            "the task defines its own loss in torch; backend='mlx' supports only cross-entropy",
        )

    def with_(self, **changes: Any) -> Recipe:
        """Return a copy with changed fields, or changed options of the model: ``with_(memory="static", steps=500)``.

        Raises:
            MemkitError: if a name is neither a field of the recipe nor an option of the model.
        """
        field_names = {f.name for f in fields(self)}
        known = model_options(changes.get("model", self.model))
        changed_fields = {name: value for name, value in changes.items() if name in field_names}
        options = {name: value for name, value in changes.items() if name not in field_names}
        if known is not None and (unknown := [name for name in options if name not in known]):
            raise MemkitError(
                f"Recipe has no field {unknown[0]!r}, and {_name(self.model)} takes no such option"
                f"{suggestion(unknown[0], field_names | known)}"
            )
        if options:
            changed_fields["options"] = {**changed_fields.get("options", self.options), **options}
        return replace(self, **changed_fields)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe in JSON types, without fields at their default, so that a new field changes no digest."""
        model = reference(self.model)
        data: dict[str, Any] = {"task": _task_to_json(self.task), "model": model}
        for f in fields(self)[2:]:
            if not f.compare:
                continue
            value = getattr(self, f.name)
            default = {} if f.name == "options" else f.default
            if value != default:
                data[f.name] = _under_original_names(self.model, value) if f.name == "options" else value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Recipe:
        """Return the recipe that :meth:`to_json` wrote; ``files`` as in :func:`memkit.recipes.references.resolve`."""
        others = {name: value for name, value in data.items() if name not in ("task", "model")}
        if "options" in others:
            others["options"] = known_aliases(files).options_now(data["model"], others["options"])
        return cls(_task_from_json(data["task"], files), resolve(data["model"], files), **others)

    @property
    def together(self) -> bool:
        """True if the seeds of a cohort train together, in one program."""
        return self.vmap or has_seed_axis(self.model) or self.backend == "mlx"

    @property
    def missing(self) -> str:
        """A sentence on what this machine lacks for training, data or a package, and how to get it; or "".

        Raises:
            MemkitError: if the task's ``missing`` is not a string.
        """
        data = self.task.missing if isinstance(self.task, TaskWithData) else ""
        if not isinstance(data, str):
            raise MemkitError(f"a task's `missing` is {data!r}; it must be a string, or a property that returns one")
        if data or self.backend == "torch" or importlib.util.find_spec("mlx") is not None:
            return data
        return "MLX is not installed; install memkit with its extra [mlx], as in pip install 'path/to/memkit[mlx]'"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that define the task, the model and the trainer, sorted."""
        model, trainer = str(self.model.__module__), "memkit.training.trainer"
        if self.backend == "mlx":
            trainer = "memkit.mlx.trainer"
            model = module_of(MLX_NETWORKS.get(reference(self.model), model))
        return tuple(sorted({model, trainer, *map(module_of, _task_modules(_task_to_json(self.task)))}))

    @cached_property
    def digest(self) -> str:
        """A digest (32 hex digits) of the JSON, the source code of the modules behind it and the data's checksum."""
        content = {
            "recipe": self.to_json(),
            "source": source_digest(self.modules),
            "data": self.task.checksum if isinstance(self.task, TaskWithChecksum) else None,
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def summary(self) -> str:
        """A short description for progress lines: the model, the task and the options."""
        options = ", ".join(f"{name} {value}" for name, value in self.options.items())
        task = self.task if inspect.isroutine(self.task) else type(self.task)
        backend = " in MLX" if self.backend == "mlx" else ""
        return f"{_name(self.model)}{backend} on {_name(task)}" + (f" ({options})" if options else "")


def _is_mlx_module(model: Callable[..., Any]) -> bool:
    """Return whether a model is a subclass of ``mlx.nn.Module``, without importing MLX, which may not be installed."""
    return any(
        base.__module__.startswith("mlx.nn.") and base.__name__ == "Module" for base in getattr(model, "__mro__", ())
    )


def _with_tuples(value: Any) -> Any:
    """Return a value as JSON would give it back, but with tuples instead of lists."""
    if isinstance(value, (tuple, list)):
        return tuple(_with_tuples(item) for item in value)
    return {str(name): _with_tuples(item) for name, item in value.items()} if isinstance(value, dict) else value


def _name(obj: Any) -> str:
    return str(getattr(obj, "__name__", obj))


def model_options(model: Callable[..., Any]) -> set[str] | None:
    """Return the names of the keyword arguments that a model takes; None if it takes any."""
    try:
        parameters = inspect.signature(model).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def _under_original_names(owner: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a model, or fields of a task, under their original names."""
    name = f"{owner.__module__}:{owner.__qualname__}"
    return aliases_of_module(owner.__module__).first_options(name, options)


def _task_to_json(task: Any) -> Any:
    if inspect.isroutine(task):
        return reference(task)
    if isinstance(task, type) or not is_dataclass(task) or not getattr(task, "__dataclass_params__").frozen:  # noqa: B009
        hint = f"; write {task.__name__}(...)" if isinstance(task, type) else ""
        raise MemkitError(f"Recipe: the task {task!r} must be a function or an instance of a frozen dataclass{hint}")
    return _to_json(task)


def _task_modules(data: Any) -> set[str]:
    """Return the modules named in a task's JSON: of the function, or of the dataclass and everything in it."""
    if isinstance(data, str):
        return {data.partition(":")[0]}
    if isinstance(data, dict):
        parts = [_task_modules(value) for value in data.values() if not isinstance(value, str)]
        return {data["type"].partition(":")[0]}.union(*parts)
    if isinstance(data, list):
        return set().union(*(_task_modules(item) for item in data if not isinstance(item, str)))
    return set()


def _to_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        values = {f.name: _to_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        if "type" in values:
            raise MemkitError(f"Recipe: a field of the task {type(value).__name__} is called 'type'; rename it")
        return {"type": reference(type(value)), **_under_original_names(type(value), values)}
    if isinstance(value, (tuple, list)):
        return [_to_json(item) for item in value]
    if isinstance(value, (str, int, bool)) or value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise MemkitError(f"Recipe: {value!r} in a task must be of a JSON type")


def _task_from_json(data: Any, files: Mapping[str, str] | None) -> Any:
    return resolve(data, files) if isinstance(data, str) else _from_json(data, files)


def _from_json(data: Any, files: Mapping[str, str] | None) -> Any:
    if isinstance(data, dict):
        values = {name: _from_json(value, files) for name, value in data.items() if name != "type"}
        values = known_aliases(files).options_now(data["type"], values)
        return resolve(data["type"], files)(**values)
    return tuple(_from_json(item, files) for item in data) if isinstance(data, list) else data
