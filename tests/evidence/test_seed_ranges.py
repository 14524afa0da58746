"""Seeds as text: no seed is lost, and neighbours form one range."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence.seed_ranges import seed_ranges


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ([], ""),
        ([10003], "10003"),
        ([10003, 10004], "10003–10004"),
        (range(10000, 10008), "10000–10007"),
        ([7, 3, 5, 6], "3, 5–7"),
        ({10003: "failed", 10005: "failed"}, "10003, 10005"),
    ],
)
def test_consecutive_seeds_are_written_as_a_range(seeds: list[int], text: str) -> None:
    assert seed_ranges(seeds) == text


@given(st.sets(st.integers(0, 40)))
def test_the_seeds_can_be_read_back(seeds: set[int]) -> None:
    ranges = seed_ranges(seeds)
    ends = [[int(end) for end in part.split("–")] for part in ranges.split(", ") if part]
    assert [seed for part in ends for seed in range(part[0], part[-1] + 1)] == sorted(seeds)
    assert all(after[0] > before[-1] + 1 for before, after in pairwise(ends))
