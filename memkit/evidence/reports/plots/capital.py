"""The growth of capital as inline SVG: the capital of the bets of a contrast after each seed, beside what they need."""

from __future__ import annotations

import numpy as np

from memkit.evidence.decision_rule import capital_paths
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import svg
from memkit.evidence.reports.plots.axis import Axis
from memkit.evidence.reports.plots.intervals import COLOURS
from memkit.evidence.verdict import Finding

_WIDTH, _HEIGHT, _LEFT, _TOP = 440.0, 130.0, 56.0, 10.0
_LEAST = 0.01
"""A capital below this is drawn at the lower edge."""


def capital_svg(entry: ClaimEvidence, finding: Finding) -> str:
    """Draw the capital of each bet of a contrast after every seed, on a logarithmic axis.

    A horizontal dashed line shows what the bet of the same colour needs, and a vertical one the n of the verdict.

    Args:
        entry: the claim and its evidence.
        finding: one of the claim's findings.

    Returns:
        A self-contained ``<svg>`` element; "" if Student's t decides, or if there are fewer than two seeds.
    """
    needed = {verdict: pair[1] for verdict, pair in words.capitals(finding).items()}
    paths = capital_paths(entry.claim, finding.contrast, entry.observations, planned=entry.planned)
    paths = {verdict: path for verdict, path in paths.items() if verdict in needed and np.isfinite(path).all()}
    if not paths or len(next(iter(paths.values()))) < 2:
        return ""
    seeds = len(next(iter(paths.values())))
    most = max(needed[verdict] for verdict in paths)
    floor = _TOP + _HEIGHT
    x = Axis.linear([1, seeds], _LEFT, _WIDTH - 54, counts=True)
    # Capital that a single seed has multiplied by a million would leave no room for the rest.
    drawn = {verdict: np.clip(np.exp(np.minimum(path, 99)), _LEAST, 10 * most) for verdict, path in paths.items()}
    y = Axis.logarithmic([_LEAST, *(value for path in drawn.values() for value in path), 1, most], floor, _TOP)
    parts = [*y.beside(_LEFT, x.end), *x.below(floor)]
    if entry.judgement.decided_at is not None:
        parts.append(svg.vertical(x.at(entry.judgement.decided_at), _TOP, floor, opacity=0.5, dashed=True))
    for verdict, path in drawn.items():
        colour, threshold = COLOURS[verdict], y.at(needed[verdict])
        points = "L".join(f"{x.at(n):.0f} {y.at(value):.1f}" for n, value in enumerate(path, 1))
        parts.append(f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(f'<path d="M{_LEFT:.0f} {threshold:.1f}H{x.end:.0f}" stroke="{colour}" stroke-dasharray="5 3"/>')
    label_y = -99.0
    for threshold in sorted({needed[verdict] for verdict in drawn}, reverse=True):
        label_y = max(y.at(threshold) + 4, label_y + 11)  # labels of lines that are close must not touch
        marks = "".join(words.MARKS[verdict] for verdict in drawn if needed[verdict] == threshold)
        parts.append(svg.text(x.end + 5, label_y, f"{marks} {threshold:.4g}", size=10, opacity=0.85))
    legend = "capital after each seed; dashed: what a verdict needs"
    if entry.judgement.decided_at is not None:
        legend += f", and n = {entry.judgement.decided_at}"
    parts.append(svg.text(_LEFT, floor + 34, legend, size=11, opacity=0.75))
    description = "; ".join(
        f"for {verdict}: {words.capital_of(float(np.exp(min(path[min(finding.n, seeds) - 1], 700))), needed[verdict])} "
        f"at n = {min(finding.n, seeds)}"
        for verdict, path in paths.items()
    )
    title = f"How capital grew: {minus(finding.contrast.label)}"
    return svg.document(_WIDTH, floor + 42, title, description, parts)
