"""Every public name has a short example in its docstring, and every example runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import memkit
import memkit.memories

PACKAGES = ("memkit", "memkit.evidence", "memkit.evidence.reports", "memkit.models", "memkit.statistics")
TASKS = ("memkit.tasks.binding", "memkit.tasks.images")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(memkit.__path__, "memkit.")
    if not found.name.startswith("memkit.mlx") and not found.name.endswith("__main__")
)


def public_names() -> Iterator[str]:
    """Yield each public function and class, as ``package:name``."""
    for package in (*PACKAGES, *TASKS):
        module = importlib.import_module(package)
        yield from (f"{package}:{name}" for name in module.__all__ if inspect.isroutine(getattr(module, name)))
        yield from (f"{package}:{name}" for name in module.__all__ if inspect.isclass(getattr(module, name)))
    for found in pkgutil.iter_modules(memkit.memories.__path__, "memkit.memories."):
        own = vars(importlib.import_module(found.name)).items()
        yield from (
            f"{found.name}:{name}"
            for name, value in own
            if inspect.isfunction(value) and value.__module__ == found.name and name[0] != "_"
        )


@pytest.mark.parametrize("name", sorted(public_names()))
def test_a_public_name_has_an_example(name: str) -> None:
    package, _, attribute = name.partition(":")
    value = getattr(importlib.import_module(package), attribute)
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert any(test.examples for test in finder.find(value, attribute)), f"the docstring of {name} has no example"


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert not failed, "the examples failed; see their output above"
