"""Measure what memkit costs a project that merely has it installed.

    python benchmarks/guest.py [--repetitions 7] [--smoke]

A project with one test and no claims is run by pytest, by turns with memkit's plugin and without it (`-p no:memkit`).
Each figure is the CPU time of the process and its children. The goal is at most 0.1 s more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from warm import compare


def main() -> None:
    """Run both, and print what they took and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="once, to see that it works")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memkit-guest-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_plain.py").write_text("def test_plain():\n    pass\n", encoding="utf-8")
        for title, workers in (("one process", "-n0"), ("two workers", "-n2")):
            runs = {"without memkit": [workers, "-p", "no:memkit"], "with memkit": [workers]}
            found = compare(runs, folder, 1 if options.smoke else options.repetitions)
            print(f"\na project without claims, {title}")
            for which, time in found.items():
                print(f"  {which:<16}{time:7.2f} s of CPU")
            print(f"  {'difference':<16}{found['with memkit'] - found['without memkit']:+7.2f} s of CPU")


if __name__ == "__main__":
    main()
