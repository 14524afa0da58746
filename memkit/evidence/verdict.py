"""Results: the verdict of a claim, the findings that it rests on, and how it came about.

:mod:`memkit.evidence.decision_rule` derives them from observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from memkit.evidence.contrast import Contrast
from memkit.statistics import Interval


class Verdict(StrEnum):
    """A verdict of the observations on a claim, or on one of its contrasts."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One contrast at the look that decided its claim, or at the last one.

    Attributes:
        contrast: what was compared.
        role: "contrast", "requires" or "positive control".
        verdict: of this contrast alone.
        n: seeds that were used.
        alpha: two-sided level of the look.
        t, betting: the two intervals; ``betting`` is None where no bounds are declared.
        p: two-sided p of the t test against ``margin``.
        tost_p: p of the two one-sided tests against ±sesoi, where there is one.
        provisional: what the t interval alone would have decided, where the betting interval does not.
        negligible: SUPPORTED, yet inside ±sesoi.
        planning: where inconclusive: ``mde`` (the t test's minimum detectable effect at power 0.8),
            ``seeds_needed`` (for both intervals to show the effect that was seen, from the upper 80 % limit of the
            standard deviation),
            ``betting_minimum`` (the smallest constant difference that the betting interval can show on so
            many seeds).
        notes: sentences for the report.
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
        """Both intervals, or the t interval alone."""
        return (self.t,) if self.betting is None else (self.t, self.betting)

    def to_json(self) -> dict[str, Any]:
        """Return plain types; infinite ends of an interval become None."""
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
        verdict: what counts.
        look: the seeds of the decisive look, or None.
        n: seeds that were used.
        indication: what the looks would have said on seeds, or a number of seeds, that decide nothing; None
            where the looks decide, and where seeds are missing.
        findings: one for each contrast; empty where there were too few observations for any.
        missing: planned seeds below the decisive look that were not observed.
        notes: sentences for the report.
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
