"""Levels of e-BH: they say at which rate of false discoveries the textbook procedure declares each hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.statistics import e_bh_levels

E_VALUES = st.lists(st.floats(0, 1e6), max_size=12)


def declared(e_values: list[float], total: int, alpha: float) -> set[int]:
    """Return the hypotheses that e-BH declares, as Wang and Ramdas (2022) define the procedure."""
    order = sorted(range(len(e_values)), key=lambda i: -e_values[i])
    ranks = [rank for rank, i in enumerate(order, 1) if rank * e_values[i] * alpha >= total]
    return set(order[: max(ranks, default=0)])


def test_levels_by_hand() -> None:
    # Sorted 100, 80, 40, 0.5: 4/100, 4/160, 4/120, 4/2; the second is the least of the first two.
    np.testing.assert_allclose(e_bh_levels([40, 100, 0.5, 80]), [4 / 120, 4 / 160, 1, 4 / 160])
    np.testing.assert_allclose(e_bh_levels([20], total=5), [0.25])
    np.testing.assert_allclose(e_bh_levels([np.inf, 0]), [0, 1])
    assert e_bh_levels([]).shape == (0,)


@given(E_VALUES, st.integers(0, 20), st.floats(0.001, 0.999))
def test_a_claim_is_declared_at_its_level_and_not_below(e_values: list[float], others: int, alpha: float) -> None:
    total = len(e_values) + others
    levels = e_bh_levels(e_values, total=total)
    for nearby in (alpha, *(level for level in levels if 0 < level < 1)):
        for rate in (nearby * (1 + 1e-9), nearby * (1 - 1e-9)):
            expected = declared(e_values, total, rate)
            assert {i for i, level in enumerate(levels) if level <= rate} == expected


@given(E_VALUES, st.randoms(use_true_random=False))
def test_levels_do_not_depend_on_the_order(e_values: list[float], random: np.random.RandomState) -> None:
    order = list(range(len(e_values)))
    random.shuffle(order)
    shuffled = e_bh_levels([e_values[i] for i in order])
    np.testing.assert_array_equal(shuffled, e_bh_levels(e_values)[order])


@given(E_VALUES, st.integers(0, 20))
def test_more_hypotheses_raise_every_level_and_larger_e_values_lower_it(e_values: list[float], others: int) -> None:
    levels = e_bh_levels(e_values)
    assert (e_bh_levels(e_values, total=len(e_values) + others) >= levels).all()
    assert (e_bh_levels(np.array(e_values) * 2) <= levels).all()
    assert ((levels >= 0) & (levels <= 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1],), "e_values must be numbers of at least 0"),
        (([float("nan")],), "e_values must be numbers of at least 0"),
        (([[1, 2]],), "one axis, the claims"),
        ((["a"],), "e_values must hold numbers"),
        (([1, 2], 1), "total must be at least 2, the number of e-values; it is 1"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(arguments: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        e_bh_levels(arguments[0], total=arguments[1] if len(arguments) > 1 else None)  # type: ignore[arg-type]
