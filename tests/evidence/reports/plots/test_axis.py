"""Axes show what they are given, at round numbers that can be told apart."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence.figures import LARGEST
from memkit.evidence.reports.plots.axis import Axis

numbers = st.floats(-LARGEST, LARGEST, allow_nan=False)


def labels(axis: Axis) -> list[str]:
    return [label for _, label in axis.ticks]


def check(axis: Axis, shown: list[float]) -> None:
    for value in shown:
        assert axis.start <= axis.at(value) <= axis.end
    places = [axis.at(value) for value, _ in axis.ticks]
    assert places == sorted(places)
    assert all(axis.start <= place <= axis.end for place in places)
    assert len(places) <= 12
    assert len(set(labels(axis))) == len(places)
    assert all(math.isfinite(value) and label for value, label in axis.ticks)


@given(st.lists(numbers, min_size=1, max_size=6), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.025]))
def test_a_linear_axis_shows_all_numbers(shown: list[float], whole: bool, counts: bool, pad: float) -> None:
    check(Axis.linear(shown, 0, 270, whole=whole, counts=counts, pad=pad), shown)


@given(st.lists(st.floats(1 / LARGEST, LARGEST), min_size=1, max_size=12), st.sampled_from([0.0, 0.025]))
def test_a_logarithmic_axis_shows_all_numbers(shown: list[float], pad: float) -> None:
    check(Axis.logarithmic(shown, 0, 400, pad=pad), shown)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([0.1, 0.97], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([-0.03, 3.2], ["0", "1", "2", "3"]),
        ([-5, 5], ["−6", "−4", "−2", "0", "2", "4", "6"]),
        ([0, 40_000], ["0", "10 000", "20 000", "30 000", "40 000"]),
        ([0, 4e7], ["0", "1 × 10⁷", "2 × 10⁷", "3 × 10⁷", "4 × 10⁷"]),
        ([0, 2e-9], ["0", "0.5 × 10⁻⁹", "1.0 × 10⁻⁹", "1.5 × 10⁻⁹", "2.0 × 10⁻⁹"]),
        ([0.0, 0.0], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.95, 0.95], ["0.85", "0.90", "0.95", "1.00", "1.05"]),
    ],
)
def test_ticks_are_round_numbers(shown: list[float], expected: list[str]) -> None:
    assert labels(Axis.linear(shown, 0, 270, whole=True)) == expected


def test_whole_numbers_have_whole_ticks() -> None:
    assert labels(Axis.linear([1, 2, 3], 0, 400, counts=True)) == ["1", "2", "3"]
    assert labels(Axis.linear([1, 2.5, 3], 0, 400, counts=True))[:2] == ["1.0", "1.5"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"]),
        ([*range(1, 101)], ["1", "2", "5", "10", "20", "50", "100"]),
        ([1e3, 3e3, 1e5, 2e6], ["10³", "3 × 10³", "10⁵", "2 × 10⁶"]),
        ([1e-3, *range(1, 900, 10)], ["0.001", "0.01", "0.1", "1", "10", "100"]),
        ([5, 5], ["5"]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_few_measured_numbers_or_round_ones(
    shown: list[float], expected: list[str]
) -> None:
    assert labels(Axis.logarithmic(shown, 0, 400)) == expected


@pytest.mark.parametrize(
    ("start", "end", "count"), [(0, 400, 6), (0, 110, 3), (0, 10, 3), (230, 0, 6), (100, 0, 3), (10, 0, 3)]
)
def test_there_are_as_many_ticks_as_there_is_room_for(start: float, end: float, count: int) -> None:
    assert len(Axis.linear([0, 1], start, end).ticks) == count


@pytest.mark.parametrize("axis", [Axis(0, 1, 0, 100), Axis(-1, 1, 0, 100, log=True)])
def test_values_beyond_an_axis_are_drawn_at_its_end(axis: Axis) -> None:
    assert axis.at(math.inf) == axis.at(1e9) == 100
    assert Axis(0, 1, 100, 0).at(-math.inf) == 100


def test_labels_that_would_touch_or_reach_beyond_the_edge_are_left_out() -> None:
    axis = Axis(0, 3, 0, 90, ((0, "0.0000"), (1, "0.0001"), (2, "0.0002"), (3, "0.0003")))
    assert re.findall(">([^<]+)</text>", "".join(axis.below(20))) == ["0.0001", "0.0003"]
    drawn = "".join(axis.below(20, edge=-30, grid=0))
    assert re.findall(">([^<]+)</text>", drawn) == ["0.0000", "0.0002"]
    assert drawn.count("v4") == 4
    assert drawn.count("<line") == 5


def test_an_axis_that_runs_up_has_a_line_and_a_label_at_every_tick() -> None:
    axis = Axis.linear([0, 1], 100, 0)
    drawn = "".join(axis.beside(40, 140))
    assert drawn.count("<line") == len(axis.ticks)
    assert re.findall(">([^<]+)</text>", drawn) == labels(axis)
    assert axis.label_width == 3 * Axis(0, 1, 0, 1, ((0, "0"),)).label_width
