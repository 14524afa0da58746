"""Checks of arguments: whatever is given, they return a converted number or raise with a one-sentence message."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memkit.errors import MemkitError
from memkit.statistics import e_bh_levels, minimum_detectable_effect, paired_power, seeds_for_power, student_t
from memkit.statistics.argument_checks import (
    bounds_pair,
    count,
    finite,
    magnitude,
    not_negative,
    positive,
    probability,
    sample,
)

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**320), 10**320)
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.fractions()
    | st.decimals()
    | st.dates()
    | hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    | hnp.from_dtype(np.dtype(np.longdouble)),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
ONE_NUMBER: dict[str, Callable[[Any], Any]] = {
    "count": lambda value: count(value, name="n"),
    "finite": lambda value: finite(value, name="x"),
    "positive": lambda value: positive(value, name="x"),
    "not negative": lambda value: not_negative(value, name="x"),
    "magnitude": lambda value: magnitude(value, name="x"),
    "probability": lambda value: probability(value, name="p"),
}


def assert_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(MemkitError) as raised:
        call()
    assert str(raised.value) == message


@pytest.mark.parametrize("check", ONE_NUMBER)
@given(value=ANYTHING)
def test_a_single_number_is_converted_or_refused_with_a_message(check: str, value: Any) -> None:
    with contextlib.suppress(MemkitError):
        number = ONE_NUMBER[check](value)
        assert type(number) is (int if check == "count" else float)
        assert math.isfinite(number)
        assert (abs(value) if check == "magnitude" else value) == pytest.approx(number)


@given(ANYTHING)
def test_bounds_are_converted_or_refused_with_a_message(value: Any) -> None:
    with contextlib.suppress(MemkitError):
        low, high = bounds_pair(value)
        assert type(low) is type(high) is float
        assert -math.inf < low < high < math.inf


@given(ANYTHING)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_sample_is_converted_to_finite_floats_or_refused_with_a_message(value: Any) -> None:
    with contextlib.suppress(MemkitError):
        values = sample(value)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count("8", name="n"), "n must be a whole number of at least 1; it is '8'"),
        (lambda: count(None, name="n"), "n must be a whole number of at least 1; it is None"),
        (lambda: count(True, name="n"), "n must be a whole number of at least 1; it is True"),
        (lambda: count(np.bool_(True), name="n"), "n must be a whole number of at least 1; it is np.True_"),
        (lambda: count(2.5, name="n", least=0), "n must be a whole number of at least 0; it is 2.5"),
        (lambda: count(np.array([8]), name="n"), "n must be a whole number of at least 1; it is array([8])"),
        (
            lambda: count(np.timedelta64(8, "Y"), name="n"),
            "n must be a whole number of at least 1; it is np.timedelta64(8,'Y')",
        ),
        (lambda: finite("1", name="x"), "x must be a finite number; it is '1'"),
        (lambda: finite(True, name="x"), "x must be a finite number; it is True"),
        (lambda: finite(-(10**5000), name="x"), "x must be a finite number; it is this int"),
        (lambda: probability("0.05", name="p"), "p must lie strictly between 0 and 1; it is '0.05'"),
        (lambda: probability([0.05], name="p"), "p must lie strictly between 0 and 1; it is [0.05]"),
        (lambda: bounds_pair((1, 2, 3)), "bounds must be two finite numbers, the lower first; they are (1, 2, 3)"),
        (lambda: bounds_pair(("0", "1")), "bounds must be two finite numbers, the lower first; they are ('0', '1')"),
        (lambda: bounds_pair("01"), "bounds must be two finite numbers, the lower first; they are '01'"),
        (lambda: bounds_pair(None), "bounds must be two finite numbers, the lower first; they are None"),
        (lambda: bounds_pair((0, True)), "bounds must be two finite numbers, the lower first; they are (0, True)"),
        (lambda: bounds_pair((1.0, 0.0)), "bounds must be two finite numbers, the lower first; they are (1, 0)"),
        (lambda: bounds_pair((0, np.inf)), "bounds must be two finite numbers, the lower first; they are (0, inf)"),
        (lambda: sample(["a"]), "x must hold numbers; it is ['a']"),
        (lambda: sample(["1"]), "x must hold numbers; it is ['1']"),
        (lambda: sample([1j]), "x must hold numbers; it is [1j]"),
        (lambda: sample([None, "1"]), "x must hold numbers; it is [None, '1']"),
        (lambda: sample([None, 0.5]), "x must be finite, but holds nan; score failed seeds first"),
        (lambda: sample([[1], [1, 2]]), "x must hold numbers; it is [[1], [1, 2]]"),
        (lambda: sample([10**400]), "x must hold numbers; it is [100000000000000000...0000000000000000000]"),
        (lambda: sample([]), "x must hold at least one value along its last axis, the seeds; its shape is (0,)"),
        (lambda: e_bh_levels(["a"]), "e_values must hold numbers; it is ['a']"),
        (lambda: student_t([0.1, 0.2], level="0.95"), "level must lie strictly between 0 and 1; it is '0.95'"),
        (lambda: paired_power("1", 8), "effect_size_d must be a finite number; it is '1'"),
        (lambda: seeds_for_power("1"), "effect_size_d must be a finite number above 0; it is '1'"),
        (lambda: minimum_detectable_effect("1", 8), "sd must be a finite number of at least 0; it is '1'"),
    ],
)
def test_anything_but_a_number_is_refused_with_a_message(call: Callable[[], Any], message: str) -> None:
    assert_refused(call, message)


@pytest.mark.parametrize("kind", [int, float, np.int8, np.uint64, np.float32, np.longdouble, np.array, Fraction])
def test_numpy_numbers_are_accepted(kind: Callable[[int], Any]) -> None:
    assert (count(kind(8), name="n"), type(count(kind(8), name="n"))) == (8, int)
    assert (finite(kind(8), name="x"), type(finite(kind(8), name="x"))) == (8.0, float)
    assert bounds_pair((kind(0), kind(1))) == (0.0, 1.0)
    assert sample([kind(0), kind(1)]).tolist() == [0.0, 1.0]


def test_long_doubles_are_accepted() -> None:
    third = np.longdouble(1) / 3
    assert probability(third, name="p") == pytest.approx(1 / 3)
    assert bounds_pair(np.array([0, third])) == (0.0, pytest.approx(1 / 3))


def test_an_array_of_booleans_is_a_sample() -> None:
    assert sample([True, False]).tolist() == [1.0, 0.0]


def test_a_large_whole_number_is_not_rounded() -> None:
    assert count(2**53 + 1, name="n") == 2**53 + 1
