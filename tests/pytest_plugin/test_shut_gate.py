"""The gate cannot be avoided: the lock is found wherever pytest is started, and a missing claim fails the run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.inner import command, run
from tests.pytest_plugin.lab import HEAD, canned, register_claims, write_suite

REFUTED = canned("false", "0.1", "0.9")
TRUE, OTHER = canned("true"), canned("other")
OPEN, FAILED = 0, 1


def write(path: Path, *claims: str) -> None:
    """Write a file of claims."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (HEAD + "".join(claims)).splitlines()
    path.write_text("\n".join(line.removeprefix("    ") for line in lines) + "\n", encoding="utf-8")


# --- the lock is found --------------------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """A project with a registered claim that is REFUTED, in two folders, without an ini file."""
    root = pytester.path / "project"
    write(root / "claims" / "deep" / "test_lab.py", REFUTED)
    (root / "claims" / "claims.lock").write_text('{"schema": 1, "studies": {}, "claims": {}}', encoding="utf-8")
    assert command(pytester, "register", str(root)).ret == 0
    return root


HERE = [
    ("project", ()),
    ("project", ("claims",)),
    ("project", ("claims/deep/test_lab.py::test_false",)),
    ("project/claims", ()),
    ("project/claims/deep", ()),
    ("project/claims/deep", ("test_lab.py",)),
    (".", ("project/claims",)),
    ("elsewhere", ("../project",)),
    ("elsewhere", ("{root}/claims/deep",)),
]
OPTIONS = [
    (),
    ("--memkit-store", "{elsewhere}"),
    ("--store", "{elsewhere}"),
    ("--memkit-store={elsewhere}",),
    ("--memkit-data", "{elsewhere}"),
    ("--memkit-evidence", "{elsewhere}/evidence.json"),
    ("--rootdir", "{elsewhere}"),
    ("--confcutdir", "{elsewhere}"),
    ("--junitxml", "{elsewhere}/pytest.ini"),
    ("-c", "{elsewhere}/pytest.ini"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize(("folder", "paths"), [HERE[0], HERE[4], HERE[8]])
def test_the_values_of_options_do_not_open_the_gate(
    pytester: pytest.Pytester, project: Path, folder: str, paths: tuple[str, ...], options: tuple[str, ...]
) -> None:
    elsewhere = pytester.mkdir("elsewhere")
    (elsewhere / "pytest.ini").write_text("[pytest]\n")
    os.chdir(pytester.path / folder)
    given = [part.format(elsewhere=elsewhere, root=project) for part in (*options, *paths)]
    result = run(pytester, *given, "-n0")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: expected supported, found REFUTED*"])


@pytest.mark.parametrize(("folder", "paths"), HERE)
def test_lock_store_and_reports_are_those_of_the_project(
    pytester: pytest.Pytester, project: Path, folder: str, paths: tuple[str, ...]
) -> None:
    pytester.mkdir("elsewhere")
    os.chdir(pytester.path / folder)
    assert run(pytester, *(path.format(root=project) for path in paths), "-n0").ret == FAILED
    found = {path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("*.json")}
    assert found == {"project/reports/evidence.json"}
    assert [path.parent for path in pytester.path.rglob(".memkit")] == [project]


def test_a_run_above_a_lock_is_refused(pytester: pytest.Pytester, project: Path) -> None:
    result = run(pytester, "-n0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"*claim 'lab/false' belongs to the lock of {project}, but this run uses that of {pytester.path}; "
            "run it separately*"
        ]
    )


def test_claims_of_two_locks_are_refused_and_other_tests_are_not(pytester: pytest.Pytester, project: Path) -> None:
    write(pytester.path / "second" / "test_more.py", TRUE)
    (pytester.path / "second" / "claims.lock").write_text('{"schema": 1, "studies": {}, "claims": {}}')
    result = run(pytester, "project", "second", "-n0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*two locks, of {project} and of {pytester.path / 'second'}; run the claims of one*"])
    for folder in ("project", "second"):
        (pytester.path / folder / f"test_plain_{folder}.py").write_text("def test_plain(): pass\n")
    assert run(pytester, "project/test_plain_project.py", "second/test_plain_second.py", "-n0").ret == OPEN


@pytest.mark.parametrize("folder", ["project", "project/claims", "project/claims/deep"])
def test_commands_find_the_project(pytester: pytest.Pytester, project: Path, folder: str) -> None:
    write(project / "claims" / "deep" / "test_lab.py", canned("false", "0.1", "0.9", options='expect="refuted",'))
    os.chdir(pytester.path / folder)
    command(pytester, "register")
    assert command(pytester, "register", "--check").ret == OPEN
    assert run(pytester, "-n0").ret == OPEN
    command(pytester, "plan").stdout.fnmatch_lines(["lab/false*12 of 32*", f"store: {project}/.memkit"])
    command(pytester, "verdicts").stdout.fnmatch_lines(["lab/false*REFUTED*"])
    (project / ".memkit" / "runs").mkdir(exist_ok=True)
    command(pytester, "store", "ls").stdout.fnmatch_lines([f"{project}/.memkit: 0 runs*12 measurements*"])
    command(pytester, "accept")
    assert (project / "reports" / "accepted.json").is_file()
    command(pytester, "compare").stdout.fnmatch_lines(["1 claim in both*"])


# --- a missing claim fails the run --------------------------------------------------------------------------------


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Path:
    """A file with two registered claims, and another file with one."""
    write(pytester.path / "claims" / "test_lab.py", TRUE, REFUTED)
    write(pytester.path / "claims" / "test_more.py", OTHER)
    register_claims(pytester)
    return pytester.path / "claims"


def lose_the_claim(suite: Path) -> None:
    write(suite / "test_lab.py", TRUE)


def lose_the_file(suite: Path) -> None:
    (suite / "test_lab.py").unlink()


def rename_the_file(suite: Path) -> None:
    (suite / "test_lab.py").rename(suite / "lab.py")


def empty_the_file(suite: Path) -> None:
    (suite / "test_lab.py").write_text("")


def lose_everything(suite: Path) -> None:
    for file in suite.glob("test_*.py"):
        file.unlink()


LOSSES = [lose_the_claim, lose_the_file, rename_the_file, empty_the_file, lose_everything]


@pytest.mark.parametrize("how", ["-n0", "-n2"])
@pytest.mark.parametrize("lose", LOSSES)
def test_a_registered_claim_that_is_gone_fails_the_run(
    pytester: pytest.Pytester, suite: Path, lose: object, how: str
) -> None:
    assert callable(lose)
    lose(suite)
    result = run(pytester, how)
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(
        ["*FAILED *::lab/false[[]verdict[]] - lab/false: it is registered, but *memkit register --remove lab/false*"]
    )
    assert run(pytester, "-n0", "--memkit-gate=none").ret != FAILED
    assert run(pytester, "-n0", "--memkit-development").ret != FAILED


def test_a_missing_file_fails_every_run_of_claims(pytester: pytest.Pytester, suite: Path) -> None:
    lose_the_file(suite)
    assert run(pytester, "claims/test_more.py", "-n0").ret == FAILED
    (pytester.path / "test_plain.py").write_text("def test_plain(): pass\n")
    assert run(pytester, "test_plain.py", "-n0").ret == OPEN, "which is not about claims"


@pytest.mark.parametrize(
    "arguments",
    [("claims/test_more.py",), ("claims/test_lab.py::test_true",), ("-k", "true"), ("--deselect=claims/test_lab.py",)],
)
def test_unselected_claims_do_not_count_as_missing(
    pytester: pytest.Pytester, suite: Path, arguments: tuple[str, ...]
) -> None:
    result = run(pytester, *arguments, "-n0")
    assert result.ret == OPEN
    result.stdout.no_fnmatch_line("*it is registered*")


def test_a_moved_claim_does_not_count_as_missing(pytester: pytest.Pytester, suite: Path) -> None:
    (suite / "test_more.py").rename(suite / "test_elsewhere.py")
    result = run(pytester, "claims", "-n0")
    result.stdout.no_fnmatch_line("*it is registered*")
    register_claims(pytester)
    lock = json.loads((suite / "claims.lock").read_text())
    assert lock["claims"]["lab/other"]["file"] == "claims/test_elsewhere.py"


def test_a_claim_removed_from_the_lock_does_not_count_as_missing_and_continues_if_it_returns(
    pytester: pytest.Pytester, suite: Path
) -> None:
    lose_the_claim(suite)
    assert command(pytester, "register", "--remove", "lab/false").ret == OPEN
    assert run(pytester, "-n0").ret == OPEN
    wrong = command(pytester, "register", "--remove", "lab/flase")
    wrong.stderr.fnmatch_lines(["memkit: the lock has no claim 'lab/flase'*"])
    write(suite / "test_lab.py", TRUE, canned("false", options='expect="refuted",'))
    result = register_claims(pytester)
    result.stdout.fnmatch_lines(["lab/false: registered again, attempt 2, seeds from 10100"])
    assert "removed" not in json.loads((suite / "claims.lock").read_text())


def test_an_unselected_class_does_not_count_as_missing(pytester: pytest.Pytester) -> None:
    method = canned("method").replace("\n", "\n    ").replace("(seed)", "(self, seed)")
    write_suite(pytester, TRUE, f"\n    class TestOfClaims:{method}")
    assert run(pytester, "test_lab.py::test_true", "-n0").ret == OPEN
    assert run(pytester, "test_lab.py", "-n0").ret == OPEN


def test_a_claim_without_items_counts_as_missing(pytester: pytest.Pytester, suite: Path) -> None:
    with (suite / "test_lab.py").open("a") as file:
        file.write("\ntest_false.__test__ = False\n")
    result = run(pytester, "-n0")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: it is registered, but no longer in claims/test_lab.py; *"])


def test_a_missing_folder_of_testpaths_fails_the_run(pytester: pytest.Pytester, suite: Path) -> None:
    pytester.makeini("[pytest]\ntestpaths = plain claims\n")
    (pytester.mkdir("plain") / "test_plain.py").write_text("def test_plain(): pass\n")
    lock = (suite / "claims.lock").read_text()
    suite.rename(pytester.path / "studies")
    (pytester.path / "claims.lock").write_text(lock)
    (pytester.path / "studies" / "claims.lock").unlink()
    result = run(pytester, "-n0")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/other: it is registered, but claims/test_more.py no longer exists; *"])


def test_a_deleted_link_to_a_file_elsewhere_counts_as_missing(pytester: pytest.Pytester, suite: Path) -> None:
    elsewhere = pytester.mkdir("elsewhere") / "test_more.py"
    (suite / "test_more.py").rename(elsewhere)
    (suite / "test_more.py").symlink_to(elsewhere)
    assert command(pytester, "register", "claims").ret == OPEN
    assert run(pytester, "claims/test_more.py", "-n0").ret == OPEN
    (suite / "test_more.py").unlink()
    assert run(pytester, "claims", "-n0").ret == FAILED


def test_claims_are_missed_in_a_package_that_is_selected_by_name(pytester: pytest.Pytester, suite: Path) -> None:
    (suite / "__init__.py").touch()
    lose_the_claim(suite)
    result = run(pytester, "--pyargs", "claims", "-n0")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: it is registered, but no longer in claims/test_lab.py; *"])


def test_claims_that_passed_do_not_count_as_missing_with_last_failed(pytester: pytest.Pytester, suite: Path) -> None:
    assert run(pytester, "-n0").ret == FAILED
    result = run(pytester, "--lf", "-n0")
    assert result.ret == FAILED
    result.stdout.no_fnmatch_line("*it is registered*")


def test_a_lock_that_is_a_dangling_link_is_refused(pytester: pytest.Pytester, suite: Path) -> None:
    (suite / "claims.lock").rename(pytester.path / "kept")
    (suite / "claims.lock").symlink_to("gone")
    result = run(pytester, "-n0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *claims.lock is a link to a file that does not exist; restore the file or the link"]
    )


def test_a_claim_both_registered_and_removed_is_refused(pytester: pytest.Pytester, suite: Path) -> None:
    lock = json.loads((suite / "claims.lock").read_text())
    lock["removed"] = {"lab/true": lock["claims"]["lab/true"]}
    (suite / "claims.lock").write_text(json.dumps(lock))
    result = run(pytester, "-n0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *claims.lock has 'lab/true' both in its claims and in the removed claims*"])


# --- measurements depend on fixtures that are torn down later -----------------------------------------------------


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_a_shared_fixture_whose_teardown_fails_fails_again_in_the_next_run(
    pytester: pytest.Pytester, scope: str
) -> None:
    pytester.makeconftest(
        f"import pytest\n@pytest.fixture(scope={scope!r})\ndef broken():\n    yield\n    assert False, 'broken'\n"
    )
    write_suite(pytester, canned("true").replace("(seed)", "(seed, broken)"))
    for _ in range(2):
        result = run(pytester, "-n0")
        assert result.ret == FAILED
        result.stdout.fnmatch_lines(["*AssertionError: broken*"])


def test_a_skip_in_a_teardown_does_not_open_the_gate(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef late():\n    yield\n    pytest.skip('no gpu')\n")
    write_suite(pytester, canned("false", "0.1", "0.9").replace("(seed)", "(seed, late)"))
    result = run(pytester, "-n0")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: seed 10000* failed: its teardown was skipped: no gpu*"])


# --- a strict run -------------------------------------------------------------------------------------------------

SKIPPED = canned("skipped").replace("@claim", '@pytest.mark.skip(reason="no time")\n    @claim', 1)


@pytest.mark.parametrize(
    ("source", "arguments", "reason"),
    [
        (SKIPPED, (), "INCOMPLETE: skipped: no time"),
        (TRUE, ("--memkit-seeds=5",), "5 seeds cannot decide; the rule needs 6"),
        (TRUE, ("-k", "10003 or 10004"), "INCOMPLETE: not run: seeds"),
        (canned("open", options='expect="open",').replace("@claim", "@pytest.mark.skip\n    @claim"), (), "INCOMPLETE"),
    ],
)
def test_a_claim_that_decides_nothing_fails_a_strict_run(
    pytester: pytest.Pytester, source: str, arguments: tuple[str, ...], reason: str
) -> None:
    write_suite(pytester, source)
    assert run(pytester, "-n0", *arguments).ret == OPEN
    result = run(pytester, "-n0", *arguments, "--memkit-strict")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines([f"*lab/*: *{reason}*(--memkit-strict)*"])


def test_a_claim_that_is_not_registered_fails_a_strict_run(pytester: pytest.Pytester) -> None:
    write_suite(pytester, TRUE, register=False)
    assert run(pytester, "-n0").ret == OPEN
    result = run(pytester, "-n0", "--memkit-strict")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/true: *not registered, run `memkit register`*(--memkit-strict)*"])
    assert command(pytester, "verdicts").ret == OPEN, "the outcome follows from what the file says"


IGNORED = {
    "claims/conftest.py": 'collect_ignore = ["test_lab.py"]',
    "pytest.ini": "[pytest]\npython_files = test_more.py",
    "conftest.py": "def pytest_ignore_collect(collection_path): return collection_path.name == 'test_lab.py' or None",
}


@pytest.mark.parametrize("file", IGNORED)
def test_a_file_that_is_not_collected_fails_a_strict_run(pytester: pytest.Pytester, suite: Path, file: str) -> None:
    (pytester.path / file).write_text(IGNORED[file])
    result = run(pytester, "-n0", "--memkit-strict")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: INCOMPLETE: claims/test_lab.py was not collected, although*"])


def test_an_expectation_of_not_supported_is_not_met_on_few_seeds(pytester: pytest.Pytester) -> None:
    write_suite(
        pytester, canned("small", "0.7 + seed % 2 / 10", "0.5 - seed % 3 / 10", options='expect="not_supported",')
    )
    assert run(pytester, "-n0").ret == FAILED
    result = run(pytester, "-n0", "--memkit-seeds=8")
    assert result.ret == OPEN
    result.stdout.no_fnmatch_line("*lab/small*: passed*")
    assert run(pytester, "-n0", "--memkit-seeds=8", "--memkit-strict").ret == FAILED


def test_a_skipped_file_fails_a_strict_run(pytester: pytest.Pytester, suite: Path) -> None:
    file = suite / "test_lab.py"
    file.write_text('import pytest\npytest.importorskip("no_such_package")\n' + file.read_text())
    assert run(pytester, "-n0").ret == OPEN
    result = run(pytester, "-n0", "--memkit-strict")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lab/false: INCOMPLETE: claims/test_lab.py was skipped: could not import*"])


@pytest.mark.parametrize("other", ["--memkit-development", "--memkit-gate=none"])
def test_a_strict_run_that_decides_nothing_is_refused(pytester: pytest.Pytester, other: str) -> None:
    write_suite(pytester, TRUE)
    result = run(pytester, "-n0", "--memkit-strict", other)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--memkit-strict and --memkit-* contradict each other; omit one of them"])


def test_the_strict_option_of_pytest_is_not_memkits(pytester: pytest.Pytester) -> None:
    write_suite(pytester, SKIPPED)
    assert run(pytester, "-n0", "--strict-markers").ret == OPEN


@pytest.mark.parametrize("given", [("claims",), (), ("claims/deep/test_lab.py",)])
def test_the_lock_is_created_where_memkit_searches_for_it(pytester: pytest.Pytester, given: tuple[str, ...]) -> None:
    write(pytester.path / "claims" / "deep" / "test_lab.py", TRUE)
    assert command(pytester, "register", *given).ret == OPEN
    for where in (".", "claims", "claims/deep"):
        os.chdir(pytester.path / where)
        result = run(pytester, "-n0", "--memkit-strict")
        assert result.ret == OPEN
        result.stdout.fnmatch_lines(["*lab/true*expected supported*"])


REMOVES = """
def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if {which} in item.nodeid]
    {report}
    items[:] = [item for item in items if item not in gone]
"""


@pytest.mark.parametrize("how", ["-n0", "-n1"])
@pytest.mark.parametrize("which", ["'test_false['", "'test_false[10003]'"])
def test_a_hook_that_removes_a_claim_silently_fails_the_run(pytester: pytest.Pytester, which: str, how: str) -> None:
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9"))
    pytester.makeconftest(REMOVES.format(which=which, report="pass"))
    result = run(pytester, how)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*lab/false: a hook removed * of it without reporting them as deselected*"])


def test_a_hook_that_reports_deselected_items_is_accepted(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9"))
    report = "config.hook.pytest_deselected(items=gone)"
    pytester.makeconftest(REMOVES.format(which="'test_false['", report=report))
    assert run(pytester).ret == 0
    assert run(pytester, "-k", "test_true").ret == 0
