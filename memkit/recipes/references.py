"""Names of classes and functions: ``package.module:Qualified.name``, as recipes store and training processes read them.

An object that was moved or renamed is stored under its original name; see :mod:`memkit.aliases`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from memkit.aliases import Aliases, aliases_here, aliases_of, aliases_of_module, combined
from memkit.errors import MemkitError


def reference(obj: Any) -> str:
    """Return the name by which a class or function can be imported again.

    Raises:
        MemkitError: if the object is a lambda, or is defined inside a function or in ``__main__``.
    """
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if module is None or name is None:
        raise MemkitError(f"{obj!r} has no name that it can be imported by; use a class or a function of a module")
    if name.endswith("<lambda>"):
        raise MemkitError(
            "a lambda has no name that it can be imported by; define a function at the top level of a module"
        )
    if "<" in name or module == "__main__":
        place = "a script" if module == "__main__" else "another function"
        raise MemkitError(f"{name} is defined in {place}; a recipe needs it defined at the top level of a module")
    referent: Any = sys.modules.get(module)
    if referent is not None:
        for part in name.split("."):
            referent = getattr(referent, part, None)
        if referent != obj:  # a bound method, or a function that was wrapped and renamed
            raise MemkitError(
                f"{obj!r} is not the object that {module}:{name} refers to; use that, or a function with its own name"
            )
    return aliases_of_module(module).first(f"{module}:{name}")


def module_of(name: str) -> str:
    """Return the current module of an object that :func:`reference` named."""
    return aliases_here().now(name).partition(":")[0]


def known_aliases(files: Mapping[str, str] | None = None) -> Aliases:
    """Return the aliases of this project and of the projects that ``files`` belong to; see :func:`resolve`."""
    return combined(aliases_here(), *map(aliases_of, set((files or {}).values())))


def first_names(data: Any) -> Any:
    """Return plain data with every name of an object replaced by the object's original name."""
    if isinstance(data, Mapping):
        return {name: first_names(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [first_names(value) for value in data]
    return aliases_here().first(data) if isinstance(data, str) and ":" in data else data


def resolve(name: str, files: Mapping[str, str] | None = None) -> Any:
    """Return the object that :func:`reference` named.

    Args:
        files: module → file, for modules that are not on ``sys.path`` (test modules that pytest imported).
    """
    module_name, _, qualified = known_aliases(files).now(name).partition(":")
    obj: Any = _import(module_name, files or {})
    for part in qualified.split("."):
        obj = getattr(obj, part)
    return obj


def _import(name: str, files: Mapping[str, str]) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name not in files or not _is_or_contains(str(error.name), name):
            raise
    spec = importlib.util.spec_from_file_location(name, files[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_or_contains(missing: str, name: str) -> bool:
    """Return whether the missing module is ``name`` itself or a package around it, rather than an import of it."""
    return name == missing or name.startswith(missing + ".")
