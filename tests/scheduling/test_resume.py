"""A run that is killed, or that loses a training process, loses only the seeds that were being trained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memkit.store.store import Store
from tests.machines import toys
from tests.machines.clocks import PATIENCE, until
from tests.pytest_plugin.lab import evidence

ROOT = Path(__file__).parents[2]
SEEDS = range(8)  # of claims that are not registered
HELD = 5  # the seed whose training waits until a test releases it
SUITE = """
from memkit import Contrast, Recipe, claim
from tests.machines import toys

def lab(name):
    task = toys.Witnessed(folder=f"{FOLDER}/{name}", act="wait", at=HELD)
    return claim(
        f"lab/{name}",
        f"The statement of {name}.",
        arms={"arm": Recipe(task, toys.Ordinary, steps=3, batch=4)},
        contrasts=[Contrast("arm", over=0.2, metric="score", bounds=(0, 1))],
        deterministic=True,
    )

@lab("first")
def test_first(arms):
    return {name: 0.9 for name in arms}

@lab("second")
def test_second(arms):
    return {name: 0.9 for name in arms}

@lab("third")
def test_third(arms):
    return {name: 0.9 for name in arms}
"""
NAMES = ("first", "second", "third")


class Run:
    """A pytest process that runs the suite above, and the record of its trainings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: subprocess.Popen[str] | None = None

    def start(self, *, processes: int) -> None:
        """Start it, on a machine with that many cores, each with a training process."""
        (self.path / "conftest.py").write_text(f"import os\nos.cpu_count = lambda: {processes}\n")
        command = [sys.executable, "-m", "pytest", "-n0", "--seeds=8", "--gate=none", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self.process = subprocess.Popen(
            command, cwd=self.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def end(self) -> tuple[int, str]:
        assert self.process is not None
        output, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output

    def until(self, happened: Callable[[], Any]) -> None:
        assert self.process is not None
        until(lambda: happened() or self.process.poll() is not None)
        if not happened():
            pytest.fail(f"it has ended:\n{self.end()[1]}")

    def held(self, name: str) -> list[int]:
        """Return the ids of the processes that have reached the waiting seed."""
        return toys.witnesses(self.path / name, HELD)

    def release(self, *names: str) -> None:
        for name in names:
            (self.path / f"{name}.go").touch()

    def witnesses(self) -> dict[tuple[str, int], int]:
        """Return (recipe, seed) → how often it has been trained."""
        return {(name, seed): len(toys.witnesses(self.path / name, seed)) for name in NAMES for seed in SEEDS}

    def stored(self) -> set[tuple[str, int]]:
        """Return the (claim, seed) pairs of the runs in the store."""
        store, found = Store(self.path / ".memkit"), set()
        for manifest in (store.root / "runs").glob("*/*/*/manifest.json"):
            digest, seed = manifest.parts[-3], int(manifest.parts[-2])
            assert store.load(digest, seed) is not None, "an entry is complete or does not exist"
            recipe = (manifest.parent / "recipe.json").read_text()
            found.add((next(name for name in NAMES if f'/{name}"' in recipe), seed))
        return found


def indications(pytester: pytest.Pytester) -> dict[str, str]:
    """Return claim → its indication; the claims are not registered, so they have no verdict."""
    judged = {name: evidence(pytester)[f"lab/{name}"]["judgement"] for name in NAMES}
    return {name: found["indication"] or found["verdict"] for name, found in judged.items()}


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Run]:
    for name in NAMES:
        (pytester.path / name).mkdir()
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(test_lab=SUITE.replace("{FOLDER}", str(pytester.path)).replace("HELD", str(HELD)))
    made = Run(pytester.path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.end()


def gone(pid: int) -> bool:
    """Return whether a process has ended; it may remain as a zombie if nothing reads its exit status."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # it has just ended, or this is not Linux
        return False


def test_a_run_that_was_killed_trains_only_what_is_missing(run: Run, pytester: pytest.Pytester) -> None:
    run.release("second", "third")
    run.start(processes=1)
    run.until(lambda: run.held("first") and any(name == "first" for name, _ in run.stored()))
    assert run.process is not None
    run.process.kill()
    run.end()
    pids = {int(path.name.split("-")[1]) for name in NAMES for path in (pytester.path / name).iterdir()}
    until(lambda: all(map(gone, pids)))  # training processes exit when their parent has been killed
    stored, before = run.stored(), run.witnesses()
    assert ("first", HELD) not in stored
    assert not (pytester.path / "reports" / "evidence.json").exists()
    root = pytester.path / ".memkit"
    recipes = (root / "runs").glob("*/*/*/recipe.json")
    trained = next(path.parent for path in recipes if '/first"' in path.read_text())
    # Incomplete entries, as a power failure may leave them.
    for half in (trained.with_name(str(HELD)), root / "runs" / "tmp" / "half"):
        half.mkdir()
        (half / "weights.safetensors").write_bytes(b"half")

    run.release("first")
    run.start(processes=1)
    code, output = run.end()

    assert code == 0, output
    assert f"{24 - len(stored)} runs to train" in output
    assert {run: n - before[run] for run, n in run.witnesses().items()} == {
        (name, seed): int((name, seed) not in stored) for name in NAMES for seed in SEEDS
    }
    assert len(run.stored()) == 24
    assert indications(pytester) == dict.fromkeys(NAMES, "SUPPORTED")
    assert not any(entry["failures"] for entry in evidence(pytester).values())


def test_training_processes_that_are_killed_cost_only_their_cohorts(run: Run, pytester: pytest.Pytester) -> None:
    run.release("third")
    run.start(processes=2)

    run.until(lambda: run.held("first"))
    os.kill(run.held("first")[0], signal.SIGKILL)
    run.until(lambda: len(run.held("first")) == 2)
    run.release("first")
    for attempt in (1, 2):
        run.until(lambda attempt=attempt: len(run.held("second")) == attempt)
        (running,) = (pid for pid in run.held("second") if not gone(pid))
        os.kill(running, signal.SIGKILL)
    code, output = run.end()

    assert code == 1, output
    assert indications(pytester) == {"first": "SUPPORTED", "second": "INCOMPLETE", "third": "SUPPORTED"}, output
    assert "the process that trained it died twice, perhaps because it ran out of memory" in output
    assert len(run.held("first")) == len(run.held("second")) == 2
    again = {which for which, n in run.witnesses().items() if n > 1}
    assert again == {("first", HELD), ("second", HELD)}, "nothing else was trained twice"
    assert {which for which in run.stored() if which[0] != "second"} == {
        (name, seed) for name in ("first", "third") for seed in SEEDS
    }
