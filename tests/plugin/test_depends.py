"""What a stored measurement depends on: what has changed since is measured again, and nothing else is."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.inner import run
from tests.plugin.lab import HEAD, evidence, ran, register_claims

CSV = "treatment,control\n0.9,0.1\n"
SWAPPED = "treatment,control\n0.1,0.9\n"

READS = """
def read(path):
    with open(path) as file:
        names, numbers = (line.strip().split(",") for line in file)
    return dict(zip(names, map(float, numbers)))
"""


def claim(name: str, body: str, *, fixtures: str = "seed", options: str = "") -> str:
    return f"""
@claim(
    "lab/{name}",
    "The statement of {name}.",
    arms=("treatment", "control"),
    contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))],
    deterministic=True,
    {options}
)
def test_{name}({fixtures}):
    ran("{name}", seed)
    {body}
"""


NUMBERS = "VALUES = {'treatment': 0.9, 'control': 0.1}\n"
OTHER = "VALUES = {'treatment': 0.1, 'control': 0.9}\n"

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a file that the test opens": (
        {"test_it.py": claim("it", "return read(HERE / 'table.csv')"), "table.csv": CSV},
        {"table.csv": SWAPPED},
    ),
    "a file that the module reads when it is imported": (
        {"test_it.py": "TABLE = read(HERE / 'table.csv')\n" + claim("it", "return TABLE"), "table.csv": CSV},
        {"table.csv": SWAPPED},
    ),
    "a file that a fixture of the session opens": (
        {
            "conftest.py": "import pytest, pathlib\n"
            + READS
            + "@pytest.fixture(scope='session')\ndef table():\n    return read(pathlib.Path('table.csv'))\n",
            "test_it.py": claim("it", "return table", fixtures="seed, table"),
            "table.csv": CSV,
        },
        {"table.csv": SWAPPED},
    ),
    "a file that a helper opens once for all": (
        {
            "helper.py": "import functools\n"
            + READS
            + "@functools.cache\ndef table():\n    return read('table.csv')\n",
            "test_first.py": "import helper\n" + claim("first", "return helper.table()"),
            "test_it.py": "import helper\n" + claim("it", "return helper.table()"),
            "table.csv": CSV,
        },
        {"table.csv": SWAPPED},
    ),
    "a file that was not there": (
        {
            "test_it.py": claim("it", "return read(HERE / 'table.csv') if attempt(HERE / 'table.csv') else VALUES")
            + NUMBERS
            + "def attempt(path):\n    try:\n        open(path).close()\n    except OSError:\n        return False\n"
            "    return True\n"
        },
        {"table.csv": SWAPPED},
    ),
    "a script that the test starts": (
        {
            "test_it.py": "import json, subprocess, sys\n"
            + claim("it", "return json.loads(subprocess.check_output([sys.executable, 'train.py'], cwd=HERE))"),
            "train.py": 'print(\'{"treatment": 0.9, "control": 0.1}\')\n',
        },
        {"train.py": 'print(\'{"treatment": 0.1, "control": 0.9}\')\n'},
    ),
    "a module by import_module": (
        {
            "test_it.py": "import importlib\nhelper = importlib.import_module('hel' + 'per')\n"
            + claim("it", "return dict(helper.VALUES)"),
            "helper.py": NUMBERS,
        },
        {"helper.py": OTHER},
    ),
    "a module by import_module, in the test": (
        {
            "test_it.py": "import importlib\n"
            + claim("it", "return dict(importlib.import_module('hel' + 'per').VALUES)"),
            "helper.py": NUMBERS,
        },
        {"helper.py": OTHER},
    ),
    "a module that another test has imported": (
        {
            "test_first.py": "import importlib\n"
            + claim("first", "return dict(importlib.import_module('hel' + 'per').VALUES)"),
            "test_it.py": "import importlib\n"
            + claim("it", "return dict(importlib.import_module('hel' + 'per').VALUES)"),
            "helper.py": NUMBERS,
        },
        {"helper.py": OTHER},
    ),
    "a module by importorskip": (
        {
            "test_it.py": "helper = pytest.importorskip('helper')\n" + claim("it", "return dict(helper.VALUES)"),
            "helper.py": NUMBERS,
        },
        {"helper.py": OTHER},
    ),
    "a module that such a module imports": (
        {
            "test_it.py": "helper = pytest.importorskip('helper')\n" + claim("it", "return dict(helper.VALUES)"),
            "helper.py": "from further import VALUES\n",
            "further.py": NUMBERS,
        },
        {"further.py": OTHER},
    ),
    "what makes a package of a folder": (
        {
            "test_it.py": "import lib.empty\nimport lib\n" + claim("it", "return dict(lib.VALUES)"),
            "lib/__init__.py": NUMBERS,
            "lib/empty.py": "",
        },
        {"lib/__init__.py": OTHER},
    ),
    "another claim's test": (
        {
            "test_it.py": "import test_other\n" + claim("it", "return test_other.test_other(seed)"),
            "test_other.py": claim("other", "return {'treatment': 0.9, 'control': 0.1}"),
        },
        {"test_other.py": claim("other", "return {'treatment': 0.1, 'control': 0.9}")},
    ),
    "a file that is declared": (
        {
            "test_it.py": "import os\n"
            + claim("it", "return read(int_of(HERE / 'data'))", options="data=['data']")
            + "def int_of(folder):\n    return os.open(folder / 'table.csv', os.O_RDONLY)\n",
            "data/table.csv": CSV,
        },
        {"data/table.csv": SWAPPED},
    ),
}


def write(path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        if name.startswith("test_"):
            text = textwrap.dedent(HEAD) + READS + text
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)


def suite(pytester: pytest.Pytester, *arguments: str, **options: Any) -> tuple[list[str], dict[str, str]]:
    """What a run measured, and the verdicts."""
    result = run(pytester, "--memkit-gate=none", *arguments, **options)
    assert result.ret == 0, result.stdout.str()
    verdicts = {name.partition("/")[2]: entry["judgement"]["verdict"] for name, entry in evidence(pytester).items()}
    return ran(pytester.path), verdicts


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_and_has_changed_since_is_measured_again(pytester: pytest.Pytester, name: str) -> None:
    before, after = CASES[name]
    write(pytester.path, before)
    register_claims(pytester)
    measured, verdicts = suite(pytester)
    assert {line.partition(" ")[0] for line in measured} >= {"it"}
    assert verdicts["it"] == "SUPPORTED"
    measured, verdicts = suite(pytester)
    assert not measured, "nothing has changed"
    write(pytester.path, after)
    measured, verdicts = suite(pytester)
    assert {line.partition(" ")[0] for line in measured} >= {"it"}
    assert verdicts["it"] == "REFUTED"
    measured, _ = suite(pytester)
    assert not measured
