from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from memkit.statistics import benjamini_hochberg, holm

pvalues = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_values_computed_by_hand() -> None:
    # Holm: 4 · 0.005, 3 · 0.01, 2 · 0.03, 0.04 raised to it; BH: 4 · 0.005, 4/2 · 0.01, 4/3 · 0.03, 0.04.
    p = [0.01, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])


@given(pvalues)
def test_benjamini_hochberg_agrees_with_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p), atol=1e-15)


@given(pvalues, st.floats(0.001, 0.5))
def test_holm_rejects_as_many_as_the_step_down_procedure(p: list[float], alpha: float) -> None:
    rejected = 0
    for i, value in enumerate(sorted(p)):
        if value * (len(p) - i) > alpha:
            break
        rejected += 1
    assert np.sum(holm(p) <= alpha) == rejected


@given(pvalues)
def test_adjusted_values_keep_their_order_and_never_decrease(p: list[float]) -> None:
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert (adjusted >= np.asarray(p) * (1 - 1e-15)).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (holm(p) >= benjamini_hochberg(p) * (1 - 1e-15)).all()


def test_no_p_values_give_no_adjusted_values() -> None:
    assert holm([]).shape == benjamini_hochberg([]).shape == (0,)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize(
    ("p", "message"), [([0.5, np.nan], "between 0 and 1"), ([1.1], "between 0 and 1"), ([[0.5]], "one axis")]
)
def test_invalid_arguments_are_named_in_the_message(adjust: object, p: list[float], message: str) -> None:
    assert callable(adjust)
    with pytest.raises(ValueError, match=message):
        adjust(p)
