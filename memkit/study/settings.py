"""Settings of configurations: deep merges, inheritance through ``base`` and grids through ``over``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from memkit.errors import MemkitError, suggestion

MAX_CONFIGURATIONS = 1000
Settings = Mapping[str, Any]


def merged(base: Settings, override: Settings) -> dict[str, Any]:
    """Return ``base`` with the values of ``override``: mappings are merged deeply, all other values are replaced.

    A mapping that names another ``type`` replaces the old one, whose settings do not apply to the new type.
    """
    result = dict(base)
    for name, value in override.items():
        old = result.get(name)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("type", old.get("type")) == old.get("type")
        ):
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result


def expanded(configurations: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """Return all configurations with ``base`` resolved, and one configuration per cell of each grid ``over``.

    ``base`` inherits all settings except ``over``.

    Raises:
        MemkitError: a base is unknown or circular, ``over`` is not a grid, or two configurations have the same name.
    """
    result: dict[str, dict[str, Any]] = {}
    for name, given in configurations.items():
        settings = _inherited(name, configurations, ())
        cells = _cells(name, given["over"]) if "over" in given else {"": {}}
        for suffix, changes in cells.items():
            full_name = f"{name}-{suffix}" if suffix else name
            if full_name in result or (suffix and full_name in configurations):
                raise MemkitError(f"{name}: two configurations would be called {full_name!r}; rename one of them")
            result[full_name] = merged(settings, changes)
    if len(result) > MAX_CONFIGURATIONS:
        raise MemkitError(f"there are {len(result)} configurations; at most {MAX_CONFIGURATIONS} are allowed")
    return result


def _inherited(name: str, configurations: Mapping[str, Settings], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a configuration with those of its bases; ``path`` holds the configurations before it."""
    settings = {key: value for key, value in configurations[name].items() if key not in ("base", "over")}
    base = configurations[name].get("base")
    if base is None:
        return settings
    if not isinstance(base, str) or base not in configurations:
        raise MemkitError(f"{name}: base: there is no configuration {base!r}{suggestion(str(base), configurations)}")
    if base in (*path, name):
        raise MemkitError(f"{name}: base: {' → '.join((*path, name, base))} leads back to itself")
    return merged(_inherited(base, configurations, (*path, name)), settings)


def _cells(name: str, over: Any) -> dict[str, dict[str, Any]]:
    """Return suffix of the name → changed settings, for each cell of the grid."""
    where = f"{name}: over"
    if not isinstance(over, Mapping) or not over:
        raise MemkitError(f"{where}: {over!r} must map settings to lists of values, as in {{lr: [0.01, 0.02]}}")
    for key, values in over.items():
        if not isinstance(values, list) or not values:
            raise MemkitError(f"{where}: {key}: {values!r} must be a list of values")
        if any(isinstance(value, Mapping) for value in values):
            raise MemkitError(
                f"{where}: {key}: a value is a mapping; vary one of its settings with a dot, {key}.name: [...]"
            )
    if math.prod(map(len, over.values())) > MAX_CONFIGURATIONS:
        raise MemkitError(f"{where}: the grid has more than {MAX_CONFIGURATIONS} cells; give fewer values")
    last_parts = {key: key.rpartition(".")[2] for key in over}
    factors = {key: last if list(last_parts.values()).count(last) == 1 else key for key, last in last_parts.items()}
    cells: dict[str, dict[str, Any]] = {}
    for values in product(*over.values()):
        cell = dict(zip(over, values, strict=True))
        # If the configuration is named after the factor, the name is not repeated: k-8, not k-k-8.
        labels = ([] if factors[key] == name else [_slug(factors[key], where)] for key in cell)
        suffix = "-".join(
            "-".join([*label, _slug(value, where)]) for label, value in zip(labels, cell.values(), strict=True)
        )
        if suffix in cells:
            raise MemkitError(f"{where}: two cells are called {suffix!r}; give values that differ in letters or digits")
        changes: dict[str, Any] = {}
        for key, value in cell.items():
            changes = merged(changes, nested(key, value))
        cells[suffix] = changes
    return cells


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return the nested mapping for a dotted key: ``a.b`` gives ``{a: {b: value}}``."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def _slug(value: Any, where: str) -> str:
    """Return a value as part of a configuration's name, in characters that are valid in a claim's id."""
    parts = value if isinstance(value, list) else [value]
    slug = "-".join(re.sub("[^0-9a-z._-]+", "-", str(part).lower()) for part in parts) if parts else "none"
    if not re.search("[0-9a-z]", slug):
        raise MemkitError(f"{where}: {value!r} must contain a letter or a digit, since it names a configuration")
    return slug
