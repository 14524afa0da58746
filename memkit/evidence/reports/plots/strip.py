"""Strips of seeds as inline SVG: the difference of every seed, and beneath them what their intervals say."""

from __future__ import annotations

import math

from memkit.errors import many
from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import svg
from memkit.evidence.reports.plots.intervals import COLOURS, difference_axis, guides, interval
from memkit.evidence.verdict import Verdict


def strip_svg(entry: ClaimEvidence, contrast: Contrast, *, width: int = 440, named: bool = True) -> str:
    """Draw the difference of every seed as a dot, and beneath them the estimate with both intervals.

    Filled: a seed that the verdict rests on. Hollow: seen and not used, being beyond the decisive look.
    A cross: a value that was not finite, drawn where it was scored.

    Args:
        width: of the drawing, in pixels; it shrinks with the page.
        named: say at each dot, in a tooltip, which seed it is; a page of many claims has it in the table alone.
    """
    values = differences(entry.claim, contrast, entry.observations)
    finite = {seed: value for seed, value in values.items() if math.isfinite(value)}
    used = set(words.used_seeds(entry))
    broken = {o.seed for o in entry.observations if o.arm in contrast.names and not math.isfinite(o.value)}
    finding = next((f for f in entry.judgement.findings if f.contrast == contrast), None)
    findings = [finding] if finding is not None else []

    axis = difference_axis([contrast], findings, 14, width - 14, values=finite.values())
    stacks: dict[int, list[int]] = {}
    for seed in sorted(finite, key=lambda seed: (seed not in used, seed)):
        stacks.setdefault(round((axis.at(finite[seed]) - axis.start) / 8), []).append(seed)
    tallest = max((len(stack) for stack in stacks.values()), default=1)
    step = min(8.0, 112 / tallest)
    floor = 12 + step * (tallest - 1) + 6
    parts = [*guides(axis, [contrast], 4, floor + 34)]
    settled = entry.decided
    colour = COLOURS[finding.verdict if finding is not None and settled else Verdict.INCOMPLETE]
    dots = []
    for stack in stacks.values():
        for height, seed in enumerate(stack):
            x, y = axis.at(finite[seed]), floor - height * step
            kind = {"used": seed in used, "broken": seed in broken}
            title = _seed_title(seed, finite[seed], **kind) if named else ""
            dots.append(svg.dot(x, y, colour, title=title, **kind))
    parts.append(svg.dots(dots, colour))
    if finding is not None:
        parts += interval(axis, finding, floor + 20, settled=settled)
    parts += axis.below(floor + 38)
    y = floor + 58
    for line in svg.wrap(f"{contrast.metric}: {words.difference(contrast)}", svg.fitting(width - 8)):
        y += 14
        parts.append(svg.text(width / 2, y - 4, line, size=11, anchor="middle", opacity=0.75))
    beyond = len(finite) - len(used & set(finite))
    said = f"{many(len(finite), 'seed')}, {beyond} of them not used"
    if lost := len(values) - len(finite):
        said += f"; {lost} not finite and not scored"
    return svg.document(width, y + 4, f"Difference of every seed: {contrast.label}", said, parts)


def _seed_title(seed: int, value: float, *, used: bool, broken: bool) -> str:
    said = f"{seed}: {minus(f'{value:+.4g}')}"
    if broken:
        said += ", not finite, scored at the worst bound"
    return said if used else said + ", not used"
