"""Axes show what they are given, at round numbers that can be told apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence.figures import LARGEST
from memkit.evidence.reports.plots.axes import Axis, grouped, power

numbers = st.floats(-LARGEST, LARGEST, allow_nan=False)


def labels(axis: Axis) -> list[str]:
    return [label for _, label in axis.ticks]


def check(axis: Axis, shown: list[float]) -> None:
    for value in shown:
        assert -1e-6 <= axis.at(value) <= 100 + 1e-6
    places = [axis.at(value) for value, _ in axis.ticks]
    assert places == sorted(places)
    assert all(-0.1 <= place <= 100.1 for place in places)
    assert len(places) <= 12
    assert len(set(labels(axis))) == len(places)
    assert all(math.isfinite(value) and label for value, label in axis.ticks)


@given(st.lists(numbers, min_size=1, max_size=6), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.025]))
def test_a_linear_axis_shows_all_numbers(shown: list[float], whole: bool, counts: bool, pad: float) -> None:
    check(Axis.linear(shown, 0, 100, most=5, whole=whole, counts=counts, pad=pad), shown)


@given(st.lists(st.floats(1 / LARGEST, LARGEST), min_size=1, max_size=12), st.sampled_from([0.0, 0.025]))
def test_a_logarithmic_axis_shows_all_numbers(shown: list[float], pad: float) -> None:
    check(Axis.logarithmic(shown, 0, 100, most=7, pad=pad), shown)


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
    assert labels(Axis.linear(shown, 0, 100, most=5, whole=True)) == expected


def test_whole_numbers_have_whole_ticks() -> None:
    assert labels(Axis.linear([1, 2, 3], 0, 100, most=7, counts=True)) == ["1", "2", "3"]
    assert labels(Axis.linear([1, 2.5, 3], 0, 100, most=7, counts=True))[:2] == ["1.0", "1.5"]


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
    assert labels(Axis.logarithmic(shown, 0, 100, most=7)) == expected


def test_numbers_are_grouped_from_five_digits_on() -> None:
    assert (grouped(1234), grouped(-12345), grouped(12345.678, 1)) == ("1234", "-12 345", "12 345.7")
    assert power(-12) == "10⁻¹²"
