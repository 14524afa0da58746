"""Verdicts, findings and judgements: what :mod:`memkit.evidence.decision_rule` derives from observations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from memkit.evidence.contrast import Contrast
from memkit.statistics import Capital, Interval, Thresholds


class Verdict(StrEnum):
    """The verdict on a claim, or on one of its contrasts.

    Attributes:
        SUPPORTED: the difference exceeds the margin.
        REFUTED: the difference lies below the margin.
        EQUIVALENT: the difference lies within ±sesoi.
        INCONCLUSIVE: the seeds decide none of these.
        INCOMPLETE: seeds are missing, a precondition is not met, or the measurement is not valid.

    >>> from memkit import Verdict
    >>> str(Verdict.SUPPORTED), Verdict("REFUTED") is Verdict.REFUTED
    ('SUPPORTED', True)
    """

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one contrast, with the seeds that decided its claim, or with all of them if none did.

    Attributes:
        contrast: what was compared.
        role: "contrast", "requires" or "positive control".
        verdict: the verdict on this contrast alone.
        n: the number of seeds that were used.
        interval: the interval that the rule corresponds to, with the level of each limit.
        sd: the standard deviation of the differences; None for a single seed.
        capital: the capital of the bets; None if Student's t decides.
        thresholds: what the capital has to reach.
        p: a two-sided p-value against ``margin``; that of the verdict if the contrast is EQUIVALENT. By betting it is
            2 over the larger capital, valid at every number of seeds.
        negligible: whether the contrast is SUPPORTED although the interval lies within ±sesoi.
        planning: if the contrast is inconclusive: ``mde`` (the smallest effect that this number of seeds, with this
            spread, would have shown; by Student's t, that it would show four times out of five), ``seeds_needed`` (how
            many seeds like these decide the contrast) and ``least_constant`` (the smallest difference that this number
            of seeds can show if every seed has exactly that difference).
        notes: sentences for the report.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, judge
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> observations = [Observation(seed=seed, value=0.9 + seed / 1000, **row) for seed in range(8)]
    >>> finding = judge(claim, observations, planned=range(8)).findings[0]
    >>> finding.contrast.label, finding.verdict.value, round(finding.interval.estimate, 4)
    ('memory over 0.5', 'SUPPORTED', 0.4035)
    """

    contrast: Contrast
    role: str
    verdict: Verdict
    n: int
    interval: Interval
    capital: Capital | None
    thresholds: Thresholds
    p: float
    sd: float | None = None
    negligible: bool = False
    planning: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain types; an infinite limit or capital becomes None."""
        return {
            "contrast": self.contrast.label,
            "role": self.role,
            "metric": self.contrast.metric,
            "direction": self.contrast.direction,
            "assume": self.contrast.assume,
            "margin": self.contrast.margin,
            "bounds": None if self.contrast.difference_bounds is None else list(self.contrast.difference_bounds),
            "sesoi": self.contrast.sesoi,
            "verdict": self.verdict.value,
            "estimate": _finite(self.interval.estimate),
            "sd": self.sd,
            "n": self.n,
            "interval": {
                "method": self.interval.method,
                "low": _finite(self.interval.low),
                "high": _finite(self.interval.high),
                "low_level": self.interval.low_level,
                "high_level": self.interval.high_level,
            },
            "capital": None if self.capital is None else _capital_to_json(self.capital),
            "needed": {
                "support": self.thresholds.support,
                "refute": self.thresholds.refute,
                "equivalence": self.thresholds.equivalence,
            },
            "p": self.p,
            "negligible": self.negligible,
            "planning": {name: _finite(value) for name, value in self.planning.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict of a claim, and how it came about.

    Attributes:
        verdict: the verdict on the claim.
        decided_at: the number of seeds at which the rule decided; None if it did not. A mutant may be decided, and be
            INCONCLUSIVE, if its effect is shown to be smaller than any that would matter.
        n: the number of seeds that were used.
        indication: the verdict that the rule would have reached, if the seeds, or their number, decide nothing; None
            if they do decide something, and if seeds are missing.
        findings: one per contrast; empty if there were too few observations for any.
        missing: planned seeds within the next look that were not observed.
        notes: sentences for the report.

    >>> from memkit.evidence import Judgement, Verdict
    >>> judgement = Judgement(verdict=Verdict.INCOMPLETE, decided_at=None, n=0, findings=(), missing=(10_000, 10_001))
    >>> judgement.verdict.value, judgement.missing
    ('INCOMPLETE', (10000, 10001))
    """

    verdict: Verdict
    decided_at: int | None
    n: int
    findings: tuple[Finding, ...]
    indication: Verdict | None = None
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "verdict": self.verdict.value,
            "decided_at": self.decided_at,
            "n": self.n,
            "indication": self.indication.value if self.indication else None,
            "findings": [finding.to_json() for finding in self.findings],
            "missing": list(self.missing),
            "notes": list(self.notes),
        }


def _capital_to_json(capital: Capital) -> dict[str, float | None]:
    equivalence = {} if capital.equivalence is None else {"equivalence": _finite(capital.equivalence)}
    return {"above": _finite(capital.above), "below": _finite(capital.below), **equivalence}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
