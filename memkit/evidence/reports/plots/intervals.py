"""A finding on an axis of differences: both intervals, the estimate in its verdict's shape, and what guides the eye."""

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
"""Differences that are all smaller than this are drawn as zero."""


def difference_axis(
    contrasts: Iterable[Contrast],
    findings: Iterable[Finding],
    start: float,
    end: float,
    *,
    values: Iterable[float] = (),
) -> Axis:
    """Return the axis that shows zero, margins, intervals and ``values``.

    Ends of intervals beyond what a difference can be are cut off there.
    """
    shown = [0.0, *values]
    for finding in findings:
        bounds = finding.contrast.difference_bounds or (-math.inf, math.inf)
        for one in finding.intervals:
            ends = (one.low, one.estimate, one.high)
            shown += [min(max(end, bounds[0]), bounds[1]) for end in ends if math.isfinite(end)]
    for contrast in contrasts:
        shown.append(contrast.margin)
        shown += [-contrast.sesoi, contrast.sesoi] if contrast.sesoi is not None else []
    if max(shown) - min(shown) < _EQUAL:
        shown = [-0.5, 0.5]
    return Axis.linear(shown, start, end, pad=0.05)


def interval(axis: Axis, finding: Finding, y: float, *, settled: bool) -> list[str]:
    """Draw the betting interval thin, t thick, and the estimate on top; an arrow where an end lies beyond the axis."""
    verdict = finding.verdict if settled else Verdict.INCOMPLETE
    colour = COLOURS[verdict]
    parts = []
    lines = [(finding.betting, 1.4), (finding.t, 4.0)]
    for one, thickness in lines:
        if one is None or math.isnan(one.estimate):
            continue
        x1, x2 = axis.at(one.low), axis.at(one.high)
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="{colour}" '
            f'stroke-width="{thickness}"/>'
        )
        if thickness < 2 and axis.low <= one.low and one.high <= axis.high:
            parts += [svg.tick(x, y, 4, colour) for x in (x1, x2)]
        if one.low < axis.low:
            parts.append(svg.arrow(x1, y, -1, colour))
        if one.high > axis.high:
            parts.append(svg.arrow(x2, y, +1, colour))
    if math.isfinite(finding.t.estimate):
        parts.append(_marker(axis.at(finding.t.estimate), y, verdict))
    return parts


def guides(axis: Axis, contrasts: Iterable[Contrast], top: float, bottom: float) -> list[str]:
    """Draw the zero line, the margin where it is not zero, and the band of effects too small to be of interest."""
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
    # Undecided: a hollow circle without a fill, since the colour of the page is not known.
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="none" stroke="{colour}" stroke-width="2"/>'
