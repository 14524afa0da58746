"""The subjects of a study: recipes and what is done to the trained models; made of a matrix's settings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence.arm import Arm
from memkit.recipes.recipe import Recipe, model_options
from memkit.study.objects import function, made_task, named
from memkit.study.settings import Settings

OWN = ("base", "over", "after", "family", "controls")
"""The keys that a configuration has beside those of its recipe."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A recipe that is trained, and an intervention on the trained model, which the score then sees.

    Attributes:
        settings: as the matrix has them, in plain types: the recipe's, and ``after``.
        recipe: what is trained.
        after: ``intervention(model)`` or ``(model, seed)``, or None.
    """

    settings: Settings
    recipe: Recipe
    after: Callable[..., Any] | None = field(default=None, compare=False)

    @property
    def arm(self) -> Arm:
        """The subject as an arm of a claim."""
        return Arm(self.recipe, self.after)

    @property
    def same_as(self) -> str:
        """A text that is equal for two subjects that come to the same recipe and intervention."""
        return canonical({"recipe": self.recipe.to_json(), "after": self.settings.get("after")})


def subject_of(settings: Settings, where: str, names: frozenset[str]) -> Subject:
    """Return the recipe and the intervention of whole settings; null takes away an option that the model does not have.

    Args:
        names: of all settings that have a value somewhere: any other one is misspelt.
    """
    for name in ("task", "model"):
        if settings.get(name) is None:
            raise MemkitError(f"{where}: there is no {name!r}; say it under recipe, {name}: 'module:name'")
    task = made_task(settings["task"], f"{where}: task")
    model = named(settings["model"], f"{where}: model")
    rest = {name: value for name, value in settings.items() if name not in ("task", "model", "after")}
    if (known := model_options(model)) is not None:
        known |= {f.name for f in fields(Recipe)}
        rest = {k: v for k, v in rest.items() if v is not None or k in known or k not in names}
    try:
        recipe = Recipe(task, model).with_(**rest)
    except MemkitError as error:
        own = {f.name for f in fields(Recipe)}
        for name in rest:  # of a configuration's own keys the recipe knows nothing
            if name not in own and (meant := difflib.get_close_matches(name, OWN, n=1, cutoff=0.75)):
                raise MemkitError(f"{where}: there is no {name!r}; did you mean {meant[0]!r}?") from None
        raise MemkitError(f"{where}: {error}") from None
    after = None if settings.get("after") is None else function(settings["after"], f"{where}: after")
    return Subject(settings=dict(settings), recipe=recipe, after=after)


def canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
