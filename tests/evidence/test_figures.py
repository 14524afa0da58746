"""Figures are data: they survive being written and read, and refuse what could not be drawn."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.evidence.figures import (
    LARGEST,
    LONGEST,
    MOST,
    MOST_COLUMNS,
    MOST_POINTS,
    MOST_ROWS,
    MOST_SERIES,
    Figure,
    Heatmap,
    Lines,
    Series,
    Table,
    figure_from_json,
    make_figures,
)

FINE: dict[str, Any] = {"title": "t", "rows": ("a", "b"), "columns": ("x",), "values": ((0.5,), (1.0,))}
SERIES = Series("a", (1, 2), (0.5, None))
LINES: dict[str, Any] = {"title": "t", "x": "epoch", "y": "accuracy", "series": (SERIES,)}
TABLE: dict[str, Any] = {
    "title": "t",
    "columns": ("precision", "unit"),
    "rows": (("cat", 0.5, None), ("dog", 1, "nats")),
}
FIGURES = [Heatmap(**FINE), Lines(**LINES), Table(**TABLE)]

numbers = st.floats(-LARGEST, LARGEST, allow_nan=False)
texts = st.text(min_size=1, max_size=LONGEST).filter(str.strip)


@st.composite
def heatmaps(draw: st.DrawFn) -> Heatmap:
    high, wide = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    values = draw(st.lists(st.lists(numbers, min_size=wide, max_size=wide), min_size=high, max_size=high))
    names = tuple(map(str, range(9)))
    return Heatmap("t", names[:high], names[:wide], tuple(map(tuple, values)), (-1.0, 2.0))


@st.composite
def lines(draw: st.DrawFn) -> Lines:
    steps, log = draw(st.booleans()), draw(st.booleans())
    series = []
    for name in draw(st.lists(texts, min_size=1, max_size=4, unique=True)):
        y = [*draw(st.lists(numbers | st.none(), max_size=8)), draw(numbers)]
        count = len(y) + steps
        x = draw(st.lists(st.floats(1 / LARGEST, LARGEST) if log else numbers, min_size=count, max_size=count))
        series.append(Series(name, sorted(x) if steps else x, y))
    identity = not log and draw(st.booleans())
    span = draw(st.none() | st.just((0.0, 1.0)))
    return Lines(draw(texts), draw(texts), draw(texts), series, identity=identity, log=log, steps=steps, span=span)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(texts, min_size=1, max_size=4))
    cell = st.none() | st.text(max_size=LONGEST) | numbers | st.integers(-(2**53) + 1, 2**53 - 1)
    row = st.tuples(texts, *[cell] * len(columns))
    return Table(draw(texts), columns, draw(st.lists(row, min_size=1, max_size=5)))


@given(heatmaps())
def test_a_heat_map_survives_the_file_to_four_digits(figure: Heatmap) -> None:
    again = figure_from_json(json.loads(json.dumps(figure.to_json(), allow_nan=False)))
    assert isinstance(again, Heatmap)
    assert (again.rows, again.columns, again.span) == (figure.rows, figure.columns, figure.span)
    for old, new in zip(figure.values, again.values, strict=True):
        assert new == pytest.approx(old, rel=1e-3)
    assert again.to_json() == figure.to_json()


@given(lines() | tables())
def test_curves_and_tables_survive_the_file_to_six_digits(figure: Lines | Table) -> None:
    again = figure_from_json(json.loads(json.dumps(figure.to_json(), allow_nan=False)))
    assert type(again) is type(figure)
    assert again.to_json() == figure.to_json()
    if isinstance(figure, Lines) and isinstance(again, Lines):
        for old, new in zip(figure.series, again.series, strict=True):
            assert new.x == pytest.approx(old.x, rel=1e-5)
            assert [value is None for value in new.y] == [value is None for value in old.y]


def test_a_figure_without_a_kind_is_a_heat_map() -> None:
    data = Heatmap(**FINE).to_json()
    assert data.pop("kind") == "heatmap"
    assert figure_from_json(data) == Heatmap(**FINE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": None}, "Heatmap None: the title must be a string"),
        ({"rows": ()}, f"rows must be 1 to {MOST} names"),
        ({"rows": "ab"}, "rows must be"),
        ({"rows": 2}, "rows must be"),
        ({"columns": ("x",) * (MOST + 1)}, f"columns must be 1 to {MOST} names"),
        ({"columns": (1,)}, "columns must be"),
        ({"values": ((0.5,),)}, "values must be 2 rows of 1 numbers"),
        ({"values": ((0.5, 1.0), (1.0,))}, "values must be 2 rows of 1 numbers"),
        ({"values": None}, "values must be 2 rows of 1 numbers"),
        ({"values": ((float("nan"),), (1.0,))}, "values must be finite numbers, not nan"),
        ({"values": (("1",), (1.0,))}, "values must be finite numbers, not '1'"),
        ({"values": ((10**400,), (1.0,))}, "values must be finite numbers"),
        ({"span": (1, 1)}, "must be two numbers, the smaller one first"),
        ({"span": (1,)}, "must be two numbers, the smaller one first"),
    ],
)
def test_a_heat_map_that_cannot_be_drawn_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Heatmap(**{**FINE, **changes})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("", (1,), (1,)), f"Series: its name must be a string of 1 to {LONGEST} characters, not ''"),
        ((None, (1,), (1,)), "its name must be a string"),
        (("a", (1, 2, 3), (1,)), "Series 'a': x and y must have the same length, not 3 and 1"),
        (("a", (1,), (1, 2)), "x and y must have the same length, not 1 and 2"),
        (("a", (), ()), "x must be 1 to"),
        (("a", "12", (1, 2)), "x must be 1 to"),
        (("a", {1: 1}, (1,)), "x must be 1 to"),
        (("a", 1.0, (1,)), "x must be 1 to"),
        (("a", range(10**12), range(10**12)), f"x must be 1 to {MOST_POINTS + 1} numbers, not range"),
        (("a", range(MOST_POINTS + 1), range(MOST_POINTS + 1)), f"y must be 1 to {MOST_POINTS} numbers"),
        (("a", (1, None), (1, 2)), "x must be finite numbers, not None"),
        (("a", (1, 2), (1, math.nan)), "y must be finite numbers or None, not nan"),
        (("a", (1, 2), (1, -math.inf)), "y must be finite numbers or None"),
        (("a", (1, 2), (1, 2 * LARGEST)), "y must be finite numbers or None"),
        (("a", (1, 2), (1, "2")), "y must be finite numbers or None, not '2'"),
        (("a", (1, 2), (1, True)), "y must be finite numbers or None, not True"),
        (("a", (1, 2), (1, [2])), "y must be finite numbers or None"),
        (("a", (1, 2), (None, None)), "y holds no numbers; leave the series out"),
    ],
)
def test_a_series_that_cannot_be_drawn_is_refused(given: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Series(*given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "the title must be a string"),
        ({"title": "t" * (LONGEST + 1)}, f"the title must be a string of 1 to {LONGEST} characters"),
        ({"x": "  "}, "Lines 't': x must be a string"),
        ({"y": 3}, "Lines 't': y must be a string"),
        ({"series": ()}, f"series must be 1 to {MOST_SERIES} Series"),
        ({"series": SERIES}, f"series must be 1 to {MOST_SERIES} Series"),
        ({"series": (SERIES,) * (MOST_SERIES + 1)}, f"series must be 1 to {MOST_SERIES} Series"),
        ({"series": [("a", (1, 2), (1, 2))]}, "series holds a tuple, not a Series"),
        ({"series": (SERIES, SERIES)}, "two series have the same name"),
        ({"series": (Series("a", (1, 2), (1,)),)}, "must have the same length; edges need steps=True"),
        ({"steps": True}, "must be ascending edges, one more than its y"),
        ({"steps": True, "series": (Series("a", (1, 3, 2), (1, 2)),)}, "must be ascending edges"),
        ({"log": True, "series": (Series("a", (0, 2), (1, 2)),)}, "with log, x of 'a' must be positive, not 0"),
        ({"log": True, "identity": True}, "identity and log exclude one another"),
        ({"identity": 1}, "identity=1 must be True or False"),
        ({"log": "no"}, "log='no' must be True or False"),
        ({"span": (1, 0)}, "must be two numbers, the smaller one first"),
        ({"span": 1}, "must be two numbers, the smaller one first"),
        ({"span": (0, math.inf)}, "span must be finite numbers"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Lines(**{**LINES, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": None}, "the title must be a string"),
        ({"columns": ()}, f"columns must be 1 to {MOST_COLUMNS} names"),
        ({"columns": ("x",) * (MOST_COLUMNS + 1)}, f"columns must be 1 to {MOST_COLUMNS} names"),
        ({"columns": ("x", 2)}, "the name of a column must be a string"),
        ({"rows": ()}, f"rows must be 1 to {MOST_ROWS} rows"),
        ({"rows": (("cat", 1, 2),) * (MOST_ROWS + 1)}, f"rows must be 1 to {MOST_ROWS} rows"),
        ({"rows": {"cat": (1, 2)}}, f"rows must be 1 to {MOST_ROWS} rows"),
        ({"rows": (("cat", 1),)}, r"the row \('cat', 1\) must be a name and 2 cells"),
        ({"rows": ("cat",)}, "the row 'cat' must be a name and 2 cells"),
        ({"rows": ((1, 2, 3),)}, "the name of a row must be a string"),
        ({"rows": (("cat", 1, math.nan),)}, "cells must be finite numbers, short strings or None, not nan"),
        ({"rows": (("cat", 1, False),)}, "cells must be finite numbers, short strings or None, not False"),
        ({"rows": (("cat", 1, [1]),)}, "cells must be finite numbers, short strings or None"),
        ({"rows": (("cat", 1, "x" * (LONGEST + 1)),)}, f"a cell must have at most {LONGEST} characters"),
    ],
)
def test_a_table_that_cannot_be_shown_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Table(**{**TABLE, **changes})


@pytest.mark.parametrize("make", [Heatmap, Lines, Table])
def test_a_refusal_is_short_whatever_was_given(make: Any) -> None:
    fine = {Heatmap: FINE, Lines: LINES, Table: TABLE}[make]
    for name in fine.keys() - ({"title"} if make is Heatmap else set()):  # a heat map shows any title
        for huge in ("x" * 10**6, ["x" * 10**4] * 10**4, 10**10_000):
            with pytest.raises(MemkitError) as refused:
                make(**{**fine, name: huge})
            assert len(str(refused.value)) < 500
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [None, 3, "heatmap", [], {"kind": "pie"}, {"kind": ["lines"]}, {}, {"kind": "lines"}])
def test_other_objects_are_refused_as_figures(data: Any) -> None:
    with pytest.raises(MemkitError, match="figure"):
        figure_from_json(data)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(FIGURES), st.data())
def test_a_damaged_figure_is_refused_in_a_sentence_or_is_another_figure(figure: Figure, data: st.DataObject) -> None:
    damaged = figure.to_json()
    damaged[data.draw(st.sampled_from(sorted(damaged)))] = data.draw(junk)
    try:
        again = figure_from_json(damaged)
    except MemkitError:
        return
    assert figure_from_json(again.to_json()).to_json() == again.to_json()


def test_arrays_are_taken_as_they_are() -> None:
    counts, edges = np.histogram([0.1, 0.2, 0.9], bins=4, range=(0, 1))
    (one,) = Lines("t", "x", "y", [Series("a", edges, counts)], steps=True).series
    assert one.y == (2.0, 0.0, 0.0, 1.0)
    table = Table("t", ["n", "share"], [["a", np.int64(7), np.float32(0.5)], ["b", 10**18, -0.0]])
    assert [type(cell) for cell in table.rows[0][1:]] == [int, float]
    assert [type(cell) for cell in table.rows[1][1:]] == [float, float]
    for figure in (Lines(**LINES), table):
        assert hash(figure) == hash(figure_from_json(figure.to_json()))


def test_a_figure_function_may_make_one_or_several_and_nothing_else() -> None:
    first, second, third = FIGURES
    assert make_figures([lambda seed: first, lambda seed: [second, third]], "claim", seed=1) == (first, second, third)
    with pytest.raises(MemkitError, match="returned a str, not a Heatmap, Lines or Table"):
        make_figures([lambda seed: "picture"], "claim", seed=1)
    with pytest.raises(MemkitError, match="returned a Series, not a Heatmap, Lines or Table"):
        make_figures([lambda seed: [SERIES]], "claim", seed=1)
