"""Measure what memkit costs a project that has it installed but does not use it.

    python benchmarks/guest.py [--repetitions 7] [--smoke]

pytest runs a project with one test and no claims, alternately with memkit's plugin and without it (`-p no:memkit`).
Times are CPU time of the process and its children. The goal is a difference of at most 0.1 s.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from warm import compare


def main() -> None:
    """Run both and print their times and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="one repetition, to check that it runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memkit-guest-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_plain.py").write_text("def test_plain():\n    pass\n", encoding="utf-8")
        for title, workers in (("one process", "-n0"), ("two workers", "-n2")):
            runs = {"without memkit": [workers, "-p", "no:memkit"], "with memkit": [workers]}
            times = compare(runs, folder, 1 if options.smoke else options.repetitions)
            print(f"\na project without claims, {title}")
            for which, seconds in times.items():
                print(f"  {which:<16}{seconds:7.2f} s of CPU")
            print(f"  {'difference':<16}{times['with memkit'] - times['without memkit']:+7.2f} s of CPU")


if __name__ == "__main__":
    main()
