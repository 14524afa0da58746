"""A claim while it runs: which of its seeds are out, what came in, and which come next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from memkit.evidence.decision_rule import seeds_wanted
from memkit.evidence.observation import Observation
from memkit.evidence.verdict import Judgement, Verdict
from memkit.pytest_plugin.measurement import Measurement
from memkit.pytest_plugin.plan import PlannedClaim
from memkit.pytest_plugin.tries import Try


@dataclass
class ClaimRun:
    """A claim while it runs.

    Attributes:
        opened: seeds that may be measured.
        waiting: those of them that have not reported yet.
        tries: the last try of those that have begun to report.
        measurements, failures, skipped: what came in, by seed.
    """

    planned: PlannedClaim
    opened: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    tries: dict[int, Try] = field(default_factory=dict)
    measurements: dict[int, Measurement] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Return those of the seeds that did not fail, in the order of the looks."""
        seeds = [seed for seed in self.planned.planned if seed in self.measurements and seed not in self.failures]
        return tuple(o for seed in seeds for o in self.measurements[seed].observations)

    @property
    def skipped_whole(self) -> bool:
        """Return whether the whole claim is skipped, its data being missing, say; nobody may skip single seeds."""
        return bool(self.skipped) and not self.measurements and not self.failures

    def open(self, seeds: Collection[int]) -> None:
        """Wait for these seeds, which may be measured from here on."""
        self.opened |= set(seeds)
        self.waiting |= set(seeds)

    def take(self, seed: int, report: pytest.TestReport) -> None:
        """Take a report of a seed's item."""
        last = self.tries.setdefault(seed, Try())
        if report.when == "setup" and not last.sound:  # only then; with --dist each, tries overlap
            last = self.tries[seed] = Try()
        last.take(report)

    def end(self, seed: int) -> None:
        """Take what the last try of a seed came to; one that left nothing has failed."""
        last = self.tries.pop(seed)
        self.waiting.discard(seed)
        if last.failure:
            self.failures[seed] = last.failure
        elif last.skipped:
            self.skipped[seed] = last.skipped
        elif last.measurement is not None:
            self.measurements[seed] = last.measurement
        else:
            self.failures[seed] = "it ended without a measurement and without a reason; another plugin may have run it"

    def next_seeds(self, *, adaptive: bool) -> list[int]:
        """Return the seeds that come next; none when the claim needs no more, or when it cannot be decided any more."""
        rest = [seed for seed in self.planned.selected if seed not in self.opened]
        if self.failures or self.skipped:
            return []
        wanted = seeds_wanted(self.planned.claim, self.observations, planned=self.planned.planned)
        if not adaptive or not set(wanted) <= set(self.planned.selected):  # a look that will not be complete
            return rest
        return [seed for seed in rest if seed in wanted]

    def give_up(self, reason: str) -> None:
        """Count every seed as failed."""
        self.failures = dict.fromkeys(self.planned.selected, reason)

    def settled(self, judgement: Judgement) -> str:
        """Return why the seeds that were not opened are not needed."""
        if self.skipped_whole:
            return next(iter(self.skipped.values()))
        if broken := {**self.failures, **self.skipped}:
            return f"seed {min(broken)} failed, so the claim cannot be decided"
        if judgement.look is not None:
            return f"decided at n = {judgement.look}"
        if judgement.indication not in (None, Verdict.INCONCLUSIVE):
            return f"looks like {judgement.indication} at n = {judgement.n}"
        return f"{judgement.verdict} at n = {judgement.n}"
