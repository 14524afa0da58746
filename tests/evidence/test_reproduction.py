"""Reproduced seeds: identical to the last bit, or within a tolerance that is small compared with the effect."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence.reproduction import ROUNDING, allowance, platforms, reproduction

from .entries import FREE, OVER, entry

ENTRY = entry(a=0.6, b=0.5, n=32)
"""Differences of 0.1 and, on every second seed, 1/64 less, so that the interval is narrow."""
A, B = ("a", "accuracy"), ("b", "accuracy")
FINITE = st.floats(0, 1)


@given(st.floats(allow_infinity=False), st.floats(allow_infinity=False))
def test_exact_values_must_be_identical(one: float, other: float) -> None:
    comparison = reproduction(ENTRY, {A: one, B: 0.5}, {A: other, B: 0.5}, exact=True)
    same = one == other or (math.isnan(one) and math.isnan(other))
    assert comparison.same == comparison.identical == same


@given(FINITE, FINITE, FINITE, FINITE, st.floats(0, 10), st.booleans())
def test_a_sign_never_flips(a: float, b: float, c: float, d: float, tolerance: float, exact: bool) -> None:
    comparison = reproduction(ENTRY, {A: a, B: b}, {A: c, B: d}, exact=exact, tolerance=tolerance)
    if abs(a - b) > ROUNDING * max(a, b) and (a - b) * (c - d) < 0:
        assert not comparison.same
    elif max(abs(a - c), abs(b - d), abs((a - b) - (c - d))) <= tolerance:
        assert comparison.same


def test_the_tolerance_is_small_compared_with_the_effect_and_its_interval() -> None:
    half = 2.0395 * (1 / 128) / math.sqrt(31)  # the 97.5 % point of t with 31 degrees of freedom; the spread; √(n − 1)
    allowed = allowance(ENTRY, OVER, {A: 0.6, B: 0.5})
    assert allowed == pytest.approx(half / 10, rel=1e-4)
    (finding,) = ENTRY.judgement.findings
    assert allowed < (finding.interval.high - finding.interval.low) / 20, "the bounds do not matter"
    assert allowed < abs(finding.interval.estimate) / 10
    tiny = entry(a=0.5001 + 1 / 128, b=0.5, n=8)
    (finding,) = tiny.judgement.findings
    assert finding.interval.estimate == pytest.approx(0.0001)
    assert allowance(tiny, OVER, {A: 0.5001, B: 0.5}) == pytest.approx(0.0001 / 10)


def test_rounding_is_allowed_if_all_seeds_agree() -> None:
    alike = replace(ENTRY, observations=())
    assert allowance(alike, OVER, {A: 0.5, B: 0.5}) == ROUNDING / 2
    assert allowance(alike, OVER, {A: math.nan, B: math.nan}) == 0, "what was not finite must be so again"
    free = entry(contrast=FREE)
    assert allowance(replace(free, observations=()), FREE, {A: math.nan, B: 5e6}) == ROUNDING * 5e6


def test_a_shift_of_both_arms_is_a_difference_and_what_is_not_compared_is_not() -> None:
    recorded = {A: 0.6, B: 0.5, ("a", "loss"): 1.0}
    shifted = reproduction(ENTRY, recorded, {A: 0.7, B: 0.6, ("a", "loss"): 1.0}, exact=False)
    assert [value.same for value in shifted.values] == [False, False, True]
    other = {**recorded, ("a", "loss"): 2.0}
    assert reproduction(ENTRY, recorded, other, exact=False).same
    assert not reproduction(ENTRY, recorded, other, exact=True).same
    assert not reproduction(ENTRY, recorded, other, exact=False, tolerance=0.5).same


def test_a_missing_value_is_not_reproduced() -> None:
    assert not reproduction(ENTRY, {A: 0.6, B: 0.5}, {A: 0.6}, exact=False, tolerance=9.0).same


@pytest.mark.parametrize(
    ("recorded", "here", "arms", "sentence"),
    [
        ({"cpu": "AVX2"}, {"cpu": "AVX2"}, {}, ""),
        ({"cpu": "AVX2"}, {"cpu": "AVX512"}, {}, "cpu AVX2 there, AVX512 here"),
        ({"cpu": "AVX2"}, {"cpu": "AVX2", "threads": 2}, {}, "threads not known there, 2 here"),
        (None, {}, {}, "the file does not say on which platform it was made"),
        ("two; of them", {}, {}, "the file does not say on which platform it was made"),
        ({}, {}, {"a": {"trained_on": "cuda"}, "b": {}}, "its models were trained on cuda"),
    ],
)
def test_differences_of_platforms_are_named(
    recorded: object, here: object, arms: dict[str, dict[str, str]], sentence: str
) -> None:
    assert platforms(recorded, here, arms) == sentence


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
def test_a_flipped_sign_is_detected_on_every_scale(scale: float) -> None:
    recorded, comparison = {A: 0.3 * scale, B: 0.1 * scale}, {A: 0.1 * scale, B: 0.3 * scale}
    for tolerance in (None, 10 * scale):
        result = reproduction(ENTRY, recorded, comparison, exact=False, tolerance=tolerance)
        assert [contrast.flipped for contrast in result.contrasts] == [True]
        assert not result.same
