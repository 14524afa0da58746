"""Checks of numbers, for values of any type; the module needs only the standard library."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import checks
from memkit.checks import is_real, is_whole

LARGEST = int(sys.float_info.max)
ANYTHING = st.one_of(
    st.integers(),
    st.integers(-(10**320), 10**320),
    st.floats(),
    st.booleans(),
    st.text(),
    st.none(),
    st.complex_numbers(),
    st.fractions(),
    st.decimals(),
    st.lists(st.integers()),
)


@given(ANYTHING)
def test_is_real_accepts_finite_floats_and_integers_within_the_range_of_a_float(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        assert not is_real(value)
    elif isinstance(value, float):
        assert is_real(value) is math.isfinite(value)
    else:
        assert is_real(value) is (abs(value) <= LARGEST)


@given(ANYTHING, st.none() | st.integers())
def test_is_whole_accepts_only_integers_from_the_minimum_on(value: Any, least: int | None) -> None:
    expected = type(value) is int and (least is None or value >= least)
    assert is_whole(value, least) is expected


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 0, -0.0, 5e-324, np.float64(0.5)])
def test_is_real_accepts_numbers_that_a_float_can_hold(value: Any) -> None:
    assert is_real(value) is True
    assert math.isfinite(float(value))


@pytest.mark.parametrize(
    "value",
    [LARGEST + 1, 10**400, -(10**5000), math.nan, -math.inf, np.float64("nan"), np.int64(3), np.array([1.0])],
    ids=range(8),
)
def test_is_real_rejects_numbers_that_no_float_can_hold(value: Any) -> None:
    assert is_real(value) is False


def test_the_module_needs_only_the_standard_library() -> None:
    """Model code imports this module, so it must not depend on any package."""
    command = [sys.executable, "-I", "-S", "-c", Path(checks.__file__).read_text(encoding="utf-8")]
    subprocess.run(command, check=True)
