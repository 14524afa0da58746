"""Claims beside their replications on another backend: where each finding holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.derived.replication import counted, holds, in_words
from memkit.evidence.evidence_file import ClaimEvidence


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A replication, and the claim that it replicates where that is in the evidence, too."""

    backend: str
    claim: ClaimEvidence | None
    replication: ClaimEvidence
    holds: str
    """The text of :func:`holds`; "" where there is nothing to compare with."""


def pairs(claims: Sequence[ClaimEvidence]) -> list[Pair]:
    """Return the replications among the claims, in their order."""
    by_id = {entry.claim.id: entry for entry in claims}
    found = []
    for entry in claims:
        if not entry.claim.is_replication:
            continue
        backend = entry.claim.id.rsplit("/", 1)[-1]
        first, said = by_id.get(entry.claim.made_from), ""
        if first is not None and first.observations and entry.observations:
            said = holds(first.verdict, entry.verdict, expect=first.claim.expect, backend=backend)
        found.append(Pair(backend=in_words(backend), claim=first, replication=entry, holds=said))
    return found


def replicated(claims: Sequence[ClaimEvidence]) -> str:
    """``5 claims were replicated in MLX: 4 hold in both, 1 in torch alone.``; "" where none was."""
    compared = [pair for pair in pairs(claims) if pair.holds]
    sentences = []
    for backend in dict.fromkeys(pair.backend for pair in compared):
        counts = Counter(pair.holds for pair in compared if pair.backend == backend)
        total = sum(counts.values())
        were = "claim was" if total == 1 else "claims were"
        sentences.append(f"{total} {were} replicated in {backend}: {counted(counts)}.")
    return " ".join(sentences)
