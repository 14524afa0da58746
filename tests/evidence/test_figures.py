"""Figures are data: they survive the file, and refuse what could not be drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.evidence.figures import MOST, Heatmap, drawn
from memkit.evidence.reports.heatmap import heatmap_svg

FINE: dict[str, Any] = {"title": "t", "rows": ("a", "b"), "columns": ("x",), "values": ((0.5,), (1.0,))}


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=width, max_size=width), min_size=1, max_size=5
        )
    )
)
def test_a_figure_survives_the_file_to_four_digits(values: list[list[float]]) -> None:
    names = tuple(map(str, range(9)))
    figure = Heatmap("t", names[: len(values)], names[: len(values[0])], tuple(map(tuple, values)), (-1.0, 2.0))
    again = Heatmap.from_json(figure.to_json())
    assert (again.rows, again.columns, again.span) == (figure.rows, figure.columns, figure.span)
    for old, new in zip(figure.values, again.values, strict=True):
        assert new == pytest.approx(old, rel=1e-3)
    assert again.to_json() == figure.to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ()}, f"rows must be 1 to {MOST} names"),
        ({"rows": "ab"}, "rows must be"),
        ({"columns": ("x",) * (MOST + 1)}, f"columns must be 1 to {MOST} names"),
        ({"columns": (1,)}, "columns must be"),
        ({"values": ((0.5,),)}, "values must be 2 rows of 1 numbers"),
        ({"values": ((0.5, 1.0), (1.0,))}, "values must be 2 rows of 1 numbers"),
        ({"values": ((float("nan"),), (1.0,))}, "a value is not finite"),
        ({"span": (1, 1)}, "must be two numbers, the smaller one first"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Heatmap(**{**FINE, **changes})


def test_names_are_shown_and_not_run() -> None:
    picture = heatmap_svg(Heatmap(**{**FINE, "rows": ("<script>alert(1)</script>", "a&b"), "title": "<b>"}))
    assert "<script" not in picture
    assert "<b>" not in picture
    assert "&lt;script&gt;" in picture


def test_small_numbers_are_left_out_of_the_cells() -> None:
    picture = heatmap_svg(Heatmap(**{**FINE, "values": ((0.004,), (-0.5,))}))
    assert ">0.00<" not in picture
    assert ">−0.50<" in picture


def test_a_figure_function_may_make_one_or_several_and_nothing_else() -> None:
    figure = Heatmap(**FINE)
    assert drawn([lambda seed: figure, lambda seed: [figure, figure]], "claim", seed=1) == (figure,) * 3
    with pytest.raises(MemkitError, match="made a str, not a Heatmap"):
        drawn([lambda seed: "picture"], "claim", seed=1)
