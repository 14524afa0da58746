"""p values adjusted for how many claims there are: shown beside the verdicts, and deciding none of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.origin import SweepCell
from memkit.evidence.reports import words
from memkit.statistics import benjamini_hochberg, holm


class Adjusted(NamedTuple):
    """A claim's p; nan where its seeds decide nothing."""

    p: float
    adjusted: float
    family: str
    """How it was adjusted: ``Holm over 14 claims``."""


def adjusted(claims: Sequence[ClaimEvidence]) -> list[Adjusted]:
    """By Holm over all claims of a run but the cells of sweeps; by Benjamini-Hochberg over all cells of each sweep.

    Replications are a family of their own: they ask nothing new, and to replicate costs a claim nothing.

    Claims on seeds that decide nothing count, with p = 1, and so do cells that were not run: to choose one buys
    nothing. Which p stands for a claim is fixed by what was registered, not by what was found: all contrasts have to
    hold, so their largest; one refutes, so k times their smallest; for equivalence, the largest of its tests. An open
    question has registered nothing, and has the p of its answer.
    """
    found: dict[str, Adjusted] = {}
    for sweep, again in dict.fromkeys((entry.claim.sweep, entry.claim.is_replication) for entry in claims):
        family = [entry for entry in claims if (entry.claim.sweep, entry.claim.is_replication) == (sweep, again)]
        ps = [_claim_p(entry) if entry.decided else math.nan for entry in family]
        origin = family[0].claim.origin
        size = max(len(ps), origin.cells) if isinstance(origin, SweepCell) else len(ps)
        filled = [1.0 if math.isnan(p) else p for p in ps] + [1.0] * (size - len(ps))
        qs = (benjamini_hochberg if sweep else holm)(filled)[: len(ps)]
        said = (
            f"Benjamini–Hochberg over {size} cells"
            if sweep
            else f"Holm over {size} {'replications' if again else 'claims'}"
        )
        for entry, p, q in zip(family, ps, qs, strict=True):
            found[entry.claim.id] = Adjusted(p, math.nan if math.isnan(p) else float(q), said)
    return [found[entry.claim.id] for entry in claims]


def _claim_p(entry: ClaimEvidence) -> float:
    own = words.own_findings(entry)
    asked = entry.verdict.value.lower() if entry.claim.expect == "open" else entry.claim.expect
    if asked == "equivalent":
        return max(1.0 if finding.tost_p is None else finding.tost_p for finding in own)
    if asked == "refuted":
        return min(1.0, len(own) * min(finding.p for finding in own))
    return max(finding.p for finding in own)
