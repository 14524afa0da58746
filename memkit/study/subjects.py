"""The subjects of a study: recipes with interventions on the trained models, made from the settings of a matrix."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence.arm import Arm
from memkit.recipes.recipe import Recipe, model_options
from memkit.study.objects import import_object, load_function, make_task
from memkit.study.settings import Settings

CONFIGURATION_KEYS = ("base", "over", "after", "family", "controls")
"""The keys of a configuration that are not settings of its recipe."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A recipe, and perhaps an intervention on the trained model before it is scored.

    Attributes:
        settings: the settings of the recipe and ``after``, as in the matrix, in plain types.
        recipe: the recipe that is trained.
        intervention: a function of ``(model)`` or ``(model, seed)``, which the matrix calls ``after``; or None.
    """

    settings: Settings
    recipe: Recipe
    intervention: Callable[..., Any] | None = field(default=None, compare=False)

    @property
    def arm(self) -> Arm:
        """The subject as an arm of a claim."""
        return Arm(self.recipe, self.intervention)

    @property
    def identity(self) -> str:
        """A text that is equal for two subjects if and only if they have the same recipe and intervention."""
        return canonical({"recipe": self.recipe.to_json(), "after": self.settings.get("after")})


def subject_of(settings: Settings, where: str, names: frozenset[str]) -> Subject:
    """Return the subject for complete settings; a setting that is null is removed if the model has no such option.

    Args:
        names: the names of all settings that have a value somewhere in the matrix; any other name is misspelt.

    Raises:
        MemkitError: a setting is missing, unknown or invalid.
    """
    for name in ("task", "model"):
        if settings.get(name) is None:
            raise MemkitError(f"{where}: there is no {name!r}; give it under recipe, {name}: 'module:name'")
    task = make_task(settings["task"], f"{where}: task")
    model = import_object(settings["model"], f"{where}: model")
    rest = {name: value for name, value in settings.items() if name not in ("task", "model", "after")}
    if (known := model_options(model)) is not None:
        known |= {f.name for f in fields(Recipe)}
        rest = {k: v for k, v in rest.items() if v is not None or k in known or k not in names}
    try:
        recipe = Recipe(task, model).with_(**rest)
    except MemkitError as error:
        recipe_fields = {f.name for f in fields(Recipe)}
        for name in rest:  # the recipe cannot suggest a key of the configuration
            close = difflib.get_close_matches(name, CONFIGURATION_KEYS, n=1, cutoff=0.75)
            if name not in recipe_fields and close:
                raise MemkitError(f"{where}: there is no {name!r}; did you mean {close[0]!r}?") from None
        raise MemkitError(f"{where}: {error}") from None
    after = settings.get("after")
    intervention = None if after is None else load_function(after, f"{where}: after")
    return Subject(settings=dict(settings), recipe=recipe, intervention=intervention)


def canonical(data: Any) -> str:
    """Return data as JSON with sorted keys and without spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
