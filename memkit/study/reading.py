"""Strict reading of YAML 1.2: plain types of the core schema, no duplicate keys and no ambiguous words."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError

# Numbers in the core schema of YAML 1.2. ruamel.yaml also reads 1_000 and 0b11 as numbers, which are texts there.
_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_BOOLEAN_WORDS = ("yes", "no", "on", "off", "true", "false")
_TAG = "tag:yaml.org,2002:"


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file in plain types.

    Raises:
        MemkitError: there is no such file; it is not YAML; a mapping has a key twice, where most YAML readers silently
            keep the last one; a key is not a text; a word without quotes has another meaning in other YAML readers or
            in Python; or a value is not a text, a finite number, a boolean, null, or a list or mapping of these.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import YAMLError

    class Strict(SafeConstructor):
        def construct_document(self, node: Any) -> Any:
            _check(node, path.name, ())
            return super().construct_document(node)

    reader = YAML(typ="safe", pure=True)
    reader.Constructor = Strict
    try:
        text = path.read_text(encoding="utf-8")
        if directive := re.search(r"^%YAML\s+(?!1\.2\b).*", text, re.MULTILINE):
            raise MemkitError(f"{path.name} contains {directive[0].strip()!r}; remove it, since memkit reads YAML 1.2")
        return _plain(reader.load(text), path.name)
    except FileNotFoundError as error:
        raise MemkitError(f"{path} does not exist") from error
    except MemkitError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise MemkitError(f"{path} cannot be read: {error}") from error
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        if mark is None or problem is None:
            raise MemkitError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
        where = f"line {mark.line + 1}, column {mark.column + 1}"
        raise MemkitError(f"{path.name} is not YAML: {where}: {problem}") from error
    except (KeyError, ValueError, OverflowError) as error:  # the value does not fit its tag
        raise MemkitError(f"{path.name} is not YAML: {error} does not fit its tag") from error
    except RecursionError as error:
        raise MemkitError(f"{path.name} is nested too deeply; write it with fewer levels") from error


def _check(node: Any, file: str, ancestors: tuple[Any, ...]) -> None:
    """Raise, naming the line, if a value could silently be read as something that its author did not mean."""
    where = f"{file}, line {node.start_mark.line + 1}"
    if any(node is ancestor for ancestor in ancestors):
        raise MemkitError(f"{where}: an alias refers to a node that contains it; write out its value")
    if node.id == "mapping":
        _check_keys(node, file)
        for _, value in node.value:
            _check(value, file, (*ancestors, node))
    elif node.id == "sequence":
        for value in node.value:
            _check(value, file, (*ancestors, node))
    elif not node.style and (advice := _advice(node)):
        raise MemkitError(f"{where}: {node.value} is ambiguous; {advice}")


def _check_keys(mapping: Any, file: str) -> None:
    keys = set()
    for key, _ in mapping.value:
        where = f"{file}, line {key.start_mark.line + 1}"
        if str(key.tag) == f"{_TAG}merge":
            continue
        if str(key.tag) != f"{_TAG}str":
            given = key.value if key.id == "scalar" else f"that is a {key.id}"
            raise MemkitError(f"{where}: the key {given} is not a text; put it in quotes")
        if key.value in keys:
            raise MemkitError(f"{where}: the key {key.value!r} occurs twice; remove one of them")
        keys.add(key.value)


def _advice(node: Any) -> str:
    """Return what to write instead of an ambiguous word without quotes, or "".

    A word is ambiguous if other YAML readers, or its author, may take it for another value than memkit does.
    """
    word, text = node.value.lower(), f"'{node.value}' with quotes for the text"
    kind = str(node.tag).removeprefix(_TAG)
    if kind == "str" and word in _BOOLEAN_WORDS:
        boolean = "true" if word in ("yes", "on", "true") else "false"
        return f"write {boolean}, or {text}"
    if kind == "str" and node.value == "None":  # Python's None; `none` in lower case may be the value of a setting
        return f"write null for no value, or {text}"
    if kind == "str" and word.lstrip("+-") in ("nan", "inf", "infinity"):
        return f"write a finite number, or {text}"
    if kind in ("int", "float") and not _NUMBER.fullmatch(node.value):
        return f"write the number in plain decimal digits, or {text}"
    if kind == "str" and _NUMBER.fullmatch(node.value):  # .5e3, which ruamel.yaml reads as a text
        return f"write a number with a digit before the point, or {text}"
    return ""


def _plain(value: Any, where: str) -> Any:
    """Return a value with its mappings and lists as plain dicts and lists, or raise if it has another type."""
    if isinstance(value, dict):
        return {name: _plain(item, f"{where}: {name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise MemkitError(f"{where}: {value} is not a finite number")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise MemkitError(f"{where}: {value!r} is a {type(value).__name__}; put it in quotes to make it a text")
