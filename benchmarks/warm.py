"""Measure what a run costs in which nothing has changed, compared with collection alone.

    python benchmarks/warm.py [--claims 300] [--repetitions 5] [--studies] [--smoke]

A suite of claims with fixed numbers, each decided at its first look by the 8 measurements in the store, is run
repeatedly, alternating with `pytest --collect-only` on the same suite and with a plain pytest suite of as many tests as
there are measurements. `--studies` does the same with this repository's headline claims, which it trains first. Times
are CPU time of the process and its children, since the machine may be shared.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CLAIM = """
@claim(
    "canned/c{i}",
    "The treatment scores higher in claim {i}.",
    arms=("treatment", "control"),
    contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))],
)
def test_c{i}(seed):
    return {{"treatment": 0.95 + seed % 3 * 0.01, "control": 0.05}}
"""
_PLAIN = """
@pytest.mark.parametrize("seed", range(8))
def test_c{i}(seed):
    assert 0.95 + seed % 3 * 0.01 > 0.05
"""


def seconds(arguments: Sequence[str], folder: Path) -> float:
    """Run pytest, and return the CPU seconds of the process and its children.

    Raises:
        SystemExit: the run failed; the message contains its output.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stdout[-3000:]}{process.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(runs: dict[str, Sequence[str]], folder: Path, repetitions: int) -> dict[str, float]:
    """Return the median CPU seconds of each run over the repetitions, which are interleaved."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, arguments in runs.items():
            times[name].append(seconds(arguments, folder))
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, times: dict[str, float]) -> None:
    """Print the times and their ratios to collection alone."""
    print(f"\n{title}")
    for name, time in times.items():
        print(f"  {name:<28}{time:7.2f} s   {time / times['collection alone']:5.2f} x")


def canned(claims: int, repetitions: int) -> None:
    """Measure a suite of claims with fixed numbers."""
    with tempfile.TemporaryDirectory(prefix="memkit-warm-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        source = "from memkit import Contrast, claim\n" + "".join(_CLAIM.format(i=i) for i in range(claims))
        (folder / "test_canned.py").write_text(source)
        (folder / "plain.py").write_text("import pytest\n" + "".join(_PLAIN.format(i=i) for i in range(claims)))
        subprocess.run([sys.executable, "-m", "memkit.cli", "register"], cwd=folder, check=True, capture_output=True)
        first = seconds(["test_canned.py"], folder)
        runs: dict[str, Sequence[str]] = {
            "collection alone": ["test_canned.py", "--collect-only"],
            "warm": ["test_canned.py"],
            "warm, -n 2": ["test_canned.py", "-n2"],
            "plain pytest": ["plain.py", "-p", "no:memkit"],
        }
        times = compare(runs, folder, repetitions)
        report(
            f"{claims} canned claims, at most 32 seeds each, decided by the 8 in the store; the first run took "
            f"{first:.2f} s",
            times,
        )


def studies(repetitions: int) -> None:
    """Measure this repository's headline claims."""
    with tempfile.TemporaryDirectory(prefix="memkit-warm-") as name:
        common = ["claims", "--headline", f"--store={name}/store", f"--evidence={name}/evidence.json"]
        first = seconds([*common, "-n2"], ROOT)
        runs: dict[str, Sequence[str]] = {
            "collection alone": [*common, "--collect-only"],
            "warm": common,
            "warm, -n 2": [*common, "-n2"],
        }
        report(f"the headline claims; the first run took {first:.0f} s", compare(runs, ROOT, repetitions))


def main() -> None:
    """Run the measurements that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--studies", action="store_true", help="measure this repository's headline claims too")
    parser.add_argument("--smoke", action="store_true", help="a few claims, one repetition, to check that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.claims, options.repetitions = 5, 1
    canned(options.claims, options.repetitions)
    if options.studies:
        studies(options.repetitions)


if __name__ == "__main__":
    main()
