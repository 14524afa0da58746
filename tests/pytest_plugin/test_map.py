"""The map of the plugin's folder, in the docstring of the package, is complete."""

from __future__ import annotations

import re
from pathlib import Path

from memkit import pytest_plugin

MAP = re.findall(r"^``(\w+)`` +(\* ``([\w-]+)``: )?\S", pytest_plugin.__doc__ or "", re.MULTILINE)
FILES = {path.stem: path.read_text(encoding="utf-8") for path in Path(pytest_plugin.__file__).parent.glob("*.py")}


def test_every_module_is_in_the_map_once() -> None:
    assert sorted(name for name, *_ in MAP) == sorted(FILES.keys() - {"__init__"})


def test_registered_plugins_are_named_like_their_modules_and_starred_in_the_map() -> None:
    registered = {name for text in FILES.values() for name in re.findall(r"register\(.*, \"([^\"]+)\"\)", text)}
    assert registered == {name for *_, name in MAP if name}
    assert all(name == f"memkit-{module.replace('_', '-')}" for module, _, name in MAP if name)
