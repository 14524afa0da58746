"""Heat maps as inline SVG: the larger a cell's number, the stronger its colour; the number is printed in the cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from memkit.evidence.figures import Heatmap
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import colours, svg
from memkit.evidence.reports.plots.axis import Axis

_HEIGHT = 23.0
_WIDTH = 44.0
_MAX_CHARACTERS = 34
"""The length beyond which the name of a row or column is shortened."""


def heatmap_svg(figure: Heatmap) -> str:
    """Draw a figure as an ``<svg>`` element, without its title, which the page shows."""
    rows = [words.elide(name, _MAX_CHARACTERS) for name in figure.rows]
    columns = [words.elide(name, _MAX_CHARACTERS) for name in figure.columns]
    left = 18 + max(map(svg.width_of, rows))
    longest = max(map(svg.width_of, columns))
    slanted = longest > _WIDTH - 6
    top = 14 + (longest * math.sin(math.pi / 4) + 6 if slanted else 8)
    overhang = longest * math.cos(math.pi / 4) if slanted else 0.0
    parts = []
    for number, name in enumerate(columns):
        x = left + (number + 0.5) * _WIDTH
        if slanted:
            label = svg.text(0, 0, name, size=12)
            parts.append(f'<g transform="translate({x:.1f} {top - 7:.1f}) rotate(-45)">{label}</g>')
        else:
            parts.append(svg.text(x, top - 7, name, size=12, anchor="middle"))
    opacity = Axis(*figure.span, 0.04, 0.6)
    for row, (name, values) in enumerate(zip(rows, figure.values, strict=True)):
        y = top + row * _HEIGHT
        parts.append(svg.text(left - 8, y + 15.5, name, size=12, anchor="end"))
        for number, value in enumerate(values):
            x = left + number * _WIDTH
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{_WIDTH - 2:.1f}" height="{_HEIGHT - 2:.1f}" rx="2" '
                f'fill="{colours.BLUE}" fill-opacity="{opacity.at(value):.3f}"/>'
            )
            if text := minus(_short(value)):
                parts.append(svg.text(x + _WIDTH / 2, y + 15.5, text, size=11, anchor="middle"))
    width = left + len(columns) * _WIDTH + overhang + 6
    return svg.document(width, top + len(rows) * _HEIGHT + 6, figure.title, _description(figure), parts)


def _short(value: float) -> str:
    """Format a number for a cell; "" if it would read 0.00, so that the other numbers stand out."""
    return "" if abs(value) < 0.005 else f"{value:.2f}" if abs(value) < 9.995 else f"{value:.3g}"


def _description(figure: Heatmap) -> str:
    """Describe the figure for its text alternative."""

    def row(name: str, values: Sequence[float]) -> str:
        return f"{name}: " + ", ".join(f"{c} {v:.2f}" for c, v in zip(figure.columns, values, strict=True))

    return "; ".join(row(name, values) for name, values in zip(figure.rows, figure.values, strict=True))
