"""Claims about data: ``--data`` names their folder, and a claim whose data are missing is skipped."""

from __future__ import annotations

import os

import pytest

from tests.inner import command, needs_torch, run
from tests.pytest_plugin.lab import INLINE, evidence, ran, register_suite
from tests.pytest_plugin.test_training import trained

pytestmark = needs_torch

TASKS = '''
"""Points, whose labels are computed with a number from a file."""
import dataclasses, os, pathlib
import torch

class Net(torch.nn.Module):
    def __init__(self, *, width=8):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 2))
    def forward(self, x):
        return self.layers(x)

def file(name):
    return pathlib.Path(os.environ.get("MEMKIT_DATA", "nowhere")) / f"{name}.txt"

@dataclasses.dataclass(frozen=True)
class Points:
    name: str

    @property
    def checksum(self):
        return f"of {self.name}"

    @property
    def missing(self):
        return "" if file(self.name).is_file() else f"the data set {self.name} is not at hand: buy it"

    def for_seed(self, generator):
        sign = float(file(self.name).read_text())
        def draw(generator, size):
            x = torch.randn(size, 2, generator=generator)
            return x, (x[:, 0] * sign > 0).long()
        return draw
'''

CLAIMS = """
import pathlib
import torch
from memkit import Contrast, Recipe, claim
from tasks import Net, Points

def about(name, dataset, **options):
    recipe = Recipe(Points(dataset), Net, steps=20, lr=0.05)
    return claim(
        f"lab/{name}",
        f"The points of {dataset} are learnt.",
        arms={"net": recipe},
        contrasts=[Contrast("net", over=0.5, metric="accuracy", bounds=(0, 1))],
        expect="open",
        seeds=8,
    )

def score(name, seed, arms):
    with (pathlib.Path(__file__).parent / "ran.txt").open("a") as file:
        file.write(f"{name} {seed}\\n")
    x, y = Points("here").for_seed(None)(torch.Generator().manual_seed(1), 100)
    return {name: (net(x).argmax(1) == y).float().mean() for name, net in arms.items()}

@about("here", "here")
def test_here(seed, arms):
    return score("here", seed, arms)

@about("gone", "gone")
def test_gone(seed, arms):
    return score("gone", seed, arms)

@about("gone-too", "gone")
def test_gone_too(seed, arms):
    return score("gone-too", seed, arms)
"""

BOTH = pytest.mark.parametrize("how", ["-n0", "-n1"])


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Three registered claims, two of them about data that are not in ``data``."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(tasks=TASKS, test_lab=CLAIMS)
    pytester.mkdir("data").joinpath("here.txt").write_text("1")
    register_suite(pytester, TASKS, CLAIMS)  # which needs no data
    return pytester


@BOTH
def test_claims_whose_data_are_missing_are_skipped(suite: pytest.Pytester, how: str) -> None:
    result = run(suite, how, "--data", "data", "-rs")

    assert result.ret == 0
    result.assert_outcomes(passed=8, skipped=1 + 2 * 8 + 2)
    result.stdout.fnmatch_lines(
        [
            "memkit: 1 claim, at most 8 seeds in all*",
            "memkit: 2 claims skipped, because data or a backend is missing",
            "*8 runs to train*",
            "2 claims skipped: the data set gone is not at hand: buy it",
        ]
    )
    summary = [line for line in result.outlines if line.startswith("SKIPPED") and "gone" in line]
    assert len(summary) == 4  # a claim's seeds, and its verdict
    assert trained(suite) == list(range(10_000, 10_008))
    assert sorted(ran(suite.path)) == [f"here {seed}" for seed in range(10_000, 10_008)]
    found = evidence(suite)
    assert found["lab/here"]["judgement"]["verdict"] == "SUPPORTED"
    for name in ("lab/gone", "lab/gone-too"):
        assert found[name]["judgement"]["verdict"] == "INCOMPLETE"
        assert found[name]["outcome"] == {
            "outcome": "skipped",
            "reason": "INCOMPLETE: the data set gone is not at hand: buy it",
        }
        assert not found[name]["observations"]
        assert not found[name]["failures"]


@BOTH
def test_claims_run_if_their_data_are_present(suite: pytest.Pytester, how: str) -> None:
    suite.path.joinpath("data", "gone.txt").write_text("1")

    # The path is relative to another folder; the processes that train and those that measure both read the data.
    result = run(suite, how, *([INLINE] if how == "-n0" else []), f"--data={os.path.relpath(suite.path / 'data')}")

    assert result.ret == 0
    assert "for want of data" not in result.stdout.str()
    assert len(ran(suite.path)) == 3 * 8
    assert len(trained(suite)) == 2 * 8  # two of the claims use the same recipe
    assert {entry["judgement"]["verdict"] for entry in evidence(suite).values()} == {"SUPPORTED"}


def test_a_claim_without_data_is_skipped_even_if_its_measurements_are_stored(suite: pytest.Pytester) -> None:
    gone = suite.path.joinpath("data", "gone.txt")
    gone.write_text("1")
    assert run(suite, INLINE, "--data=data", "-k", "10003").ret == 0
    ran(suite.path)
    gone.unlink()

    result = run(suite, INLINE, "--data=data")

    assert result.ret == 0
    assert evidence(suite)["lab/gone"]["outcome"]["outcome"] == "skipped"
    assert len(ran(suite.path)) == 7


def test_an_environment_variable_can_name_the_data_folder(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = run(suite, "-n0", "-q")
    assert nothing.ret == 0
    nothing.assert_outcomes(skipped=3 * 8 + 3)
    nothing.stdout.fnmatch_lines(
        [
            "1 claim skipped: the data set here is not at hand: buy it",
            "2 claims skipped: the data set gone is not at hand: buy it",
        ]
    )
    assert not trained(suite)
    monkeypatch.setenv("MEMKIT_DATA", str(suite.path / "data"))
    run(suite, INLINE).assert_outcomes(passed=8, skipped=1 + 2 * 8 + 2)


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_a_run_restores_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is not None:
        monkeypatch.setenv("MEMKIT_DATA", before)
    pytester.makepyfile(
        """
        import pathlib
        from memkit.tasks.images import datasets

        def test_it():
            assert datasets.data_root() == pathlib.Path(__file__).parent / "data"
        """
    )
    pytester.mkdir("data")

    run(pytester, "--data=data").assert_outcomes(passed=1)
    assert os.environ.get("MEMKIT_DATA") == before
    run(pytester, "-n1", "--data=data").assert_outcomes(passed=1)


def test_a_missing_data_folder_is_refused(suite: pytest.Pytester) -> None:
    result = run(suite, "--data=dta")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --memkit-data *dta: there is no such folder; name the one that holds the data"]
    )
    assert "Traceback" not in result.stderr.str()


def test_missing_data_are_explained_in_words(suite: pytest.Pytester) -> None:
    tasks = suite.path / "tasks.py"
    tasks.write_text(tasks.read_text().replace("    @property\n    def missing", "    def missing"))

    result = run(suite)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: claim 'lab/here': a task's `missing` is *; it must be a string, or a *"])


def test_the_command_line_needs_no_data(suite: pytest.Pytester) -> None:
    suite.path.joinpath("claims.lock").unlink()
    registered = command(suite, "register")
    registered.stdout.fnmatch_lines(["*claims.lock: 3 claims, 3 of them new or changed*"])
    # The digest of the code behind a claim does not depend on the presence of its data.
    suite.path.joinpath("data", "gone.txt").write_text("1")
    assert command(suite, "register", "--check").ret == 0
    suite.path.joinpath("data", "gone.txt").unlink()

    planned = command(suite, "plan", "--data=data")
    assert planned.ret == 0
    planned.stdout.re_match_lines(
        [
            r"lab/here +0 of 8 +8 seeds +8 ",
            r"lab/gone +0 of 8 +skipped +0 ",
            r"lab/gone-too +0 of 8 +skipped +0 ",
            r"next: 8 runs to train",
            r"2 claims skipped: the data set gone is not at hand: buy it",
        ]
    )

    assert run(suite, INLINE, "--data=data").ret == 0
    reproduce = ("reproduce", "lab/here", "--seed=10003")
    assert command(suite, *reproduce, "--data=data").ret == 0
    without = command(suite, *reproduce)
    assert without.ret == 4
    without.stderr.fnmatch_lines(["*the data set here is not at hand: buy it*"])
