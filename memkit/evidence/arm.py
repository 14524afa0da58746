"""Arms: what a claim compares, and how a trained model is changed before the claim's test sees it."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memkit.aliases import aliases_of_module
from memkit.errors import MemkitError


@dataclass(frozen=True)
class Arm:
    """An arm of a claim: what is trained, and how the trained model is changed before the test sees it.

    Attributes:
        recipe: what is trained (a :class:`memkit.Recipe`), or ``None`` if the test itself fits the model.
            In evidence that was read from a file: the recipe's JSON.
        intervention: a function of the trained model, applied before the test sees it (memory off, slots
            shuffled): ``intervention(model) -> model``, or ``intervention(model, seed) -> model`` if it needs the seed
            to draw data or random numbers. In evidence that was read from a file: its name.

    Raises:
        MemkitError: the recipe is not a recipe, or the intervention has no name.

    >>> from memkit import Arm, Recipe
    >>> from memkit.models import IntervenedNetwork
    >>> from memkit.tasks.images import Classification
    >>> def memory_off(model):
    ...     return model.network
    >>> recipe = Recipe(Classification(), IntervenedNetwork, steps=94)
    >>> arms = {"memory on": Arm(recipe), "memory off": Arm(recipe, intervention=memory_off)}
    """

    recipe: Any = None
    intervention: Callable[..., Any] | str | None = None

    def __post_init__(self) -> None:
        if not (self.recipe is None or isinstance(self.recipe, Mapping) or _is_recipe(self.recipe)):
            raise MemkitError(
                f"Arm: {describe(self.recipe)} is not a recipe; write Recipe(task, model, ...), or give only the "
                "names of the arms, arms=(...), if the test fits its models itself"
            )
        if callable(self.intervention) and not hasattr(self.intervention, "__qualname__"):
            raise MemkitError(f"Arm: the intervention {self.intervention!r} has no name; write a function for it")

    def intervened(self, model: Any, seed: int) -> Any:
        """Return the trained model of a seed after the intervention, as the claim's test sees it."""
        return intervene(self.intervention, model, seed) if callable(self.intervention) else model

    def to_json(self) -> dict[str, Any]:
        """Return the recipe's JSON and the intervention's name."""
        recipe = self.recipe.to_json() if hasattr(self.recipe, "to_json") else self.recipe
        intervention = self.intervention
        if callable(intervention):
            module, name = intervention.__module__, intervention.__qualname__
            intervention = aliases_of_module(module).first(f"{module}:{name}")
        return {"recipe": recipe, "intervention": intervention}


def _is_recipe(value: Any) -> bool:
    # Inspect the class, not the instance: the digest takes long to compute, and most claims are never run.
    return hasattr(type(value), "digest") and hasattr(type(value), "to_json")


def describe(value: Any) -> str:
    """Describe a value that was given for an arm in a few words; the repr of a model may fill pages."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {value.__name__}()"
    if isinstance(value, (str, int, float)):
        return reprlib.repr(value)
    return f"an object of the class {type(value).__name__}"


def intervene(intervention: Callable[..., Any], model: Any, seed: int) -> Any:
    """Return the model that an intervention returns; it receives the seed if it has a parameter ``seed``."""
    if "seed" in inspect.signature(intervention).parameters:
        return intervention(model, seed=seed)
    return intervention(model)
