"""Classes and functions are named, and found again by their names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.recipes.references import reference, resolve
from tests.machines import toys


class Outer:
    """Holds another class."""

    class Inner:
        """Found by its qualified name."""

        @classmethod
        def make(cls) -> Outer.Inner:
            """A bound method of a class stands for itself."""
            return cls()


@pytest.mark.parametrize("obj", [toys.signs, toys.Halves, Outer.Inner, Outer.Inner.make, len], ids=range(5))
def test_resolving_the_name_of_an_object_gives_the_object(obj: Any) -> None:
    assert resolve(reference(obj)) == obj


def test_objects_without_a_name_are_refused() -> None:
    class Local:
        """Not at the top level of a module."""

    for obj in (lambda: None, Local):
        with pytest.raises(MemkitError, match="at the top level of a module"):
            reference(obj)
    with pytest.raises(MemkitError, match="no name that it can be imported by; use a class or a function of a module"):
        reference(3)
    script = type("Model", (), {"__module__": "__main__"})
    with pytest.raises(MemkitError, match="Model is defined in a script"):
        reference(script)


def test_a_module_that_only_pytest_finds_is_loaded_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "found.py"
    file.write_text("import sys\nAT_IMPORT = sys.modules[__name__]\nclass Model:\n    pass\n")
    name = "nowhere_on_the_path.found"
    try:
        found = resolve(f"{name}:Model", {name: str(file)})
        assert found.__name__ == "Model"
        assert resolve(f"{name}:Model") is found
        assert sys.modules[name].AT_IMPORT is sys.modules[name]
    finally:
        sys.modules.pop(name, None)


def test_a_module_that_fails_to_import_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("class Model:\n    pass\nraise RuntimeError('half-way')\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="half-way"):
            resolve("broken_module:Model", {"broken_module": str(file)})
    assert "broken_module" not in sys.modules


def test_a_missing_dependency_is_not_taken_for_a_missing_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        resolve("needs_more:Model", {"needs_more": str(tmp_path / "another.py")})
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        resolve("no_such_module:Model")
