"""YAML, strictly: plain types only, and no key twice in one mapping."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError

# As in YAML 1.2: 1e-3 is a number though it has no point, and off, a good name for a configuration, is a text.
_EXPONENT = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+$")
_BOOL = "tag:yaml.org,2002:bool"


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, in plain types.

    Raises:
        MemkitError: there is no such file; it is not YAML; a key stands twice in one mapping, of which YAML readers
            silently keep the last; a key is no text; or a value is neither a text, a finite number, true, false nor
            null, nor a list or a mapping of these.
    """
    import yaml

    class Strict(yaml.SafeLoader):  # type: ignore[misc]
        pass

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        loader.flatten_mapping(node)
        seen: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise MemkitError(f"{path.name}, line {line}: the key {key!r} is no text; put it in quotes")
            if key in seen:
                raise MemkitError(f"{path.name}, line {line}: the key {key!r} stands twice; remove one of them")
            seen[key] = loader.construct_object(value_node, deep=True)
        return seen

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    Strict.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Strict.add_implicit_resolver(_BOOL, re.compile("(true|false)$"), list("tf"))
    Strict.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("+-0123456789"))
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=Strict)
    except FileNotFoundError as error:
        raise MemkitError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise MemkitError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        if mark is None or problem is None:
            raise MemkitError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
        where = f"line {mark.line + 1}, column {mark.column + 1}"
        raise MemkitError(f"{path.name} is not YAML: {where}: {problem}") from error
    except RecursionError as error:
        raise MemkitError(f"{path.name} refers to itself; write out what the alias stands for") from error
    return _plain(data, path.name)


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {name: _plain(held, f"{where}: {name}") for name, held in value.items()}
    if isinstance(value, list):
        return [_plain(held, where) for held in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise MemkitError(f"{where}: {value} is no finite number")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise MemkitError(f"{where}: {value!r} is a {type(value).__name__}; put it in quotes to make it a text")
