from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from memkit.statistics import (
    collapse_bound,
    minimum_detectable_effect,
    paired_power,
    sd_upper_limit,
    seeds_for_power,
    seeds_needed,
    student_t,
)


@pytest.mark.parametrize(("d", "n"), [(0.5, 34), (1.0, 10)])
def test_seeds_for_80_percent_power_agree_with_published_tables(d: float, n: int) -> None:
    assert seeds_for_power(d) == seeds_for_power(-d) == n
    assert paired_power(d, n) >= 0.8 > paired_power(d, n - 1)


@given(st.floats(0, 1), st.integers(2, 40), st.sampled_from([0.05, 0.0099]))
def test_power_agrees_with_scipy(d: float, n: int, alpha: float) -> None:
    # Only up to d = 1, because beyond that SciPy's own noncentral t returns nan.
    t = scipy.stats.t.isf(alpha / 2, n - 1)
    noncentral = scipy.stats.nct(n - 1, d * math.sqrt(n)) if d else scipy.stats.t(n - 1)
    assert paired_power(d, n, alpha=alpha) == pytest.approx(noncentral.sf(t) + noncentral.cdf(-t), abs=1e-6)


def test_power_at_the_extremes() -> None:
    assert paired_power(0, 8) == pytest.approx(0.05)
    assert paired_power(5, 1) == 0
    assert paired_power(1e6, 8) == 1
    assert paired_power(1e16, 8) == 1
    assert seeds_for_power(1e6) == 2
    # For so many seeds the normal approximation is exact.
    assert seeds_for_power(1e-5) == pytest.approx(7.848879734 * 1e10, rel=1e-5)


@given(st.integers(2, 64), st.floats(0.01, 10))
def test_minimum_detectable_effect_is_detectable(n: int, sd: float) -> None:
    effect = minimum_detectable_effect(sd, n, alpha=0.0099)
    assert paired_power(effect / sd, n, alpha=0.0099) == pytest.approx(0.8)


def test_minimum_detectable_effect_at_the_extremes() -> None:
    assert minimum_detectable_effect(0.2, 1) == math.inf
    assert minimum_detectable_effect(0.0, 8) == 0


def test_power_agrees_with_a_simulation() -> None:
    x = np.random.default_rng(3).normal(0.5, 1.0, (4000, 34))
    t = np.sqrt(34) * x.mean(axis=1) / x.std(axis=1, ddof=1)
    assert np.mean(np.abs(t) > scipy.stats.t.isf(0.025, 33)) == pytest.approx(paired_power(0.5, 34), abs=0.03)


def test_upper_limit_of_the_standard_deviation() -> None:
    x = np.random.default_rng(4).normal(0, 2.0, (4000, 8))
    limits = np.array([sd_upper_limit(row) for row in x])
    assert np.mean(limits > 2.0) == pytest.approx(0.8, abs=0.03)
    expected = x[0].std(ddof=1) * math.sqrt(7 / scipy.stats.chi2.ppf(0.2, 7))
    assert limits[0] == pytest.approx(expected)
    assert sd_upper_limit([0.1]) == math.inf
    assert sd_upper_limit([0.1] * 3) == 0


def test_seeds_needed_plans_with_the_upper_limit() -> None:
    x = np.random.default_rng(5).normal(0, 1, 16)
    assert seeds_needed(x, effect=0.5) == seeds_for_power(0.5 / sd_upper_limit(x))
    assert seeds_needed(x, effect=0.5) > seeds_for_power(0.5 / float(x.std(ddof=1)))
    assert seeds_needed([0.1] * 10, effect=0.5) == 2


@pytest.mark.parametrize(("n", "percent"), [(8, 31), (16, 17), (32, 9)])
def test_rate_of_collapse_that_cannot_be_ruled_out(n: int, percent: int) -> None:
    assert round(100 * collapse_bound(n)) == percent
    assert (1 - collapse_bound(n)) ** n == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_power(math.nan, 8), "effect_size_d must be a finite number"),
        (lambda: paired_power(1, 0), "n must be a whole number of at least 1"),
        (lambda: seeds_for_power(0), "effect_size_d must be a finite number above 0"),
        (lambda: seeds_for_power(1e-9), "effect_size_d must be large enough"),
        (lambda: seeds_for_power(1, power=80), "power must lie strictly between 0 and 1"),
        (lambda: minimum_detectable_effect(-1, 8), "sd must be a finite number of at least 0"),
        (lambda: minimum_detectable_effect(1, 8, power=0.01), "power must exceed alpha"),
        (lambda: seeds_needed([0.1], effect=1), "x must hold at least two values"),
        (lambda: seeds_needed([0.1, 0.2], effect=0), "effect must be a finite number above 0"),
        (lambda: collapse_bound(math.inf), "n must be a whole number"),
        (lambda: student_t([0.1], level=math.nan), "level must lie strictly between 0 and 1"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
