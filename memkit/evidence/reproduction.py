"""Compare a seed that was measured again with what the evidence says.

On the platform on which the evidence was made, arithmetic is the same to the last bit. On another one sums are rounded
differently, and training amplifies that; how much may differ is derived from the effects that were found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memkit.evidence.contrast import Contrast
from memkit.evidence.evidence_file import ClaimEvidence

ROUNDING = 1e-6
"""The relative error that single precision leaves open; a difference as small as that has no reliable sign."""
SHARE = 0.1
"""The share of an effect, or of half its interval if that is smaller, that may come from the platform."""

Values = Mapping[tuple[str, str], float]
"""(arm, metric) → value, for one seed."""


@dataclass(frozen=True)
class Value:
    """A value of an arm, recorded and reproduced; ``allowed`` is the largest difference allowed, None: any."""

    arm: str
    metric: str
    recorded: float
    found: float
    allowed: float | None

    @property
    def difference(self) -> float:
        """Return by how much they differ; infinite where one of them alone is not finite."""
        return _apart(self.recorded, self.found)

    @property
    def same(self) -> bool:
        """Return whether they differ by no more than is allowed."""
        return self.allowed is None or self.difference <= self.allowed


@dataclass(frozen=True)
class Compared:
    """The difference of a contrast on this seed, recorded and reproduced."""

    contrast: Contrast
    recorded: float
    found: float
    allowed: float
    rounding: float

    @property
    def flipped(self) -> bool:
        """Return whether it changed its sign, and was not zero but for rounding."""
        return abs(self.recorded) > self.rounding and self.recorded * self.found < 0

    @property
    def same(self) -> bool:
        """Return whether it has its sign, and differs by no more than is allowed."""
        return not self.flipped and _apart(self.recorded, self.found) <= self.allowed


@dataclass(frozen=True)
class Reproduction:
    """Everything that was compared."""

    values: tuple[Value, ...]
    contrasts: tuple[Compared, ...]

    @property
    def same(self) -> bool:
        """Return whether the seed was reproduced."""
        return all(value.same for value in self.values) and all(contrast.same for contrast in self.contrasts)

    @property
    def identical(self) -> bool:
        """Return whether every value is the recorded one to the last bit."""
        return all(value.difference == 0 for value in self.values)


def reproduction(
    entry: ClaimEvidence, recorded: Values, found: Values, *, exact: bool, tolerance: float | None = None
) -> Reproduction:
    """Compare a seed.

    Args:
        entry: the claim's recorded evidence, from which tolerances are derived.
        recorded, found: the seed's values.
        exact: nothing may differ.
        tolerance: allowed everywhere instead, in units of the metric. A flipped sign never is.
    """
    own = {c: 0.0 if exact else allowance(entry, c, recorded) for c in entry.claim.all_contrasts}
    if tolerance is not None:
        own = dict.fromkeys(own, tolerance)
    values = []
    for (arm, metric), value in recorded.items():
        limits = [limit for contrast, limit in own.items() if contrast.metric == metric and arm in contrast.names]
        allowed = 0.0 if exact and tolerance is None else min(limits, default=tolerance)
        values.append(Value(arm, metric, value, found.get((arm, metric), math.nan), allowed))
    return Reproduction(tuple(values), tuple(_compared(c, recorded, found, limit) for c, limit in own.items()))


def allowance(entry: ClaimEvidence, contrast: Contrast, recorded: Values) -> float:
    """Return by how much a contrast's difference, and the values that it compares, may differ elsewhere.

    It is a tenth of the effect or of half its t interval, whichever is smaller. What is small against the effect cannot
    make it another one. What is small against the interval is small against the spread of the seeds: it moves the
    estimate by less than another draw of seeds would. Where all seeds agree the interval has no width, and rounding is
    allowed all the same.
    """
    finding = next((f for f in entry.judgement.findings if f.contrast == contrast), None)
    sizes = [abs(_difference(contrast, recorded))]
    if finding is not None:
        sizes = [abs(finding.t.estimate), (finding.t.high - finding.t.low) / 2]
    smallest = min((size for size in sizes if math.isfinite(size)), default=0.0)
    return max(SHARE * smallest, _rounding(contrast, recorded))


def platforms(recorded: Any, here: Any, arms: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how the platform of the evidence differs from this one; "" where they are the same.

    Args:
        recorded, here: ``calculated_on`` of the provenance.
        arms: of the recorded claim; some of its models may have been trained on another machine.
    """
    if elsewhere := sorted({str(arm["trained_on"]) for arm in arms.values() if arm.get("trained_on")}):
        return f"its models were trained on {', '.join(elsewhere)}"
    if not isinstance(recorded, Mapping) or not isinstance(here, Mapping):
        return "the file does not say which platform it was made on"
    names = [name for name in dict.fromkeys((*here, *recorded)) if recorded.get(name) != here.get(name)]
    return ", ".join(f"{name} {_named(recorded.get(name))} there, {_named(here.get(name))} here" for name in names)


def _named(value: Any) -> str:
    return "not known" if value is None else str(value)


def _compared(contrast: Contrast, recorded: Values, found: Values, allowed: float) -> Compared:
    return Compared(
        contrast=contrast,
        recorded=_difference(contrast, recorded),
        found=_difference(contrast, found),
        allowed=allowed,
        rounding=_rounding(contrast, recorded),
    )


def _sides(contrast: Contrast, values: Values) -> tuple[float, float]:
    over = contrast.over
    control = values.get((over, contrast.metric), math.nan) if isinstance(over, str) else float(over)
    return values.get((contrast.treatment, contrast.metric), math.nan), control


def _difference(contrast: Contrast, values: Values) -> float:
    return contrast.difference(*_sides(contrast, values))


def _rounding(contrast: Contrast, values: Values) -> float:
    return ROUNDING * max((abs(value) for value in _sides(contrast, values) if math.isfinite(value)), default=0.0)


def _apart(one: float, other: float) -> float:
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return abs(one - other)
