"""The state of a claim during a run: which seeds are open, their results so far, and which seeds come next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from memkit.evidence.decision_rule import next_seeds
from memkit.evidence.observation import Observation
from memkit.evidence.verdict import Judgement, Verdict
from memkit.pytest_plugin.measurement import Measurement
from memkit.pytest_plugin.plan import PlannedClaim
from memkit.pytest_plugin.tries import Try


@dataclass
class ClaimRun:
    """The state of a claim during a run.

    Attributes:
        planned: the claim in the plan of the run.
        open_seeds: the seeds that may be measured.
        unfinished_seeds: the open seeds whose items have not ended.
        tries: seed → its last try, for seeds with reports whose items have not ended.
        measurements: seed → measurement.
        failures: seed → the reason why it failed.
        skipped: seed → the reason why it was skipped.
    """

    planned: PlannedClaim
    open_seeds: set[int] = field(default_factory=set)
    unfinished_seeds: set[int] = field(default_factory=set)
    tries: dict[int, Try] = field(default_factory=dict)
    measurements: dict[int, Measurement] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The observations of the seeds that did not fail, in the order of the looks."""
        seeds = [seed for seed in self.planned.planned if seed in self.measurements and seed not in self.failures]
        return tuple(o for seed in seeds for o in self.measurements[seed].observations)

    @property
    def is_skipped(self) -> bool:
        """True if the whole claim is skipped, for example because its data are missing.

        A test must not skip single seeds, since it could then choose the seeds that count.
        """
        return bool(self.skipped) and not self.measurements and not self.failures

    def open(self, seeds: Collection[int]) -> None:
        """Open seeds: from now on they may be measured, and their reports are expected."""
        self.open_seeds |= set(seeds)
        self.unfinished_seeds |= set(seeds)

    def add_report(self, seed: int, report: pytest.TestReport) -> None:
        """Add a report of a seed's item."""
        last = self.tries.setdefault(seed, Try())
        # A new try begins only after a try that did not pass; with --dist each, the reports of several tries overlap.
        if report.when == "setup" and not last.all_passed:
            last = self.tries[seed] = Try()
        last.add_report(report)

    def finish_seed(self, seed: int) -> None:
        """Record the result of a seed's last try; a try without a measurement or a reason counts as a failure."""
        last = self.tries.pop(seed)
        self.unfinished_seeds.discard(seed)
        if last.failure:
            self.failures[seed] = last.failure
        elif last.skipped:
            self.skipped[seed] = last.skipped
        elif last.measurement is not None:
            self.measurements[seed] = last.measurement
        else:
            self.failures[seed] = "it ended without a measurement or a reason; another plugin may have run it"

    def next_seeds(self, *, adaptive: bool) -> list[int]:
        """Return the seeds to open next; none if the claim needs no more, or can no longer be decided.

        Args:
            adaptive: whether the claim stops once it is decided; otherwise all its seeds are opened at once.
        """
        rest = [seed for seed in self.planned.selected if seed not in self.open_seeds]
        if self.failures or self.skipped:
            return []
        planned, thresholds = self.planned.planned, self.planned.registration.thresholds
        wanted = next_seeds(self.planned.claim, self.observations, planned=planned, thresholds=thresholds)
        if not adaptive or not set(wanted) <= set(self.planned.selected):  # the look cannot become complete
            return rest
        return [seed for seed in rest if seed in wanted]

    def fail_all(self, reason: str) -> None:
        """Count every seed as failed."""
        self.failures = dict.fromkeys(self.planned.selected, reason)

    def settle_reason(self, judgement: Judgement) -> str:
        """Return the reason why the seeds that were not opened are not needed."""
        if self.is_skipped:
            return next(iter(self.skipped.values()))
        if failed := {**self.failures, **self.skipped}:
            return f"seed {min(failed)} failed, so the claim cannot be decided"
        if judgement.decided_at is not None:
            return f"decided at n = {judgement.decided_at}"
        if judgement.indication not in (None, Verdict.INCONCLUSIVE):
            return f"looks like {judgement.indication} at n = {judgement.n}"
        return f"{judgement.verdict} at n = {judgement.n}"
