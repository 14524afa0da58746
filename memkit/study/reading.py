"""YAML 1.2, strictly: the core schema's plain types, no key twice in one mapping, and no word with two meanings."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError

# Numbers of YAML 1.2's core schema. ruamel.yaml reads some more, 1_000 and 0b11, which the schema takes for texts.
_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_TRUTHS = ("yes", "no", "on", "off", "true", "false")
_TAG = "tag:yaml.org,2002:"


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, in plain types.

    Raises:
        MemkitError: there is no such file; it is not YAML; a key stands twice in one mapping, of which YAML readers
            silently keep the last; a key is no text; a word without quotes means something else to other readers of
            YAML or in Python; or a value is neither a text, a finite number, true, false nor null, nor a list or a
            mapping of these.
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
            raise MemkitError(f"{path.name} says {directive[0].strip()!r}; remove it, memkit reads YAML 1.2")
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
    except (KeyError, ValueError, OverflowError) as error:  # a tag that its value does not fit
        raise MemkitError(f"{path.name} is not YAML: {error} does not fit its tag") from error
    except RecursionError as error:
        raise MemkitError(f"{path.name} is nested too deeply; write it with fewer levels") from error


def _check(node: Any, file: str, above: tuple[Any, ...]) -> None:
    """Refuse, with its line, a value that would silently be read as something that its author may not mean."""
    where = f"{file}, line {node.start_mark.line + 1}"
    if any(node is other for other in above):
        raise MemkitError(f"{where}: an alias refers to what it is part of; write out what it stands for")
    if node.id == "mapping":
        _check_keys(node, file)
        for _, value in node.value:
            _check(value, file, (*above, node))
    elif node.id == "sequence":
        for value in node.value:
            _check(value, file, (*above, node))
    elif not node.style and (better := _better(node)):
        raise MemkitError(f"{where}: {node.value} may mean several things; {better}")


def _check_keys(mapping: Any, file: str) -> None:
    seen = set()
    for key, _ in mapping.value:
        where = f"{file}, line {key.start_mark.line + 1}"
        if str(key.tag) == f"{_TAG}merge":
            continue
        if str(key.tag) != f"{_TAG}str":
            named = key.value if key.id == "scalar" else f"that is a {key.id}"
            raise MemkitError(f"{where}: the key {named} is no text; put it in quotes")
        if key.value in seen:
            raise MemkitError(f"{where}: the key {key.value!r} stands twice; remove one of them")
        seen.add(key.value)


def _better(node: Any) -> str:
    """Return what to write for a word without quotes that may be taken for something else, or "".

    Other readers of YAML, or the author, may take it so.
    """
    word, text = node.value.lower(), f"'{node.value}' with quotes for the text"
    kind = str(node.tag).removeprefix(_TAG)
    if kind == "str" and word in _TRUTHS:
        meant = "true" if word in ("yes", "on", "true") else "false"
        return f"write {meant}, or {text}"
    if kind == "str" and node.value == "None":  # Python's; `none` is a good name for a setting
        return f"write null for no value, or {text}"
    if kind == "str" and word.lstrip("+-") in ("nan", "inf", "infinity"):
        return f"write a finite number, or {text}"
    if kind in ("int", "float") and not _NUMBER.fullmatch(node.value):
        return f"write the number in plain decimal digits, or {text}"
    if kind == "str" and _NUMBER.fullmatch(node.value):  # .5e3, which ruamel.yaml leaves a text
        return f"write a number with a digit before the point, or {text}"
    return ""


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
