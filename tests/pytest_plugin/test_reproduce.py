"""``memkit reproduce``: it runs the project's own claims, whatever a file says, and compares with a tolerance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inner import command, run
from tests.pytest_plugin.lab import canned, ran, write_suite

REPRODUCE = ("reproduce", "lab/true", "--seed=10003")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A registered suite of two claims with their evidence, and beside it a file that must never be run."""
    varied = canned("true", "0.6 + 0.01 * (seed % 8)", "0.5 + 0.001 * (seed % 3)")
    write_suite(pytester, varied, canned("other"))
    assert run(pytester, "-n0").ret in (0, 1)
    evil = pytester.path.parent / f"{pytester.path.name}-evil"
    evil.mkdir()
    (evil / "test_evil.py").write_text("import pathlib\npathlib.Path(__file__).with_name('was_run').touch()\n")
    ran(pytester.path)
    return pytester


def edit(suite: pytest.Pytester, change: Callable[[dict[str, Any]], None]) -> None:
    file = suite.path / "reports" / "evidence.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def first(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    return lambda data: change(data["claims"][0])


# --- what is run ------------------------------------------------------------------------------------------


def test_only_the_given_seed_is_measured_again(suite: pytest.Pytester) -> None:
    result = command(suite, *REPRODUCE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["reproduced: every value is the same, bit for bit; this is the platform*"])
    assert ran(suite.path) == ["true 10003"]


@pytest.mark.parametrize(
    "nodeid", ["{evil}/test_evil.py::test_a", "--junitxml={evil}/was_run", "-p evil", "@{evil}/arguments", "$(touch x)"]
)
def test_no_text_of_a_file_reaches_pytest(suite: pytest.Pytester, nodeid: str) -> None:
    evil = suite.path.parent / f"{suite.path.name}-evil"
    edit(suite, first(lambda entry: entry.update(nodeid=nodeid.format(evil=f"../{evil.name}"))))
    assert command(suite, *REPRODUCE).ret == 0
    assert ran(suite.path) == ["true 10003"]
    assert not (evil / "was_run").exists()


def test_a_claim_that_the_project_does_not_have_is_not_run(suite: pytest.Pytester) -> None:
    edit(suite, first(lambda entry: entry["claim"].update(id="lab/tru")))
    result = command(suite, "reproduce", "lab/tru", "--seed=10003")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["memkit: no claim 'lab/tru' was collected in this project; did you *"])
    assert ran(suite.path) == []


def test_claims_are_found_in_the_folder_that_is_named_or_holds_the_lock(suite: pytest.Pytester) -> None:
    (suite.path / "claims").mkdir()
    for name in ("test_lab.py", "claims.lock"):
        (suite.path / name).rename(suite.path / "claims" / name)
    (suite.path / "test_broken.py").write_text("raise RuntimeError('not where claims are')")
    assert command(suite, *REPRODUCE).ret == 0
    assert command(suite, "reproduce", "lab/true", "claims/test_lab.py", "--seed=10003").ret == 0
    assert command(suite, "reproduce", "lab/true", ".", "--seed=10003").ret == 4


def test_development_seeds_are_reported_as_such(suite: pytest.Pytester) -> None:
    assert run(suite, "-n0", "--development").ret == 0
    result = command(suite, "reproduce", "lab/true", "--seed=3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lab/true: on development seeds, which decide nothing"])


def test_a_seed_that_the_claim_does_not_have_is_refused(suite: pytest.Pytester) -> None:
    def other_seeds(entry: dict[str, Any]) -> None:
        entry["registration"]["first_seed"] += 100
        entry["planned"] = [seed + 100 for seed in entry["planned"]]
        entry["observations"] = [[seed + 100, *row] for seed, *row in entry["observations"]]

    edit(suite, first(other_seeds))
    result = command(suite, "reproduce", "lab/true", "--seed=10103")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["memkit: lab/true has no seed 10103 in this project*"])
    assert command(suite, "verdicts").ret == 1


# --- against the lock -------------------------------------------------------------------------------------


def test_a_doctored_claim_is_found(suite: pytest.Pytester) -> None:
    edit(suite, first(lambda entry: entry["claim"].update(statement="More than was found.", test="0" * 16)))
    result = command(suite, *REPRODUCE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "DIFFERS: the claim is not the one that was registered: its digest differs from that in the lock",
            "DIFFERS: the claim in the file is not the project's: statement, the test function differ",
            "reproduced: *",
        ]
    )


def test_without_a_lock_nothing_is_compared_with_it(suite: pytest.Pytester) -> None:
    (suite.path / "claims.lock").rename(suite.path / "elsewhere.lock")
    result = command(suite, "verdicts")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*claims.lock does not exist, so the claims could not be compared with what*"])
    (suite.path / "reports" / "evidence.json").unlink()
    assert run(suite, "-n0").ret == 0
    result = command(suite, "reproduce", "lab/true", "--seed=3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*claims.lock does not exist, so the claim cannot be compared with what was*"])
    result = command(suite, "verdicts")
    result.stdout.fnmatch_lines(["lab/true *  on development seeds, which decide nothing"])


def test_verdicts_name_what_differs_from_the_lock(suite: pytest.Pytester) -> None:
    result = command(suite, "verdicts")
    assert result.ret == 0
    assert "lock" not in result.stdout.str()
    edit(suite, first(lambda entry: entry["registration"].update(attempt=2)))
    result = command(suite, "verdicts")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "lab/true   *  DIFFERS: intervals differ; DIFFERS from the lock: attempt 2 in the file, 1 in the lock",
            "1 of 2 claims: the file differs from what is registered in *claims.lock",
        ]
    )


# --- what is the same -------------------------------------------------------------------------------------


def set_value(at: int, value: float) -> Callable[[dict[str, Any]], None]:
    def change(entry: dict[str, Any]) -> None:
        row = next(row for row in entry["observations"] if row[0] == 10003 and row[1] == ("treatment", "control")[at])
        row[3] = value

    return first(change)


def elsewhere(data: dict[str, Any]) -> None:
    data["provenance"]["calculated_on"]["machine"] = "pdp11"


def test_a_difference_of_one_bit_fails_on_the_same_platform(suite: pytest.Pytester) -> None:
    edit(suite, set_value(0, 0.63 + 2e-16))
    result = command(suite, *REPRODUCE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["NOT reproduced: compared bit for bit; this is the platform *"])
    edit(suite, elsewhere)
    result = command(suite, *REPRODUCE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["* treatment over control, score: *may differ by 0.0*", "reproduced: *machine pdp11 *"]
    )


def test_an_unrecorded_platform_counts_as_another_platform(suite: pytest.Pytester) -> None:
    edit(suite, lambda data: data["provenance"].pop("calculated_on"))
    result = command(suite, *REPRODUCE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["reproduced: *the file does not say on which platform it was made"])


def test_a_flipped_sign_is_never_accepted(suite: pytest.Pytester) -> None:
    edit(suite, elsewhere)
    edit(suite, set_value(0, 0.49))
    result = command(suite, *REPRODUCE, "--tolerance=10")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*THE SIGN DIFFERS", "NOT reproduced: compared with the given tolerance, 10*"])
    edit(suite, set_value(0, 0.51))
    assert command(suite, *REPRODUCE).ret == 1
    assert command(suite, *REPRODUCE, "--tolerance=0.2").ret == 0


@pytest.mark.parametrize("given", ["-1", "nan", "inf", "much"])
def test_a_tolerance_must_be_a_number_of_at_least_0(suite: pytest.Pytester, given: str) -> None:
    assert command(suite, *REPRODUCE, f"--tolerance={given}").ret == 2


def test_the_platform_of_the_calculation_is_recorded(suite: pytest.Pytester) -> None:
    found = json.loads(Path("reports/evidence.json").read_text())["provenance"]["calculated_on"]
    assert set(found) == {"system", "machine", "device", "numpy", "torch", "cpu", "threads"}
    assert found["device"] == "cpu"
