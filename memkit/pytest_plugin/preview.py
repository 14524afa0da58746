"""A preview of what a run would do, for ``memkit plan``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from memkit.evidence.decision_rule import next_seeds
from memkit.pytest_plugin.controller import PLAN
from memkit.pytest_plugin.measurement import Measurement, stored_measurement
from memkit.pytest_plugin.plan import PlannedClaim, RunPlan
from memkit.pytest_plugin.settings import settings_of
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.estimates import seconds_per_seed
from memkit.store.store import Store


@dataclass(frozen=True)
class ClaimPreview:
    """The work that one claim would need if it ran alone.

    Attributes:
        planned: the claim in the plan of the run.
        measured: the number of seeds whose measurement is in the store.
        wanted: the seeds that come next; empty if those in the store decide, or if the claim's data are missing.
        next: the cohorts that have to be trained for these seeds.
        most: the cohorts that have to be trained if the claim goes on to its last look.
    """

    planned: PlannedClaim
    measured: int
    wanted: tuple[int, ...]
    next: Sequence[Cohort]
    most: Sequence[Cohort]


@dataclass(frozen=True)
class Preview:
    """The work that a run would need, for each claim and in total; claims may share models."""

    plan: RunPlan
    claims: Sequence[ClaimPreview]
    next: Sequence[Cohort]
    most: Sequence[Cohort]
    seconds: Mapping[str, float]
    """Recipe digest → CPU seconds per seed, for recipes that were trained before."""
    store: str


def preview(config: pytest.Config) -> Preview:
    """Return the preview of a run of the items that were collected.

    Raises:
        pytest.UsageError: an option has a value that memkit does not accept.
    """
    settings = settings_of(config)
    store = settings.store_of_run
    plan = config.stash.get(PLAN, RunPlan(claims=(), trainings={}, files={}, ordered=True, studies={}, metrics={}))

    def cohorts(wanted: Iterable[tuple[PlannedClaim, Sequence[int]]]) -> list[Cohort]:
        return plan.cohorts(wanted, store, fresh=settings.fresh)

    previews, next_looks, all_looks = [], [], []
    for planned in plan.claims:
        measured = [] if settings.fresh else _measured(planned, store)
        observations = [o for measurement in measured for o in measurement.observations]
        thresholds = planned.registration.thresholds
        wanted = next_seeds(planned.claim, observations, planned=planned.planned, thresholds=thresholds)
        wanted = tuple(seed for seed in wanted if seed in planned.selected and not planned.missing)
        most = planned.selected if wanted else ()
        next_looks.append((planned, wanted))
        all_looks.append((planned, most))
        previews.append(
            ClaimPreview(
                planned,
                len(measured),
                wanted,
                cohorts([(planned, wanted)]),
                cohorts([(planned, most)]),
            )
        )
    return Preview(
        plan=plan,
        claims=previews,
        next=cohorts(next_looks),
        most=cohorts(all_looks),
        seconds=seconds_per_seed(plan.trainings.values(), store, settings.accepted),
        store=str(store),
    )


def _measured(planned: PlannedClaim, store: Store) -> list[Measurement]:
    """Return the measurements of a claim's planned seeds that are in the store."""
    stored = (stored_measurement(planned.key, planned.claim, seed, store) for seed in planned.planned)
    return [measurement for measurement in stored if measurement is not None]
