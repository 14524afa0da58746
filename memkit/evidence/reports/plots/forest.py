"""Forest plots as inline SVG: no plotting library, no script, no style sheet of the page.

Text and axes take the colour of the text around them, and the verdicts' colours are middle tones, so a plot
can be read on white and on black. Each verdict has a word and a shape besides its colour; only what is
decided is coloured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import svg
from memkit.evidence.reports.plots.axis import Axis
from memkit.evidence.reports.plots.intervals import difference_axis, guides, interval
from memkit.evidence.verdict import Finding

_NARROW = 560


def forest_svg(claims: Sequence[ClaimEvidence], *, width: int = 900, compact: bool = False) -> str:
    """Draw every contrast of ``claims`` with its estimate and both intervals, grouped by claim.

    Contrasts share an axis where study and metric are the same, since only then do they share a unit. Below
    560 units of width, labels stand above the intervals instead of beside them.

    Args:
        claims: in the order to draw; one claim gives the plot that goes beside its verdict.
        width: of the drawing, in pixels; it shrinks with the page, never grows.
        compact: one row per claim, the contrast on which it stands or falls.

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


# Panels and rows ----------------------------------------------------------------------------------

_Group = tuple[ClaimEvidence, list[Finding]]


@dataclass(frozen=True)
class _Layout:
    """The layout of a drawing that is ``width`` pixels wide, ``numbers`` of them for the printed numbers."""

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


def _panels(claims: Sequence[ClaimEvidence]) -> list[tuple[str, list[_Group]]]:
    """Return the claims of each study by metric, since only contrasts of one metric share a unit."""
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
    """Return each study's claims with their weakest contrasts, by the metric's bounds: all shares are one panel."""
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
            low, high = (minus(f"{end:g}") for end in unit)
            titles.append(f"{study}: differences of what lies between {low} and {high}")
    return list(zip(titles, panels.values(), strict=True))


def _panel(parts: list[str], layout: _Layout, title: str, groups: Sequence[_Group], y: float) -> float:
    left, right = layout.plot
    findings = [finding for _, own in groups for finding in own]
    axis = difference_axis([finding.contrast for finding in findings], findings, left, right)
    y += 20
    parts.append(svg.text(4, y, words.elide(title, svg.fitting(layout.width, bold=True)), size=13, weight=600))
    y += 4
    rows = _claim_row if layout.compact else _claim_rows
    for entry, own in groups:
        y = rows(parts, layout, axis, entry, own, y)
    y += 10
    if findings:
        parts += axis.below(y)
        y += 30
        parts.append(svg.text(right, y, "as each line says →", size=11, anchor="end", opacity=0.75))
        parts.append(svg.text(left, y, "← the other way round", size=11, opacity=0.75))
    return y + 10


def _claim_rows(
    parts: list[str], layout: _Layout, axis: Axis, entry: ClaimEvidence, own: Sequence[Finding], y: float
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
        beside = layout.width - 24 - 7.0 * len(numbers) if layout.stacked else axis.start - 20
        parts.append(svg.text(12, y, words.elide(words.label(finding.contrast), svg.fitting(beside)), size=11.5))
        parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
        if layout.stacked:
            y += 13
            parts += guides(axis, [finding.contrast], y - 8, y + 8)
            parts += interval(axis, finding, y, settled=entry.decided)
            y += 4
        else:
            parts += guides(axis, [finding.contrast], y - 14, y + 5)
            parts += interval(axis, finding, y - 4, settled=entry.decided)
    return y + 4


def _claim_row(
    parts: list[str], layout: _Layout, axis: Axis, entry: ClaimEvidence, own: Sequence[Finding], y: float
) -> float:
    """A claim in one line, two where labels stand above: its name without the study, which the panel has."""
    said = f"{words.MARKS[entry.verdict]} {entry.claim.id.partition('/')[2]}"
    if own and own[0].contrast.metric != "accuracy":
        said += f" · {own[0].contrast.metric}"
    if own and own[0].contrast.margin:
        said += f" · margin {words.margin(own[0].contrast)}"
    numbers = _numbers(own[0]) if own else "no observation"
    y += 17
    room = layout.width - 24 - 7.0 * len(numbers) if layout.stacked else axis.start - 16
    parts.append(svg.text(4, y, words.elide(said, svg.fitting(room)), size=11.5))
    parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
    for finding in own:
        y += 12 if layout.stacked else 0
        middle = y if layout.stacked else y - 4
        parts += guides(axis, [finding.contrast], middle - 9, middle + 8)
        parts += interval(axis, finding, middle, settled=entry.decided)
        y += 4 if layout.stacked else 0
    return y


def _numbers(finding: Finding) -> str:
    places = words.decimals(finding)
    return minus(f"{words.fixed(finding.t.estimate, places)} {words.span(finding.t.low, finding.t.high, places)}")


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
