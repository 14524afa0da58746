"""Curves as inline SVG: a thin grid, and series that differ in colour, marker and dash, named where they end.

Where names would touch at the ends of the curves, they stand in a legend above the plot, never over the data.
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
_SHAPES = ("circle", "square", "diamond", "triangle", "turned", "cross")
_WIDTH, _HEIGHT, _SQUARE = 400.0, 230.0, 270.0
_LONGEST = 34
_FEW = 24
"""The most points of a series that each get a marker; of more, some do."""
_SOME = 7
_KEY = 26.0
_LEGEND = 460.0
"""Least room for a legend; it may be wider than the plot."""
_BETWEEN = 22.0
_APART = 15.0
"""Height of a line of text: names nearer to one another would touch."""
_IDENTITY = "y = x"


@dataclass(frozen=True)
class _Look:
    """A marker and a colour that tell a series from others; from the seventh series on, dashes too."""

    colour: str
    shape: str
    dashed: bool

    @classmethod
    def of(cls, number: int) -> _Look:
        return cls(COLOURS[number % len(COLOURS)], _SHAPES[number % len(_SHAPES)], number >= len(COLOURS))


@dataclass(frozen=True)
class _Plot:
    """The axes of a figure, drawn with the plot's upper left corner at 0, 0."""

    x: Axis
    y: Axis

    @classmethod
    def of(cls, figure: Lines) -> _Plot:
        xs = [value for one in figure.series for value in one.x]
        ys = [value for one in figure.series for value in one.y if value is not None]
        ys += figure.span or ()
        ys += [0.0] if figure.steps else []
        if figure.identity:
            both = [*xs, *ys]
            across = Axis.linear(both, 0, _SQUARE, whole=True)
            return cls(across, Axis.linear(both, _SQUARE, 0, whole=True))
        pad = 0.0 if figure.steps else 0.025
        if figure.log:
            across = Axis.logarithmic(xs, 0, _WIDTH, pad=pad)
        else:
            across = Axis.linear(xs, 0, _WIDTH, counts=True, pad=pad)
        return cls(across, Axis.linear(ys, _HEIGHT, 0, whole=True))

    @property
    def width(self) -> float:
        return self.x.end

    @property
    def height(self) -> float:
        return self.y.start


def lines_svg(figure: Lines) -> str:
    """Draw one figure as an ``<svg>`` element; its title is left to the page."""
    plot = _Plot.of(figure)
    beside = _places_beside(figure, plot)
    left = 12 + plot.y.label_width
    names = [words.elide(one.name, _LONGEST) for one in figure.series]
    right = 14 + max(map(svg.width_of, names)) if beside else 18.0
    above = svg.wrap(figure.y, svg.fitting(plot.width + left))
    width = left + plot.width + right
    legend = [] if beside else _rows([*names, *([_IDENTITY] if figure.identity else [])], max(width, _LEGEND))
    width = max([width, *(row[-1][2] + _entry(row[-1][1]) for row in legend)])
    y = 4.0
    parts = []
    for row in legend:
        y += _APART + 3
        parts += _legend_row(row, figure, y)
    y += 12 if legend else 0
    for line in above:
        y += _APART
        parts.append(svg.text(0, y - 3, words.elide(line, svg.fitting(plot.width + left)), size=12, opacity=0.75))
    y += 10
    drawn = [*plot.y.beside(0, plot.width), *plot.x.below(plot.height, edge=-left, grid=0), *_curves(figure, plot)]
    drawn += [svg.text(plot.width + 6, at + 4, name, size=12) for name, at in zip(names, beside, strict=False)]
    parts.append(f'<g transform="translate({left:.1f} {y:.1f})">{"".join(drawn)}</g>')
    y += plot.height + 20
    for line in svg.wrap(figure.x, svg.fitting(plot.width)):
        y += _APART
        label = words.elide(line, svg.fitting(plot.width))
        parts.append(svg.text(left + plot.width / 2, y, label, size=12, anchor="middle", opacity=0.75))
    return svg.document(width, y + 8, figure.title, _said(figure), parts)


def _places_beside(figure: Lines, plot: _Plot) -> list[float]:
    """Return the y of each curve's name, right of its end; [] where names would touch, or curves end elsewhere."""
    if figure.steps or figure.identity:
        return []
    ends = [max((x, y) for x, y in zip(one.x, one.y, strict=True) if y is not None) for one in figure.series]
    if any(plot.x.at(x) < 0.94 * plot.width for x, _ in ends):
        return []
    places = [plot.y.at(y) for _, y in ends]
    ordered = sorted(places)
    touching = any(after - before < _APART for before, after in pairwise(ordered))
    return [] if touching else places


# Legend ------------------------------------------------------------------------------------------------------


def _rows(names: Sequence[str], room: float) -> list[list[tuple[int, str, float]]]:
    """Return the legend's rows: number, name and x of each entry; in columns where there are several rows."""
    widths = [_entry(name) + _BETWEEN for name in names]
    if sum(widths) - _BETWEEN <= room:
        places = [sum(widths[:number]) for number in range(len(names))]
        return [list(zip(range(len(names)), names, places, strict=True))]
    across = max(1, int((room + _BETWEEN) / max(widths)))
    entries = [(number, name, (number % across) * max(widths)) for number, name in enumerate(names)]
    return [entries[first : first + across] for first in range(0, len(entries), across)]


def _entry(name: str) -> float:
    return _KEY + 6 + svg.width_of(name)


def _legend_row(row: Sequence[tuple[int, str, float]], figure: Lines, y: float) -> list[str]:
    parts = []
    for number, name, x in row:
        if number < len(figure.series):
            look = _Look.of(number)
            parts.append(_path([[(x, y - 4), (x + _KEY, y - 4)]], look))
            parts.append(_marker(x + _KEY / 2, y - 4, look))
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
    for number, one in enumerate(figure.series):
        look = _Look.of(number)
        runs = list(_steps(one, plot) if figure.steps else _runs(one, plot))
        parts.append(_path(runs, look))
        for at in _marked(one, number, len(figure.series)):
            value, x = one.y[at], plot.x.at(one.x[at])
            if value is not None:
                x = (x + plot.x.at(one.x[at + 1])) / 2 if figure.steps else x
                title = f"{one.name}: {minus(f'{one.x[at]:.4g}, {value:.4g}')}"
                parts.append(_marker(x, plot.y.at(value), look, title))
    return parts


def _runs(one: Series, plot: _Plot) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches of a curve between its gaps."""
    run: list[tuple[float, float]] = []
    for x, y in zip(one.x, one.y, strict=True):
        if y is not None:
            run.append((plot.x.at(x), plot.y.at(y)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _steps(one: Series, plot: _Plot) -> Iterator[list[tuple[float, float]]]:
    """Yield the outline of a histogram, which goes down to zero at both ends and at its gaps."""
    floor = plot.y.at(0.0)
    run: list[tuple[float, float]] = []
    for number, y in enumerate(one.y):
        x1, x2 = plot.x.at(one.x[number]), plot.x.at(one.x[number + 1])
        if y is not None:
            run += [] if run else [(x1, floor)]
            run += [(x1, plot.y.at(y)), (x2, plot.y.at(y))]
        elif run:
            yield [*run, (run[-1][0], floor)]
            run = []
    if run:
        yield [*run, (run[-1][0], floor)]


def _marked(one: Series, number: int, count: int) -> list[int]:
    """Return the points that get a marker: if there are many, some, not the same in each series; and lone points."""
    known = [at for at, value in enumerate(one.y) if value is not None]
    if len(known) <= _FEW:
        return known
    every = len(known) / _SOME
    some = {known[int((k + (number + 0.5) / count) * every)] for k in range(_SOME)}
    given = set(known)
    return sorted(some | {at for at in known if at - 1 not in given and at + 1 not in given})


# Shapes ------------------------------------------------------------------------------------------------------


def _path(runs: Sequence[Sequence[tuple[float, float]]], look: _Look) -> str:
    drawn = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in runs)
    dashes = ' stroke-dasharray="6 3"' if look.dashed else ""
    return f'<path d="{drawn}" fill="none" stroke="{look.colour}" stroke-width="1.6" stroke-linejoin="round"{dashes}/>'


def _reference(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" stroke-opacity="0.5" '
        'stroke-dasharray="3 3"/>'
    )


def _marker(x: float, y: float, look: _Look, title: str = "") -> str:
    inner = f"<title>{svg.escaped(title)}</title>" if title else ""
    if look.shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.3" fill="{look.colour}">{inner}</circle>'
    outline = {
        "square": f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
        "diamond": f"M{x:.1f} {y - 4.4:.1f}l4.4 4.4-4.4 4.4-4.4-4.4z",
        "triangle": f"M{x:.1f} {y - 4.2:.1f}l4 7h-8z",
        "turned": f"M{x:.1f} {y + 4.2:.1f}l4-7h-8z",
        "cross": f"M{x - 3.2:.1f} {y - 3.2:.1f}l6.4 6.4m0-6.4l-6.4 6.4",
    }[look.shape]
    ink = f'fill="none" stroke="{look.colour}" stroke-width="1.8"' if look.shape == "cross" else f'fill="{look.colour}"'
    return f'<path d="{outline}" {ink}>{inner}</path>'


def _said(figure: Lines) -> str:
    """Describe the figure: every point where there are few, else a curve's ends, lowest and highest point."""
    axes = f"{figure.y} against {figure.x}" + (", logarithmic" if figure.log else "")
    return "; ".join([axes, *(_curve_said(one) for one in figure.series)])


def _curve_said(one: Series) -> str:
    # A step is named by its left edge.
    points = [(x, y) for x, y in zip(one.x, one.y, strict=False) if y is not None]
    if len(points) <= _FEW:
        return f"{one.name}: " + ", ".join(_point(*point) for point in points)
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    return (
        f"{one.name}: {len(points)} points from {_point(*points[0])} to {_point(*points[-1])}, "
        f"lowest {_point(*low)}, highest {_point(*high)}"
    )


def _point(x: float, y: float) -> str:
    return minus(f"{y:.4g} at {x:.4g}")
