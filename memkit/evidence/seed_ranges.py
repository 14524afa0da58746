"""Seeds as text, for messages and reports."""

from __future__ import annotations

from collections.abc import Iterable


def seed_ranges(seeds: Iterable[int]) -> str:
    """Return distinct seeds, in any order, as ranges: ``10003, 10005–10007``; "" if there are none.

    >>> seed_ranges([10_007, 10_003, 10_005, 10_006])
    '10003, 10005–10007'
    """
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1].append(seed)
        else:
            ranges.append([seed])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}–{group[-1]}" for group in ranges)
