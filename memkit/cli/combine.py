"""``memkit combine``: the e-values of several laboratories together."""

from __future__ import annotations

import argparse

from memkit.cli import places
from memkit.errors import MemkitError
from memkit.evidence.combination import combination_lines, combine
from memkit.evidence.evidence_loading import load
from memkit.evidence.lock_file import Lock


def run(options: argparse.Namespace) -> int:
    """Multiply the e-values of runs on disjoint seeds, and average those of runs on the same seeds."""
    files = {str(file): load(file) for file in dict.fromkeys(options.files)}
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    combinations, left_out = combine(files, lock)
    if not combinations:
        raise MemkitError("the files have no claim in common that has an e-value in each of them")
    print("\n".join(combination_lines(combinations, left_out)))
    if lock is None:
        print(f"{path} does not exist, so it is not known whether these are all the runs")
    return 0
