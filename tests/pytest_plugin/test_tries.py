"""Repeated tests: the last try of a seed counts, and it is stored only if all of its phases passed."""

from __future__ import annotations

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import canned, evidence, ran, write_suite

RERUNS = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        '''Runs a test again where it failed, as the plugins for that do: {how}.'''
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for attempt in range(3):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            again = attempt < 2 and any(report.failed for report in reports)
            for report in reports:
                if again and report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
                if again and report.outcome == "rerun" and not {teardown}:
                    break
            if not again:
                break
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_report_teststatus(report):
        if report.outcome == "rerun":
            return "rerun", "R", ("RERUN", {{"yellow": True}})
"""
ONCE = """
        flag = HERE / f"flag-{{seed}}"
        if seed % 8 == 3 and not flag.exists():
            flag.touch()
            raise RuntimeError("once")
"""
"""Code by which seed 3 of 8 fails the first time."""


@pytest.mark.parametrize("teardown", [True, False])
@pytest.mark.parametrize("how", ["-n0", "-n2"])
def test_a_flaky_seed_does_not_open_the_gate(pytester: pytest.Pytester, how: str, teardown: bool) -> None:
    pytester.makeconftest(RERUNS.format(how="a teardown after each try" if teardown else "none", teardown=teardown))
    write_suite(pytester, canned("false", "0.1", "0.9", body=ONCE.strip()))
    result = run(pytester, how)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*lab/false: expected supported, found REFUTED*"])
    assert len(evidence(pytester)["lab/false"]["observations"]) == 16
    ran(pytester.path)
    assert run(pytester, how).ret == 1
    assert ran(pytester.path) == [], "its last try was kept"


def test_a_seed_whose_last_try_fails_has_failed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(RERUNS.format(how="a teardown after each try", teardown=True))
    write_suite(pytester, canned("true", body="assert seed % 8 != 3, 'always'"))
    result = run(pytester, "-n0")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*lab/true: seed 10003 failed: *always*"])


AFTERWARDS = {
    "a subtest": (
        "def test_{name}(seed, subtests):",
        "with subtests.test(): assert seed % 8 != 3",
        "",
    ),
    "a teardown": (
        "def test_{name}(seed, broken):",
        "pass",
        """
        @pytest.fixture
        def broken(request):
            yield
            assert request.node.callspec.params["seed"] % 8 != 3
        """,
    ),
    "a plugin": (
        "def test_{name}(seed):",
        "pass",
        """
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if report.when == "call" and item.name.endswith("3]"):
                report.outcome, report.longrepr = "failed", "because"
            return report
        """,
    ),
    "an expected failure": ("def test_{name}(seed):", "if seed % 8 == 3: pytest.xfail('so')", ""),
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_a_seed_that_fails_after_its_measurement_fails_again_in_the_next_run(
    pytester: pytest.Pytester, what: str
) -> None:
    head, body, more = AFTERWARDS[what]
    if more:
        pytester.makeconftest("import pytest\n" + "\n".join(line[8:] for line in more.splitlines()))
    source = canned("true", body=body).replace("def test_true(seed):", head.format(name="true"))
    write_suite(pytester, source)
    for _ in range(2):
        result = run(pytester, "-n0")
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*lab/true: seed 10003 failed: *"])
        assert [line for line in ran(pytester.path) if line.endswith("3")] == ["true 10003"]


def test_a_skipped_subtest_does_not_discard_the_measurement(pytester: pytest.Pytester) -> None:
    source = canned("true", body="with subtests.test(): pytest.skip('not here')").replace(
        "(seed):", "(seed, subtests):"
    )
    write_suite(pytester, source)
    assert run(pytester, "-n0").ret == 0
    ran(pytester.path)
    assert run(pytester, "-n0").ret == 0


def test_a_seed_that_another_plugin_ran_has_failed_with_a_reason(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            return True if pyfuncitem.name.endswith("3]") else None
        """
    )
    write_suite(pytester, canned("true"))
    result = run(pytester, "-n0")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*lab/true: seed 10003 failed: it ended without a measurement or a reason*"])
