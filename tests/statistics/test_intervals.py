from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memkit.statistics import Interval, student_t, t_limits, t_test, tost_pvalues, wilson

# R's data set `sleep`: extra hours of sleep with two drugs, paired; the example in Student (1908).
SLEEP = np.subtract(
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
samples = arrays(np.float64, st.integers(2, 20), elements=st.floats(-1, 1).map(lambda v: round(v, 3)))


def test_results_for_sleep_agree_with_r() -> None:
    test = t_test(SLEEP)
    assert test.t == pytest.approx(-4.06213, abs=5e-6)
    assert (test.df, test.p) == (9, pytest.approx(0.0028329, abs=5e-8))
    interval = student_t(SLEEP)
    assert (interval.low, interval.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert max(tost_pvalues(SLEEP, low=-0.5, high=0.5)) == pytest.approx(0.98924, abs=5e-6)


@given(samples, st.floats(-1, 1))
def test_t_agrees_with_scipy(x: np.ndarray, null: float) -> None:
    assume(np.ptp(x) > 0)
    theirs = scipy.stats.ttest_1samp(x, null)
    ours = t_test(x, null=null)
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-7, abs=1e-12)
    limits = theirs.confidence_interval(0.9)
    interval = student_t(x, level=0.9)
    assert (interval.low, interval.high) == pytest.approx((limits.low, limits.high), rel=1e-9, abs=1e-12)
    one_sided = scipy.stats.ttest_1samp(x, null, alternative="greater").pvalue
    assert tost_pvalues(x, low=null, high=null + 9)[0] == pytest.approx(one_sided, rel=1e-7, abs=1e-12)


@given(samples, st.floats(0.01, 100), st.floats(-10, 10))
def test_t_interval_scales_and_shifts_with_the_data(x: np.ndarray, scale: float, shift: float) -> None:
    assume(np.ptp(x) > 0)
    plain, moved = student_t(x), student_t(scale * x + shift)
    expected = (scale * plain.low + shift, scale * plain.high + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples)
def test_t_interval_mirrors_with_the_data(x: np.ndarray) -> None:
    plain, mirrored = student_t(x), student_t(-x)
    assert (mirrored.low, mirrored.high) == pytest.approx((-plain.high, -plain.low), abs=1e-12)


def test_many_experiments_at_once_give_the_same_as_one_by_one() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 8))
    low, high = t_limits(x)
    one = student_t(x[1, 2])
    assert low.shape == (3, 4)
    assert (low[1, 2], high[1, 2]) == pytest.approx((one.low, one.high))


def test_the_spread_of_a_single_seed_is_unknown() -> None:
    interval = student_t([0.3])
    assert (interval.low, interval.estimate, interval.high) == (-np.inf, 0.3, np.inf)
    assert t_test([0.3]).p == 1
    assert max(tost_pvalues([0.0], low=-1, high=1)) == 0.5


@pytest.mark.parametrize("n", [2, 3, 7, 10, 31])
def test_equal_seeds_have_no_spread_even_where_their_mean_is_rounded(n: int) -> None:
    interval = student_t([0.1] * n)
    assert interval.low == interval.estimate == interval.high == 0.1
    above, at = t_test([0.1] * n), t_test([0.1] * n, null=0.1)
    assert (above.t, above.p, at.t, at.p) == (np.inf, 0, 0, 1)
    assert t_test([-0.1] * n).t == -np.inf
    assert max(tost_pvalues([0.1] * n, low=-0.2, high=0.2)) == 0
    assert max(tost_pvalues([0.1] * n, low=-0.2, high=0.05)) == 1


def test_coverage_of_the_t_interval() -> None:
    low, high = t_limits(np.random.default_rng(1).normal(0.3, 2.0, (20_000, 5)), level=0.9)
    assert np.mean((low < 0.3) & (high > 0.3)) == pytest.approx(0.9, abs=0.01)


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 857–872, table I, method 3.
    for successes, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        interval = wilson(successes, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson(29, 29).high == 1


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts: tuple[int, int]) -> None:
    theirs = scipy.stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    ours = wilson(*counts)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_position_and_levels_of_an_interval() -> None:
    interval = Interval(estimate=0.2, low=0.1, high=0.3, level=0.95, method="student-t", n=8)
    assert (interval.low_level, interval.high_level) == (0.975, 0.975)
    assert interval.above(0.05)
    assert not interval.above(0.1)
    assert interval.below(0.4)
    assert not interval.below(0.3)
    assert interval.inside(0, 0.4)
    assert not interval.inside(0.1, 0.4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: student_t([]), "x must hold at least one value"),
        (lambda: student_t([0.1, np.nan]), "x must be finite, but holds nan"),
        (lambda: student_t([[0.1, 0.2]]), "x must have one axis"),
        (lambda: student_t([0.1], level=95), "level must lie strictly between 0 and 1; it is 95"),
        (lambda: t_test([0.1], null=np.inf), "null must be a finite number"),
        (lambda: tost_pvalues([0.1], low=1, high=-1), "low must be below high"),
        (lambda: wilson(3, 2), "successes must not exceed n; 3 of 2"),
        (lambda: wilson(0, 0), "n must be a whole number of at least 1"),
        (lambda: wilson(1.5, 2), "successes must be a whole number"),
        (lambda: Interval(estimate=2, low=0, high=1, level=0.9, method="x", n=1), "must be in order"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
