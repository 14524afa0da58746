"""A finding on an axis of differences: its interval, the estimate in its verdict's shape, and reference lines."""

from __future__ import annotations

import math
from collections.abc import Iterable

from memkit.evidence.contrast import Contrast
from memkit.evidence.reports.plots import colours, svg
from memkit.evidence.reports.plots.axis import Axis
from memkit.evidence.verdict import Finding, Verdict

COLOURS = {
    Verdict.SUPPORTED: colours.BLUE,
    Verdict.REFUTED: colours.ORANGE,
    Verdict.EQUIVALENT: colours.PURPLE,
    Verdict.INCONCLUSIVE: colours.GREY,
    Verdict.INCOMPLETE: colours.GREY,
}
_EQUAL = 1e-9
"""The length of an axis below which all its differences are drawn as zero."""


def difference_axis(
    contrasts: Iterable[Contrast],
    findings: Iterable[Finding],
    start: float,
    end: float,
    *,
    values: Iterable[float] = (),
) -> Axis:
    """Return an axis of differences that shows zero, the margins, the intervals and ``values``.

    Of intervals that extend beyond the possible differences, the axis shows only the possible part.
    """
    shown = [0.0, *values]
    for finding in findings:
        bounds = finding.contrast.difference_bounds or (-math.inf, math.inf)
        ends = (finding.interval.low, finding.interval.estimate, finding.interval.high)
        shown += [min(max(end, bounds[0]), bounds[1]) for end in ends if math.isfinite(end)]
    for contrast in contrasts:
        shown.append(contrast.margin)
        shown += [-contrast.sesoi, contrast.sesoi] if contrast.sesoi is not None else []
    if max(shown) - min(shown) < _EQUAL:
        shown = [-0.5, 0.5]
    return Axis.linear(shown, start, end, pad=0.05)


def interval(axis: Axis, finding: Finding, y: float, *, decided: bool) -> list[str]:
    """Draw the interval as a line, and the estimate on top of it.

    A limit is drawn as a tick, or as an arrowhead if it lies beyond the axis. The drawing is grey unless ``decided`` is
    true.
    """
    verdict = finding.verdict if decided else Verdict.INCOMPLETE
    colour = COLOURS[verdict]
    limits = finding.interval
    x1, x2 = axis.at(limits.low), axis.at(limits.high)
    parts = [
        f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2.4"/>',
        svg.arrow(x1, y, -1, colour) if limits.low < axis.low else svg.tick(x1, y, 4, colour),
        svg.arrow(x2, y, +1, colour) if limits.high > axis.high else svg.tick(x2, y, 4, colour),
    ]
    if math.isfinite(limits.estimate):
        parts.append(_marker(axis.at(limits.estimate), y, verdict))
    return parts


def guides(axis: Axis, contrasts: Iterable[Contrast], top: float, bottom: float) -> list[str]:
    """Draw the zero line, margins other than zero, and the band of effects that are too small to be of interest."""
    parts = []
    for contrast in contrasts:
        if contrast.sesoi is not None:
            x1, x2 = axis.at(-contrast.sesoi), axis.at(contrast.sesoi)
            parts.append(
                f'<rect x="{x1:.1f}" y="{top:.1f}" width="{x2 - x1:.1f}" height="{bottom - top:.1f}" '
                'fill="currentColor" fill-opacity="0.08"/>'
            )
        if contrast.margin:
            parts.append(svg.vertical(axis.at(contrast.margin), top, bottom, dashed=True, opacity=0.8))
    parts.append(svg.vertical(axis.at(0), top, bottom, opacity=0.45))
    return parts


def _marker(x: float, y: float, verdict: Verdict) -> str:
    colour = COLOURS[verdict]
    if verdict is Verdict.SUPPORTED:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    if verdict is Verdict.REFUTED:
        return f'<path d="M{x:.1f} {y - 6.5:.1f}l6.5 6.5-6.5 6.5-6.5-6.5z" fill="{colour}"/>'
    if verdict is Verdict.EQUIVALENT:
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{colour}"/>'
    # Undecided: a ring without a fill, because the page's background colour is not known.
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="none" stroke="{colour}" stroke-width="2"/>'
