"""The robustness of a contrast: the path of the looks, and what other methods would have said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.verdict import Judgement
from memkit.statistics import Interval
from memkit.statistics.sensitivity import sensitivity

_NAMES = {"student-t": "Student’s t", "betting": "betting", "bootstrap, BCa": "bootstrap, BCa"}


@dataclass(frozen=True)
class Row:
    """One answer: by which method, of how many seeds, the numbers, and what it says of the margin."""

    by: str
    seeds: str
    numbers: str
    says: str


def path(looks: Sequence[Judgement], contrast: Contrast) -> list[Row]:
    """Return both intervals at every look that was taken, in their order."""
    rows = []
    for judgement in looks:
        finding = next((f for f in judgement.findings if f.contrast == contrast), None)
        if finding is None:
            continue
        places = words.decimals(finding)
        rows += [
            Row(
                f"{_NAMES[interval.method]}, {100 * interval.level:.4g} %",
                str(judgement.n),
                _numbers(interval, places),
                _says(interval, contrast),
            )
            for interval in finding.intervals
        ]
    return rows


def others(entry: ClaimEvidence, contrast: Contrast) -> list[Row]:
    """Return what other methods say of the same seeds; nothing where fewer than two differences are finite."""
    gaps = differences(entry.claim, contrast, entry.observations)
    used = [gaps[seed] for seed in words.used_seeds(entry) if math.isfinite(gaps.get(seed, math.nan))]
    if len(used) < 2:
        return []
    finding = next((f for f in entry.judgement.findings if f.contrast == contrast), None)
    places = words.decimals(finding) if finding is not None else 2
    found = sensitivity(used, null=contrast.margin)
    rows = [
        Row(f"{_NAMES[i.method]}, 95 %", str(i.n), _numbers(i, places), _says(i, contrast)) for i in found.intervals
    ]
    every = [gap for gap in gaps.values() if math.isfinite(gap)]
    if len(every) > len(used):
        (more, *_) = sensitivity(every, null=contrast.margin).intervals
        name = "Student’s t, 95 %, with the seeds that were not used"
        rows.append(Row(name, str(more.n), _numbers(more, places), _says(more, contrast)))
    above = found.above
    count = round(above.estimate * above.n)
    rows += [
        Row(
            "seeds beyond the margin, Wilson, 95 %",
            str(above.n),
            f"{count} of {above.n}, [{words.percent(above.low)}, {words.percent(above.high)}]",
            "most seeds" if above.low > 0.5 else "few seeds" if above.high < 0.5 else "neither",
        ),
        Row("mean without a tenth at each end", str(len(used)), minus(words.fixed(found.trimmed, places)), ""),
        Row("Wilcoxon’s signed ranks", str(len(used)), f"p {words.p_value(found.wilcoxon)}", ""),
    ]
    return rows


def _numbers(interval: Interval, places: int) -> str:
    return minus(f"{words.fixed(interval.estimate, places)} {words.span(interval.low, interval.high, places)}")


def _says(interval: Interval, contrast: Contrast) -> str:
    if interval.above(contrast.margin):
        return "above"
    if interval.below(contrast.margin):
        return "below"
    if contrast.sesoi is not None and interval.inside(-contrast.sesoi, contrast.sesoi):
        return f"inside ±{contrast.sesoi:g}"
    return "neither"
