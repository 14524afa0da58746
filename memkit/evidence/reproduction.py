"""Comparison of a seed that was measured again with the recorded evidence.

On the platform on which the evidence was made, results are identical to the last bit. On another platform sums are
rounded differently, and training amplifies this, so the tolerance is derived from the recorded effects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.statistics import student_t

ROUNDING = 1e-6
"""The relative rounding error of single precision; a smaller difference has no reliable sign."""
SHARE = 0.1
"""The fraction of an effect, or of half its t interval if that is smaller, by which platforms may differ."""

Values = Mapping[tuple[str, str], float]
"""(arm, metric) → value, for one seed."""


@dataclass(frozen=True)
class Value:
    """A recorded value of an arm, and the value of the new measurement.

    Attributes:
        recorded: the value in the evidence.
        found: the value that was measured again.
        allowed: the largest difference allowed; None allows any.
    """

    arm: str
    metric: str
    recorded: float
    found: float
    allowed: float | None

    @property
    def difference(self) -> float:
        """The absolute difference of the two values; infinite if exactly one of them is nan."""
        return _distance(self.recorded, self.found)

    @property
    def same(self) -> bool:
        """True if the values differ by no more than is allowed."""
        return self.allowed is None or self.difference <= self.allowed


@dataclass(frozen=True)
class ContrastValue:
    """The recorded difference of a contrast on one seed, and the difference that was measured again.

    Attributes:
        recorded: the difference according to the evidence.
        found: the difference that was measured again.
        allowed: the largest distance between the two that is allowed.
        rounding: the size of a rounding error; a smaller difference has no reliable sign.
    """

    contrast: Contrast
    recorded: float
    found: float
    allowed: float
    rounding: float

    @property
    def flipped(self) -> bool:
        """True if the sign changed although the recorded difference is larger than a rounding error."""
        return abs(self.recorded) > self.rounding and self.recorded * self.found < 0

    @property
    def same(self) -> bool:
        """True if the sign is the same, and the two differ by no more than is allowed."""
        return not self.flipped and _distance(self.recorded, self.found) <= self.allowed


@dataclass(frozen=True)
class Reproduction:
    """The comparison of one seed: every value and every contrast."""

    values: tuple[Value, ...]
    contrasts: tuple[ContrastValue, ...]

    @property
    def same(self) -> bool:
        """True if the seed was reproduced."""
        return all(value.same for value in self.values) and all(contrast.same for contrast in self.contrasts)

    @property
    def identical(self) -> bool:
        """True if every value equals the recorded one to the last bit."""
        return all(value.difference == 0 for value in self.values)


def reproduction(
    entry: ClaimEvidence, recorded: Values, found: Values, *, exact: bool, tolerance: float | None = None
) -> Reproduction:
    """Compare the recorded values of a seed with those that were measured again.

    Args:
        entry: the claim's recorded evidence, from which tolerances are derived.
        recorded, found: the seed's values, as recorded and as measured again.
        exact: whether the values must be identical.
        tolerance: a tolerance for all values, in units of the metric, instead of the derived ones. A change of sign is
            never allowed.
    """
    tolerances = {c: 0.0 if exact else allowance(entry, c, recorded) for c in entry.claim.all_contrasts}
    if tolerance is not None:
        tolerances = dict.fromkeys(tolerances, tolerance)
    values = []
    for (arm, metric), value in recorded.items():
        limits = [
            limit for contrast, limit in tolerances.items() if contrast.metric == metric and arm in contrast.names
        ]
        allowed = 0.0 if exact and tolerance is None else min(limits, default=tolerance)
        values.append(Value(arm, metric, value, found.get((arm, metric), math.nan), allowed))
    contrasts = tuple(_contrast_value(c, recorded, found, limit) for c, limit in tolerances.items())
    return Reproduction(tuple(values), contrasts)


def allowance(entry: ClaimEvidence, contrast: Contrast, recorded: Values) -> float:
    """Return by how much a contrast's difference, and the values that it compares, may differ on another platform.

    It is a tenth of the effect, or of half its t interval if that is smaller. A change that is small compared with the
    effect does not change the conclusion. A change that is small compared with the interval is small compared with the
    spread of the seeds: other seeds would move the estimate by more. If all seeds agree, the interval has no width, so
    at least a rounding error is allowed.
    """
    effects = list(filter(math.isfinite, differences(entry.claim, contrast, entry.observations).values()))
    sizes = [abs(_difference(contrast, recorded))]
    if effects:
        interval = student_t(effects)
        sizes = [abs(interval.estimate), (interval.high - interval.low) / 2]
    smallest = min((size for size in sizes if math.isfinite(size)), default=0.0)
    return max(SHARE * smallest, _rounding(contrast, recorded))


def platforms(recorded: Any, here: Any, arms: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how the platform of the evidence differs from this one; "" if they are the same.

    Args:
        recorded, here: ``calculated_on`` of the provenance of the evidence, and of this platform.
        arms: the arms of the recorded claim, some of which may have been trained on another machine.
    """
    if other_machines := sorted({str(arm["trained_on"]) for arm in arms.values() if arm.get("trained_on")}):
        return f"its models were trained on {', '.join(other_machines)}"
    if not isinstance(recorded, Mapping) or not isinstance(here, Mapping):
        return "the file does not say on which platform it was made"
    names = [name for name in dict.fromkeys((*here, *recorded)) if recorded.get(name) != here.get(name)]
    return ", ".join(f"{name} {_shown(recorded.get(name))} there, {_shown(here.get(name))} here" for name in names)


def _shown(value: Any) -> str:
    return "not known" if value is None else str(value)


def _contrast_value(contrast: Contrast, recorded: Values, found: Values, allowed: float) -> ContrastValue:
    return ContrastValue(
        contrast=contrast,
        recorded=_difference(contrast, recorded),
        found=_difference(contrast, found),
        allowed=allowed,
        rounding=_rounding(contrast, recorded),
    )


def _treatment_and_control(contrast: Contrast, values: Values) -> tuple[float, float]:
    over = contrast.over
    control = values.get((over, contrast.metric), math.nan) if isinstance(over, str) else float(over)
    return values.get((contrast.treatment, contrast.metric), math.nan), control


def _difference(contrast: Contrast, values: Values) -> float:
    return contrast.difference(*_treatment_and_control(contrast, values))


def _rounding(contrast: Contrast, values: Values) -> float:
    return ROUNDING * max(
        (abs(value) for value in _treatment_and_control(contrast, values) if math.isfinite(value)), default=0.0
    )


def _distance(one: float, other: float) -> float:
    """Return the absolute difference; 0 if both values are nan, and infinity if only one is."""
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return abs(one - other)
