"""Settings of configurations: mappings merged deeply, bases followed, grids written out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from memkit.errors import MemkitError, nearest

MOST_CONFIGURATIONS = 1000
Settings = Mapping[str, Any]


def merged(below: Settings, above: Settings) -> dict[str, Any]:
    """``below`` with what ``above`` says otherwise: mappings are merged deeply, everything else is replaced.

    A task that names another type starts anew: the old one's settings mean nothing to it.
    """
    made = dict(below)
    for name, value in above.items():
        old = made.get(name)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("type", old.get("type")) == old.get("type")
        ):
            made[name] = merged(old, value)
        else:
            made[name] = value
    return made


def expanded(configurations: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """Every configuration by itself: ``base`` followed, and ``over`` written out, one configuration a cell.

    Everything is inherited through ``base`` but ``over``.

    Raises:
        MemkitError: a base is unknown or leads back to itself, ``over`` is no grid, or two configurations get one name.
    """
    made: dict[str, dict[str, Any]] = {}
    for name, own in configurations.items():
        settings = _inherited(name, configurations, ())
        cells = _cells(name, own["over"]) if "over" in own else {"": {}}
        for suffix, changes in cells.items():
            full = f"{name}-{suffix}" if suffix else name
            if full in made or (suffix and full in configurations):
                raise MemkitError(f"{name}: two configurations would be called {full!r}; rename one of them")
            made[full] = merged(settings, changes)
    if len(made) > MOST_CONFIGURATIONS:
        raise MemkitError(f"there are {len(made)} configurations; {MOST_CONFIGURATIONS} is the most")
    return made


def _inherited(name: str, configurations: Mapping[str, Settings], path: tuple[str, ...]) -> dict[str, Any]:
    own = {key: value for key, value in configurations[name].items() if key not in ("base", "over")}
    base = configurations[name].get("base")
    if base is None:
        return own
    if not isinstance(base, str) or base not in configurations:
        raise MemkitError(f"{name}: base: there is no configuration {base!r}{nearest(str(base), configurations)}")
    if base in (*path, name):
        raise MemkitError(f"{name}: base: {' → '.join((*path, name, base))} leads back to itself")
    return merged(_inherited(base, configurations, (*path, name)), own)


def _cells(name: str, over: Any) -> dict[str, dict[str, Any]]:
    """Suffix of a name → changes, one per cell of the grid."""
    where = f"{name}: over"
    if not isinstance(over, Mapping) or not over:
        raise MemkitError(f"{where}: {over!r} must be a mapping of settings to lists of values, {{lr: [0.01, 0.02]}}")
    for key, values in over.items():
        if not isinstance(values, list) or not values:
            raise MemkitError(f"{where}: {key}: {values!r} must be a list of values")
        if any(isinstance(value, Mapping) for value in values):
            raise MemkitError(f"{where}: {key}: a value is a mapping; reach into it with a dot, {key}.name: [...]")
    if math.prod(map(len, over.values())) > MOST_CONFIGURATIONS:
        raise MemkitError(f"{where}: these are more than {MOST_CONFIGURATIONS} configurations")
    short = {key: key.rpartition(".")[2] for key in over}
    unique = {key: last if list(short.values()).count(last) == 1 else key for key, last in short.items()}
    made: dict[str, dict[str, Any]] = {}
    for values in product(*over.values()):
        cell = dict(zip(over, values, strict=True))
        # For a factor that the configuration is named after, the value is enough: k-8.
        said = ([] if unique[key] == name else [_slug(unique[key], where)] for key in cell)
        suffix = "-".join(
            "-".join([*words, _slug(value, where)]) for words, value in zip(said, cell.values(), strict=True)
        )
        if suffix in made:
            raise MemkitError(f"{where}: two cells are called {suffix!r}; give values that differ in letters or digits")
        changes: dict[str, Any] = {}
        for key, value in cell.items():
            changes = merged(changes, nested(key, value))
        made[suffix] = changes
    return made


def nested(key: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value → ``{a: {b: value}}``."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def _slug(value: Any, where: str) -> str:
    """A value as a part of a name that is valid in a claim's id."""
    parts = value if isinstance(value, list) else [value]
    said = "-".join(re.sub("[^0-9a-z._-]+", "-", str(part).lower()) for part in parts) if parts else "none"
    if not re.search("[0-9a-z]", said):
        raise MemkitError(f"{where}: {value!r} has neither letters nor digits to name a configuration by")
    return said
