"""Curves as drawn: well-formed, inside the frame, distinguishable without colour, described in words, and safe."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given

from memkit.evidence.figures import MOST_POINTS, MOST_SERIES, Lines, Series
from memkit.evidence.reports.plots.lines import COLOURS, lines_svg
from tests.evidence.reports.plots import parsing
from tests.evidence.reports.plots.parsing import SVG, texts
from tests.evidence.test_figures import lines

FALLING = Series("falling", (1, 2, 3), (0.9, 0.5, 0.1))
RISING = Series("rising", (1, 2, 3), (0.1, 0.5, 0.9))


def parsed(figure: Lines) -> ElementTree.Element:
    return parsing.parsed(lines_svg(figure))


def curves(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the curves in the plot, without the lines of the legend."""
    (plot,) = root.findall(f"{SVG}g")
    return [path for path in plot.iter(f"{SVG}path") if path.get("stroke-linejoin")]


def text_alternative(root: ElementTree.Element) -> str:
    return root.findtext(f"{SVG}desc") or ""


@given(lines())
def test_whatever_is_accepted_is_drawn_within_the_frame(figure: Lines) -> None:
    root = parsed(figure)
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    (plot,) = root.findall(f"{SVG}g")
    left, top = map(float, (plot.get("transform") or "").removeprefix("translate(").removesuffix(")").split())
    for within, x0, y0 in ((root, 0.0, 0.0), (plot, left, top)):
        for element in within:
            for name, offset, limit in (("x", x0, width), ("x1", x0, width), ("x2", x0, width), ("cx", x0, width)):
                value = element.get(name)
                assert value is None or -1 <= float(value) + offset <= limit + 1
            for name, offset, limit in (("y", y0, height), ("y1", y0, height), ("y2", y0, height), ("cy", y0, height)):
                value = element.get(name)
                assert value is None or -1 <= float(value) + offset <= limit + 1


def test_axes_and_curves_are_named() -> None:
    found = texts(parsed(Lines("title", "epoch", "accuracy (%)", (FALLING, RISING))))
    assert {"epoch", "accuracy (%)", "falling", "rising"} <= set(found)
    assert "title" not in found  # it is the page's


def test_names_are_at_the_ends_of_curves_or_in_a_legend_if_they_would_touch() -> None:
    apart = parsed(Lines("t", "x", "y", (FALLING, RISING)))
    (plot,) = apart.findall(f"{SVG}g")
    assert "falling" in texts(plot)
    for together in (
        Lines("t", "x", "y", (FALLING, Series("same end", (1, 3), (0.9, 0.1)))),
        Lines("t", "x", "y", (FALLING, Series("early end", (1, 2), (0.9, 0.9)))),
        Lines("t", "x", "y", (FALLING, RISING), identity=True),
    ):
        root = parsed(together)
        (plot,) = root.findall(f"{SVG}g")
        assert "falling" not in texts(plot)
        assert "falling" in texts(root)
        top = float((plot.get("transform") or "").split()[1].removesuffix(")"))
        names = [e for e in root.iter(f"{SVG}text") if e.text in {"falling", "same end", "early end", "rising"}]
        assert all(float(name.get("y") or math.nan) < top for name in names)


@pytest.mark.parametrize("steps", [False, True])
def test_series_are_distinguishable_without_colour(steps: bool) -> None:
    count = 50
    series = [
        Series(f"s{k}", range(count + steps), [k + math.sin(i) for i in range(count)]) for k in range(MOST_SERIES)
    ]
    root = parsed(Lines("t", "x", "y", series, steps=steps))
    (plot,) = root.findall(f"{SVG}g")
    styles = set()
    for number, path in enumerate(curves(root)):
        title = f"s{number}: "
        marker = next(e for e in plot if (e.findtext(f"{SVG}title") or "").startswith(title))
        shape = (marker.get("d") or "circle").lstrip("M0123456789.- ")
        styles.add((shape, path.get("stroke-dasharray")))
    assert len(styles) == MOST_SERIES
    assert len(COLOURS) == MOST_SERIES / 2


def test_a_gap_breaks_the_curve_and_a_point_between_gaps_is_marked() -> None:
    y: list[float | None] = [0.1] * 100
    y[50:53] = [None, 0.5, None]
    root = parsed(Lines("t", "x", "y", [Series("a", range(100), y)]))
    (curve,) = curves(root)
    assert (curve.get("d") or "").count("M") == 3
    assert any((title.text or "") == "a: 51, 0.5" for title in root.iter(f"{SVG}title"))


def test_steps_are_the_outline_of_a_histogram() -> None:
    figure = Lines("t", "distance", "count", [Series("a", (0, 1, 2, 3), (2, 1, None))], steps=True)
    root = parsed(figure)
    (curve,) = curves(root)
    points = [tuple(map(float, point.split())) for point in (curve.get("d") or "").lstrip("M").split("L")]
    assert [x for x, _ in points] == pytest.approx([0, 0, 133.3, 133.3, 266.7, 266.7], abs=0.1)
    heights = [y for _, y in points]
    assert heights[0] == heights[-1] == 230  # zero
    assert heights[1] == heights[2] < heights[3] == heights[4] < 230


def test_the_identity_joins_corners_of_a_square() -> None:
    root = parsed(Lines("t", "confidence", "accuracy", [Series("a", (0.1, 0.9), (0.2, 0.7))], identity=True))
    (plot,) = root.findall(f"{SVG}g")
    (line,) = [e for e in plot.iter(f"{SVG}line") if e.get("stroke-dasharray")]
    x1, y1, x2, y2 = (float(line.get(name) or math.nan) for name in ("x1", "y1", "x2", "y2"))
    assert (x1, y2) == (0, 0)
    assert x2 == y1 > 200
    assert "y = x" in texts(root)


def test_the_axis_shows_its_span_at_least_and_every_value() -> None:
    found = texts(parsed(Lines("t", "x", "y", [Series("a", (1, 2), (0.5, 1.7))], span=(0, 1))))
    assert {"0", "1.5"} <= set(found)


def test_the_text_alternative_describes_the_curves() -> None:
    few = text_alternative(parsed(Lines("t", "epoch", "accuracy", (FALLING, Series("-", (1, 2), (-1, None))))))
    assert few == "accuracy against epoch; falling: 0.9 at 1, 0.5 at 2, 0.1 at 3; -: −1 at 1"
    many = Series("many", range(1, 101), [abs(k - 40) / 100 for k in range(1, 101)])
    description = text_alternative(parsed(Lines("t", "k", "error", [many], log=True)))
    points = "100 points from 0.39 at 1 to 0.6 at 100, lowest 0 at 40, highest 0.6 at 100"
    assert description == f"error against k, logarithmic; many: {points}"


def test_hostile_names_are_text() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    figure: dict[str, Any] = {"x": hostile, "y": f'{hostile}"', "series": [Series(hostile, (1, 2), (1, 2))]}
    for steps in (False, True):
        figure["series"] = [Series(hostile, (1, 2, 3)[: 2 + steps], (1, 2))]
        svg = lines_svg(Lines(hostile, **figure, steps=steps))
        assert "<script" not in svg
        assert "\x1b" not in svg
        assert "&lt;script&gt;" in svg
        parsed(Lines(hostile, **figure, steps=steps))


def test_the_largest_figure_stays_small() -> None:
    series = [
        Series(f"s{k}", range(MOST_POINTS), [math.sin(i / (k + 1)) for i in range(MOST_POINTS)])
        for k in range(MOST_SERIES)
    ]
    assert len(lines_svg(Lines("t", "x", "y", series))) < 300_000
