"""Paired slopes as inline SVG: the values of control and treatment, joined by one line per seed.

They show whether a difference of means comes from every seed or from a few.
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
"""The colours of seeds for and against the treatment; lines of seeds against it are dashed, too."""
_HEIGHT, _LEFT, _TOP = 150.0, 46.0, 12.0


def slopes_svg(entry: ClaimEvidence, contrast: Contrast, *, width: int = 440) -> str:
    """Draw one line per seed, from the control's value to the treatment's; lines of unused seeds are faint.

    Values are clipped if the contrast says so. The caption explains faint lines if there are any.

    Args:
        entry: the claim.
        contrast: one of its contrasts.
        width: the width of the drawing in pixels; on a narrower page the drawing shrinks.

    Returns:
        A self-contained ``<svg>`` element; "" if no seed has both values, or if the control is a number.
    """
    pairs = _pairs(entry, contrast)
    if not pairs:
        return ""
    used = set(words.used_seeds(entry))
    shown = [value for pair in pairs.values() for value in pair]
    y = Axis.linear(shown, _TOP + _HEIGHT, _TOP, pad=0.04)
    left, right = _LEFT + 0.24 * (width - _LEFT), width - 0.24 * (width - _LEFT)
    parts = y.beside(_LEFT, width - 4)
    in_favour, ties, lines, dots = 0, 0, dict[tuple[str, bool, bool], str](), dict[str, str]()
    for seed in sorted(pairs):
        control, treatment = pairs[seed]
        difference = contrast.difference(treatment, control)
        in_favour += difference > 0 and seed in used
        ties += difference == 0 and seed in used
        colour = FOR if difference > 0 else AGAINST if difference < 0 else "currentColor"
        start, end = f"{left:.0f} {y.at(control):.1f}", f"{right:.0f} {y.at(treatment):.1f}"
        style = (colour, difference < 0, seed in used)
        lines[style] = lines.get(style, "") + f"M{start}L{end}"
        dots[colour] = dots.get(colour, "") + f"M{start}h0M{end}h0"
    # Lines of one style form a single path, and so do dots of one colour, because a report may have thousands of
    # seeds. Only the strip of differences identifies each seed.
    for (colour, is_dashed, is_used), path in sorted(lines.items(), key=lambda line: line[0][2]):
        dash = ' stroke-dasharray="4 3"' if is_dashed else ""
        opacity = 0.75 if is_used else 0.3
        parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="1.4" stroke-opacity="{opacity}"{dash}/>')
    parts += [
        f'<path d="{points}" stroke="{colour}" stroke-width="5" stroke-linecap="round"/>'
        for colour, points in dots.items()
    ]
    names = (str(contrast.over), contrast.treatment)
    below = _TOP + _HEIGHT + 20
    for x, name in zip((left, right), names, strict=True):
        room = svg.fitting(2 * min(x - 2, width - 2 - x))
        parts.append(svg.text(x, below, words.elide(name, room), size=12, anchor="middle"))
    used_pairs = len(used & set(pairs))
    where = "above" if contrast.direction == "higher" else "below"
    description = f"{contrast.treatment} {where} in {in_favour} of {used_pairs} used seeds"
    description += f", equal in {ties}" if ties else ""
    description += "; faint: not used" if len(pairs) > used_pairs else ""
    y_text = float(below)
    for line in svg.wrap(f"{contrast.metric}; {description}", svg.fitting(width - 8)):
        y_text += 15
        parts.append(svg.text(4, y_text + 5, line, size=11, opacity=0.75))
    title = f"{contrast.metric} per seed: {contrast.label}"
    return svg.document(width, y_text + 13, title, description, parts)


def _pairs(entry: ClaimEvidence, contrast: Contrast) -> Mapping[int, tuple[float, float]]:
    """Return seed → (control, treatment), for seeds on which both values are finite."""
    if not isinstance(contrast.over, str):
        return {}
    by_seed: dict[int, dict[str, float]] = {}
    for o in entry.observations:
        if o.metric == contrast.metric and o.arm in contrast.names and math.isfinite(o.value):
            by_seed.setdefault(o.seed, {})[o.arm] = contrast.clipped(o.value)
    return {
        seed: (values[contrast.over], values[contrast.treatment])
        for seed, values in by_seed.items()
        if len(values) == 2
    }
