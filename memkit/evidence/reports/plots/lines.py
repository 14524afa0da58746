"""Curves as inline SVG: series that differ in colour, marker and dash, over a thin grid.

Each series is named at the end of its curve, or, if names would touch there, in a legend above the plot. Names never
cover the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from memkit.evidence.figures import Lines, Series
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import colours, svg
from memkit.evidence.reports.plots.axis import Axis

COLOURS = (colours.BLUE, colours.ORANGE, colours.GREEN, colours.PURPLE, colours.YELLOW, colours.GREY)
_SHAPES = ("circle", "square", "diamond", "triangle", "inverted triangle", "cross")
_WIDTH, _HEIGHT, _SQUARE = 400.0, 230.0, 270.0
"""The width and height of a plot, and the side of a square one, in pixels."""
_MAX_CHARACTERS = 34
"""The length beyond which a series' name is shortened."""
_ALL_MARKED = 24
"""The largest number of points of a series that all get a marker; of longer series, only some points do."""
_MARKERS = 7
"""The number of markers of a longer series."""
_KEY = 26.0
"""The width of the line in front of a name in the legend."""
_LEGEND = 460.0
"""The least width of a legend, which may be wider than the plot."""
_COLUMN_GAP = 22.0
_LINE_HEIGHT = 15.0
"""The height of a line of text: names closer together than this would touch."""
_IDENTITY = "y = x"


@dataclass(frozen=True)
class _Style:
    """The colour, marker and dash that distinguish a series from the others."""

    colour: str
    shape: str
    dashed: bool

    @classmethod
    def of(cls, index: int) -> _Style:
        """Return the style of the series at ``index``; from the seventh series on, lines are dashed."""
        return cls(COLOURS[index % len(COLOURS)], _SHAPES[index % len(_SHAPES)], index >= len(COLOURS))


@dataclass(frozen=True)
class _Plot:
    """The axes of a figure, in coordinates whose origin is the upper left corner of the plot."""

    x: Axis
    y: Axis

    @classmethod
    def of(cls, figure: Lines) -> _Plot:
        """Return axes that show all points of a figure."""
        xs = [value for series in figure.series for value in series.x]
        ys = [value for series in figure.series for value in series.y if value is not None]
        ys += figure.span or ()
        ys += [0.0] if figure.steps else []
        if figure.identity:
            both = [*xs, *ys]
            x_axis = Axis.linear(both, 0, _SQUARE, whole=True)
            return cls(x_axis, Axis.linear(both, _SQUARE, 0, whole=True))
        pad = 0.0 if figure.steps else 0.025
        if figure.log:
            x_axis = Axis.logarithmic(xs, 0, _WIDTH, pad=pad)
        else:
            x_axis = Axis.linear(xs, 0, _WIDTH, counts=True, pad=pad)
        return cls(x_axis, Axis.linear(ys, _HEIGHT, 0, whole=True))

    @property
    def width(self) -> float:
        return self.x.end

    @property
    def height(self) -> float:
        return self.y.start


def lines_svg(figure: Lines) -> str:
    """Draw a figure as an ``<svg>`` element, without its title, which the page shows."""
    plot = _Plot.of(figure)
    name_ys = _name_ys(figure, plot)
    left = 12 + plot.y.label_width
    names = [words.elide(series.name, _MAX_CHARACTERS) for series in figure.series]
    right = 14 + max(map(svg.width_of, names)) if name_ys else 18.0
    y_label = svg.wrap(figure.y, svg.fitting(plot.width + left))
    width = left + plot.width + right
    legend = [] if name_ys else _legend([*names, *([_IDENTITY] if figure.identity else [])], max(width, _LEGEND))
    width = max([width, *(row[-1][2] + _entry_width(row[-1][1]) for row in legend)])
    y = 4.0
    parts = []
    for row in legend:
        y += _LINE_HEIGHT + 3
        parts += _legend_row(row, figure, y)
    y += 12 if legend else 0
    for line in y_label:
        y += _LINE_HEIGHT
        parts.append(svg.text(0, y - 3, words.elide(line, svg.fitting(plot.width + left)), size=12, opacity=0.75))
    y += 10
    contents = [*plot.y.beside(0, plot.width), *plot.x.below(plot.height, edge=-left, grid=0), *_curves(figure, plot)]
    contents += [
        svg.text(plot.width + 6, name_y + 4, name, size=12) for name, name_y in zip(names, name_ys, strict=False)
    ]
    parts.append(f'<g transform="translate({left:.1f} {y:.1f})">{"".join(contents)}</g>')
    y += plot.height + 20
    for line in svg.wrap(figure.x, svg.fitting(plot.width)):
        y += _LINE_HEIGHT
        label = words.elide(line, svg.fitting(plot.width))
        parts.append(svg.text(left + plot.width / 2, y, label, size=12, anchor="middle", opacity=0.75))
    return svg.document(width, y + 8, figure.title, _description(figure), parts)


def _name_ys(figure: Lines, plot: _Plot) -> list[float]:
    """Return the y of each series' name beside the end of its curve.

    Returns:
        One y per series; [] if names would touch, or if a curve does not end at the right edge.
    """
    if figure.steps or figure.identity:
        return []
    ends = [max((x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None) for series in figure.series]
    if any(plot.x.at(x) < 0.94 * plot.width for x, _ in ends):
        return []
    ys = [plot.y.at(y) for _, y in ends]
    names_touch = any(after - before < _LINE_HEIGHT for before, after in pairwise(sorted(ys)))
    return [] if names_touch else ys


# Legend ------------------------------------------------------------------------------------------------------


def _legend(names: Sequence[str], room: float) -> list[list[tuple[int, str, float]]]:
    """Return the rows of the legend: index, name and x of each entry. Several rows are aligned in columns."""
    widths = [_entry_width(name) + _COLUMN_GAP for name in names]
    if sum(widths) - _COLUMN_GAP <= room:
        xs = [sum(widths[:index]) for index in range(len(names))]
        return [list(zip(range(len(names)), names, xs, strict=True))]
    columns = max(1, int((room + _COLUMN_GAP) / max(widths)))
    entries = [(index, name, (index % columns) * max(widths)) for index, name in enumerate(names)]
    return [entries[first : first + columns] for first in range(0, len(entries), columns)]


def _entry_width(name: str) -> float:
    return _KEY + 6 + svg.width_of(name)


def _legend_row(row: Sequence[tuple[int, str, float]], figure: Lines, y: float) -> list[str]:
    parts = []
    for index, name, x in row:
        if index < len(figure.series):
            style = _Style.of(index)
            parts.append(_path([[(x, y - 4), (x + _KEY, y - 4)]], style))
            parts.append(_marker(x + _KEY / 2, y - 4, style))
        else:
            parts.append(_reference(x, y - 4, x + _KEY, y - 4))
        parts.append(svg.text(x + _KEY + 6, y, name, size=12))
    return parts


# The plot ----------------------------------------------------------------------------------------------------


def _curves(figure: Lines, plot: _Plot) -> list[str]:
    parts = []
    if figure.identity:
        low, high = plot.x.low, plot.x.high
        parts.append(_reference(plot.x.at(low), plot.y.at(low), plot.x.at(high), plot.y.at(high)))
    for index, series in enumerate(figure.series):
        style = _Style.of(index)
        runs = list(_steps(series, plot) if figure.steps else _runs(series, plot))
        parts.append(_path(runs, style))
        for point in _marked_points(series, index, len(figure.series)):
            value, x = series.y[point], plot.x.at(series.x[point])
            if value is not None:
                x = (x + plot.x.at(series.x[point + 1])) / 2 if figure.steps else x
                title = f"{series.name}: {minus(f'{series.x[point]:.4g}, {value:.4g}')}"
                parts.append(_marker(x, plot.y.at(value), style, title))
    return parts


def _runs(series: Series, plot: _Plot) -> Iterator[list[tuple[float, float]]]:
    """Yield the parts of a curve between its gaps."""
    run: list[tuple[float, float]] = []
    for x, y in zip(series.x, series.y, strict=True):
        if y is not None:
            run.append((plot.x.at(x), plot.y.at(y)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _steps(series: Series, plot: _Plot) -> Iterator[list[tuple[float, float]]]:
    """Yield the outline of a histogram, which goes down to zero at both ends and at its gaps."""
    floor = plot.y.at(0.0)
    run: list[tuple[float, float]] = []
    for index, y in enumerate(series.y):
        x1, x2 = plot.x.at(series.x[index]), plot.x.at(series.x[index + 1])
        if y is not None:
            run += [] if run else [(x1, floor)]
            run += [(x1, plot.y.at(y)), (x2, plot.y.at(y))]
        elif run:
            yield [*run, (run[-1][0], floor)]
            run = []
    if run:
        yield [*run, (run[-1][0], floor)]


def _marked_points(series: Series, index: int, count: int) -> list[int]:
    """Return the indices of the points that get a marker, of the series at ``index`` of ``count``.

    In long series only some points do, different ones in each series, and points between two gaps.
    """
    points = [point for point, value in enumerate(series.y) if value is not None]
    if len(points) <= _ALL_MARKED:
        return points
    stride = len(points) / _MARKERS
    marked = {points[int((k + (index + 0.5) / count) * stride)] for k in range(_MARKERS)}
    present = set(points)
    return sorted(marked | {point for point in points if point - 1 not in present and point + 1 not in present})


# Shapes ------------------------------------------------------------------------------------------------------


def _path(runs: Sequence[Sequence[tuple[float, float]]], style: _Style) -> str:
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in runs)
    dashes = ' stroke-dasharray="6 3"' if style.dashed else ""
    return f'<path d="{path}" fill="none" stroke="{style.colour}" stroke-width="1.6" stroke-linejoin="round"{dashes}/>'


def _reference(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" stroke-opacity="0.5" '
        'stroke-dasharray="3 3"/>'
    )


def _marker(x: float, y: float, style: _Style, title: str = "") -> str:
    inner = f"<title>{svg.escaped(title)}</title>" if title else ""
    if style.shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.3" fill="{style.colour}">{inner}</circle>'
    outline = {
        "square": f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
        "diamond": f"M{x:.1f} {y - 4.4:.1f}l4.4 4.4-4.4 4.4-4.4-4.4z",
        "triangle": f"M{x:.1f} {y - 4.2:.1f}l4 7h-8z",
        "inverted triangle": f"M{x:.1f} {y + 4.2:.1f}l4-7h-8z",
        "cross": f"M{x - 3.2:.1f} {y - 3.2:.1f}l6.4 6.4m0-6.4l-6.4 6.4",
    }[style.shape]
    if style.shape == "cross":
        paint = f'fill="none" stroke="{style.colour}" stroke-width="1.8"'
    else:
        paint = f'fill="{style.colour}"'
    return f'<path d="{outline}" {paint}>{inner}</path>'


# Text alternative --------------------------------------------------------------------------------------------


def _description(figure: Lines) -> str:
    """Describe the figure for its text alternative."""
    axes = f"{figure.y} against {figure.x}" + (", logarithmic" if figure.log else "")
    return "; ".join([axes, *(_series_description(series) for series in figure.series)])


def _series_description(series: Series) -> str:
    """List the points of a short series; of a long one, its ends and its lowest and highest point."""
    # Of a histogram, x has one more value than y: a step is described by its left edge.
    points = [(x, y) for x, y in zip(series.x, series.y, strict=False) if y is not None]
    if len(points) <= _ALL_MARKED:
        return f"{series.name}: " + ", ".join(_point(*point) for point in points)
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    return (
        f"{series.name}: {len(points)} points from {_point(*points[0])} to {_point(*points[-1])}, "
        f"lowest {_point(*low)}, highest {_point(*high)}"
    )


def _point(x: float, y: float) -> str:
    return minus(f"{y:.4g} at {x:.4g}")
