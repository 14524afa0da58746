"""Paired slopes as inline SVG: what control and treatment scored, one line per seed.

A difference of means may come from every seed or from a few; here one sees which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from memkit.evidence.contrast import Contrast
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.plots import colours, svg
from memkit.evidence.reports.plots.axis import Axis

FOR, AGAINST = colours.BLUE, colours.ORANGE
"""The colours of seeds for and against the treatment. Lines against it are dashed."""
_HEIGHT, _LEFT, _TOP = 150.0, 46.0, 12.0


def slopes_svg(entry: ClaimEvidence, contrast: Contrast, *, width: int = 440) -> str:
    """Draw control at the left, treatment at the right, one line per seed; faint where the seed was seen and not used.

    Args:
        entry: the claim.
        contrast: one of its contrasts.
        width: of the drawing, in pixels; it shrinks with the page.

    Returns:
        An ``<svg>`` element that depends on nothing outside it. "" where no seed has both values, and where the control
        is a number: then the strip of differences shows all there is.
    """
    pairs = _pairs(entry, contrast)
    if not pairs:
        return ""
    used = set(words.used_seeds(entry))
    shown = [value for pair in pairs.values() for value in pair]
    y = Axis.linear(shown, _TOP + _HEIGHT, _TOP, pad=0.04)
    left, right = _LEFT + 0.24 * (width - _LEFT), width - 0.24 * (width - _LEFT)
    parts = y.beside(_LEFT, width - 4)
    favour, ties, lines, dots = 0, 0, dict[tuple[str, bool, bool], str](), dict[str, str]()
    for seed in sorted(pairs):
        control, treatment = pairs[seed]
        gap = contrast.difference(treatment, control)
        favour += gap > 0 and seed in used
        ties += gap == 0 and seed in used
        colour = FOR if gap > 0 else AGAINST if gap < 0 else "currentColor"
        start, end = f"{left:.0f} {y.at(control):.1f}", f"{right:.0f} {y.at(treatment):.1f}"
        look = (colour, gap < 0, seed in used)
        lines[look] = lines.get(look, "") + f"M{start}L{end}"
        dots[colour] = dots.get(colour, "") + f"M{start}h0M{end}h0"
    # All lines that look alike are one path, and so are all dots of a colour, since a report may have thousands of
    # seeds. The strip of differences says which seed is which.
    for (colour, dashed, filled), path in sorted(lines.items(), key=lambda line: line[0][2]):
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        faint = 0.75 if filled else 0.3
        parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="1.4" stroke-opacity="{faint}"{dash}/>')
    parts += [
        f'<path d="{points}" stroke="{colour}" stroke-width="5" stroke-linecap="round"/>'
        for colour, points in dots.items()
    ]
    names = (str(contrast.over), contrast.treatment)
    below = _TOP + _HEIGHT + 20
    for x, name in zip((left, right), names, strict=True):
        room = svg.fitting(2 * min(x - 2, width - 2 - x))
        parts.append(svg.text(x, below, words.elide(name, room), size=12, anchor="middle"))
    counted = len(used & set(pairs))
    where = "above" if contrast.direction == "higher" else "below"
    said = f"{contrast.treatment} {where} in {favour} of {counted} used seeds"
    said += f", equal in {ties}" if ties else ""
    y_text = float(below)
    for line in svg.wrap(f"{contrast.metric}; {said}", svg.fitting(width - 8)):
        y_text += 15
        parts.append(svg.text(4, y_text + 5, line, size=11, opacity=0.75))
    title = f"{contrast.metric} of every seed: {contrast.label}"
    return svg.document(width, y_text + 13, title, said, parts)


def _pairs(entry: ClaimEvidence, contrast: Contrast) -> Mapping[int, tuple[float, float]]:
    """Seed → control and treatment, where both are finite."""
    if not isinstance(contrast.over, str):
        return {}
    found: dict[int, dict[str, float]] = {}
    for o in entry.observations:
        if o.metric == contrast.metric and o.arm in contrast.names and math.isfinite(o.value):
            found.setdefault(o.seed, {})[o.arm] = o.value
    return {
        seed: (values[contrast.over], values[contrast.treatment]) for seed, values in found.items() if len(values) == 2
    }
