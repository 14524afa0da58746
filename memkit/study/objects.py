"""Tasks, models and functions, imported by the names that a matrix gives: ``module:name``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, suggestion
from memkit.recipes.references import resolve


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Make modules in a folder and in the current directory importable within the context, as for a test in the folder.

    Processes that are started within the context can import them too.
    """
    before = list(sys.path)
    sys.path[:0] = [path for path in (str(folder.resolve()), os.getcwd()) if path not in before]
    try:
        yield
    finally:
        sys.path[:] = before


def import_object(name: Any, where: str) -> Any:
    """Return the object that ``module:name`` refers to.

    Raises:
        MemkitError: the name has another form, or there is no such module or object.
    """
    if not isinstance(name, str) or name.count(":") != 1 or not all(name.split(":")):
        raise MemkitError(f"{where}: {name!r} must name an object of a module, 'module:name'")
    module, _, qualified = name.partition(":")
    try:
        return resolve(name)
    except ModuleNotFoundError as error:
        raise MemkitError(f"{where}: {name!r} needs the module {error.name!r}, which was not found") from error
    except AttributeError as error:
        loaded = sys.modules.get(module)
        if loaded is None or hasattr(loaded, qualified.split(".")[0]):
            raise MemkitError(f"{where}: {name!r} cannot be imported: {error}") from error
        known = [attribute for attribute in vars(loaded) if not attribute.startswith("_")]
        raise MemkitError(f"{where}: there is no {qualified!r} in {module}{suggestion(qualified, known)}") from error
    except MemkitError:
        raise
    except Exception as error:
        raise MemkitError(f"{where}: {module} cannot be imported: {type(error).__name__}: {error}") from error


def make_task(given: Any, where: str) -> Any:
    """Return a task: the function that a name refers to, or a dataclass made from a mapping of ``type`` and fields."""
    if not isinstance(given, Mapping):
        return import_object(given, where)
    if "type" not in given:
        raise MemkitError(f"{where}: the mapping has no 'type'; name the class of the task, type: 'module:name'")
    cls = import_object(given["type"], f"{where}: type")
    if not isinstance(cls, type) or not is_dataclass(cls):
        raise MemkitError(f"{where}: {given['type']!r} is not a dataclass; a task that is a function has no settings")
    known = [field.name for field in fields(cls) if field.init]
    arguments = {}
    for name, value in given.items():
        if name == "type":
            continue
        if name not in known:
            raise MemkitError(f"{where}: {cls.__name__} has no field {name!r}{suggestion(name, known)}")
        arguments[name] = _field_value(value, f"{where}: {name}")
    try:
        return cls(**arguments)
    except MemkitError as error:
        raise MemkitError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise MemkitError(f"{where}: {cls.__name__} cannot be made: {error}") from error


def _field_value(value: Any, where: str) -> Any:
    """Return the value of a task's field: mappings with a ``type`` become objects, and lists tuples."""
    if isinstance(value, Mapping) and "type" in value:
        return make_task(value, where)
    return tuple(_field_value(item, where) for item in value) if isinstance(value, list) else value


def load_function(given: Any, where: str) -> Callable[..., Any]:
    """Return the function that a name refers to, or that ``{call: "module:factory", keyword: value}`` makes.

    Raises:
        MemkitError: there is no such function or factory, the factory does not take the keywords, or the result is not
            a function with a name.
    """
    if isinstance(given, Mapping):
        if "call" not in given:
            raise MemkitError(f"{where}: the mapping has no 'call'; name the factory, {{call: 'module:name', ...}}")
        factory = import_object(given["call"], f"{where}: call")
        options = {name: value for name, value in given.items() if name != "call"}
        _check_call(factory, given["call"], options, where)
        try:
            result = factory(**options)
        except MemkitError as error:
            raise MemkitError(f"{where}: {error}") from error
        except (TypeError, ValueError) as error:
            raise MemkitError(f"{where}: {given['call']} cannot be called with these keywords: {error}") from error
    else:
        result = import_object(given, where)
    if not callable(result) or not hasattr(result, "__qualname__"):
        raise MemkitError(f"{where}: {given!r} is {result!r}; it must be a function with a name")
    function: Callable[..., Any] = result
    return function


def _check_call(factory: Any, name: Any, options: Mapping[str, Any], where: str) -> None:
    """Raise if a factory does not take the keywords."""
    if not callable(factory):
        raise MemkitError(f"{where}: {name!r} cannot be called; name a function that makes the intervention")
    parameters = inspect.signature(factory).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for option in options:
            if option not in parameters:
                raise MemkitError(f"{where}: {name} takes no {option!r}{suggestion(option, parameters)}")
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise MemkitError(f"{where}: {name}: {error}") from error
