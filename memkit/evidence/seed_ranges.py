"""Seeds in words, wherever a person reads of several."""

from __future__ import annotations

from collections.abc import Iterable


def seed_ranges(seeds: Iterable[int]) -> str:
    """Return ``10003, 10005–10007`` for different seeds in any order; "" where there are none."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
