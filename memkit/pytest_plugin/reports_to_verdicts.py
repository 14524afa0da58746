"""The verdicts of a run: takes the reports of its items, and builds the evidence of each claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.accepted_verdicts import load_accepted
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.pytest_plugin.claim_evidence import evidence_of
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings


def accepted_verdicts(settings: Settings) -> dict[str, Any]:
    """Return claim id → the claim as it was accepted last.

    Raises:
        MemkitError: the file is damaged; or drift may fail the run, and there is nothing to hold it against.
    """
    accepted = load_accepted(settings.accepted)
    if settings.gate == "drift" and not accepted:
        raise MemkitError(
            "--memkit-gate drift: there is no reports/accepted.json; `memkit accept` keeps a run's verdicts"
        )
    return accepted


class Verdicts:
    """Takes what is reported of each claim's items, and judges the claim once all of it is in.

    Attributes:
        claims: claim id → its evidence, of those that have been judged.
        curves: claim, seed and arms of each measurement whose models have learning curves.
    """

    def __init__(self, plan: RunPlan, settings: Settings) -> None:
        self.claims: dict[str, ClaimEvidence] = {}
        self.curves: list[tuple[str, int, Mapping[str, Mapping[str, Any]]]] = []
        self._plan = plan
        self._settings = settings
        self._accepted: Mapping[str, Any] = {}
        self._running: dict[str, ClaimRun] = {}
        self._items: dict[str, tuple[str, int]] = {}

    @property
    def running(self) -> list[ClaimRun]:
        """Return the claims that have not been judged."""
        return list(self._running.values())

    def begin(self, accepted: Mapping[str, Any]) -> None:
        """Wait for the items of all claims of the plan.

        Args:
            accepted: claim id → the claim as it was accepted last.
        """
        self._accepted = accepted
        for planned in self._plan.claims:
            # All of them, or it would look as if somebody had picked those whose measurements are in the store.
            skipped = dict.fromkeys(planned.selected, planned.missing) if planned.missing else {}
            self._running[planned.claim.id] = ClaimRun(planned, skipped=skipped)
            self._items |= {f"{planned.nodeid}[{seed}]": (planned.claim.id, seed) for seed in planned.planned}

    def take(self, report: pytest.TestReport) -> ClaimRun | None:
        """Take a report; return its claim if it was the last one that was waited for."""
        claim_id, seed = self._item(report.nodeid)
        run = self._running.get(claim_id)
        if run is None or seed not in run.waiting:
            return None
        run.take(seed, report)
        # What xdist reports for a test whose worker died, and nothing after it.
        return self._end(run, seed) if str(report.when) == "???" else None

    def finish(self, nodeid: str) -> ClaimRun | None:
        """Take note that an item has ended; return its claim if no other is waited for."""
        claim_id, seed = self._item(nodeid)
        run = self._running.get(claim_id)
        if run is not None and run.planned.missing:  # its data are missing, so its items are skipped
            return run
        return self._end(run, seed) if run is not None and seed in run.tries else None

    def judge(self, run: ClaimRun) -> ClaimEvidence:
        """Return the evidence of a claim, by what has come in; it is not running any more."""
        name, settings = run.planned.claim.id, self._settings
        del self._running[name]
        try:
            entry = evidence_of(run, mode=settings.gate, strict=settings.strict, accepted=self._accepted.get(name))
        except Exception as error:  # one claim that cannot be judged must not take the others' verdicts with it
            run.give_up(f"the claim could not be judged: {error}")
            entry = evidence_of(run, mode=settings.gate)
        self.claims[name] = entry
        return entry

    def in_order(self) -> list[ClaimEvidence]:
        """Return the evidence of the claims, as they stand in the suite."""
        return [self.claims[p.claim.id] for p in self._plan.claims if p.claim.id in self.claims]

    def unneeded(self, report: pytest.TestReport) -> bool:
        """Return whether a report is that of a seed that was skipped, its claim having been settled without it."""
        claim_id, seed = self._item(report.nodeid)
        entry = self.claims.get(claim_id)
        return report.skipped and entry is not None and seed not in (*entry.seen, *entry.failures)

    def never_accepted(self) -> list[str]:
        """Return a sentence about the claims that cannot drift, if drift may fail the run and there are any."""
        if self._settings.gate != "drift":
            return []
        digests = {name: claim["digest"] for name, claim in self._accepted.items()}
        new = [p.claim.id for p in self._plan.claims if not is_digest_of(p.claim, digests.get(p.claim.id, ""))]
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        return [f"drift: {new[0]}{more} had no accepted verdict to be held against"] if new else []

    def _item(self, nodeid: str) -> tuple[str, int]:
        """The claim and seed of a node id; ("", 0) for other tests."""
        # `--dist loadgroup` appends the group to the node id.
        return self._items.get(nodeid[: nodeid.rfind("]") + 1], ("", 0))

    def _end(self, run: ClaimRun, seed: int) -> ClaimRun | None:
        run.end(seed)
        measurement = run.measurements.get(seed)
        if measurement is not None and measurement.arms:
            self.curves.append((measurement.claim, seed, measurement.arms))
        return None if run.waiting else run
