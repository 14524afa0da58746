"""The sensitivity analysis: compared with SciPy and R, and where a method is undefined."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from memkit.errors import MemkitError
from memkit.statistics.sensitivity import RESAMPLES, SEED, sensitivity

# R's data set `sleep`: extra hours of sleep, the second drug minus the first (Student 1908).
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_results_for_sleep_agree_with_r_and_scipy() -> None:
    result = sensitivity(SLEEP)
    t, bca = result.intervals
    # R: t.test(extra ~ group, paired = TRUE) gives 0.7001142 to 2.4598858.
    assert (t.low, t.high) == (pytest.approx(0.7001142, abs=1e-6), pytest.approx(2.4598858, abs=1e-6))
    assert bca.method == "bootstrap, BCa"
    assert 0.7 < bca.low < 1.58 < bca.high < 3.2
    # Nine of ten above zero; R: prop.test(9, 10, correct = FALSE) gives 0.5958500 to 0.9821238.
    assert (result.share_above.low, result.share_above.high) == (
        pytest.approx(0.59585, abs=1e-5),
        pytest.approx(0.98212, abs=1e-5),
    )
    assert result.wilcoxon_p == pytest.approx(stats.wilcoxon(SLEEP).pvalue)
    assert result.trimmed_mean == pytest.approx(np.mean(sorted(SLEEP)[1:-1]))


@settings(max_examples=25)
@given(x=st.lists(st.integers(-9, 9), min_size=3, max_size=40))
def test_the_bootstrap_interval_agrees_with_scipy_on_the_same_resamples(x: list[int]) -> None:
    assume(len(set(x)) > 2)
    values = np.array(x) / 9
    rng = np.random.default_rng(SEED)
    expected = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=rng).confidence_interval
    _, interval = sensitivity(values).intervals
    mean = values.mean()
    assert (interval.low, interval.high) == pytest.approx((min(expected.low, mean), max(expected.high, mean)), abs=1e-9)


@settings(max_examples=20)
@given(x=st.lists(st.floats(0.001, 1), min_size=2, max_size=45, unique=True), seed=st.integers(0, 99))
def test_the_signed_rank_test_without_ties_agrees_with_scipy(x: list[float], seed: int) -> None:
    values = np.array(x) * np.random.default_rng(seed).choice([-1, 1], size=len(x))
    expected = stats.wilcoxon(values, method="exact").pvalue
    assert sensitivity(values).wilcoxon_p == pytest.approx(expected, rel=1e-9)


def test_results_against_a_margin() -> None:
    result = sensitivity(SLEEP, null=1.0)
    assert result.share_above.estimate == 7 / 10, "a seed at the margin does not exceed it"
    assert result.wilcoxon_p == pytest.approx(stats.wilcoxon(np.array(SLEEP) - 1.0).pvalue)


@settings(max_examples=40, deadline=None)
@given(x=st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_the_signed_rank_test_with_ties_agrees_with_scipy(x: list[int]) -> None:
    assume(any(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = stats.wilcoxon(np.array(x) / 4).pvalue
    assert sensitivity(np.array(x) / 4).wilcoxon_p == pytest.approx(expected, abs=1e-12)


def test_the_signed_rank_test_of_more_than_200_seeds_agrees_with_scipy() -> None:
    x = np.random.default_rng(0).normal(0.05, 1, 300)
    assert sensitivity(x).wilcoxon_p == pytest.approx(stats.wilcoxon(x).pvalue)


@settings(max_examples=25, deadline=None)
@example(x=[0.0, 8.577464502725303e-213])
@given(x=st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_every_interval_contains_the_mean_and_results_are_reproducible(x: list[float]) -> None:
    result = sensitivity(x)
    assert repr(sensitivity(x)) == repr(result)
    for interval in result.intervals:
        assert interval.low <= interval.estimate <= interval.high
        assert interval.estimate == pytest.approx(float(np.mean(x)), abs=1e-12)
    assert min(x) - 1e-12 <= result.trimmed_mean <= max(x) + 1e-12


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_equal_differences_have_no_bootstrap_interval(value: float) -> None:
    result = sensitivity([value] * 8)
    assert [interval.method for interval in result.intervals] == ["student-t"]
    assert math.isnan(result.wilcoxon_p) == (value == 0)
    assert result.share_above.estimate == (value > 0)


def test_a_single_difference_is_refused() -> None:
    with pytest.raises(MemkitError, match="at least two differences"):
        sensitivity([0.5])
