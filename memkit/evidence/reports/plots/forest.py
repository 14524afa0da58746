"""Forest plots as inline SVG, which needs no plotting library, script or style sheet.

Text and axes have the colour of the surrounding text, and the verdicts' colours are mid-tones, so that a plot is
legible on white and on black. Every verdict has a word and a shape besides its colour; only decided claims have a
colour.
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
"""The width in pixels below which labels are above the intervals."""


def forest_svg(claims: Sequence[ClaimEvidence], *, width: int = 900, compact: bool = False) -> str:
    """Draw every contrast of ``claims`` with its estimate and its interval, grouped by claim.

    Contrasts share an axis if they share study and metric, because only then do they share a unit. In drawings
    narrower than 560 pixels, labels are above the intervals instead of beside them.

    A run's claims are ``load(path).claims`` (:func:`memkit.evidence.load`); this example builds one by hand.

    >>> from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Gate, Observation, Registration, judge
    >>> from memkit.evidence.reports import forest_svg
    >>> over = Contrast("new", over="old", metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="lab/new", statement="New beats old.", arms={"new": Arm(), "old": Arm()}, contrasts=(over,))
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> observations = tuple(
    ...     Observation(claim="lab/new", seed=seed, arm=arm, metric="accuracy", value=value)
    ...     for seed in registration.seeds(8)
    ...     for arm, value in (("new", 0.9 + seed % 3 / 50), ("old", 0.1))
    ... )
    >>> entry = ClaimEvidence(
    ...     claim=claim,
    ...     nodeid="test_new.py::test_new",
    ...     registration=registration,
    ...     planned=registration.seeds(32),
    ...     observations=observations,
    ...     judgement=judge(claim, observations, planned=registration.seeds(32)),
    ...     gate=Gate("passed", "expected supported, found SUPPORTED"),
    ... )
    >>> svg = forest_svg([entry], width=600)
    >>> svg.startswith("<svg"), "lab/new: SUPPORTED" in svg
    (True, True)

    Args:
        claims: the claims, in the order to draw.
        width: the width of the drawing in pixels; on a narrower page the drawing shrinks.
        compact: draw one row per claim, with its weakest contrast.

    Returns:
        A self-contained ``<svg>`` element.
    """
    longest = max((len(_numbers(f)) for entry in claims for f in words.contrast_findings(entry)), default=0)
    layout = _Layout(width, numbers=7.0 * longest + 20, compact=compact)
    parts: list[str] = []
    y = 4.0
    for title, groups in _compact_panels(claims) if compact else _panels(claims):
        y = _panel(parts, layout, title, groups, y)
    legend = _legend([finding for entry in claims for finding in words.contrast_findings(entry)])
    for line in svg.wrap(legend, svg.fitting(width - 8)):
        y += 17
        parts.append(svg.text(4, y, line, size=11.5, opacity=0.75))
    subject = f"{len(claims)} claims" if len(claims) != 1 else claims[0].claim.id
    description = "; ".join(_description(entry) for entry in claims) or "No claims."
    return svg.document(width, y + 10, f"Forest plot: {subject}", description, parts)


# Panels and rows ----------------------------------------------------------------------------------

_Group = tuple[ClaimEvidence, list[Finding]]
"""A claim and those of its findings that a panel shows."""


@dataclass(frozen=True)
class _Layout:
    """The layout of a drawing: its width, and the width of the column of numbers, in pixels."""

    width: int
    numbers: float
    compact: bool = False

    @property
    def is_stacked(self) -> bool:
        """True if labels are above the intervals."""
        return self.width < _NARROW

    @property
    def plot(self) -> tuple[float, float]:
        """The left and the right end of the intervals' axis."""
        share_of_names = 0.45 if self.compact else 0.28
        return (8, self.width - 8) if self.is_stacked else (share_of_names * self.width, self.width - self.numbers)


def _panels(claims: Sequence[ClaimEvidence]) -> list[tuple[str, list[_Group]]]:
    """Return one panel per study and metric, because only contrasts of one metric share a unit."""
    panels: dict[tuple[str, str], list[_Group]] = {}
    for entry in claims:
        findings = words.contrast_findings(entry)
        if not findings:
            panels.setdefault((entry.claim.study, entry.claim.contrasts[0].metric), []).append((entry, []))
        for metric in dict.fromkeys(finding.contrast.metric for finding in findings):
            of_metric = [finding for finding in findings if finding.contrast.metric == metric]
            panels.setdefault((entry.claim.study, metric), []).append((entry, of_metric))
    return [(f"{study}: difference in {metric}", groups) for (study, metric), groups in panels.items()]


def _compact_panels(claims: Sequence[ClaimEvidence]) -> list[tuple[str, list[_Group]]]:
    """Return one panel per study and bounds of the metric, with the weakest contrast of each claim.

    All metrics between 0 and 1, for example, share a panel.
    """
    panels: dict[tuple[str, tuple[float, float] | str], list[_Group]] = {}
    for entry in claims:
        weakest = words.weakest(words.contrast_findings(entry))
        contrast = weakest.contrast if weakest is not None else entry.claim.contrasts[0]
        key = entry.claim.study, contrast.bounds or contrast.metric
        panels.setdefault(key, []).append((entry, [weakest] if weakest is not None else []))
    titles = []
    for (study, unit), groups in panels.items():
        metrics = {finding.contrast.metric for _, findings in groups for finding in findings}
        if isinstance(unit, str) or len(metrics) == 1:
            titles.append(f"{study}: difference in {metrics.pop() if metrics else unit}")
        else:
            low, high = (minus(f"{end:g}") for end in unit)
            titles.append(f"{study}: differences in metrics from {low} to {high}")
    return list(zip(titles, panels.values(), strict=True))


def _panel(parts: list[str], layout: _Layout, title: str, groups: Sequence[_Group], y: float) -> float:
    """Append a panel to ``parts``, from ``y`` downwards, and return the y below it."""
    left, right = layout.plot
    findings = [finding for _, of_claim in groups for finding in of_claim]
    axis = difference_axis([finding.contrast for finding in findings], findings, left, right)
    y += 20
    parts.append(svg.text(4, y, words.elide(title, svg.fitting(layout.width, bold=True)), size=13, weight=600))
    y += 4
    draw_claim = _claim_row if layout.compact else _claim_rows
    for entry, of_claim in groups:
        y = draw_claim(parts, layout, axis, entry, of_claim, y)
    y += 10
    if findings:
        parts += axis.below(y)
        y += 30
        parts.append(svg.text(right, y, "for the treatment →", size=11, anchor="end", opacity=0.75))
        parts.append(svg.text(left, y, "← against it", size=11, opacity=0.75))
    return y + 10


def _claim_rows(
    parts: list[str], layout: _Layout, axis: Axis, entry: ClaimEvidence, findings: Sequence[Finding], y: float
) -> float:
    """Append a claim with one row per finding to ``parts``, and return the y below it."""
    verdict = f"{words.MARKS[entry.verdict]} {_verdict(entry)}"
    y += 20
    room = layout.width - 8.0 - (0 if layout.is_stacked else 9 * len(verdict))
    parts.append(svg.text(4, y, words.elide(entry.claim.id, svg.fitting(room, bold=True)), size=12, weight=600))
    if layout.is_stacked:
        y += 16
        parts.append(svg.text(4, y, verdict, size=12, weight=600))
    else:
        parts.append(svg.text(layout.width - 4, y, verdict, size=12, weight=600, anchor="end"))
    if not findings:
        y += 17
        parts.append(svg.text(12, y, "no observations", size=11.5, opacity=0.75))
    for finding in findings:
        numbers = _numbers(finding)
        y += 19
        room = layout.width - 24 - 7.0 * len(numbers) if layout.is_stacked else axis.start - 20
        parts.append(svg.text(12, y, words.elide(words.label(finding.contrast), svg.fitting(room)), size=11.5))
        parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
        if layout.is_stacked:
            y += 13
            parts += guides(axis, [finding.contrast], y - 8, y + 8)
            parts += interval(axis, finding, y, decided=entry.decided)
            y += 4
        else:
            parts += guides(axis, [finding.contrast], y - 14, y + 5)
            parts += interval(axis, finding, y - 4, decided=entry.decided)
    return y + 4


def _claim_row(
    parts: list[str], layout: _Layout, axis: Axis, entry: ClaimEvidence, findings: Sequence[Finding], y: float
) -> float:
    """Append a claim in one row (two in a narrow drawing) to ``parts``, and return the y below it.

    ``findings`` holds at most one finding. The study is left out of the claim's name, because the panel's title has it.
    """
    label = f"{words.MARKS[entry.verdict]} {entry.claim.id.partition('/')[2]}"
    if findings and findings[0].contrast.metric != "accuracy":
        label += f" · {findings[0].contrast.metric}"
    if findings and findings[0].contrast.margin:
        label += f" · margin {words.margin(findings[0].contrast)}"
    if entry.claim.assumes_normality:
        label += f" · {words.NORMAL_THEORY}"
    numbers = _numbers(findings[0]) if findings else "no observations"
    y += 17
    room = layout.width - 24 - 7.0 * len(numbers) if layout.is_stacked else axis.start - 16
    parts.append(svg.text(4, y, words.elide(label, svg.fitting(room)), size=11.5))
    parts.append(svg.text(layout.width - 4, y, numbers, size=11.5, anchor="end"))
    for finding in findings:
        y += 12 if layout.is_stacked else 0
        middle = y if layout.is_stacked else y - 4
        parts += guides(axis, [finding.contrast], middle - 9, middle + 8)
        parts += interval(axis, finding, middle, decided=entry.decided)
        y += 4 if layout.is_stacked else 0
    return y


def _numbers(finding: Finding) -> str:
    places = words.decimals(finding)
    interval = words.format_interval(finding.interval.low, finding.interval.high, places)
    return minus(f"{words.format_number(finding.interval.estimate, places)} {interval}")


def _verdict(entry: ClaimEvidence) -> str:
    """Return the verdict, and whether Student's t decided it: a verdict that assumes normality has to say so."""
    return f"{entry.verdict}, {words.NORMAL_THEORY}" if entry.claim.assumes_normality else str(entry.verdict)


def _legend(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    sentences = ["Line: the values that the decision rule does not rule out."]
    if any(finding.contrast.sesoi is not None for finding in findings):
        sentences.append("Shaded: smaller than the smallest effect of interest.")
    if any(finding.contrast.margin for finding in findings):
        sentences.append("Dashed vertical line: the margin to exceed.")
    sentences.append("Arrowhead: the interval continues beyond the axis.")
    sentences.append("Circle: supported; diamond: refuted; square: equivalent; ring: undecided.")
    return " ".join(sentences)


def _description(entry: ClaimEvidence) -> str:
    """Describe a claim for the plot's text alternative."""
    effects = []
    for finding in words.contrast_findings(entry):
        places = words.decimals(finding)
        effects.append(
            f"{words.label(finding.contrast)} {words.format_number(finding.interval.estimate, places)} "
            f"{words.format_interval(finding.interval.low, finding.interval.high, places)}"
        )
    return f"{entry.claim.id}: {_verdict(entry)}, {', '.join(effects) or 'no observations'}"
