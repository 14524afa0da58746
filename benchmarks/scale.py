"""Measure the cost of many claims: the plugin and the evidence, compared with bare pytest on the same items.

    python benchmarks/scale.py [--claims 10000] [--repetitions 1] [--smoke]

Two projects are written with the same tests: claims with fixed numbers and eight seeds each, and the same functions
parametrised by eight seeds without memkit. pytest runs them one after another, each in a separate process.
Registration, which happens once, is measured separately. The goal is at most 1.5 times bare pytest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from simulation import table

TESTS_PER_FILE = 500
CLAIM = """
@claim("scale/c{n:05d}", "Claim {n}.", arms=("a", "b"), contrasts=OVER, seeds=8)
def test_c{n:05d}(seed):
    return {{"a": 0.9 + seed % 8 / 100, "b": 0.1 + {n} % 7 / 100}}
"""
BARE = """
@pytest.mark.parametrize("seed", range(8))
def test_c{n:05d}(seed):
    found = {{"a": 0.9 + seed % 8 / 100, "b": 0.1 + {n} % 7 / 100}}
    assert found["a"] > found["b"]
"""
IMPORTS = {
    "memkit": 'from memkit import Contrast, claim\n\nOVER = [Contrast("a", over="b", metric="score", bounds=(0, 1))]\n',
    "bare": "import pytest\n",
}


@dataclass(frozen=True)
class Cost:
    """The cost of a process and its children.

    Attributes:
        cpu: CPU seconds.
        wall: seconds of wall-clock time.
        memory: peak memory in GB.
    """

    cpu: float
    wall: float
    memory: float


def write(folder: Path, claims: int, kind: str) -> None:
    """Write a project with one test per claim."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", encoding="utf-8")
    for first in range(0, claims, TESTS_PER_FILE):
        numbers = range(first, min(first + TESTS_PER_FILE, claims))
        tests = [(CLAIM if kind == "memkit" else BARE).format(n=n) for n in numbers]
        (folder / f"test_{first:05d}.py").write_text(IMPORTS[kind] + "".join(tests), encoding="utf-8")


def run(folder: Path, *command: str, expected: int = 0) -> Cost:
    """Run a command in a folder, and return its cost as the operating system accounts for it."""
    script = (
        "import json, resource, subprocess, sys, time\n"
        "began = time.monotonic()\n"
        "process = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "cpu, wall = used.ru_utime + used.ru_stime, time.monotonic() - began\n"
        "print(json.dumps([process.returncode, cpu, wall, used.ru_maxrss]))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=folder, stdout=subprocess.PIPE, check=True, env=os.environ
    ).stdout
    code, cpu, wall, memory = (float(part) for part in output.decode().strip("[]\n").split(","))
    if code != expected:
        raise SystemExit(f"{' '.join(command)} exited with {code:.0f}, not {expected}")
    return Cost(cpu, wall, memory * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a few claims, to check that it runs")
    options = parser.parse_args()
    claims = 40 if options.smoke else options.claims
    python = sys.executable
    pytest = (python, "-m", "pytest", "-q", "-p", "no:xdist")
    with tempfile.TemporaryDirectory() as name:
        with_memkit, bare = Path(name) / "memkit", Path(name) / "bare"
        write(with_memkit, claims, "memkit")
        write(bare, claims, "bare")
        registration = run(with_memkit, python, "-m", "memkit.cli", "register")
        rounds = []
        for _ in range(options.repetitions):
            shutil.rmtree(with_memkit / ".memkit", ignore_errors=True)
            costs = run(bare, *pytest, "-p", "no:memkit"), run(with_memkit, *pytest), run(with_memkit, *pytest)
            rounds.append(costs)
        cheapest = [min(costs, key=lambda cost: cost.cpu) for costs in zip(*rounds, strict=True)]
        reports = with_memkit / "reports"
        json_size, html_size = ((reports / f"evidence.{kind}").stat().st_size for kind in ("json", "html"))
    rows = [
        (name, f"{cost.cpu:.1f}", f"{cost.wall:.1f}", f"{cost.memory:.2f}", f"{cost.cpu / cheapest[0].cpu:.2f}")
        for name, cost in zip(("bare pytest", "first run", "from the store"), cheapest, strict=True)
    ]
    rows.append(
        ("registering, once", f"{registration.cpu:.1f}", f"{registration.wall:.1f}", f"{registration.memory:.2f}", "")
    )
    print(f"{claims} claims of 8 seeds: {8 * claims} items")
    print(table(("", "CPU s", "wall s", "GB", "ratio"), rows))
    print(f"evidence.json {json_size / 1e6:.1f} MB, evidence.html {html_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
