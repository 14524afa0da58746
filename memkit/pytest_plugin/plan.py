"""The plan of a run, in plain types: xdist's workers make it, the controller follows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from memkit.evidence.claim import Claim
from memkit.evidence.registration import Registration
from memkit.pytest_plugin.absence import AbsentClaim
from memkit.scheduling.cohorts import Cohort, Training, plan
from memkit.store.measurements import stored_seeds
from memkit.store.store import Store


@dataclass(frozen=True, kw_only=True)
class PlannedClaim:
    """A claim of this run.

    Attributes:
        nodeid: of its test, without the seed.
        location: file, line and name, for reports.
        planned: the most seeds it may use, in the order of the looks.
        selected: those among the items; fewer with ``-k``, ``--lf`` or a node id.
        key: of its measurements in the store.
        recipes: digests of what its arms are trained by; none where its data are missing.
        missing: how to get the data that are missing, for which the claim is skipped; else "".
    """

    claim: Claim
    nodeid: str
    location: tuple[str, int | None, str]
    registration: Registration
    planned: tuple[int, ...]
    selected: tuple[int, ...]
    key: str
    recipes: tuple[str, ...]
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "claim": self.claim.to_json(),
            "nodeid": self.nodeid,
            "location": list(self.location),
            "registration": asdict(self.registration),
            "planned": list(self.planned),
            "selected": list(self.selected),
            "key": self.key,
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
            registration=Registration(**data["registration"]),
            key=data["key"],
            missing=data["missing"],
            **{name: tuple(data[name]) for name in ("planned", "selected", "recipes")},
        )


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The plan of a run.

    Attributes:
        claims: in the order of their items.
        trainings: recipe digest → what it takes to train it.
        files: module → file, for the processes that train.
        ordered: whether the items stand in the order of the looks; another plugin may have shuffled them.
        studies: study → how its authors read what it finds, for the report.
        metrics: study → metric → what it is, for the report.
        excluded: which claims the options exclude → how many.
        absent: registered claims that should have been found.
        calculated_on: the platform of the process that made the plan, as measurements depend on it.
    """

    claims: tuple[PlannedClaim, ...]
    trainings: Mapping[str, Training]
    files: Mapping[str, str]
    ordered: bool
    studies: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, str]]
    excluded: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[AbsentClaim, ...] = ()
    calculated_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, int]:
        """A text that says what is missing → the number of claims that are skipped for it."""
        return dict(Counter(planned.missing for planned in self.claims if planned.missing))

    def cohorts(
        self, wanted: Iterable[tuple[PlannedClaim, Iterable[int]]], store: Store, *, fresh: bool
    ) -> list[Cohort]:
        """Return the cohorts that have to be trained before these seeds of these claims can be measured.

        Args:
            fresh: measure again what was measured before.
        """
        needed: list[tuple[Training, list[int]]] = []
        for planned, seeds in wanted:
            if planned.recipes:
                stored = set() if fresh else stored_seeds(store, planned.key, seeds)
                rest = [seed for seed in seeds if seed not in stored]
                needed += [(self.trainings[digest], rest) for digest in planned.recipes]
        return plan(needed, store)

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "claims": [claim.to_json() for claim in self.claims],
            "trainings": [training.to_json() for training in self.trainings.values()],
            "files": dict(self.files),
            "ordered": self.ordered,
            "studies": dict(self.studies),
            "metrics": {study: dict(said) for study, said in self.metrics.items()},
            "excluded": dict(self.excluded),
            "absent": [asdict(claim) for claim in self.absent],
            "calculated_on": dict(self.calculated_on),
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
            calculated_on=data["calculated_on"],
        )
