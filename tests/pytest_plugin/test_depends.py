"""The dependencies of a stored measurement: if one of them has changed, the seed is measured again, and only then."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from memkit import versions
from tests.inner import run
from tests.pytest_plugin.lab import HEAD, evidence, ran, register_claims

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
    """Run the suite, and return the measured seeds and the verdicts on the contrasts.

    The verdict on the claim would be withheld, because changed data may not reach another one on the same seeds.
    """
    result = run(pytester, "--memkit-gate=none", *arguments, **options)
    assert result.ret == 0, result.stdout.str()
    verdicts = {
        name.partition("/")[2]: entry["judgement"]["findings"][0]["verdict"]
        for name, entry in evidence(pytester).items()
    }
    return ran(pytester.path), verdicts


@pytest.mark.parametrize("name", CASES)
def test_a_change_of_a_file_that_was_read_causes_a_new_measurement(pytester: pytest.Pytester, name: str) -> None:
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


def test_a_changed_file_is_named(pytester: pytest.Pytester) -> None:
    write(pytester.path, CASES["a file that the test opens"][0])
    register_claims(pytester)
    suite(pytester)
    write(pytester.path, {"table.csv": SWAPPED})
    result = run(pytester, "--memkit-gate=none")
    result.stdout.fnmatch_lines(["*8 seeds measured*", "*again, since table.csv has changed*"])
    assert evidence(pytester)["lab/it"]["remeasured"] == ["8 seeds measured again, since table.csv has changed"]
    assert len(ran(pytester.path)) == 8
    write(pytester.path, {"table.csv": CSV})
    measured, verdicts = suite(pytester)
    assert not measured, "the measurements of this very file are there"
    assert verdicts["it"] == "SUPPORTED"


def test_changes_that_do_not_count_cause_no_new_measurement(pytester: pytest.Pytester) -> None:
    files = {
        "test_it.py": "helper = pytest.importorskip('helper')\n"
        + claim(
            "it",
            "(HERE / 'out.txt').write_text(str(seed)); (HERE / 'out.txt').read_text()\n    return dict(helper.VALUES)",
        ),
        "test_other.py": claim("other", "return read(HERE / 'table.csv')"),
        "helper.py": NUMBERS,
        "table.csv": CSV,
        "notes.txt": "nobody reads this",
    }
    write(pytester.path, files)
    register_claims(pytester)
    suite(pytester)
    write(pytester.path, {"notes.txt": "or this", "table.csv": SWAPPED, "helper.py": f"# a comment\n{NUMBERS}"})
    measured, _ = suite(pytester)
    assert {line.partition(" ")[0] for line in measured} == {"other"}


def test_a_file_that_one_seed_reads_counts_for_all_seeds(pytester: pytest.Pytester) -> None:
    body = "return dict(importlib.import_module('hel' + 'per').VALUES) if seed % 8 == 3 else dict(VALUES)"
    write(pytester.path, {"test_it.py": f"import importlib\n{NUMBERS}" + claim("it", body), "helper.py": NUMBERS})
    register_claims(pytester)
    suite(pytester)
    write(pytester.path, {"helper.py": NUMBERS + "MORE = 1\n"})
    assert len(suite(pytester)[0]) == 8
    assert not suite(pytester)[0]


def test_workers_record_the_same_files(pytester: pytest.Pytester) -> None:
    write(pytester.path, CASES["a module that another test has imported"][0])
    register_claims(pytester)
    suite(pytester, "-n2")
    assert not suite(pytester)[0]
    write(pytester.path, {"helper.py": OTHER})
    measured, verdicts = suite(pytester, "-n2")
    assert len(measured) == 16
    assert set(verdicts.values()) == {"REFUTED"}


def test_declared_environment_variables_count(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "return {'treatment': float(os.environ['VALUE']), 'control': 0.1}"
    write(pytester.path, {"test_it.py": claim("it", body, options="environment=['VALUE']")})
    monkeypatch.setenv("VALUE", "0.9")
    register_claims(pytester)
    assert len(suite(pytester)[0]) == 8
    assert not suite(pytester)[0]
    monkeypatch.setenv("VALUE", "0.95")
    assert len(suite(pytester)[0]) == 8
    stored = "".join(file.read_text() for file in (pytester.path / ".memkit").rglob("*.jsonl"))
    assert "VALUE" not in stored, "it may be a secret"


def test_a_plugin_that_changes_the_engine_counts(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pytester.path, {"test_it.py": claim("it", "return {'treatment': 0.1, 'control': 0.9}")})
    pytester.makepyfile(
        cheat="""
        from memkit.pytest_plugin import item_call
        to_floats = item_call.to_floats
        def turned(claim, seed, returned):
            return to_floats(claim, seed, {"treatment": returned["control"], "control": returned["treatment"]})
        item_call.to_floats = turned
        def pytest_unconfigure():
            item_call.to_floats = to_floats
        """
    )
    register_claims(pytester)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p cheat")
    assert suite(pytester)[1]["it"] == "SUPPORTED"
    monkeypatch.delenv("PYTEST_ADDOPTS")
    measured, verdicts = suite(pytester)
    assert len(measured) == 8
    assert verdicts["it"] == "REFUTED"


def test_versions_of_packages_count(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pytester.path, {"test_it.py": "import numpy\n" + claim("it", "return {'treatment': 0.9, 'control': 0.1}")})
    register_claims(pytester)
    assert len(suite(pytester)[0]) == 8
    before = versions.version_of
    monkeypatch.setattr(versions, "version_of", lambda name: "99.0" if name == "numpy" else before(name))
    assert len(suite(pytester)[0]) == 8
    assert not suite(pytester)[0]


def test_a_differing_second_measurement_is_reported_and_the_first_counts(pytester: pytest.Pytester) -> None:
    body = "return {'treatment': 0.9 if len((HERE / 'ran.txt').read_text().split()) <= 16 else 0.2, 'control': 0.1}"
    write(pytester.path, {"test_it.py": claim("it", body)})
    register_claims(pytester)
    run(pytester, "--memkit-gate=none")  # and leave ran.txt, so the next run gives other numbers
    result = run(pytester, "--memkit-gate=none", "--memkit-fresh")
    message = "seed 10000: score of 'treatment' was 0.9, but 0.2 when measured again; the first value counts"
    result.stdout.fnmatch_lines([f"*{message}*"])
    entry = evidence(pytester)["lab/it"]
    assert entry["remeasured"][0] == message
    assert entry["judgement"]["verdict"] == "SUPPORTED"
    assert {row[3] for row in entry["observations"] if row[1] == "treatment"} == {0.9}
    run(pytester, "--memkit-gate=none").stdout.fnmatch_lines([f"*{message}*"])
    assert {row[3] for row in evidence(pytester)["lab/it"]["observations"] if row[1] == "treatment"} == {0.9}


def test_changes_of_wording_and_contrasts_cause_no_new_measurement(pytester: pytest.Pytester) -> None:
    source = claim("it", "return {'treatment': 0.9, 'control': 0.1}")
    write(pytester.path, {"test_it.py": source})
    assert len(suite(pytester)[0]) == 8  # unregistered, on development seeds
    for old, new in (
        ("The statement of it.", "Said otherwise."),
        ("lab/it", "lab/other-id"),
        ("bounds=(0, 1)", "bounds=(0, 2)"),
        ('"treatment", over="control"', '"control", over="treatment"'),
    ):
        source = source.replace(old, new)
        write(pytester.path, {"test_it.py": source})
        measured, _ = suite(pytester)
        assert len(measured) == (0 if "bounds" not in new else 8), new  # wider bounds need more seeds
    write(pytester.path, {"test_it.py": source.replace("0.9", "0.8")})
    assert suite(pytester)[0]


def test_a_stored_value_outside_new_bounds_is_refused(pytester: pytest.Pytester) -> None:
    source = claim("it", "return {'treatment': 0.9, 'control': 0.1}")
    write(pytester.path, {"test_it.py": source})
    suite(pytester)
    write(pytester.path, {"test_it.py": source.replace("bounds=(0, 1)", "bounds=(0, 0.5)")})
    result = run(pytester)
    result.stdout.fnmatch_lines(["*score of 'treatment' is 0.9, outside the declared bounds (0, 0.5)*"])


def test_equal_values_on_every_seed_are_no_evidence(pytester: pytest.Pytester) -> None:
    source = claim("it", "return {'treatment': 0.9, 'control': 0.1}").replace("    deterministic=True,\n", "")
    write(pytester.path, {"test_it.py": source})
    register_claims(pytester)
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*every arm gave the same value on all 8 seeds*deterministic=True*"])
    assert evidence(pytester)["lab/it"]["judgement"]["verdict"] == "INCOMPLETE"


def test_missing_declared_data_leave_the_claim_undecided(pytester: pytest.Pytester) -> None:
    source = claim("it", "return {'treatment': 0.9, 'control': 0.1}", options="data=['data/table.csv']")
    write(pytester.path, {"test_it.py": source})
    register_claims(pytester)
    result = run(pytester, "-rs")
    result.stdout.fnmatch_lines(["*data/table.csv*is not below*"])
    assert not ran(pytester.path)
    assert run(pytester, "--memkit-strict").ret == 1


CACHED: dict[str, tuple[dict[str, str], str]] = {
    "in a cache of a helper, which the test fills": (
        {
            "helper.py": "import functools, pathlib\nload = functools.cache(pathlib.Path.read_text)\n",
            "test_it.py": "import helper\n"
            + "".join(claim(n, "return numbers(helper.load(HERE / 'value.txt'))") for n in ("it", "other")),
        },
        "value.txt",
    ),
    "in a dict of the test's module": (
        {
            "test_it.py": "CACHE = {}\n"
            + "".join(
                claim(n, "return numbers(CACHE.setdefault(1, CACHE.get(1) or (HERE / 'value.txt').read_text()))")
                for n in ("it", "other")
            )
        },
        "value.txt",
    ),
    "by a plain test": (
        {
            "test_it.py": "CACHE = {}\ndef test_plain():\n    CACHE[1] = (HERE / 'value.txt').read_text()\n"
            + claim("it", "return numbers(CACHE[1])")
        },
        "value.txt",
    ),
    "by a fixture that another fixture asks for": (
        {
            "conftest.py": "import pytest, pathlib\n@pytest.fixture(scope='session')\ndef inner():\n"
            "    return pathlib.Path('value.txt').read_text()\n@pytest.fixture(scope='session')\n"
            "def outer(request):\n    return request.getfixturevalue('inner')\n",
            "test_it.py": claim("first", "return numbers(inner)", fixtures="seed, inner")
            + claim("it", "return numbers(outer)", fixtures="seed, outer")
            + claim("third", "return numbers(outer)", fixtures="seed, outer"),
        },
        "value.txt",
    ),
    "by way of a link": (
        {"test_it.py": claim("it", "return numbers((HERE / 'link.txt').read_text())")},
        "link.txt",
    ),
    "for reading and writing": (
        {"test_it.py": claim("it", "with open('value.txt', 'r+') as file:\n        return numbers(file.read())")},
        "value.txt",
    ),
}


@pytest.mark.parametrize("how", CACHED)
def test_a_file_that_was_cached_by_other_code_counts(pytester: pytest.Pytester, how: str) -> None:
    files, changed = CACHED[how]
    head = "def numbers(text):\n    return {'treatment': float(text), 'control': 0.1}\n"
    write(pytester.path, {name: head + text if name.startswith("test_") else text for name, text in files.items()})
    for name, value in (("value.txt", "0.9"), ("other.txt", "0.95")):
        (pytester.path / name).write_text(value)
    link = pytester.path / "link.txt"
    link.symlink_to("value.txt")
    register_claims(pytester)
    claims = {line.partition(" ")[0] for line in suite(pytester)[0]}
    assert not suite(pytester)[0]
    if changed == "link.txt":
        link.unlink()
        link.symlink_to("other.txt")
    else:
        (pytester.path / changed).write_text("0.95")
    measured, _ = suite(pytester)
    assert {line.partition(" ")[0] for line in measured} == claims
    values = [row[3] for entry in evidence(pytester).values() for row in entry["observations"]]
    assert set(values) == {0.95, 0.1}


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        ("data=['.']", "must name a file or folder below the project's root"),
        ("data=['../x']", "must name a file or folder below the project's root"),
        ("data=['a\\0b']", "must be a list of names"),
        ("data='table.csv'", "must be a list"),
        ("environment=['\\ud800']", "must be a list of names"),
        ("data=['/dev/zero']", "is a pipe or a device"),
    ],
)
def test_invalid_declarations_are_refused(pytester: pytest.Pytester, declared: str, refused: str) -> None:
    write(pytester.path, {"test_it.py": claim("it", "return {}", options=declared)})
    result = run(pytester)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert refused in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_claim_with_more_figures_keeps_its_first_value(pytester: pytest.Pytester) -> None:
    figure = (
        "from memkit.evidence.figures import Table\ndef shown(arms, seed):\n    return Table('T', ['x'], [['r', 1]])\n"
    )
    body = "return {'treatment': 0.9 if len((HERE / 'ran.txt').read_text().split()) <= 16 else 0.2, 'control': 0.1}"
    write(pytester.path, {"test_it.py": figure + claim("it", body)})
    register_claims(pytester)
    run(pytester, "--memkit-gate=none")
    write(pytester.path, {"test_it.py": figure + claim("it", body, options="figures=[shown],")})
    run(pytester, "--memkit-gate=none").stdout.fnmatch_lines(["*was 0.9, but 0.2*"])
    entry = evidence(pytester)["lab/it"]
    assert {row[3] for row in entry["observations"] if row[1] == "treatment"} == {0.9}
    assert [shown["title"] for shown in entry["figures"]] == ["T"]
