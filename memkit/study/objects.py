"""Tasks, models and functions by the names that a matrix gives them: ``module:name``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, nearest
from memkit.recipes.references import resolve


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Within it, modules are found in a folder and in the current directory, as in a test that lies there.

    Processes that are started within it find them too.
    """
    before = list(sys.path)
    sys.path[:0] = [path for path in (str(folder.resolve()), os.getcwd()) if path not in before]
    try:
        yield
    finally:
        sys.path[:] = before


def named(name: Any, where: str) -> Any:
    """The object that ``module:name`` stands for.

    Raises:
        MemkitError: it is no such name, or there is no such module or object.
    """
    if not isinstance(name, str) or name.count(":") != 1 or not all(name.split(":")):
        raise MemkitError(f"{where}: {name!r} must name an object of a module, 'module:name'")
    module, _, qualified = name.partition(":")
    try:
        return resolve(name)
    except ModuleNotFoundError as error:
        raise MemkitError(f"{where}: {name!r} needs the module {error.name!r}, which is not found") from error
    except AttributeError as error:
        loaded = sys.modules.get(module)
        if loaded is None or hasattr(loaded, qualified.split(".")[0]):
            raise MemkitError(f"{where}: {name!r} cannot be imported: {error}") from error
        known = [known for known in vars(loaded) if not known.startswith("_")]
        raise MemkitError(f"{where}: there is no {qualified!r} in {module}{nearest(qualified, known)}") from error
    except MemkitError:
        raise
    except Exception as error:
        raise MemkitError(f"{where}: {module} cannot be imported: {type(error).__name__}: {error}") from error


def made_task(given: Any, where: str) -> Any:
    """A task: a function by its name, or a frozen dataclass by a mapping of its ``type`` and fields."""
    if not isinstance(given, Mapping):
        return named(given, where)
    if "type" not in given:
        raise MemkitError(f"{where}: say which task the mapping makes, type: 'module:name'")
    cls = named(given["type"], f"{where}: type")
    if not isinstance(cls, type) or not is_dataclass(cls):
        raise MemkitError(f"{where}: {given['type']!r} is no dataclass; a task that is a function has no settings")
    known = [field.name for field in fields(cls) if field.init]
    own = {}
    for name, value in given.items():
        if name == "type":
            continue
        if name not in known:
            raise MemkitError(f"{where}: {cls.__name__} has no field {name!r}{nearest(name, known)}")
        own[name] = _part(value, f"{where}: {name}")
    try:
        return cls(**own)
    except MemkitError as error:
        raise MemkitError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise MemkitError(f"{where}: {cls.__name__} cannot be made: {error}") from error


def _part(value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and "type" in value:
        return made_task(value, where)
    return tuple(_part(item, where) for item in value) if isinstance(value, list) else value


def function(given: Any, where: str) -> Callable[..., Any]:
    """A function by its name; or ``{call: "module:factory", keyword: value}``, what a factory makes of keywords."""
    if isinstance(given, Mapping):
        if "call" not in given:
            raise MemkitError(f"{where}: say which factory makes it, {{call: 'module:name', ...}}")
        factory = named(given["call"], f"{where}: call")
        options = {name: value for name, value in given.items() if name != "call"}
        _check_call(factory, given["call"], options, where)
        try:
            made = factory(**options)
        except MemkitError as error:
            raise MemkitError(f"{where}: {error}") from error
        except (TypeError, ValueError) as error:
            raise MemkitError(f"{where}: {given['call']} cannot be called so: {error}") from error
    else:
        made = named(given, where)
    if not callable(made) or not hasattr(made, "__qualname__"):
        raise MemkitError(f"{where}: {given!r} is {made!r}; it must be a function with a name")
    result: Callable[..., Any] = made
    return result


def _check_call(factory: Any, name: Any, options: Mapping[str, Any], where: str) -> None:
    """Refuse keywords that a factory does not take."""
    if not callable(factory):
        raise MemkitError(f"{where}: {name!r} cannot be called; name a function that makes the intervention")
    parameters = inspect.signature(factory).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for option in options:
            if option not in parameters:
                raise MemkitError(f"{where}: {name} takes no {option!r}{nearest(option, parameters)}")
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise MemkitError(f"{where}: {name}: {error}") from error
