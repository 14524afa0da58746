"""Claims beside their replications on another backend, and where each finding holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.derived.replication import backend_name, describe_counts, where_it_holds
from memkit.evidence.evidence_file import ClaimEvidence


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A replication and the claim that it replicates.

    Attributes:
        backend: the name of the replication's backend, as it is written in text.
        claim: the replicated claim; None if the evidence does not contain it.
        replication: the replication.
        holds: where the finding holds, as :func:`memkit.evidence.derived.replication.where_it_holds` returns it; "" if
            one of the two has no observations.
    """

    backend: str
    claim: ClaimEvidence | None
    replication: ClaimEvidence
    holds: str


def pairs(claims: Sequence[ClaimEvidence]) -> list[Pair]:
    """Return each replication with its claim, in the order of the replications."""
    by_id = {entry.claim.id: entry for entry in claims}
    result = []
    for entry in claims:
        if not entry.claim.is_replication:
            continue
        backend = entry.claim.id.rsplit("/", 1)[-1]
        original, where = by_id.get(entry.claim.parent_id), ""
        if original is not None and original.observations and entry.observations:
            where = where_it_holds(original.verdict, entry.verdict, expect=original.claim.expect, backend=backend)
        result.append(Pair(backend=backend_name(backend), claim=original, replication=entry, holds=where))
    return result


def replications_sentence(claims: Sequence[ClaimEvidence]) -> str:
    """Count where replicated findings hold: ``5 claims were replicated in MLX: 4 hold in both, 1 in torch alone.``

    Returns:
        One sentence per backend; "" if no claim was replicated.
    """
    compared = [pair for pair in pairs(claims) if pair.holds]
    sentences = []
    for backend in dict.fromkeys(pair.backend for pair in compared):
        counts = Counter(pair.holds for pair in compared if pair.backend == backend)
        total = sum(counts.values())
        subject = "claim was" if total == 1 else "claims were"
        sentences.append(f"{total} {subject} replicated in {backend}: {describe_counts(counts)}.")
    return " ".join(sentences)
