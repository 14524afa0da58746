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
    """The method and the family: ``Holm over 14 claims``."""


def adjusted(claims: Sequence[ClaimEvidence]) -> list[Adjusted]:
    """Adjust p values: by Holm over the claims of a run but the cells of sweeps, by Benjamini-Hochberg over each sweep.

    Replications are a family of their own: they ask nothing new, and replicating a claim must not cost it anything.

    Claims whose seeds decide nothing count, with p = 1, and so do cells that were not run, so that choosing among cells
    gains nothing. The p of a claim depends on what was registered, not on what was found. It is the largest p of its
    contrasts, since all of them have to hold; k times the smallest where a refutation was expected, since one of k
    contrasts refutes; and the largest p of its equivalence tests where equivalence was expected. An open question has
    registered nothing, and has the p that fits its verdict.
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
