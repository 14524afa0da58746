"""Forest plots and seed strips as inline SVG: no plotting library, no script, no style sheet of the page.

Text and axes take the colour of the text around them, and the verdicts' colours are middle tones, so a plot
can be read on white and on black. Each verdict has a word and a shape besides its colour; only what is
decided is coloured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memkit.errors import many
from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.plots import axes, svg
from memkit.evidence.verdict import Finding, Verdict

# Okabe and Ito's hues, toned so that each keeps 3:1 on white and on near-black.
COLOURS = {
    Verdict.SUPPORTED: "#1f7ec2",
    Verdict.REFUTED: "#d1591c",
    Verdict.EQUIVALENT: "#a765b5",
    Verdict.INCONCLUSIVE: "#858585",
    Verdict.INCOMPLETE: "#858585",
}
_NARROW = 560


def forest_svg(claims: Sequence[ClaimEvidence], *, width: int = 900, compact: bool = False) -> str:
    """Every contrast of ``claims`` with its estimate and both intervals, grouped by claim.

    Contrasts share an axis where study and metric are the same, since only then do they share a unit. Below
    560 units of width, labels stand above the intervals instead of beside them.

    Args:
        claims: in the order to draw; one claim gives the plot that goes beside its verdict.
        width: of the drawing, in pixels; it shrinks with the page, never grows.
        compact: a row a claim, the contrast on which it stands or falls.

    Returns:
        An ``<svg>`` element that depends on nothing outside it.
    """
    longest = max((len(_numbers(f)) for entry in claims for f in words.own_findings(entry)), default=0)
    layout = _Layout(width, numbers=7.0 * longest + 20, compact=compact)
    parts: list[str] = []
    y = 4.0
    for title, groups in _compact_panels(claims) if compact else _panels(claims):
        y = _panel(parts, layout, title, groups, y)
    legend = _legend([finding for entry in claims for finding in words.own_findings(entry)])
    for line in svg.wrap(legend, svg.fitting(width - 8)):
        y += 17
        parts.append(svg.text(4, y, line, size=11.5, opacity=0.75))
    many = f"{len(claims)} claims" if len(claims) != 1 else claims[0].claim.id
    described = "; ".join(_said(entry) for entry in claims) or "No claims."
    return svg.document(width, y + 10, f"Forest plot: {many}", described, parts)


def strip_svg(entry: ClaimEvidence, contrast: Contrast, *, width: int = 440, named: bool = True) -> str:
    """The difference of every seed as a dot, and beneath them the estimate with both intervals.

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

    scale = _Scale.over(findings, 14, width - 14, values=finite.values(), contrasts=[contrast])
    stacks: dict[int, list[int]] = {}
    for seed in sorted(finite, key=lambda seed: (seed not in used, seed)):
        stacks.setdefault(round((scale.x(finite[seed]) - scale.left) / 8), []).append(seed)
    tallest = max((len(stack) for stack in stacks.values()), default=1)
    step = min(8.0, 112 / tallest)
    floor = 12 + step * (tallest - 1) + 6
    parts = [*_guides(scale, [contrast], 4, floor + 34)]
    settled = decided(entry)
    colour = COLOURS[finding.verdict if finding is not None and settled else Verdict.INCOMPLETE]
    dots = []
    for stack in stacks.values():
        for height, seed in enumerate(stack):
            x, y = scale.x(finite[seed]), floor - height * step
            kind = {"used": seed in used, "broken": seed in broken}
            title = _seed_title(seed, finite[seed], **kind) if named else ""
            dots.append(svg.dot(x, y, colour, title=title, **kind))
    parts.append(svg.dots(dots, colour))
    if finding is not None:
        parts += _interval(scale, finding, floor + 20, settled=settled)
    parts += _axis(scale, floor + 38)
    axis = f"{contrast.metric}: {words.difference(contrast)}"
    y = floor + 58
    for line in svg.wrap(axis, svg.fitting(width - 8)):
        y += 14
        parts.append(svg.text(width / 2, y - 4, line, size=11, anchor="middle", opacity=0.75))
    beyond = len(finite) - len(used & set(finite))
    said = f"{many(len(finite), 'seed')}, {beyond} of them not used"
    if lost := len(values) - len(finite):
        said += f"; {lost} not finite and not scored"
    return svg.document(width, y + 4, f"Difference of every seed: {contrast.label}", said, parts)


# Panels and rows ----------------------------------------------------------------------------------

_Group = tuple[ClaimEvidence, list[Finding]]


@dataclass(frozen=True)
class _Layout:
    """Where things stand in a drawing of a given width, with ``numbers`` of it for the printed numbers."""

    width: int
    numbers: float
    compact: bool = False

    @property
    def stacked(self) -> bool:
        return self.width < _NARROW

    @property
    def plot(self) -> tuple[float, float]:
        names = 0.45 if self.compact else 0.28
        return (8, self.width - 8) if self.stacked else (names * self.width, self.width - self.numbers)


@dataclass(frozen=True)
class _Scale:
    """A linear axis from ``low`` to ``high``, drawn from ``left`` to ``right``."""

    low: float
    high: float
    left: float
    right: float

    @classmethod
    def over(
        cls,
        findings: Iterable[Finding],
        left: float,
        right: float,
        *,
        values: Iterable[float] = (),
        contrasts: Iterable[Contrast] = (),
    ) -> _Scale:
        """The axis that shows all ends and values; ends beyond what a difference can be are cut off there."""
        shown = [0.0, *values]
        for finding in findings:
            bounds = finding.contrast.difference_bounds or (-math.inf, math.inf)
            for interval in finding.intervals:
                ends = (interval.low, interval.estimate, interval.high)
                shown += [min(max(end, bounds[0]), bounds[1]) for end in ends if math.isfinite(end)]
        for contrast in contrasts:
            shown.append(contrast.margin)
            shown += [-contrast.sesoi, contrast.sesoi] if contrast.sesoi is not None else []
        low, high = min(shown), max(shown)
        if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        pad = 0.05 * (high - low)
        return cls(low - pad, high + pad, left, right)

    def x(self, value: float) -> float:
        """Position of ``value``; what lies beyond the axis is put at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Round numbers, a label's width apart."""
        most = max(2, min(7, int((self.right - self.left) / 58)))
        return axes.multiples(self.low, self.high, axes.round_step(self.low, self.high, most))


def _panels(claims: Sequence[ClaimEvidence]) -> list[tuple[str, list[_Group]]]:
    """Claims of a study, by metric: only contrasts of one metric share a unit."""
    panels: dict[tuple[str, str], list[_Group]] = {}
    for entry in claims:
        findings = words.own_findings(entry)
        if not findings:
            panels.setdefault((entry.claim.study, entry.claim.contrasts[0].metric), []).append((entry, []))
        for metric in dict.fromkeys(finding.contrast.metric for finding in findings):
            own = [finding for finding in findings if finding.contrast.metric == metric]
            panels.setdefault((entry.claim.study, metric), []).append((entry, own))
    return [(f"{study}: difference in {metric}", groups) for (study, metric), groups in panels.items()]


def _compact_panels(claims: Sequence[ClaimEvidence]) -> list[tuple[str, list[_Group]]]:
    """Claims of a study, each with its weakest contrast, by the bounds of its metric: all shares are one panel."""
    panels: dict[tuple[str, tuple[float, float] | str], list[_Group]] = {}
    for entry in claims:
        weakest = words.weakest(words.own_findings(entry))
        contrast = weakest.contrast if weakest is not None else entry.claim.contrasts[0]
        key = entry.claim.study, contrast.bounds or contrast.metric
        panels.setdefault(key, []).append((entry, [weakest] if weakest is not None else []))
    titles = []
    for (study, unit), groups in panels.items():
        metrics = {f.contrast.metric for _, own in groups for f in own}
        if isinstance(unit, str) or len(metrics) == 1:
            titles.append(f"{study}: difference in {metrics.pop() if metrics else unit}")
        else:
            low, high = (svg.minus(f"{end:g}") for end in unit)
            titles.append(f"{study}: differences of what lies between {low} and {high}")
    return list(zip(titles, panels.values(), strict=True))


def _panel(parts: list[str], layout: _Layout, title: str, groups: Sequence[_Group], y: float) -> float:
    left, right = layout.plot
    findings = [finding for _, own in groups for finding in own]
    scale = _Scale.over(findings, left, right, contrasts=[finding.contrast for finding in findings])
    y += 20
    parts.append(svg.text(4, y, words.elide(title, svg.fitting(layout.width, bold=True)), size=13, weight=600))
    y += 4
    rows = _claim_row if layout.compact else _claim_rows
    for entry, own in groups:
        y = rows(parts, layout, scale, entry, own, y)
    y += 10
    if findings:
        parts += _axis(scale, y)
        y += 30
        parts.append(svg.text(right, y, "as each line says →", size=11, anchor="end", opacity=0.75))
        parts.append(svg.text(left, y, "← the other way round", size=11, opacity=0.75))
    return y + 10


def _claim_rows(
    parts: list[str], layout: _Layout, scale: _Scale, entry: ClaimEvidence, own: Sequence[Finding], y: float
) -> float:
    word = f"{words.MARKS[entry.verdict]} {entry.verdict}"
    y += 20
    room = layout.width - 8.0 - (0 if layout.stacked else 9 * len(word))
    parts.append(svg.text(4, y, words.elide(entry.claim.id, svg.fitting(room, bold=True)), size=12, weight=600))
    if layout.stacked:
        y += 16
        parts.append(svg.text(4, y, word, size=12, weight=600))
    else:
        parts.append(svg.text(layout.width - 4, y, word, size=12, weight=600, anchor="end"))
    if not own:
        y += 17
        parts.append(svg.text(12, y, "no observation", size=11.5, opacity=0.75))
    for finding in own:
        numbers = _numbers(finding)
        y += 19
        beside = layout.width - 24 - 7.0 * len(numbers) if layout.stacked else scale.left - 20
        parts.append(svg.text(12, y, words.elide(words.label(finding.contrast), svg.fitting(beside)), size=11.5))
        parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
        if layout.stacked:
            y += 13
            parts += _guides(scale, [finding.contrast], y - 8, y + 8)
            parts += _interval(scale, finding, y, settled=decided(entry))
            y += 4
        else:
            parts += _guides(scale, [finding.contrast], y - 14, y + 5)
            parts += _interval(scale, finding, y - 4, settled=decided(entry))
    return y + 4


def _claim_row(
    parts: list[str], layout: _Layout, scale: _Scale, entry: ClaimEvidence, own: Sequence[Finding], y: float
) -> float:
    """A claim in one line, two where labels stand above: its name without the study, which the panel has."""
    said = f"{words.MARKS[entry.verdict]} {entry.claim.id.partition('/')[2]}"
    if own and own[0].contrast.metric != "accuracy":
        said += f" · {own[0].contrast.metric}"
    if own and own[0].contrast.margin:
        said += f" · margin {words.margin(own[0].contrast)}"
    numbers = _numbers(own[0]) if own else "no observation"
    y += 17
    room = layout.width - 24 - 7.0 * len(numbers) if layout.stacked else scale.left - 16
    parts.append(svg.text(4, y, words.elide(said, svg.fitting(room)), size=11.5))
    parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
    for finding in own:
        y += 12 if layout.stacked else 0
        middle = y if layout.stacked else y - 4
        parts += _guides(scale, [finding.contrast], middle - 9, middle + 8)
        parts += _interval(scale, finding, middle, settled=decided(entry))
        y += 4 if layout.stacked else 0
    return y


def decided(entry: ClaimEvidence) -> bool:
    """Whether these seeds decide anything. Where they do not, no contrast is drawn as if it were settled."""
    return entry.judgement.indication is None and entry.verdict is not Verdict.INCOMPLETE


def _numbers(finding: Finding) -> str:
    places = words.decimals(finding)
    return svg.minus(f"{words.fixed(finding.t.estimate, places)} {words.span(finding.t.low, finding.t.high, places)}")


def _interval(scale: _Scale, finding: Finding, y: float, *, settled: bool) -> list[str]:
    """Betting thin, t thick, the estimate on top; an arrow where an end lies beyond the axis."""
    verdict = finding.verdict if settled else Verdict.INCOMPLETE
    colour = COLOURS[verdict]
    parts = []
    lines = [(finding.betting, 1.4), (finding.t, 4.0)]
    for interval, thickness in lines:
        if interval is None or math.isnan(interval.estimate):
            continue
        x1, x2 = scale.x(interval.low), scale.x(interval.high)
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="{colour}" '
            f'stroke-width="{thickness}"/>'
        )
        if thickness < 2 and scale.low <= interval.low and interval.high <= scale.high:
            parts += [svg.tick(x, y, 4, colour) for x in (x1, x2)]
        if interval.low < scale.low:
            parts.append(svg.arrow(x1, y, -1, colour))
        if interval.high > scale.high:
            parts.append(svg.arrow(x2, y, +1, colour))
    if math.isfinite(finding.t.estimate):
        parts.append(_marker(scale.x(finding.t.estimate), y, verdict))
    return parts


def _marker(x: float, y: float, verdict: Verdict) -> str:
    colour = COLOURS[verdict]
    if verdict is Verdict.SUPPORTED:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    if verdict is Verdict.REFUTED:
        return f'<path d="M{x:.1f} {y - 6.5:.1f}l6.5 6.5-6.5 6.5-6.5-6.5z" fill="{colour}"/>'
    if verdict is Verdict.EQUIVALENT:
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{colour}"/>'
    # Undecided: hollow, and see-through, since the colour of the page is not known.
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="none" stroke="{colour}" stroke-width="2"/>'


def _guides(scale: _Scale, contrasts: Iterable[Contrast], top: float, bottom: float) -> list[str]:
    """The zero line, the margin where it is not zero, and the band of effects too small to be of interest."""
    parts = []
    for contrast in contrasts:
        if contrast.sesoi is not None:
            x1, x2 = scale.x(-contrast.sesoi), scale.x(contrast.sesoi)
            parts.append(
                f'<rect x="{x1:.1f}" y="{top:.1f}" width="{x2 - x1:.1f}" height="{bottom - top:.1f}" '
                'fill="currentColor" fill-opacity="0.08"/>'
            )
        if contrast.margin:
            parts.append(svg.vertical(scale.x(contrast.margin), top, bottom, dashed=True, opacity=0.8))
    parts.append(svg.vertical(scale.x(0), top, bottom, opacity=0.45))
    return parts


def _axis(scale: _Scale, y: float) -> list[str]:
    parts = [
        f'<line x1="{scale.left:.1f}" y1="{y:.1f}" x2="{scale.right:.1f}" y2="{y:.1f}" stroke="currentColor" '
        'stroke-opacity="0.45"/>'
    ]
    ticks = scale.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = "".join(f"M{scale.x(value):.1f} {y:.1f}v4" for value in ticks)
    parts.append(f'<path d="{marks}" stroke="currentColor" stroke-opacity="0.45"/>')
    said = ["0" if abs(v) < step / 2 else svg.minus(words.fixed(v, places, signed=False)) for v in ticks]
    shown = [(scale.x(value), y + 16, label) for value, label in zip(ticks, said, strict=True)]
    parts.append(svg.labels(shown, size=11, opacity=0.75))
    return parts


def _legend(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    said = ["Thick line: Student’s t interval; thin line: betting interval."]
    if any(finding.contrast.sesoi is not None for finding in findings):
        said.append("Shaded: smaller than the smallest effect of interest.")
    if any(finding.contrast.margin for finding in findings):
        said.append("Dashed, across a line: the margin to be exceeded.")
    said.append("An arrowhead: the interval goes on beyond the axis.")
    said.append("Circle: supported; diamond: refuted; square: equivalent; ring: undecided.")
    return " ".join(said)


def _said(entry: ClaimEvidence) -> str:
    effects = []
    for finding in words.own_findings(entry):
        places = words.decimals(finding)
        effects.append(
            f"{words.label(finding.contrast)} {words.fixed(finding.t.estimate, places)} "
            f"{words.span(finding.t.low, finding.t.high, places)}"
        )
    return f"{entry.claim.id}: {entry.verdict}, {', '.join(effects) or 'no observation'}"


def _seed_title(seed: int, value: float, *, used: bool, broken: bool) -> str:
    said = f"{seed}: {svg.minus(f'{value:+.4g}')}"
    if broken:
        said += ", not finite, scored at the worst bound"
    return said if used else said + ", not used"
