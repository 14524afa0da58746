"""Verdicts, findings and judgements: what :mod:`memkit.evidence.decision_rule` derives from observations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from memkit.evidence.contrast import Contrast
from memkit.statistics import Interval


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
    """The result of one contrast, at the look that decided its claim or at the last look.

    Attributes:
        contrast: what was compared.
        role: "contrast", "requires" or "positive control".
        verdict: the verdict on this contrast alone.
        n: the number of seeds that were used.
        alpha: the two-sided level of the look.
        t, betting: the two intervals; ``betting`` is None if no bounds are declared.
        p: the two-sided p-value of the t test against ``margin``.
        tost_p: the p-value of the two one-sided tests against ±sesoi, if a sesoi is declared.
        provisional: the verdict of the t interval alone, if the betting interval does not agree yet.
        negligible: whether the contrast is SUPPORTED although the interval lies within ±sesoi.
        planning: if the contrast is inconclusive: ``mde`` (the minimum detectable effect of the t test at power 0.8),
            ``seeds_needed`` (how many seeds both intervals need to show the observed effect, based on the upper 80 %
            limit of the standard deviation) and ``betting_minimum`` (the smallest constant difference that the betting
            interval can show with this number of seeds).
        notes: sentences for the report.

    >>> from memkit.evidence import Arm, Claim, Contrast, Observation, judge
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> row = {"claim": claim.id, "arm": "memory", "metric": "accuracy"}
    >>> observations = [Observation(seed=seed, value=0.9 + seed / 1000, **row) for seed in range(8)]
    >>> finding = judge(claim, observations, planned=range(8)).findings[0]
    >>> finding.contrast.label, finding.verdict.value, round(finding.t.estimate, 4)
    ('memory over 0.5', 'SUPPORTED', 0.4035)
    """

    contrast: Contrast
    role: str
    verdict: Verdict
    n: int
    alpha: float
    t: Interval
    betting: Interval | None
    p: float
    tost_p: float | None = None
    provisional: Verdict | None = None
    negligible: bool = False
    planning: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The t interval, followed by the betting interval if there is one."""
        return (self.t,) if self.betting is None else (self.t, self.betting)

    def to_json(self) -> dict[str, Any]:
        """Return plain types; an infinite end of an interval becomes None."""
        return {
            "contrast": self.contrast.label,
            "role": self.role,
            "metric": self.contrast.metric,
            "direction": self.contrast.direction,
            "assume": self.contrast.assume,
            "sesoi": self.contrast.sesoi,
            "verdict": self.verdict.value,
            "estimate": _finite(self.t.estimate),
            "n": self.n,
            "intervals": [
                {
                    "method": i.method,
                    "level": i.level,
                    "low": _finite(i.low),
                    "high": _finite(i.high),
                    "n": i.n,
                }
                for i in self.intervals
            ],
            "p": self.p,
            "tost_p": self.tost_p,
            "provisional": self.provisional.value if self.provisional else None,
            "negligible": self.negligible,
            "planning": {name: _finite(value) for name, value in self.planning.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict of a claim, and how it came about.

    Attributes:
        verdict: the verdict on the claim.
        look: the number of seeds of the decisive look; None if no look was decisive.
        n: the number of seeds that were used.
        indication: the verdict that the rule would have reached, if the seeds, or their number, decide nothing; None
            if they do decide something, and if seeds are missing.
        findings: one per contrast; empty if there were too few observations for any.
        missing: planned seeds within the next look that were not observed.
        notes: sentences for the report.

    >>> from memkit.evidence import Judgement, Verdict
    >>> judgement = Judgement(verdict=Verdict.INCOMPLETE, look=None, n=0, findings=(), missing=(10_000, 10_001))
    >>> judgement.verdict.value, judgement.missing
    ('INCOMPLETE', (10000, 10001))
    """

    verdict: Verdict
    look: int | None
    n: int
    findings: tuple[Finding, ...]
    indication: Verdict | None = None
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "verdict": self.verdict.value,
            "look": self.look,
            "n": self.n,
            "indication": self.indication.value if self.indication else None,
            "findings": [finding.to_json() for finding in self.findings],
            "missing": list(self.missing),
            "notes": list(self.notes),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
