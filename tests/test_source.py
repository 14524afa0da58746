"""Digests of source: they change if the computation changes, and otherwise stay the same."""

from __future__ import annotations

import enum
import functools
import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memkit
from memkit.errors import MemkitError
from memkit.source import (
    MODEL_CODE,
    callable_digest,
    file_digest,
    function_digest,
    imported_names,
    imported_packages,
    project_modules,
    reused_claims,
    source_digest,
    source_files,
)
from memkit.versions import version_of, versions_behind

_COUNT = itertools.count(1)


class Project:
    """A package in a separate folder; the test writes its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"project{next(_COUNT)}_{os.getpid()}"

    def write(self, **sources: str) -> None:
        package = self.folder / self.name
        package.mkdir(exist_ok=True)
        for name, text in {"__init__": "", **sources}.items():
            file = package / f"{name}.py"
            if name != "__init__" or not file.exists() or text:
                file.write_text(text.replace("PROJECT", self.name), encoding="utf-8")
                # Edits are detected by the file's time, and two edits of a test may fall into one tick of the clock.
                os.utime(file, ns=(next(_COUNT) * 10**9,) * 2)
        importlib.invalidate_caches()

    def digest(self, module: str = "main") -> str:
        return source_digest([f"{self.name}.{module}"])

    def modules(self) -> list[str]:
        return [name.rpartition(".")[2] for name in project_modules([f"{self.name}.main"])]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == made.name]:
        del sys.modules[name]


PLAIN = "import memkit\nfrom memkit import claim\n\ndef scale(x):\n    return 2 * x\n"


@pytest.mark.parametrize(
    "same",
    [
        '"""A module."""\n' + PLAIN,
        PLAIN.replace(":\n", ":\n    '''Twice.'''\n"),
        "# why\n" + PLAIN.replace("* x", "* x  # twice"),
        PLAIN.replace("( x )", "(x)").replace("2 * x", "(2*\n        x)"),
        PLAIN + "\n@claim('a/b', 's')\ndef test_scale():\n    assert scale(1) == 2\n",
        PLAIN + "\n@memkit.claim('a/b', 's')\nasync def test_scale():\n    '''Also a test.'''\n",
    ],
    ids=["docstring", "function docstring", "comments", "formatting", "claim", "async claim"],
)
def test_code_that_computes_nothing_does_not_count(project: Project, same: str) -> None:
    project.write(main=PLAIN)
    before = project.digest()
    project.write(main=same)
    assert project.digest() == before


@pytest.mark.parametrize(
    "other",
    [
        PLAIN + "\n@claim('a/b', 's')\n@twice\ndef test_scale():\n    assert scale(1) == 2\n",
        PLAIN + "\n@registry.claim('a/b')\ndef value():\n    return 1\n",
        PLAIN.replace("from memkit", "from elsewhere") + "\n@claim('a/b')\ndef value():\n    return 1\n",
    ],
    ids=["another decorator", "another object's", "another module's"],
)
def test_decorators_of_other_packages_count(project: Project, other: str) -> None:
    project.write(main=other)
    before = project.digest()
    project.write(main=other.replace("return 1\n", "return 9\n").replace("== 2", "== 9"))
    assert project.digest() != before


ATTRIBUTE = "class Net:\n    width = 3\n    {}\n    depth = 1\n\nSCALE = 2\n{}\n"


def test_a_string_below_an_attribute_does_not_count(project: Project) -> None:
    project.write(main=ATTRIBUTE.format("", ""))
    before = project.digest()
    project.write(main=ATTRIBUTE.format("'''Units per layer.'''", "'''A factor.'''"))
    assert project.digest() == before
    project.write(main=ATTRIBUTE.format("text = 'Units'", ""))
    assert project.digest() != before


EVERY_KIND = r"""
@decorated
async def f(a, /, b: int = -1, *args, c=0.5, **more):
    async for x in b"a" if a else ...:
        yield f"{x!r:>{c}} and {a + 'quoted'} and \"both'\" {a=}" "implicitly" f"{b:%H:%M}"
    return lambda *_: (y := 3, [*args], {**more, 1: 2}, a[1:2, ::3], not a and b or 1e300, {z for z in a})

match x:
    case {"a": [1, *rest], **more} | Point(x=0):
        import a.b, c as d
    case _:
        raise E from None
try:
    with a() as b, c():
        del x[0], y.z
except* (A, B) as error:
    assert a < b <= c, "message"
finally:
    total += 1j
"""


def test_the_digest_of_code_is_the_same_on_every_python(project: Project) -> None:
    """CI runs this test on several versions; each must compute this digest, as 3.11, 3.12 and 3.13 did."""
    project.write(main=EVERY_KIND)
    assert file_digest(project.folder / project.name / "main.py") == "2006ff5dcaacb207fcd1e65a00bc3b60"


class Scaling:
    """A callable object, with a method that has the same effect."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, model: Any) -> float:
        return self.scale

    def apply(self, model: Any) -> float:
        return self.scale


class Kind(enum.Enum):
    HARD = 1
    SOFT = 2


def scaled(model: Any, scale: float) -> float:
    return scale


def constant(value: Any) -> Callable[[Any], Any]:
    return lambda model: value


@pytest.mark.parametrize(
    "intervention",
    [
        pytest.param(lambda n: constant(np.full(3, n)), id="array"),
        pytest.param(lambda n: constant({"weights": [np.full(3, n)]}), id="array in containers"),
        pytest.param(lambda n: constant(pytest.importorskip("torch").full((2,), n)), id="tensor"),
        pytest.param(lambda n: constant((Kind.HARD, Kind.SOFT)[n]), id="enum"),
        pytest.param(lambda n: constant({1, n + 5}), id="set"),
        pytest.param(lambda n: constant([Scaling(n)]), id="object"),
        pytest.param(lambda n: constant(constant(n)), id="function"),
        pytest.param(lambda n: functools.partial(scaled, scale=n), id="partial"),
        pytest.param(Scaling, id="callable object"),
        pytest.param(lambda n: Scaling(n).apply, id="bound method"),
    ],
)
def test_an_intervention_counts_by_the_values_it_was_made_with(intervention: Callable[[int], Any]) -> None:
    assert callable_digest(intervention(0)) == callable_digest(intervention(0))
    assert callable_digest(intervention(0)) != callable_digest(intervention(1))


def test_a_value_that_contains_itself_can_be_described() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert callable_digest(constant(loop)) == callable_digest(constant(loop))


def test_the_values_in_the_closure_of_an_intervention_count() -> None:
    def made(scale: Any) -> Any:
        return lambda model: scale

    def other(scale: float) -> Any:
        return lambda model: -scale

    @dataclass(frozen=True)
    class Settings:
        scale: float
        by: Any = None

    assert callable_digest(made(1.0)) == callable_digest(made(1.0))
    held = [made(Settings(1.0)), made(Settings(1.0)), made(Settings(2.0)), made(Settings(1.0, by=other))]
    assert [callable_digest(f) == callable_digest(held[0]) for f in held] == [True, True, False, False]
    assert len({callable_digest(f) for f in (made(1.0), made(2.0), other(1.0), len)}) == 4


@pytest.mark.parametrize("other", [PLAIN.replace("2", "3"), PLAIN + "SCALE = 2\n", PLAIN.replace("scale", "double")])
def test_code_counts(project: Project, other: str) -> None:
    project.write(main=PLAIN)
    before = project.digest()
    project.write(main=other)
    assert project.digest() != before


@pytest.mark.parametrize(
    "imports",
    [
        "from PROJECT.other import scale",
        "from PROJECT import other",
        "import PROJECT.other",
        "from .other import scale",
        "from . import other",
        "def run(x):\n    from PROJECT.other import scale\n    return scale(x)",
        "def run(x):\n    from . import other\n    return other.scale(x)",
        "from PROJECT.between import scale",
        "import typing\nif typing.TYPE_CHECKING:\n    scale = int\nelse:\n    from .other import scale",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    from .other import scale",
        "try:\n    import no_such_module\nexcept ImportError:\n    from .other import scale",
    ],
)
def test_an_imported_project_module_counts(project: Project, imports: str) -> None:
    project.write(main=imports, between="from .other import scale", other=PLAIN)
    before = project.digest()
    assert "other" in project.modules()
    project.write(other=PLAIN.replace("2", "3"))
    assert project.digest() != before


def test_a_module_beside_it_that_is_imported_inside_a_function_counts(project: Project) -> None:
    beside = f"{project.name}_beside"
    project.write(main=f"def run(x):\n    import {beside}\n    return {beside}.scale(x)\n")
    file = project.folder / f"{beside}.py"
    file.write_text(PLAIN)
    before = project.digest()
    assert beside not in sys.modules, "looking for a module must not import it"
    file.write_text(PLAIN.replace("2", "3"))
    os.utime(file, ns=(7, 7))
    assert project.digest() != before


def test_the_digest_is_the_same_before_and_after_the_import(project: Project) -> None:
    project.write(main="def run():\n    from . import other\n", other="from . import deeper", deeper=PLAIN)
    before = (project.digest(), project.modules())
    assert not [name for name in sys.modules if name.startswith(project.name)], "nothing was imported"
    importlib.import_module(f"{project.name}.other")
    assert (project.digest(), project.modules()) == before


def test_type_checking_imports_are_not_followed(project: Project) -> None:
    project.write(
        main="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .other import scale\n",
        other=PLAIN,
    )
    before = project.digest()
    project.write(other=PLAIN.replace("2", "3"))
    assert project.digest() == before


def test_circular_imports_are_followed_once(project: Project) -> None:
    project.write(main="from . import other", other="from . import main")
    assert project.modules() == [project.name, "main", "other"]


def test_installed_packages_and_the_engine_do_not_count() -> None:
    assert project_modules(["sys", "no.such.module"]) == []
    # A module that is named directly counts even if it is installed; the installed modules that it imports do not.
    assert project_modules(["json"]) == ["json"]
    engine = ["memkit", "memkit.evidence.decision_rule", "memkit.statistics", "memkit.source", "memkit.pytest_plugin"]
    engine += ["memkit.recipes.recipe", "memkit.scheduling.cohorts", "memkit.store.store", "memkit.study.staged"]
    assert project_modules(engine) == []


def test_the_trainer_counts_without_the_engine() -> None:
    assert project_modules(["memkit.training.trainer"]) == [
        "memkit.training.building",
        "memkit.training.learner",
        "memkit.training.protocols",
        "memkit.training.stacked_modules",
        "memkit.training.streams",
        "memkit.training.trained_run",
        "memkit.training.trainer",
        "memkit.training.validation",
    ]


ENGINE = ("cli", "evidence", "pytest_plugin", "recipes", "scheduling", "statistics", "store", "study")


def test_every_folder_of_memkit_is_engine_or_model_code() -> None:
    """The code of any other folder would be missing from digests without notice."""
    folders = {path.parent.name for path in Path(memkit.__file__).parent.glob("*/__init__.py")}
    assert folders == {*ENGINE, *MODEL_CODE}


def test_lazy_imports_of_a_package_count_only_if_they_are_used(project: Project) -> None:
    lazy = """
        NAMES = {"one": "first", "two": "second"}
        def __getattr__(name):
            import importlib
            return getattr(importlib.import_module(f"{__name__}.{NAMES[name]}"), name)
    """
    text = "\n".join(line.strip() if line.startswith("        NAMES") else line[8:] for line in lazy.split("\n"))
    project.write(__init__=text, main="from PROJECT import one", first="one = 1", second="two = 2")
    assert project.modules() == [project.name, "first", "main"]
    assert project_modules(["memkit.models.doubt"]) == ["memkit.models.doubt"]
    (project.folder / project.name / "uses_slots.py").write_text("from memkit.models import SlotNetwork")
    found = project_modules([f"{project.name}.uses_slots"])
    assert "memkit.models.slots" in found
    assert not {"memkit.models", "memkit.models.gpt", "memkit.models.lstm"} & set(found)


def test_lazy_imports_of_a_package_count_when_used_as_attributes(project: Project) -> None:
    lazy = "NAMES = {'one': 'first', 'two': 'second'}\n\ndef __getattr__(name):\n    ...\n"
    project.write(__init__=lazy, main="import PROJECT\nPROJECT.one\n", first="one = 1", second="two = 2")
    assert project.modules() == [project.name, "first", "main"]
    project.write(user="import memkit\nmemkit.generator(3)\nimport memkit.models as m\nm.LSTMNetwork\n")
    found = project_modules([f"{project.name}.user"])
    assert {"memkit.training.streams", "memkit.models.lstm"} <= set(found)
    assert "memkit.models.gpt" not in found


@pytest.mark.parametrize(
    ("package", "edited"),
    [
        ("import torch\ntorch.set_default_dtype(torch.float64)\n", ("float64", "float32")),
        ("import numpy as np\nnp.pi = 3\n", ("3", "4")),
        ("SCALE = float('2')\n", ("2", "3")),
        ("class Base:\n    scale = 2\n", ("2", "3")),
        ("if True:\n    import json\n", ("json", "csv")),
    ],
)
def test_a_package_that_runs_code_on_import_counts_for_its_modules(
    project: Project, package: str, edited: tuple[str, str]
) -> None:
    project.write(__init__=package, main="x = 1")
    before = project.digest()
    assert project.modules() == [project.name, "main"]
    project.write(__init__=package.replace(*edited))
    assert project.digest() != before


def test_the_imports_of_a_package_that_runs_code_on_import_count_too(project: Project) -> None:
    project.write(__init__="from . import patches\npatches.apply()\n", main="x = 1", patches="def apply(): ...")
    assert project.modules() == [project.name, "main", "patches"]


def test_a_package_that_only_imports_names_does_not_count_for_its_modules(project: Project) -> None:
    gathers = "'''A package.'''\nfrom .other import scale\n__all__ = ['scale']\nSCALE: int = 2\ndef f():\n    g()\n"
    project.write(__init__=gathers, main="x = 1", other="scale = 1")
    assert project.modules() == ["main"]


def test_files_with_the_same_name_are_distinguished_by_their_folders(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text("")
    files = [project.folder / name / "conftest.py" for name in ("a", "b")]

    def digest(*texts: str) -> str:
        for file, text in zip(files, texts, strict=True):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            os.utime(file, ns=(next(_COUNT) * 10**9,) * 2)
        return source_digest([], map(str, files))

    assert digest("x = 1", "x = 2") != digest("x = 2", "x = 1")


def test_a_module_that_is_not_python_is_named(project: Project) -> None:
    project.write(main="from . import other", other="def broken(:\n")
    with pytest.raises(MemkitError, match=r"other\.py, line 1, is not Python"):
        project.digest()


def test_other_encodings_are_read(project: Project) -> None:
    project.write(main="")
    file = project.folder / project.name / "main.py"
    file.write_bytes("# -*- coding: latin-1 -*-\nname = 'Röntgen'\n".encode("latin-1"))
    os.utime(file, ns=(11, 11))
    assert len(project.digest()) == 32


# --- one function -------------------------------------------------------------------------------------------


def make(project: Project, text: str) -> Callable[..., object]:
    """Return the last function of a module with this text."""
    name = f"made{next(_COUNT)}"
    project.write(**{name: text})
    module = importlib.import_module(f"{project.name}.{name}")
    return next(value for key, value in vars(module).items() if key == "measure")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def measure(x):\n    '''Doc.'''\n    return x + 1  # one more\n", True),
        ("def measure(x):\n    return (x +\n            1)\n", True),
        (
            "import memkit as m\n@m.claim('a/b', 's', arms=['a'], contrasts=[])\ndef measure(x):\n    return x + 1\n",
            True,
        ),
        ("def sweep(f):\n    return f\n@sweep\ndef measure(x):\n    return x + 1\n", False),
        ("import functools\n@functools.cache\ndef measure(x):\n    return x + 1\n", False),
        ("def measure(x):\n    return x + 2\n", False),
        ("def measure(x, y=0):\n    return x + 1\n", False),
        ("def measure(x):\n    return x - 1\n", False),
    ],
)
def test_the_digest_of_a_function_is_that_of_its_syntax_tree(project: Project, text: str, same: bool) -> None:
    plain = function_digest(make(project, "def measure(x):\n    return x + 1\n"))
    if "@m.claim" in text:
        text = text.replace("contrasts=[]", "contrasts=[m.Contrast('a', over=0.2, metric='k', bounds=(0, 1))]")
    assert (function_digest(make(project, text)) == plain) is same


def test_a_method_with_a_multi_line_text_can_be_read(project: Project) -> None:
    method = "class Lab:\n    def measure(x):\n        return '''\nat the margin\n'''\nmeasure = Lab.measure\n"
    plain = "def measure(x):\n    return '''\nat the margin\n'''\n"
    assert function_digest(make(project, method)) == function_digest(make(project, plain))


def test_a_function_without_a_file_is_refused() -> None:
    space: dict[str, Callable[..., object]] = {}
    exec("def measure(): return 1", space)
    with pytest.raises(MemkitError, match="define claims in a file"):
        function_digest(space["measure"])


@given(st.lists(st.sampled_from(["memkit.tasks.scoring", "memkit.training.streams", "memkit.training.trainer"])))
def test_the_order_of_modules_does_not_matter(names: list[str]) -> None:
    assert source_digest(names) == source_digest(sorted(set(names)))


# --- what stands beside a digest ------------------------------------------------------------------------------


def test_the_files_of_a_digest_are_those_of_its_modules_and_of_their_packages(project: Project) -> None:
    project.write(main="from PROJECT import other\nimport json\n", other="import numpy\n", third="")
    files = source_files([f"{project.name}.main"])
    assert [file.name for file in files] == ["__init__.py", "main.py", "other.py"]
    assert imported_packages(files) == ["numpy"]
    assert versions_behind(files) == {"python": version_of("python"), "numpy": version_of("numpy")}


def test_a_version_is_found_by_the_name_of_a_module() -> None:
    assert version_of("python") == ".".join(map(str, sys.version_info[:2]))
    assert version_of("_pytest") == version_of("pytest") != ""
    assert version_of("no_such_module") == ""


def test_all_imported_names_are_listed(project: Project) -> None:
    project.write(main="import a.b\nfrom c import d\n\ndef f():\n    from .e import g\n")
    assert imported_names(project.folder / project.name / "main.py") >= {"a", "b", "c", "d", "e", "g"}


CLAIM = "@claim('s/a', 'A.', arms=('x',), contrasts=[])\ndef test_a(seed):\n    return {}\n"


@pytest.mark.parametrize(
    ("more", "other", "reused"),
    [
        pytest.param("", "", False, id="nobody names it"),
        pytest.param("# test_a\n'test_a'\n", "", False, id="in words alone"),
        pytest.param(
            "@mutant('m', arm='x', by=test_a)\n@claim('s/b', 'B.')\ndef test_b(seed): ...\n", "", False, id="a mark"
        ),
        pytest.param("@claim('s/b', 'B.')\ndef test_b(seed):\n    return test_a(seed)\n", "", True, id="another claim"),
        pytest.param("again = test_a\n", "", True, id="the module"),
        pytest.param("", "from PROJECT.main import test_a\n", True, id="another module imports it"),
        pytest.param("", "from PROJECT import main\nmain.test_a(1)\n", True, id="another module calls it"),
    ],
)
def test_the_test_of_a_claim_counts_if_other_code_uses_it(
    project: Project, more: str, other: str, reused: bool
) -> None:
    head = "from memkit import claim, mutant\n"

    def digest(claim: str) -> str:
        project.write(main=head + claim + more, other=other)
        return reused_claims([project.folder / project.name / f"{name}.py" for name in ("main", "other")])

    before = digest(CLAIM)
    assert bool(before) == reused
    assert (digest(CLAIM.replace("{}", "{'x': 1}")) != before) == reused


def test_a_file_of_code_is_digested_without_its_layout(project: Project) -> None:
    project.write(main="x = 1\n")
    file = project.folder / project.name / "main.py"
    before = file_digest(file)
    project.write(main="# one\nx  =  1\n")
    assert file_digest(file) == before
    project.write(main="x = 2\n")
    assert file_digest(file) != before
