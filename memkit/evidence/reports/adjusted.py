"""p values adjusted for the number of claims; they are shown beside the verdicts and decide none of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.origin import SweepCell
from memkit.evidence.reports import words
from memkit.evidence.verdict import Finding, Verdict
from memkit.statistics import benjamini_hochberg, holm


class AdjustedP(NamedTuple):
    """The p value of a claim, before and after adjustment; both are nan if its seeds decide nothing."""

    p: float
    adjusted: float
    method: str
    """The method and the family: ``Holm over 14 claims``."""


def adjusted_p_values(claims: Sequence[ClaimEvidence]) -> list[AdjustedP]:
    """Adjust the p values of claims by Holm, and those of each sweep's cells by Benjamini-Hochberg.

    Replications are a family of their own: they ask no new question, so replicating a claim does not raise its
    adjusted p.

    Claims whose seeds decide nothing count as p = 1, and so do cells of a sweep that were not run; otherwise, running
    only some cells would make their adjusted p values smaller.

    The p of a claim depends on the registered expectation, not on the result:

    - in general, the largest p of its contrasts, because all of them have to hold;
    - k times the smallest p of its k contrasts if it was expected to be refuted, because one contrast refutes it;
    - the largest p of its equivalence tests if it was expected to be equivalent;
    - for an open question, which has no expectation, the p that fits its verdict.
    """
    by_id: dict[str, AdjustedP] = {}
    families = dict.fromkeys((entry.claim.sweep, entry.claim.is_replication) for entry in claims)
    for sweep, is_replication in families:
        family = [e for e in claims if (e.claim.sweep, e.claim.is_replication) == (sweep, is_replication)]
        ps = [_claim_p(entry) if entry.decided else math.nan for entry in family]
        origin = family[0].claim.origin
        size = max(len(ps), origin.cells) if isinstance(origin, SweepCell) else len(ps)
        filled = [1.0 if math.isnan(p) else p for p in ps] + [1.0] * (size - len(ps))
        adjusted = (benjamini_hochberg if sweep else holm)(filled)[: len(ps)]
        method = (
            f"Benjamini–Hochberg over {size} cells"
            if sweep
            else f"Holm over {size} {'replications' if is_replication else 'claims'}"
        )
        for entry, p, q in zip(family, ps, adjusted, strict=True):
            by_id[entry.claim.id] = AdjustedP(p, math.nan if math.isnan(p) else float(q), method)
    return [by_id[entry.claim.id] for entry in claims]


def _claim_p(entry: ClaimEvidence) -> float:
    findings = words.contrast_findings(entry)
    expected = entry.verdict.value.lower() if entry.claim.expect == "open" else entry.claim.expect
    if expected == "equivalent":
        return max(map(_equivalence_p, findings))
    if expected == "refuted":
        return min(1.0, len(findings) * min(finding.p for finding in findings))
    return max(finding.p for finding in findings)


def _equivalence_p(finding: Finding) -> float:
    """Return the p of equivalence; 1 if equivalence is not tested, or if Student's t has found something else."""
    if finding.capital is None:
        return finding.p if finding.verdict is Verdict.EQUIVALENT else 1.0
    return min(1.0, 1 / max(finding.capital.equivalence or 1.0, 1.0))
