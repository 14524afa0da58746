"""Sweeps in a real pytest run: they run only on request, are shown as a grid in every report, and do not gate."""

from __future__ import annotations

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import HEAD, canned, evidence, ran, register_suite

GRID = """
    from memkit import sweep

    @sweep(
        "lab/grid",
        "At level {level}, {kind} is more than chance.",
        over={"level": (1, 2), "kind": ("good", "bad")},
        arms=("a",),
        contrasts=[Contrast("a", over=0.2, metric="score", bounds=(0, 1))],
        deterministic=True,
    )
    def test_grid(seed, cell):
        ran(f"{cell['level']}-{cell['kind']}", seed)
        return {"a": {"good": 0.9, "bad": 0.01}[cell["kind"]]}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_lab=HEAD + canned("one") + GRID)
    register_suite(pytester, "grid", GRID)
    return pytester


def test_a_run_leaves_sweeps_out(suite: pytest.Pytester) -> None:
    result = run(suite)
    assert result.ret == 0
    assert set(evidence(suite)) == {"lab/one"}
    result.stdout.fnmatch_lines(
        [
            "collected 32 items",
            "memkit: 4 excluded: cells of sweeps and replications (--memkit-sweeps runs them)",
            "*9 passed, 24 skipped in*",
        ]
    )


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_sweeps_run_alone_if_requested(suite: pytest.Pytester, workers: str) -> None:
    result = run(suite, "--sweeps", workers)
    assert result.ret == 0
    found = evidence(suite)
    assert {entry["judgement"]["verdict"] for entry in found.values()} == {"SUPPORTED", "REFUTED"}
    assert set(found) == {f"lab/grid/level-{level}_kind-{kind}" for level in (1, 2) for kind in ("good", "bad")}
    assert all(entry["outcome"]["outcome"] == "skipped" for entry in found.values())
    result.stdout.fnmatch_lines(["lab/grid: a over 0.2, score", "*good*bad", "*level 1*+0.70*-0.19*"])
    page = (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert page.count('href="#lab/grid/level-2_kind-bad"') >= 2
    assert "e-BH over 5 claims" in page, "all that were ever registered"


def test_claims_and_sweeps_run_together_and_a_cell_can_be_selected(suite: pytest.Pytester) -> None:
    assert run(suite, "--with-sweeps").ret == 0
    assert len(evidence(suite)) == 5
    ran(suite.path)
    cell = "test_lab.py::test_grid__level_1_kind_good"
    assert run(suite, cell, "--sweeps", "--fresh").ret == 0
    assert {line.split()[0] for line in ran(suite.path)} == {"1-good"}


def test_the_sweep_must_be_a_test_and_cell_is_for_sweeps(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_lab=HEAD + GRID.replace("test_grid", "grid"))
    result = run(pytester, "--sweeps")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*pytest collects no function called grid__level_1_kind_good()*"])
    pytester.makepyfile(test_lab=HEAD + canned("one").replace("(seed)", "(seed, cell)"))
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*`cell` is for tests under @sweep*"])
