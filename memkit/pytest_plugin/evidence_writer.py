"""The files that a run leaves behind: the evidence, and for ``--lf`` a note of the claims that failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.learning_curves import gathered
from memkit.evidence.output_files import write_all
from memkit.evidence.registration import DEVELOPMENT_SEEDS
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.provenance import provenance
from memkit.pytest_plugin.reports_to_verdicts import Verdicts
from memkit.pytest_plugin.settings import Settings


def write_evidence(
    config: pytest.Config, settings: Settings, plan: RunPlan, verdicts: Verdicts
) -> tuple[list[Path], list[str]]:
    """Write the evidence of a run.

    Returns:
        The files that were written, and a sentence for each that could not be.

    Raises:
        pytest.UsageError: the evidence file itself cannot be written.
    """
    # A run that was refused, or that measured nothing, leaves the evidence of the last one alone.
    if not any(e.observations or e.failures for e in verdicts.claims.values()) or settings.refused():
        return [], []
    evidence = Evidence(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(config, settings, plan),
        claims=tuple(verdicts.in_order()),
        studies=plan.studies,
        metrics=plan.metrics,
        curves=gathered(verdicts.curves),
    )
    try:
        return write_all(evidence, Path(settings.evidence))
    except OSError as error:  # the disk is full, say
        settings.refuse(f"the evidence could not be written to {settings.evidence} ({error.strerror})")


def note_failed(config: pytest.Config, claims: Iterable[ClaimEvidence]) -> None:
    """Note the seeds of failed claims for ``--lf``: a verdict itself is not an item that can run again."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    noted = dict(cache.get("cache/lastfailed", {}))
    before = dict(noted)
    for entry in claims:
        # Also the seeds that the claim would have once it is edited; otherwise --lf would run everything after an edit.
        elsewhere = {f"{entry.nodeid}[{seed}]": True for seed in DEVELOPMENT_SEEDS[: len(entry.planned)]}
        if entry.gate.outcome == "failed":
            noted |= {**elsewhere, **{f"{entry.nodeid}[{seed}]": True for seed in entry.planned}}
        elif not entry.registration.development:
            noted = {name: value for name, value in noted.items() if name not in elsewhere}
    if noted != before:
        cache.set("cache/lastfailed", noted)
