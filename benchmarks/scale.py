"""Measure the cost of many claims: what the plugin and the evidence cost beside bare pytest on the same items.

    python benchmarks/scale.py [--claims 10000] [--repetitions 1] [--smoke]

Two projects are written, with the same tests in them: claims with canned numbers, eight seeds each, and the same
functions parametrised by eight seeds, without memkit. Each is run by pytest in a process of its own, one by one.
Registering, which is done once, is told by itself. The goal is 1.5 times bare pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from simulation import table

A_FILE = 500
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
HEADS = {
    "memkit": 'from memkit import Contrast, claim\n\nOVER = [Contrast("a", over="b", metric="score", bounds=(0, 1))]\n',
    "bare": "import pytest\n",
}


@dataclass(frozen=True)
class Cost:
    """The cost of a process and its children."""

    cpu: float
    wall: float
    memory: float
    """GB, the most at once."""


def write(folder: Path, claims: int, kind: str) -> None:
    """A project of so many tests."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", encoding="utf-8")
    for first in range(0, claims, A_FILE):
        numbers = range(first, min(first + A_FILE, claims))
        tests = [(CLAIM if kind == "memkit" else BARE).format(n=n) for n in numbers]
        (folder / f"test_{first:05d}.py").write_text(HEADS[kind] + "".join(tests), encoding="utf-8")


def run(folder: Path, *command: str, wanted: int = 0) -> Cost:
    """Run a command in a folder; what it took, as the operating system accounts for it."""
    script = (
        "import json, resource, subprocess, sys, time\n"
        "began = time.monotonic()\n"
        "found = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "cpu, wall = used.ru_utime + used.ru_stime, time.monotonic() - began\n"
        "print(json.dumps([found.returncode, cpu, wall, used.ru_maxrss]))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=folder, stdout=subprocess.PIPE, check=True, env=os.environ
    ).stdout
    code, cpu, wall, memory = (float(part) for part in said.decode().strip("[]\n").split(","))
    if code != wanted:
        raise SystemExit(f"{' '.join(command)} exited with {code:.0f}")
    return Cost(cpu, wall, memory * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="few claims, to see that it works")
    options = parser.parse_args()
    claims = 40 if options.smoke else options.claims
    python = sys.executable
    pytest = (python, "-m", "pytest", "-q", "-p", "no:xdist")
    with tempfile.TemporaryDirectory() as name:
        ours, bare = Path(name) / "memkit", Path(name) / "bare"
        write(ours, claims, "memkit")
        write(bare, claims, "bare")
        registering = run(ours, python, "-m", "memkit.cli", "register")
        rounds = [
            (run(bare, *pytest, "-p", "no:memkit"), run(ours, *pytest), run(ours, *pytest))
            for _ in range(options.repetitions)
        ]
        least = [min(costs, key=lambda cost: cost.cpu) for costs in zip(*rounds, strict=True)]
        size = (ours / "reports" / "evidence.json").stat().st_size, (ours / "reports" / "evidence.html").stat().st_size
    rows = [
        (name, f"{cost.cpu:.1f}", f"{cost.wall:.1f}", f"{cost.memory:.2f}", f"{cost.cpu / least[0].cpu:.2f}")
        for name, cost in zip(("bare pytest", "first run", "from the store"), least, strict=True)
    ]
    rows.append(
        ("registering, once", f"{registering.cpu:.1f}", f"{registering.wall:.1f}", f"{registering.memory:.2f}", "")
    )
    print(f"{claims} claims of 8 seeds: {8 * claims} items")
    print(table(("", "CPU s", "wall s", "GB", "ratio"), rows))
    print(f"evidence.json {size[0] / 1e6:.1f} MB, evidence.html {size[1] / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
