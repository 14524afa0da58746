"""Aliases: digests are unchanged when code moves or is renamed, and names can be mapped in both directions."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memkit
from memkit import Arm, Contrast, Recipe, claim
from memkit.alias_check import check_project_aliases
from memkit.aliases import MEMKIT, Aliases, aliases_here, aliases_of, project_aliases
from memkit.errors import MemkitError
from memkit.evidence.claim_decorator import claim_of
from memkit.recipes.references import first_names, reference, resolve
from memkit.source import callable_digest, function_digest, source_digest
from tests.inner import run
from tests.pytest_plugin.lab import INLINE, canned, write_suite

ROOT = Path(memkit.__file__).parents[1]
REPOSITORY = project_aliases(ROOT / "pyproject.toml")


@pytest.mark.parametrize(("old", "new"), [*MEMKIT.renamed.items(), *REPOSITORY.renamed.items()])
def test_moved_code_is_found_and_written_by_its_old_name(old: str, new: str) -> None:
    table = Aliases({**MEMKIT.renamed, **REPOSITORY.renamed})
    assert table.now(old) == new
    assert table.first(new) == old
    assert table.first(f"{new}.part" if ":" in new else f"{new}:Name.part").endswith(".part")
    module, _, name = new.partition(":")
    # Parsed rather than imported: the engine's tests also run where torch is not installed.
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert not name or name in {getattr(node, "name", "") for node in tree.body}
    assert name or not (ROOT / f"{old.replace('.', '/')}.py").is_file()


parts = st.sampled_from(["a", "b", "c"])
modules = st.lists(parts, min_size=1, max_size=3).map(".".join)
names = st.one_of(modules, st.builds("{}:{}".format, modules, st.sampled_from(["X", "Y", "X.y"])))


@given(st.dictionaries(modules, modules), names)
def test_mapping_a_name_there_and_back_gives_the_same_name(renamed: dict[str, str], name: str) -> None:
    try:
        table = Aliases(renamed)
    except MemkitError:
        return  # a name has two old names, or is both an old and a new name
    if table.now(name) == name and table.first(name) == name:
        assert name.partition(":")[0] not in {*renamed, *renamed.values()}
    elif table.now(name) != name:
        assert table.first(table.now(name)) == name
    else:
        assert table.now(table.first(name)) == name


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"a": "c", "b": "c"}, "aliases: c is the new name for two old names; give each its own new name"),
        ({"a": "b", "b": "c"}, "aliases: b is both an old and a new name; replace the two lines by a = c"),
        ({"a": "b:X"}, "aliases: a is a module and b:X is an object; both must be of one kind"),
        ({"a/b.py": "c"}, "aliases: 'a/b.py' is not a valid name; write \"package.module\""),
        ({"a.class": "c"}, "aliases: 'a.class' is not a valid name"),
        ({"a": 3}, "aliases: 3 is not a valid name"),
    ],
)
def test_an_ambiguous_or_malformed_table_is_refused(renamed: Any, message: str) -> None:
    with pytest.raises(MemkitError) as caught:
        Aliases(renamed)
    assert str(caught.value).startswith(message)


BEFORE = {
    "lab/__init__.py": "",
    "lab/nets.py": """
        LIMIT = 3

        class Net:
            def __init__(self, size=4):
                self.layer = size * LIMIT

        def helper(x):
            return Net, x
    """,
    "lab/copying.py": """
        from dataclasses import dataclass

        import lab.nets
        from lab import nets
        from lab.nets import Net, helper

        @dataclass(frozen=True)
        class Copy:
            length: int = 5

            def for_seed(self, generator):
                return lambda generator, size: (helper(Net), nets.Net, lab.nets.Net, nets.helper(1))

        def broken(model):
            return helper(model)
    """,
    "claims_of_lab.py": """
        from lab.copying import Copy, broken
        from lab.nets import Net, helper

        def measure(seed):
            return {"a": helper(seed), "b": Net, "c": broken}
    """,
    "lab_shadowing.py": """
        def shadowing(seed, helper):
            return helper(seed)
    """,
}
AFTER = {
    "lab/__init__.py": "",
    "lab/models/__init__.py": "",
    "lab/models/networks.py": """
        MOST = 3

        class SlotNetwork:
            def __init__(self, size=4):
                self.layer = size * MOST

        def described(x):
            return SlotNetwork, x
    """,
    "lab/tasks.py": """
        from dataclasses import dataclass

        from lab.models.networks import described, SlotNetwork
        from lab.models import networks
        import lab.models.networks

        @dataclass(frozen=True)
        class Copy:
            length: int = 5

            def for_seed(self, generator):
                return lambda generator, size: (
                    described(SlotNetwork), networks.SlotNetwork, lab.models.networks.SlotNetwork, networks.described(1)
                )

        def broken(model):
            return described(model)
    """,
    "claims_of_lab.py": """
        from lab.models.networks import described, SlotNetwork
        from lab.tasks import Copy, broken

        def measure(seed):
            return {"a": described(seed), "b": SlotNetwork, "c": broken}
    """,
    "lab_shadowing.py": """
        def shadowing(seed, helper):
            return helper(seed)
    """,
    "pyproject.toml": """
        [tool.memkit.aliases]
        "lab.nets" = "lab.models.networks"
        "lab.nets:Net" = "lab.models.networks:SlotNetwork"
        "lab.nets:helper" = "lab.models.networks:described"
        "lab.nets:LIMIT" = "lab.models.networks:MOST"
        "lab.copying" = "lab.tasks"
    """,
}


def project(folder: Path, files: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """Write a project, and let its modules be imported."""
    for name, text in files.items():
        lines = text.strip("\n").split("\n")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in lines) + "\n")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lab", "claims_of_lab", "lab_shadowing")]:
        patch.delitem(sys.modules, name)
    patch.setattr(sys, "path", [str(folder), *(path for path in sys.path if "lab_" not in path)])
    importlib.invalidate_caches()


def identities(folder: Path, files: dict[str, str], patch: pytest.MonkeyPatch, task: str, model: str) -> dict[str, Any]:
    """Return everything that contains names of a project's code."""
    project(folder, files, patch)
    claims = importlib.import_module("claims_of_lab")
    recipe = Recipe(importlib.import_module(task).Copy(length=6), resolve(model), options={"size": 3})
    arms = {"net": recipe, "broken": Arm(recipe, intervention=claims.broken)}
    registered: Callable[..., Any] = claim(
        "lab/a", "A.", arms=arms, contrasts=[Contrast("net", over=0.5, metric="m", bounds=(0, 1))]
    )
    made = claim_of(registered(claims.measure))
    assert made is not None
    assert Recipe.from_json(recipe.to_json()) == recipe
    return {
        "recipe": recipe.digest,
        "json": recipe.to_json(),
        "claim": made.digest,
        "test": function_digest(claims.measure),
        "shadowing": function_digest(importlib.import_module("lab_shadowing").shadowing),
        "intervention": callable_digest(claims.broken),
        "source": source_digest(["claims_of_lab"]),
    }


def test_moving_and_renaming_code_keeps_its_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identities(tmp_path / "lab_before", BEFORE, monkeypatch, "lab.copying", "lab.nets:Net")
    after = identities(tmp_path / "lab_after", AFTER, monkeypatch, "lab.tasks", "lab.nets:Net")
    assert after == before
    assert before["json"] == {
        "task": {"type": "lab.copying:Copy", "length": 6},
        "model": "lab.nets:Net",
        "options": {"size": 3},
    }
    without = {name: text for name, text in AFTER.items() if name != "pyproject.toml"}
    other = identities(tmp_path / "lab_without", without, monkeypatch, "lab.tasks", "lab.models.networks:SlotNetwork")
    assert {name for name in before if other[name] == before[name]} == {"shadowing"}


def test_renamed_options_are_written_by_their_old_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = AFTER | {
        "lab/tasks.py": AFTER["lab/tasks.py"].replace("length", "steps"),
        "lab/models/networks.py": AFTER["lab/models/networks.py"].replace("size", "width"),
        "pyproject.toml": AFTER["pyproject.toml"]
        + '        "lab.copying:Copy(length)" = "lab.tasks:Copy(steps)"\n'
        + '        "lab.nets:Net(size)" = "lab.models.networks:SlotNetwork(width)"\n',
    }
    project(tmp_path / "lab_renamed", renamed, monkeypatch)
    task, model = resolve("lab.copying:Copy"), resolve("lab.nets:Net")
    recipe = Recipe(task(steps=6), model, options={"width": 3})
    assert recipe.to_json() == {
        "task": {"type": "lab.copying:Copy", "length": 6},
        "model": "lab.nets:Net",
        "options": {"size": 3},
    }
    assert Recipe.from_json(recipe.to_json()) == recipe


SWAPPED = """
        from lab.models.networks import described
        from lab.tasks import broken as helper

        def measure(seed):
            return {}(seed)
"""


def test_replacing_a_renamed_function_by_one_with_its_old_name_changes_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for called in ("described", "helper"):
        files = AFTER | {"claims_of_lab.py": SWAPPED.format(called)}
        project(tmp_path / f"lab_{called}", files, monkeypatch)
        measure = importlib.import_module("claims_of_lab").measure
        found.append((function_digest(measure), source_digest(["claims_of_lab"])))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


@pytest.mark.parametrize(
    "lines", [("from lab.a import *", "from lab.b import *"), ("from lab.a import x", "from lab.b import x")]
)
def test_the_order_of_imports_counts_if_the_last_one_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, str]
) -> None:
    found = []
    for order in (lines, lines[::-1]):
        files = {"lab/__init__.py": "", "lab/a.py": "x = 1", "lab/b.py": "x = 2", "claims_of_lab.py": "\n".join(order)}
        project(tmp_path / f"lab_{len(found)}", files, monkeypatch)
        found.append(source_digest(["claims_of_lab"]))
    assert found[0] != found[1]


def test_two_options_that_map_to_the_same_name_are_refused() -> None:
    table = Aliases({"lab:Net(size)": "lab:Net(width)"})
    assert table.first_options("lab:Net", {"width": 3}) == {"size": 3}
    with pytest.raises(MemkitError, match="the options 'size' and 'width' would both be called 'size'"):
        table.first_options("lab:Net", {"size": 1, "width": 3})


def test_names_in_plain_data_are_replaced_by_the_original_names() -> None:
    renamed = {"call": "memkit.training.streams:generator", "count": 3, "of": ["memkit.training.streams", "a: b"]}
    first = {"call": "memkit.streams:generator", "count": 3, "of": ["memkit.training.streams", "a: b"]}
    assert first_names(renamed) == first
    assert resolve("memkit.streams:generator") is memkit.training.streams.generator  # type: ignore[attr-defined]
    assert reference(resolve("memkit.streams:generator")) == "memkit.streams:generator"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"lab.gone" = "lab.absent"', "lab.absent does not exist; lab.absent is not a module of this project"),
        ('"json.gone" = "json.decoder"', "json.decoder does not exist; json.decoder is not a module of this project"),
        ('"lab.tasks:gone" = "lab.tasks:absent"', "lab.tasks:absent does not exist"),
        ('"lab.tasks:Copy" = "lab.tasks:broken"', "lab.tasks:Copy still exists"),
        ('"claims_of_lab" = "lab.tasks"', "claims_of_lab still exists"),
        (
            '"lab.tasks:Copy(size)" = "lab.tasks:Copy(width)"',
            "lab.tasks:Copy(width) does not exist; Copy has no argument width",
        ),
        ('"lab.copying:Copy(length)" = "lab.tasks:Copy(length)"', "lab.copying:Copy(length) still exists"),
        ('"lab.lazy:x" = "lab.tasks:broken"', "lab.lazy:x still exists, or may exist"),
        ('"lab.old" = "lab.tasks"', "lab.old still exists"),
        ('"lab.broken:x" = "lab.broken:y"', "which an alias names, is not valid Python"),
    ],
)
def test_an_alias_is_refused_unless_only_its_new_name_exists(tmp_path: Path, line: str, message: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        more = {
            "lab/lazy.py": "        def __getattr__(name):\n            return 1",
            "lab/old/__init__.py": "",
            "lab/old/part.py": "        x = 1",
            "lab/broken.py": "        x = (",
            "pyproject.toml": f"        [tool.memkit.aliases]\n        {line}",
        }
        project(tmp_path, {**AFTER, **more}, patch)
        with pytest.raises(MemkitError, match=re.escape(message)):
            check_project_aliases(tmp_path / "pyproject.toml")


def test_a_run_refuses_an_alias_of_a_missing_module(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("a"))
    (pytester.path / "pyproject.toml").write_text('[tool.memkit.aliases]\n"lab.a" = "lab.b"\n')
    result = run(pytester, INLINE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tool.memkit.aliases]: lab.b does not exist; lab.b is not a module of this project"])


def test_the_aliases_of_this_repository_are_valid() -> None:
    check_project_aliases(ROOT / "pyproject.toml")


def test_the_aliases_of_a_project_apply_to_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.memkit.aliases]\n"lab.a" = "lab.b"\n')
    assert aliases_of(tmp_path / "lab" / "b.py").first("lab.b:X") == "lab.a:X"
    assert aliases_of(tmp_path / "lab" / "b.py").first("memkit.training.streams") == "memkit.streams"
    assert aliases_here().now("lab.a") == "lab.a"
    monkeypatch.syspath_prepend(tmp_path)
    assert aliases_here().now("lab.a") == "lab.b"
    (tmp_path / "pyproject.toml").write_text("[tool.memkit]\naliases = 3\n")
    with pytest.raises(MemkitError, match=r"pyproject.toml, \[tool.memkit.aliases\] must be a table of old = new"):
        project_aliases(tmp_path / "pyproject.toml")
