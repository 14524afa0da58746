"""Names for objects: ``package.module:Qualified.name``, written into recipes, read in training processes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from memkit.errors import MemkitError


def reference(obj: Any) -> str:
    """The name under which a class or function can be imported again.

    Raises:
        MemkitError: the object is a lambda, is defined inside a function, or lives in ``__main__``.
    """
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if module is None or name is None:
        raise MemkitError(f"{obj!r} has no name to be found by; give a class or a function of a module")
    if name.endswith("<lambda>"):
        raise MemkitError("a lambda has no name to be found by; write a function at the top of a module")
    if "<" in name or module == "__main__":
        place = "a script" if module == "__main__" else "another function"
        raise MemkitError(f"{name} is defined in {place}; a recipe needs one defined at the top of a module")
    found: Any = sys.modules.get(module)
    if found is not None:
        for part in name.split("."):
            found = getattr(found, part, None)
        if found != obj:  # a bound method, or a function that was wrapped and renamed
            raise MemkitError(
                f"{obj!r} is not what {module}:{name} stands for; give that, or a function of another name"
            )
    return f"{module}:{name}"


def resolve(name: str, files: Mapping[str, str] | None = None) -> Any:
    """The object that :func:`reference` named.

    Args:
        files: module → file, for modules that are not found on ``sys.path`` (test modules that pytest
            imported).
    """
    module_name, _, qualified = name.partition(":")
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
        if name not in files or not _leads_to(str(error.name), name):
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


def _leads_to(missing: str, name: str) -> bool:
    """Whether a module is missing itself, or a package that it lies in, and not one that it imports."""
    return name == missing or name.startswith(missing + ".")
