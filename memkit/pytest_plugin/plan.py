"""The plan of a run, in plain types: made by the process that collects the tests, carried out by the controller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from memkit.evidence.claim import Claim
from memkit.evidence.registration import Registration
from memkit.pytest_plugin.absence import AbsentClaim
from memkit.scheduling.cohorts import Cohort, Training, plan_cohorts
from memkit.store.measurements import stored_seeds
from memkit.store.store import Store


@dataclass(frozen=True, kw_only=True)
class PlannedClaim:
    """A claim in the plan of a run.

    Attributes:
        nodeid: the node id of its test, without the seed.
        location: (file, line, name), for reports.
        planned: all seeds that the claim may use, in the order of the looks.
        selected: the planned seeds among the collected items, which are fewer with ``-k``, ``--lf`` or a node id.
        key: the key of its measurements in the store.
        code: a digest of the code behind it.
        recipes: the digests of the recipes of its arms; empty if data are missing.
        missing: the reason why the claim is skipped: which data are missing, and how to get them; or "".
    """

    claim: Claim
    nodeid: str
    location: tuple[str, int | None, str]
    registration: Registration
    planned: tuple[int, ...]
    selected: tuple[int, ...]
    key: str
    code: str
    recipes: tuple[str, ...]
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of plain types."""
        return {
            "claim": self.claim.to_json(),
            "nodeid": self.nodeid,
            "location": list(self.location),
            "registration": self.registration.to_json(),
            "planned": list(self.planned),
            "selected": list(self.selected),
            "key": self.key,
            "code": self.code,
            "recipes": list(self.recipes),
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedClaim:
        """Read what :meth:`to_json` wrote."""
        path, line, name = data["location"]
        return cls(
            claim=Claim.from_json(data["claim"]),
            nodeid=data["nodeid"],
            location=(path, line, name),
            registration=Registration.from_json(data["registration"]),
            key=data["key"],
            code=data["code"],
            missing=data["missing"],
            **{name: tuple(data[name]) for name in ("planned", "selected", "recipes")},
        )


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The plan of a run.

    Attributes:
        claims: the claims, in the order of their items.
        trainings: recipe digest → the training that the recipe describes.
        files: module → file, for the processes that train.
        ordered: whether the items are in the order of the looks; another plugin may have shuffled them.
        studies: study → its authors' interpretation, for the report.
        metrics: study → metric → description, for the report.
        excluded: kind of claims that the options exclude → how many there are.
        absent: the registered claims that should have been collected and were not.
        compute_platform: the compute platform of the process that made the plan.
    """

    claims: tuple[PlannedClaim, ...]
    trainings: Mapping[str, Training]
    files: Mapping[str, str]
    ordered: bool
    studies: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, str]]
    excluded: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[AbsentClaim, ...] = ()
    compute_platform: Mapping[str, Any] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, int]:
        """The numbers of skipped claims: message about missing data or a missing backend → number."""
        return dict(Counter(planned.missing for planned in self.claims if planned.missing))

    def cohorts(
        self, wanted: Iterable[tuple[PlannedClaim, Iterable[int]]], store: Store, *, fresh: bool
    ) -> list[Cohort]:
        """Return the cohorts that have to be trained before these seeds of these claims can be measured.

        Args:
            wanted: pairs of a claim and its seeds.
            fresh: whether seeds are measured again even if their measurements are in the store.
        """
        needed: list[tuple[Training, list[int]]] = []
        for planned, seeds in wanted:
            if planned.recipes:
                stored = set() if fresh else stored_seeds(store, planned.key, seeds)
                unmeasured = [seed for seed in seeds if seed not in stored]
                needed += [(self.trainings[digest], unmeasured) for digest in planned.recipes]
        return plan_cohorts(needed, store)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of plain types."""
        return {
            "claims": [claim.to_json() for claim in self.claims],
            "trainings": [training.to_json() for training in self.trainings.values()],
            "files": dict(self.files),
            "ordered": self.ordered,
            "studies": dict(self.studies),
            "metrics": {study: dict(descriptions) for study, descriptions in self.metrics.items()},
            "excluded": dict(self.excluded),
            "absent": [asdict(claim) for claim in self.absent],
            "calculated_on": dict(self.compute_platform),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunPlan:
        """Read what :meth:`to_json` wrote."""
        trainings = [Training(**training) for training in data["trainings"]]
        return cls(
            claims=tuple(PlannedClaim.from_json(claim) for claim in data["claims"]),
            trainings={training.digest: training for training in trainings},
            files=data["files"],
            ordered=data["ordered"],
            studies=data["studies"],
            metrics=data["metrics"],
            excluded=data["excluded"],
            absent=tuple(AbsentClaim(**claim) for claim in data["absent"]),
            compute_platform=data["calculated_on"],
        )
