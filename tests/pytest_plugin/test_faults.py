"""Failures, dead workers and stopped runs while seeds of later looks wait: every run ends, and judges what it has."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.pytest_plugin.lab import canned, evidence, ran, verdict, write_suite
from tests.pytest_plugin.test_looks import EIGHT, NEVER, TWELVE, reasons, run, seeds_per_claim, seeds_that_ran

# The worker that runs this test also has a seed of the first look of `never`; meanwhile the other worker runs all
# others of the first look, and waits at the second.
PLAIN = """
    def test_plain():
        import time
        for _ in range(600):
            if (HERE / "ran.txt").exists() and len((HERE / "ran.txt").read_text().splitlines()) == 15:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        {end}
"""
KILLED = "os.kill(os.getpid(), 9)"

FIRST_DIES = """
    import os
    def pytest_collection_modifyitems(config):
        if getattr(config, "workerinput", {}).get("workerid") == "gw0":
            os._exit(1)
"""
LAST_FINDS_OTHER_TESTS = """
    def pytest_collection_modifyitems(config, items):
        if getattr(config, "workerinput", {}).get("workerid") == "gw2":
            del items[-1]
"""


@pytest.mark.parametrize(
    ("end", "arguments", "conftest", "code"),
    [
        pytest.param("assert False", "-x", "", pytest.ExitCode.INTERRUPTED, id="a failure with -x"),
        pytest.param("raise KeyboardInterrupt", "", "", pytest.ExitCode.INTERRUPTED, id="an interrupt"),
        pytest.param(KILLED, "--max-worker-restart=0", "", pytest.ExitCode.TESTS_FAILED, id="no worker may die"),
        pytest.param(KILLED, "--max-worker-restart=1", FIRST_DIES, pytest.ExitCode.TESTS_FAILED, id="one may die"),
        pytest.param(KILLED, "", LAST_FINDS_OTHER_TESTS, pytest.ExitCode.TESTS_FAILED, id="a stranger comes instead"),
    ],
)
def test_no_worker_waits_for_reports_that_will_not_arrive(
    pytester: pytest.Pytester, end: str, arguments: str, conftest: str, code: pytest.ExitCode
) -> None:
    pytester.makeconftest(conftest)
    write_suite(pytester, NEVER, EIGHT, PLAIN.format(end=end))

    result = run(pytester, "-n2", *arguments.split())

    assert result.ret == code
    entries = evidence(pytester)
    assert verdict(pytester, "eight") == "SUPPORTED"
    assert verdict(pytester, "never") == "INCOMPLETE"
    assert len(entries["lab/never"]["judgement"]["missing"]) == 1
    assert entries["lab/never"]["outcome"]["outcome"] == "skipped"
    assert set(reasons(pytester)["never"]) == {"the run was stopped"}
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"eight": 8, "never": 7}


def test_a_worker_that_dies_is_replaced_and_its_seeds_are_run_by_another(pytester: pytest.Pytester) -> None:
    write_suite(pytester, NEVER, EIGHT, PLAIN.format(end=KILLED))

    result = run(pytester, "-n2")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=32 + 8 + 2, failed=1, skipped=24)
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"eight": 8, "never": 32}
    assert verdict(pytester, "eight") == "SUPPORTED"
    assert verdict(pytester, "never") == "INCONCLUSIVE"


DEADLY = """import time
        while seed == 10003:
            if (HERE / "decided").exists():
                os.kill(os.getpid(), 9)
            time.sleep(0.1)"""


@pytest.mark.parametrize("restarts", ["", "--max-worker-restart=0"], ids=["replaced", "not replaced"])
def test_a_seed_that_kills_its_worker_leaves_its_claim_incomplete(pytester: pytest.Pytester, restarts: str) -> None:
    pytester.makeconftest("""
        def pytest_runtest_logreport(report):
            if report.nodeid.endswith("eight[verdict]"):
                open("decided", "w").close()
    """)
    write_suite(pytester, EIGHT, canned("deadly", body=DEADLY), TWELVE)

    result = run(pytester, "-n2", *restarts.split())

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    entry = evidence(pytester)["lab/deadly"]
    assert entry["judgement"]["verdict"] == "INCOMPLETE"
    assert entry["outcome"]["outcome"] == "failed"
    assert list(entry["failures"]) == ["10003"]
    assert verdict(pytester, "eight") == "SUPPORTED"
    if restarts:
        assert verdict(pytester, "twelve") == "INCOMPLETE"
        return
    assert verdict(pytester, "twelve") == "SUPPORTED"
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"eight": 8, "deadly": 8, "twelve": 12}
    assert reasons(pytester)["deadly"] == {"seed 10003 failed, so the claim cannot be decided": 24}


def test_a_claim_whose_seeds_all_skip_is_settled_after_its_first_look(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("bare", body="pytest.skip('no data: get them')"), EIGHT)

    result = run(pytester, "-n2", "-rs")

    assert result.ret == 0
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"bare": 8, "eight": 8}
    assert sum(reasons(pytester)["bare"].values()) == 32
    result.stdout.fnmatch_lines(["SKIPPED*lab/bare: INCOMPLETE: skipped: no data: get them"])
    assert not ran(pytester.path)


WRITING = """
import os, signal
from memkit import files
from memkit.pytest_plugin import evidence_writer

def killed(*given):
    os.kill(os.getpid(), signal.SIGKILL)

if os.environ.get("KILLED") == "before":
    evidence_writer.write_all = killed
elif os.environ.get("KILLED") == "within":
    def half(path, content, *, sync=False):
        path.write_bytes(content[: len(content) // 2])
        killed()
    files.write = half
"""


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_run_that_is_killed_while_it_aggregates_leaves_the_previous_evidence(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write_suite(pytester, canned("a"))
    pytester.makeconftest(WRITING)
    assert run(pytester).ret == 0
    file = pytester.path / "reports" / "evidence.json"
    before, ran = file.read_bytes(), (pytester.path / "ran.txt").read_text()

    monkeypatch.setenv("KILLED", moment)
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--fresh")
    assert subprocess.run(command, cwd=pytester.path, stdout=subprocess.DEVNULL).returncode == -signal.SIGKILL
    assert file.read_bytes() == before
    assert len((pytester.path / "ran.txt").read_text()) == 2 * len(ran), "it had measured everything"

    monkeypatch.delenv("KILLED")
    assert run(pytester).ret == 0
    assert evidence(pytester)["lab/a"]["judgement"]["verdict"] == "SUPPORTED"
    assert len((pytester.path / "ran.txt").read_text()) == 2 * len(ran), "which was in the store"


def test_a_clock_that_goes_backwards_changes_no_verdict(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", time.time)  # restored after the test, whatever the conftest below does
    write_suite(pytester, canned("a"), canned("b", "0.5 + seed % 2 / 10", "0.5"))
    assert run(pytester, "-n2").ret in (0, 1)
    before = {name: entry["judgement"] for name, entry in evidence(pytester).items()}
    pytester.makeconftest(
        """
        import itertools, time
        seconds = itertools.count()
        now = time.time()
        time.time = lambda: now - 3600 * next(seconds)
        """
    )
    for option in ("-n0", "-n2"):
        run(pytester, option, "--fresh")
        assert {name: entry["judgement"] for name, entry in evidence(pytester).items()} == before
