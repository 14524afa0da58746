"""The robustness of a contrast: its interval and capital at every look, and the results of other methods."""

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

_NAMES = {"student-t": "Student’s t", "bootstrap, BCa": "bootstrap, BCa"}


@dataclass(frozen=True)
class Look:
    """A contrast at one look.

    Attributes:
        n: the number of seeds.
        estimate: the mean difference.
        interval: the interval of the decision rule; by Student's t, with its level.
        capitals: the capital for each verdict, as :func:`looks_at` names them; empty if Student's t decides.
    """

    n: int
    estimate: str
    interval: str
    capitals: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """The result of one method.

    Attributes:
        method: the method, with its level.
        seeds: the number of seeds.
        numbers: the estimate and the interval, or whatever the method gives.
        position: where the interval lies relative to the margin: "above", "below", "inside ±0.1" or "neither".
    """

    method: str
    seeds: str
    numbers: str
    position: str


def looks_at(looks: Sequence[Judgement], contrast: Contrast) -> list[Look]:
    """Return a contrast at every look that was taken, in order.

    The capitals are those of the bets that the mean is above and below the margin and, with a sesoi, the smaller one of
    the bets that it lies within ±sesoi.
    """
    rows = []
    for judgement in looks:
        finding = next((f for f in judgement.findings if f.contrast == contrast), None)
        if finding is None:
            continue
        interval, places = finding.interval, words.decimals(finding)
        limits = minus(words.format_interval(interval.low, interval.high, places))
        if finding.capital is None:
            limits += f", {words.limit_levels(interval)}"
        rows.append(
            Look(
                n=judgement.n,
                estimate=minus(words.format_number(interval.estimate, places)),
                interval=limits,
                capitals=tuple(words.capital(won) for won, _ in words.capitals(finding).values()),
            )
        )
    return rows


def other_methods(entry: ClaimEvidence, contrast: Contrast) -> list[Row]:
    """Return the results of other methods on the same seeds; [] if fewer than two differences are finite."""
    by_seed = differences(entry.claim, contrast, entry.observations)
    used = [by_seed[seed] for seed in words.used_seeds(entry) if math.isfinite(by_seed.get(seed, math.nan))]
    if len(used) < 2:
        return []
    finding = next((f for f in entry.judgement.findings if f.contrast == contrast), None)
    places = words.decimals(finding) if finding is not None else 2
    result = sensitivity(used, null=contrast.margin)
    rows = [
        Row(f"{_NAMES[i.method]}, 95 %", str(i.n), _numbers(i, places), _position(i, contrast))
        for i in result.intervals
    ]
    finite = [difference for difference in by_seed.values() if math.isfinite(difference)]
    if len(finite) > len(used):
        (with_unused, *_) = sensitivity(finite, null=contrast.margin).intervals
        name = "Student’s t, 95 %, including unused seeds"
        numbers = _numbers(with_unused, places)
        rows.append(Row(name, str(with_unused.n), numbers, _position(with_unused, contrast)))
    above = result.share_above
    count = round(above.estimate * above.n)
    rows += [
        Row(
            "share of seeds above the margin, Wilson, 95 %",
            str(above.n),
            f"{count} of {above.n}, [{words.percent(above.low)}, {words.percent(above.high)}]",
            "most seeds" if above.low > 0.5 else "few seeds" if above.high < 0.5 else "neither",
        ),
        Row(
            "mean, trimmed by a tenth at each end",
            str(len(used)),
            minus(words.format_number(result.trimmed_mean, places)),
            "",
        ),
        Row("Wilcoxon signed-rank test", str(len(used)), f"p {words.p_value(result.wilcoxon_p)}", ""),
    ]
    return rows


def _numbers(interval: Interval, places: int) -> str:
    return minus(
        f"{words.format_number(interval.estimate, places)} {words.format_interval(interval.low, interval.high, places)}"
    )


def _position(interval: Interval, contrast: Contrast) -> str:
    if interval.above(contrast.margin):
        return "above"
    if interval.below(contrast.margin):
        return "below"
    if contrast.sesoi is not None and interval.inside(-contrast.sesoi, contrast.sesoi):
        return f"inside ±{contrast.sesoi:g}"
    return "neither"
