"""The verdicts of a run: collects the reports of the items, and builds the evidence of each claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.accepted_verdicts import load_accepted
from memkit.evidence.earlier_runs import EarlierRuns, record_of
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.pytest_plugin.claim_evidence import evidence_of
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.store.claim_records import append_claim_record, load_claim_records


def accepted_verdicts(settings: Settings) -> dict[str, Any]:
    """Return claim id → the entry of the claim in the project's accepted verdicts.

    Raises:
        MemkitError: the file is damaged, or the gate is "drift" and there are no accepted verdicts to compare with.
    """
    accepted = load_accepted(settings.accepted)
    if settings.gate == "drift" and not accepted:
        raise MemkitError(
            "--memkit-gate drift: there is no reports/accepted.json; store the verdicts of a run with `memkit accept`"
        )
    return accepted


class Verdicts:
    """The verdicts of a run, which are built from the reports of its items.

    Attributes:
        claims: claim id → its evidence, for the claims that have been judged.
        curves: (claim id, seed, arms) of each measurement with trained arms, whose learning curves the evidence shows.
    """

    def __init__(self, plan: RunPlan, settings: Settings) -> None:
        self.claims: dict[str, ClaimEvidence] = {}
        self.curves: list[tuple[str, int, Mapping[str, Mapping[str, Any]]]] = []
        self._plan = plan
        self._settings = settings
        self._accepted: Mapping[str, Any] = {}
        self._records: Mapping[str, list[dict[str, Any]]] = {}
        self._running: dict[str, ClaimRun] = {}
        self._items: dict[str, tuple[str, int]] = {}

    @property
    def running(self) -> list[ClaimRun]:
        """The claims that have not been judged."""
        return list(self._running.values())

    def begin(self, accepted: Mapping[str, Any]) -> None:
        """Prepare to receive the reports of all claims of the plan.

        Args:
            accepted: claim id → the entry of the claim in the accepted verdicts.
        """
        self._accepted = accepted
        self._records = load_claim_records(self._settings.store_of_run)
        for planned in self._plan.claims:
            # All its seeds are skipped, even if the store has measurements of some: nobody may choose among seeds.
            skipped = dict.fromkeys(planned.selected, planned.missing) if planned.missing else {}
            self._running[planned.claim.id] = ClaimRun(planned, skipped=skipped)
            self._items |= {f"{planned.nodeid}[{seed}]": (planned.claim.id, seed) for seed in planned.planned}

    def add_report(self, report: pytest.TestReport) -> ClaimRun | None:
        """Add a report; return its claim if no item of the claim's open seeds is still expected, else None."""
        claim_id, seed = self._item(report.nodeid)
        run = self._running.get(claim_id)
        if run is None or seed not in run.unfinished_seeds:
            return None
        run.add_report(seed, report)
        # xdist issues this report, and no other, for a test whose worker died.
        return self._finish_seed(run, seed) if str(report.when) == "???" else None

    def finish_item(self, nodeid: str) -> ClaimRun | None:
        """Record that an item has ended; return its claim if no item of its open seeds is still expected, else None."""
        claim_id, seed = self._item(nodeid)
        run = self._running.get(claim_id)
        if run is not None and run.planned.missing:  # its data are missing, so its items are skipped
            return run
        return self._finish_seed(run, seed) if run is not None and seed in run.tries else None

    def judge(self, run: ClaimRun) -> ClaimEvidence:
        """Judge a claim on its results so far, which ends it, and return its evidence."""
        name, settings = run.planned.claim.id, self._settings
        del self._running[name]
        try:
            claim, first_seed = run.planned.claim, run.planned.registration.first_seed
            records = self._records.get(name, ())
            earlier = EarlierRuns(claim.digest, first_seed, records, is_mutant=claim.is_mutant)
            entry = evidence_of(
                run,
                mode=settings.gate,
                strict=settings.strict,
                accepted=None if settings.laboratory else self._accepted.get(name),
                earlier=earlier,
                platform=self._plan.compute_platform,
            )
            self._record(run, entry)
        except Exception as error:  # a claim that cannot be judged must not prevent the verdicts of the others
            run.fail_all(f"the claim could not be judged: {error}")
            entry = evidence_of(run, mode=settings.gate)
        self.claims[name] = entry
        return entry

    def _record(self, run: ClaimRun, entry: ClaimEvidence) -> None:
        """Add a record of the claim to the store, if it ran on deciding seeds and the last record is another one."""
        if entry.registration.development or not (entry.observations or entry.failures):
            return
        record = record_of(
            entry.claim,
            entry.judgement,
            entry.observations,
            registration=entry.registration,
            code=run.planned.code,
            platform=self._plan.compute_platform,
            failures=entry.failures,
        )
        if record not in self._records.get(entry.claim.id, ())[-1:]:
            append_claim_record(self._settings.store_of_run, record)

    def in_order(self) -> list[ClaimEvidence]:
        """Return the evidence of the claims that have been judged, in the order of the suite."""
        return [self.claims[p.claim.id] for p in self._plan.claims if p.claim.id in self.claims]

    def is_of_unneeded_seed(self, report: pytest.TestReport) -> bool:
        """Return whether a report belongs to a seed that was skipped because its claim did not need it."""
        claim_id, seed = self._item(report.nodeid)
        entry = self.claims.get(claim_id)
        return report.skipped and entry is not None and seed not in (*entry.observed_seeds, *entry.failures)

    def without_baseline(self) -> list[str]:
        """Return a list with a message about claims without an accepted verdict; [] if the gate is not "drift"."""
        if self._settings.gate != "drift":
            return []
        digests = {name: claim["digest"] for name, claim in self._accepted.items()}
        new = [p.claim.id for p in self._plan.claims if not is_digest_of(p.claim, digests.get(p.claim.id, ""))]
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        return [f"drift: {new[0]}{more} had no accepted verdict to compare with"] if new else []

    def _item(self, nodeid: str) -> tuple[str, int]:
        """Return the claim id and the seed of a node id; ("", 0) for other tests."""
        # `--dist loadgroup` appends the group to the node id.
        return self._items.get(nodeid[: nodeid.rfind("]") + 1], ("", 0))

    def _finish_seed(self, run: ClaimRun, seed: int) -> ClaimRun | None:
        run.finish_seed(seed)
        measurement = run.measurements.get(seed)
        if measurement is not None and measurement.arms:
            self.curves.append((measurement.claim, seed, measurement.arms))
        return None if run.unfinished_seeds else run
