from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memkit.statistics import betting, betting_limits, log_capital, smallest_constant

samples = arrays(np.float64, st.integers(1, 32), elements=st.floats(-1, 1))
means = st.floats(-0.999, 0.999)


def capital_by_hand(x: list[float], mean: float, low: float, high: float) -> float:
    """The definition, in plain Python and without logarithms: 24 arcsine nodes at 0.8, all-in at 0.2."""
    m = (mean - low) / (high - low)
    ratios = [((v - low) / (high - low) - m) / m for v in x]
    nodes = [math.sin(math.pi * (2 * j - 1) / 96) ** 2 for j in range(1, 25)]
    grid = sum(math.prod(1 + u * r for r in ratios) for u in nodes) / 24
    return 0.8 * grid + 0.2 * math.prod(1 + r for r in ratios)


@given(samples, means)
def test_capital_agrees_with_its_definition(x: np.ndarray, mean: float) -> None:
    above, below = log_capital(x, mean=mean, bounds=(-1, 1))
    assert np.exp(above) == pytest.approx(capital_by_hand(x.tolist(), mean, -1, 1), rel=1e-8)
    assert np.exp(below) == pytest.approx(capital_by_hand((-x).tolist(), -mean, -1, 1), rel=1e-8)


@given(samples, means, means)
def test_capital_is_monotone_in_the_candidate(x: np.ndarray, one: float, other: float) -> None:
    lesser = log_capital(x, mean=min(one, other), bounds=(-1, 1))
    greater = log_capital(x, mean=max(one, other), bounds=(-1, 1))
    assert lesser.above >= greater.above - 1e-9
    assert lesser.below <= greater.below + 1e-9


@given(samples)
def test_the_limits_are_where_the_capital_reaches_40(x: np.ndarray) -> None:
    interval = betting(x, bounds=(-1, 1))
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    if interval.low > -1 + 1e-6:
        assert log_capital(x, mean=interval.low, bounds=(-1, 1)).above == pytest.approx(math.log(40), abs=1e-7)
    if interval.high < 1 - 1e-6:
        assert log_capital(x, mean=interval.high, bounds=(-1, 1)).below == pytest.approx(math.log(40), abs=1e-7)


@given(samples)
def test_interval_mirrors_with_data_and_bounds(x: np.ndarray) -> None:
    plain, mirrored = betting(x, bounds=(-1, 1.5)), betting(-x, bounds=(-1.5, 1))
    assert (mirrored.low, mirrored.high) == pytest.approx((-plain.high, -plain.low), abs=1e-12)


@given(samples, st.floats(0.01, 100), st.floats(-10, 10))
def test_interval_scales_and_shifts_with_data_and_bounds(x: np.ndarray, scale: float, shift: float) -> None:
    plain = betting(x, bounds=(-1, 1))
    moved = betting(scale * x + shift, bounds=(shift - scale, shift + scale))
    expected = (scale * plain.low + shift, scale * plain.high + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, abs=1e-8 * (scale + 1))


@given(samples, st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(x: np.ndarray, random: object) -> None:
    shuffled = x.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = betting(x, bounds=(-1, 1)), betting(shuffled, bounds=(-1, 1))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-10)


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


@pytest.mark.parametrize(("n", "on_the_grid", "half_width"), [(8, 0.76, 0.43), (16, 0.33, 0.25), (32, 0.16, 0.13)])
def test_the_smallest_constant_effect_that_n_seeds_can_show(n: int, on_the_grid: float, half_width: float) -> None:
    """The documented numbers: the smallest hundredth that can be shown, and the interval of seeds that are all 0."""
    smallest = smallest_constant(n, bounds=(-1, 1))
    assert on_the_grid - 0.01 < smallest <= on_the_grid
    assert capital_by_hand([smallest] * n, 0, -1, 1) == pytest.approx(40)
    assert betting([on_the_grid] * n, bounds=(-1, 1)).low > 0
    assert betting([on_the_grid - 0.01] * n, bounds=(-1, 1)).low < 0
    zeros = betting([0.0] * n, bounds=(-1, 1))
    assert (round(zeros.low, 2), round(zeros.high, 2)) == (-half_width, half_width)


def test_tight_bounds_need_three_seeds_where_wide_ones_need_eight() -> None:
    assert betting([0.8] * 3, bounds=(-0.2, 1)).low > 0
    assert betting([0.8] * 2, bounds=(-0.2, 1)).low < 0
    assert betting([0.8] * 8, bounds=(-1, 1)).low > 0
    assert betting([0.8] * 7, bounds=(-1, 1)).low < 0
    assert smallest_constant(2, bounds=(-0.2, 1)) == math.inf


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


def test_rounding_errors_at_the_bounds_are_clipped() -> None:
    assert betting([0.1 + 0.2], bounds=(0, 0.3)).high == 0.3


def test_coverage_at_any_look_even_where_one_seed_in_ten_collapses() -> None:
    rng = np.random.default_rng(2)
    x = np.where(rng.random((1000, 32)) < 0.1, -0.9, 0.1)
    for n in (2, 8, 32):
        low, high = betting_limits(x[:, :n], bounds=(-1, 1))
        assert np.mean((low > 0) | (high < 0)) <= 0.05
    x = np.where(rng.random((1000, 32)) < 0.5, -1.0, 1.0)
    low, high = betting_limits(x, bounds=(-1, 1))
    missed = np.mean((low > 0) | (high < 0))
    assert 0.001 < missed <= 0.05  # a wrong threshold of 4 or 400 would fall outside


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: betting([0.5, 1.01], bounds=(0, 1)), r"x must lie within bounds \(0, 1\), but holds 1.01"),
        (lambda: betting([0.5, np.nan], bounds=(0, 1)), "x must be finite"),
        (lambda: betting([], bounds=(0, 1)), "x must hold at least one value"),
        (lambda: betting([0.5], bounds=(1, 0)), "bounds must be two finite numbers, the lower first"),
        (lambda: betting([0.5], bounds=(0, np.inf)), "bounds must be two finite numbers"),
        (lambda: betting([0.5], bounds=(0, 1), alpha=0), "alpha must lie strictly between 0 and 1"),
        (lambda: log_capital([0.5], mean=2, bounds=(0, 1)), "mean must lie within bounds"),
        (lambda: smallest_constant(8, bounds=(0, 1)), "null must lie strictly inside bounds"),
        (lambda: smallest_constant(0, bounds=(-1, 1)), "n must be a whole number"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
