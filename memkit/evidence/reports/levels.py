"""The levels at which claims would be declared among all claims that were ever registered, by e-BH."""

from __future__ import annotations

import math
from typing import NamedTuple

from memkit.evidence.e_values import recorded_e_values, weighted_sum
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.statistics import e_bh_levels


class Level(NamedTuple):
    """The e-value of a claim, and its level among all claims.

    Attributes:
        e_value: the e-value of the present attempt; nan if there is none.
        over_attempts: the e-value over all its attempts.
        level: the least rate of false discoveries at which e-BH would declare the claim; nan without an e-value.
        total: the number of claims that were ever registered.
    """

    e_value: float
    over_attempts: float
    level: float
    total: int


def levels(evidence: Evidence) -> list[Level]:
    """Return the level of every claim of a run, among all claims that were ever registered.

    The e-values of claims that are not part of the run are those that the lock has recorded. What is not known counts
    as 0.
    """
    present = {entry.claim.id: _over_attempts(entry, evidence) for entry in evidence.claims}
    recorded = {name: value for name, value in evidence.registered.items() if name not in present}
    total = len(present) + len(recorded)
    values = [*present.values(), *recorded.values()]
    found = e_bh_levels(values, total=total)[: len(present)]
    return [
        Level(
            e_value=math.nan if (e_value := entry.e_value) is None else e_value,
            over_attempts=value,
            level=math.nan if e_value is None else float(level),
            total=total,
        )
        for entry, value, level in zip(evidence.claims, present.values(), found, strict=True)
    ]


def _over_attempts(entry: ClaimEvidence, evidence: Evidence) -> float:
    """Return the e-value of a claim over its attempts: by this run, or as recorded if the claim was not run."""
    if not entry.observations and entry.claim.id in evidence.registered:
        return evidence.registered[entry.claim.id]
    return weighted_sum([*recorded_e_values(entry.registration.earlier), entry.e_value])
