"""Writes the files of a run: the evidence, and the list of failed seeds for ``--lf``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.learning_curves import curves_by_recipe
from memkit.evidence.output_files import write_all
from memkit.evidence.registration import DEVELOPMENT_SEEDS
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.provenance import provenance
from memkit.pytest_plugin.reports_to_verdicts import Verdicts
from memkit.pytest_plugin.seeds import lock_of
from memkit.pytest_plugin.settings import Settings


def write_evidence(
    config: pytest.Config, settings: Settings, plan: RunPlan, verdicts: Verdicts
) -> tuple[list[Path], list[str]]:
    """Write the evidence of a run.

    Returns:
        The files that were written, and a message for each file that could not be written.

    Raises:
        pytest.UsageError: the evidence file itself cannot be written.
    """
    # A run that was refused, or that measured nothing, does not overwrite the evidence of the last run.
    if not any(e.observations or e.failures for e in verdicts.claims.values()) or settings.refusal_message():
        return [], []
    lock = lock_of(config)
    # All laboratories, since a reader has to know among how many runs this one was chosen.
    laboratories = {"laboratories": ", ".join(lock.laboratories)} if lock.laboratories else {}
    evidence = Evidence(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance={**provenance(config, settings, plan), **laboratories},
        claims=tuple(verdicts.in_order()),
        studies=plan.studies,
        metrics=plan.metrics,
        curves=curves_by_recipe(verdicts.curves),
        registered=lock.e_values(),
    )
    try:
        return write_all(evidence, Path(settings.evidence))
    except OSError as error:  # for example, the disk is full
        settings.refuse(f"the evidence could not be written to {settings.evidence} ({error.strerror})")


def store_failed(config: pytest.Config, claims: Iterable[ClaimEvidence]) -> None:
    """Store the seeds of failed claims for ``--lf``, since a verdict itself is not an item that can run again."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    last_failed = dict(cache.get("cache/lastfailed", {}))
    stored = dict(last_failed)
    for entry in claims:
        # Includes the development seeds, on which an edited claim runs; without them, --lf would run all tests then.
        development = {f"{entry.nodeid}[{seed}]": True for seed in DEVELOPMENT_SEEDS[: len(entry.planned)]}
        if entry.gate.outcome == "failed":
            last_failed |= {**development, **{f"{entry.nodeid}[{seed}]": True for seed in entry.planned}}
        elif not entry.registration.development:
            last_failed = {name: value for name, value in last_failed.items() if name not in development}
    if last_failed != stored:
        cache.set("cache/lastfailed", last_failed)
