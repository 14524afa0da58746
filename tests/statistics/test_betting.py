"""The capital won by betting, against its definition in exact fractions, and the interval that follows from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memkit.statistics import (
    betting,
    betting_limits,
    log_capital,
    log_capital_path,
    seeds_to_reach,
    smallest_constant,
    smallest_effect,
    smallest_sesoi,
)

samples = arrays(np.float64, st.integers(1, 32), elements=st.floats(-1, 1))
means = st.floats(-0.999, 0.999)
LARGEST = float(np.finfo(np.float64).max)


def capital_by_hand(x: Sequence[float], mean: float, low: float) -> Fraction:
    """The definition in exact fractions: half bets everything, a quarter bets 70 %, an eighth 49 %, …"""
    m, least = Fraction(mean), Fraction(low)
    z = [(Fraction(value) - m) / (m - least) for value in x]
    return sum(
        (Fraction(1, 2 ** (j + 1)) * math.prod(1 + Fraction(7, 10) ** j * v for v in z) for j in range(60)), Fraction()
    )


# --- the capital --------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(arrays(np.float64, st.integers(1, 6), elements=st.floats(-1, 1)), means)
def test_the_capital_agrees_with_its_definition_in_exact_fractions(x: np.ndarray, mean: float) -> None:
    above, below = log_capital(x, mean=mean, bounds=(-1, 1))
    assert math.exp(above) == pytest.approx(float(capital_by_hand(x.tolist(), mean, -1)), rel=1e-9)
    assert math.exp(below) == pytest.approx(float(capital_by_hand((-x).tolist(), -mean, -1)), rel=1e-9)


def test_the_capital_of_equal_seeds_by_hand() -> None:
    # All seeds at the upper bound double the part that bets everything, and z is 1 in every other part as well.
    by_hand = sum(2.0 ** -(j + 1) * (1 + 0.7**j) ** 8 for j in range(60))
    assert math.exp(log_capital([1.0] * 8, mean=0, bounds=(-1, 1)).above) == pytest.approx(by_hand)
    assert by_hand > 2**8 / 2
    # Seeds at the margin neither win nor lose.
    assert [*map(float, log_capital([0.25] * 8, mean=0.25, bounds=(-1, 1)))] == pytest.approx([0, 0], abs=1e-12)


@given(samples, means)
def test_the_path_holds_the_capital_after_every_seed(x: np.ndarray, mean: float) -> None:
    path = log_capital_path(x, mean=mean, bounds=(-1, 1))
    for n in range(1, len(x) + 1):
        above, below = log_capital(x[:n], mean=mean, bounds=(-1, 1))
        assert (path.above[n - 1], path.below[n - 1]) == (above, below), "not even their rounding differs"


@given(samples, means, means)
def test_the_capital_is_monotone_in_the_candidate(x: np.ndarray, one: float, other: float) -> None:
    lesser = log_capital(x, mean=min(one, other), bounds=(-1, 1))
    greater = log_capital(x, mean=max(one, other), bounds=(-1, 1))
    assert lesser.above >= greater.above - 1e-9
    assert lesser.below <= greater.below + 1e-9


@given(samples, means, st.integers(0, 31), st.floats(0, 1))
def test_the_capital_grows_with_every_value(x: np.ndarray, mean: float, index: int, share: float) -> None:
    better = x.copy()
    better[index % len(x)] += share * (1 - better[index % len(x)])
    one, other = (log_capital(v, mean=mean, bounds=(-1, 1)) for v in (x, np.minimum(better, 1)))
    assert other.above >= one.above - 1e-9
    assert other.below <= one.below + 1e-9


@given(samples, means, st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_does_not_matter(x: np.ndarray, mean: float, random: object) -> None:
    shuffled = x.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (log_capital(v, mean=mean, bounds=(-1, 1)) for v in (x, shuffled))
    assert [*map(float, one)] == pytest.approx([*map(float, other)], abs=1e-9)
    limits = [betting(v, bounds=(-1, 1)) for v in (x, shuffled)]
    assert (limits[0].low, limits[0].high) == pytest.approx((limits[1].low, limits[1].high), abs=1e-10)


@given(samples, means)
def test_the_bets_mirror_with_data_and_bounds(x: np.ndarray, mean: float) -> None:
    plain, mirrored = log_capital(x, mean=mean, bounds=(-1, 1.5)), log_capital(-x, mean=-mean, bounds=(-1.5, 1))
    assert [*map(float, mirrored)] == pytest.approx([float(plain.below), float(plain.above)], abs=1e-9)
    interval, opposite = betting(x, bounds=(-1, 1.5)), betting(-x, bounds=(-1.5, 1))
    assert (opposite.low, opposite.high) == pytest.approx((-interval.high, -interval.low), abs=1e-12)


# --- the guarantee ------------------------------------------------------------------------------------------


@given(st.floats(0.02, 0.98), st.floats(0, 0.95), st.floats(0.01, 1), st.integers(1, 12))
def test_the_expected_capital_at_the_true_mean_is_1_for_two_point_distributions(
    rate: float, least: float, width: float, n: int
) -> None:
    """Every possible sample is weighted by its probability, so this is the expectation itself."""
    greatest = least + width * (1 - least)
    mean = least + rate * (greatest - least)
    x = np.array([[greatest] * k + [least] * (n - k) for k in range(n + 1)])
    weights = np.array([math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)])
    assert weights @ np.exp(log_capital(x, mean=mean, bounds=(0, 1)).above) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_the_capital_reaches_40_with_a_probability_of_at_most_one_in_40(rate: float) -> None:
    """Over all paths of 14 seeds that lie at either bound, whatever the n at which one looks."""
    paths = np.array(list(itertools.product((0.0, 1.0), repeat=14)))
    probabilities = np.where(paths == 1, rate, 1 - rate).prod(axis=1)
    capital = log_capital_path(paths, mean=rate, bounds=(0, 1))
    reached = [probabilities @ (bet.max(axis=1) >= math.log(40)) for bet in capital]
    assert max(reached) <= 1 / 40
    assert max(reached) > 1e-4, "the test is not empty"


@pytest.mark.parametrize("shape", [(0.5, 0.5), (5, 0.5), (0.3, 3)])
def test_the_mean_capital_of_skewed_seeds_does_not_exceed_1(shape: tuple[float, float]) -> None:
    x = np.random.default_rng(2).beta(*shape, (4000, 16))
    capital = np.exp(log_capital(x, mean=shape[0] / sum(shape), bounds=(0, 1)).above)
    assert capital.mean() <= 1 + 4 * capital.std() / math.sqrt(len(x))
    below_the_truth = np.exp(log_capital(x, mean=0.8 * shape[0] / sum(shape), bounds=(0, 1)).above)
    assert below_the_truth.mean() > 1.5


# --- the interval -------------------------------------------------------------------------------------------


@given(samples, st.sampled_from([20.0, 40.0, 120.0]), st.sampled_from([20.0, 40.0, 120.0]))
def test_the_limits_are_where_the_capital_reaches_the_thresholds(x: np.ndarray, lower: float, upper: float) -> None:
    interval = betting(x, bounds=(-1, 1), thresholds=(lower, upper))
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    assert (interval.low_level, interval.high_level) == (1 - 1 / lower, 1 - 1 / upper)
    assert interval.level == pytest.approx(1 - 1 / lower - 1 / upper)
    if interval.low > -1 + 1e-6:
        assert log_capital(x, mean=interval.low, bounds=(-1, 1)).above == pytest.approx(math.log(lower), abs=1e-7)
    if interval.high < 1 - 1e-6:
        assert log_capital(x, mean=interval.high, bounds=(-1, 1)).below == pytest.approx(math.log(upper), abs=1e-7)


@given(samples, st.floats(0.01, 100), st.floats(-10, 10))
def test_the_interval_scales_and_shifts_with_data_and_bounds(x: np.ndarray, scale: float, shift: float) -> None:
    plain = betting(x, bounds=(-1, 1))
    moved = betting(scale * x + shift, bounds=(shift - scale, shift + scale))
    expected = (scale * plain.low + shift, scale * plain.high + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, abs=1e-8 * (scale + 1))


@given(st.floats(-1, 1), st.integers(1, 40))
def test_the_interval_of_equal_seeds_shrinks_with_their_number(value: float, n: int) -> None:
    fewer, more = betting([value] * n, bounds=(-1, 1)), betting([value] * (n + 1), bounds=(-1, 1))
    assert fewer.low <= more.low + 1e-12
    assert more.high <= fewer.high + 1e-12


@given(samples)
def test_tighter_bounds_shorten_the_interval(x: np.ndarray) -> None:
    loose, tight = betting(x, bounds=(-2, 2)), betting(x, bounds=(-1, 1))
    assert loose.low <= tight.low + 1e-12
    assert tight.high <= loose.high + 1e-12


def test_many_experiments_at_once_give_the_same_as_one_by_one() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4, 8))
    low, high = betting_limits(x, bounds=(-1, 1))
    one = betting(x[1, 2], bounds=(-1, 1))
    assert (low[1, 2], high[1, 2]) == pytest.approx((one.low, one.high), abs=1e-12)
    capital = log_capital(x, mean=np.full((3, 4), 0.1), bounds=(-1, 1))
    assert capital.above[1, 2] == pytest.approx(log_capital(x[1, 2], mean=0.1, bounds=(-1, 1)).above)
    assert betting_limits(x[:0], bounds=(-1, 1))[0].shape == (0, 4)


# --- the smallest effects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "smallest", "least_of_any"), [(8, 0.685, 0.586), (16, 0.300, 0.259), (32, 0.140, 0.122)])
def test_the_smallest_constant_effect_that_n_seeds_can_show(n: int, smallest: float, least_of_any: float) -> None:
    """The documented numbers; 40^(1/n) − 1 is what a bet on this very effect would need."""
    constant = smallest_constant(n, bounds=(-1, 1))
    assert constant == pytest.approx(smallest, abs=5e-4)
    assert 40 ** (1 / n) - 1 == pytest.approx(least_of_any, abs=5e-4)
    assert constant > 40 ** (1 / n) - 1
    assert float(capital_by_hand([constant] * n, 0, -1)) == pytest.approx(40)
    assert betting([constant + 1e-6] * n, bounds=(-1, 1)).low > 0
    assert betting([constant - 1e-6] * n, bounds=(-1, 1)).low < 0


@given(st.integers(1, 40), st.floats(-0.9, 0.9), st.sampled_from([40.0, 80.0, 120.0]))
def test_no_constant_below_the_limit_of_any_valid_test_can_be_shown(n: int, null: float, threshold: float) -> None:
    constant = smallest_constant(n, bounds=(-1, 1), null=null, threshold=threshold)
    assert constant >= null + (null + 1) * (threshold ** (1 / n) - 1) - 1e-12
    assert constant >= smallest_constant(n + 1, bounds=(-1, 1), null=null, threshold=threshold)
    if math.isfinite(constant):
        capital = log_capital([constant] * n, mean=null, bounds=(-1, 1)).above
        assert capital == pytest.approx(math.log(threshold), abs=1e-6)


def test_tight_bounds_need_three_seeds_where_wide_ones_need_eight() -> None:
    assert betting([0.8] * 3, bounds=(-0.2, 1)).low > 0
    assert betting([0.8] * 2, bounds=(-0.2, 1)).low < 0
    assert betting([0.8] * 8, bounds=(-1, 1)).low > 0
    assert betting([0.8] * 7, bounds=(-1, 1)).low < 0
    assert smallest_constant(2, bounds=(-0.2, 1)) == math.inf


@settings(max_examples=25)
@given(arrays(np.float64, st.integers(4, 32), elements=st.floats(-0.5, 0.1)), st.floats(-0.4, 0.4))
def test_the_smallest_effect_with_some_spread_is_the_mean_that_is_just_shown(x: np.ndarray, null: float) -> None:
    options = {"bounds": (-1.0, 1.0), "null": null}
    effect = smallest_effect(x, **options)  # type: ignore[arg-type]
    if math.isinf(effect):
        assert log_capital(np.ones(len(x)), mean=null, bounds=(-1, 1)).above < math.log(40)
        return
    if log_capital(x, mean=null, bounds=(-1, 1)).above >= math.log(40):
        return
    assert effect >= smallest_constant(len(x), **options) - 1e-6, "spread makes it harder"  # type: ignore[arg-type]
    assert smallest_effect([min(float(x[0]), null)] * len(x), **options) == pytest.approx(  # type: ignore[arg-type]
        smallest_constant(len(x), **options)  # type: ignore[arg-type]
    )
    if (raised := x + effect - x.mean()).max() < 1:
        assert log_capital(raised, mean=null, bounds=(-1, 1)).above == pytest.approx(math.log(40), abs=1e-6)


@pytest.mark.parametrize("n", [8, 16, 32])
def test_the_smallest_sesoi_is_where_seeds_without_an_effect_have_a_capital_of_20(n: int) -> None:
    sesoi = smallest_sesoi(n, bounds=(-1, 1))
    assert float(capital_by_hand([0.0] * n, -sesoi, -1)) == pytest.approx(20)
    assert smallest_sesoi(n, bounds=(-2, 2)) == pytest.approx(2 * sesoi)
    assert smallest_sesoi(n, bounds=(-0.001, 1)) == pytest.approx(smallest_sesoi(n, bounds=(-1, 0.001)))


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(-0.5, 1)))
def test_the_number_of_seeds_to_reach_is_where_repeated_seeds_reach_the_threshold(x: np.ndarray) -> None:
    needed = seeds_to_reach(x, mean=0, bounds=(-1, 1))
    if math.isinf(needed):
        return
    # Whole repetitions, since a part of a repetition counts as a share of its growth.
    enough, too_few = (math.ceil(needed / len(x)), math.ceil(needed / len(x)) - 1)
    assert log_capital(np.tile(x, enough), mean=0, bounds=(-1, 1)).above >= math.log(40) - 1e-6
    if too_few:
        assert log_capital(np.tile(x, too_few), mean=0, bounds=(-1, 1)).above < math.log(40) + 1e-6


def test_seeds_without_an_effect_never_reach_the_threshold() -> None:
    assert seeds_to_reach([0.0] * 8, mean=0, bounds=(-1, 1)) == math.inf
    assert seeds_to_reach([-0.5, 0.5], mean=0, bounds=(-1, 1)) == math.inf
    assert seeds_to_reach([0.3], mean=0, bounds=(-1, 1)) == 16


# --- extreme values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_seeds_at_a_bound_have_an_interval_that_ends_there(value: float) -> None:
    interval = betting([value] * 8, bounds=(0, 1))
    assert value in (interval.low, interval.high)
    at_low, at_high = (log_capital([value] * 8, mean=m, bounds=(0, 1)) for m in (0, 1))
    assert (at_low.above == np.inf) == (value > 0)
    assert (at_high.below == np.inf) == (value < 1)


@pytest.mark.parametrize("x", [[5e-324] * 3, [1e-300, 1.0], [1e-250] * 40, [1.0] + [0.0] * 2000, [1e-9] + [0.0] * 31])
def test_extreme_values_neither_overflow_nor_leave_the_bounds(x: list[float]) -> None:
    interval = betting(x, bounds=(0, 1))
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    log_capital(x, mean=5e-324, bounds=(0, 1))


@pytest.mark.parametrize(
    "bounds", [(-LARGEST, LARGEST), (0, LARGEST), (-5e-324, 5e-324), (0, 1e-310), (-1e-300, 1e300)]
)
def test_bounds_may_be_as_wide_or_as_narrow_as_floats_are(bounds: tuple[float, float]) -> None:
    low, high = bounds
    x = [low, high] * 4
    interval = betting(x, bounds=bounds)
    assert low <= interval.low <= interval.estimate <= interval.high <= high
    for bet in log_capital(x, mean=low / 2 + high / 2, bounds=bounds):
        assert not math.isnan(bet)
    if high > 1e-300:
        unit = betting([0.0, 1.0] * 4, bounds=(0, 1))
        assert interval.low / high == pytest.approx(low / high + unit.low * (1 - low / high))


def test_a_million_seeds_are_judged_in_little_memory() -> None:
    x = np.tile([0.499, 0.503], 500_000)
    path = log_capital(x, mean=0.5, bounds=(0, 1))
    few = log_capital(x[:1000], mean=0.5, bounds=(0, 1))
    assert path.above > math.log(40) > few.above
    # Every part of the capital grows at the same rate per seed, and the largest one dominates.
    growth = max(math.log1p(0.7**j * 0.006) + math.log1p(-(0.7**j) * 0.002) for j in range(30))
    assert path.above == pytest.approx(500_000 * growth, abs=20)
    low, high = betting_limits(x[:100_000], bounds=(0, 1))
    assert 0.5 < low < 0.501 < high < 0.502


def test_rounding_errors_at_the_bounds_are_clipped() -> None:
    assert betting([0.1 + 0.2], bounds=(0, 0.3)).high == 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: betting([0.5, 1.01], bounds=(0, 1)), r"x must lie within bounds \(0, 1\), but holds 1.01"),
        (lambda: betting([0.5, np.nan], bounds=(0, 1)), "x must be finite"),
        (lambda: betting([], bounds=(0, 1)), "x must hold at least one value"),
        (lambda: betting([0.5], bounds=(1, 0)), "bounds must be two finite numbers, the lower first"),
        (lambda: betting([0.5], bounds=(0, np.inf)), "bounds must be two finite numbers"),
        (lambda: betting([0.5], bounds=(0, 1), alpha=0), "alpha must lie strictly between 0 and 1"),
        (lambda: betting([0.5], bounds=(0, 1), thresholds=(40, 1)), "thresholds must be above 1"),
        (lambda: betting_limits([0.5], bounds=(0, 1), thresholds=(np.nan, 40)), "thresholds must be a finite number"),
        (lambda: log_capital([0.5], mean=2, bounds=(0, 1)), "mean must lie within bounds"),
        (lambda: smallest_constant(8, bounds=(0, 1)), "null must lie strictly inside bounds"),
        (lambda: smallest_constant(0, bounds=(-1, 1)), "n must be a whole number"),
        (lambda: smallest_sesoi(0, bounds=(-1, 1)), "n must be a whole number"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
