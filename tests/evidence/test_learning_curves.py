"""Learning curves: thinned, grouped by recipe, and read back; invalid ones are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence.learning_curves import POINTS, Curves, curves_by_recipe, thin_curve


@given(n=st.integers(1, 400))
def test_a_thinned_curve_keeps_its_ends_and_its_order(n: int) -> None:
    result = thin_curve([(3 * i + 1, 1 / (i + 1)) for i in range(n)])
    steps = [step for step, _ in result]
    assert len(result) == min(n, POINTS)
    assert (steps[0], steps[-1]) == (1, 3 * n - 2)
    assert steps == sorted(set(steps))


def test_losses_are_rounded_and_what_is_not_finite_is_none() -> None:
    assert thin_curve([(1, 0.123456), (2, math.nan), (3, math.inf)]) == [[1, 0.1235], [2, None], [3, None]]
    assert thin_curve([]) == []


def test_curves_are_gathered_by_recipe() -> None:
    slots = {"digest": "s", "curve": [[1, 2.0], [5, 1.0]]}
    other = {"digest": "o", "curve": [[1, 3.0]]}
    result = curves_by_recipe(
        [
            ("a/one", 7, {"slots": slots, "lstm": other}),
            ("a/one", 6, {"slots": slots}),
            ("a/two", 7, {"on": slots, "fitted": {"digest": "f"}}),
        ]
    )
    assert set(result) == {"s", "o"}
    assert result["s"].arms == ("a/one: slots", "a/two: on")
    assert list(result["s"].seeds) == [6, 7]
    assert result["s"].seeds[6] == ((1, 2.0), (5, 1.0))


POINT = st.tuples(st.integers(0, 10**6), st.none() | st.floats(-1e6, 1e6))
CURVE = st.lists(POINT, max_size=8, unique_by=lambda point: point[0]).map(lambda points: tuple(sorted(points)))


@given(seeds=st.dictionaries(st.integers(0, 50), CURVE, max_size=4))
def test_curves_are_read_as_they_were_written(seeds: dict[int, Any]) -> None:
    curves = Curves(arms=("a/b: c",), seeds=seeds)
    assert Curves.from_json(json.loads(json.dumps(curves.to_json()))) == curves


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0.5, 1], [0.5, 0.5]], "the curve of seed 3 must be a whole number from 0, not 0.5"),
        ([[2, 2], [0.5, 0.5]], "the steps of the curve of seed 3 must increase"),
        ([[1], [math.nan]], "the curve of seed 3 must be a number, not nan"),
        ([list(range(2000)), [0.0] * 2000], "the curve of seed 3 must have at most 1000 points, not 2000"),
    ],
)
def test_impossible_curves_are_refused(points: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=f"^{message}"):
        Curves.from_json({"arms": ["a/b: c"], "seeds": {"3": points}})
