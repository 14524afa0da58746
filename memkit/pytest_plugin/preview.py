"""A preview of what a run would do, for ``memkit plan``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from memkit.evidence.decision_rule import seeds_wanted
from memkit.pytest_plugin.controller import PLAN
from memkit.pytest_plugin.measurement import Measurement, stored_measurement
from memkit.pytest_plugin.plan import PlannedClaim, RunPlan
from memkit.pytest_plugin.settings import settings_of
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.estimates import seconds_per_seed
from memkit.store.store import Store


@dataclass(frozen=True)
class ClaimPreview:
    """The work that one claim would take if it ran alone.

    Attributes:
        measured: seeds whose measurement is in the store.
        wanted: seeds that come next; none where those in the store decide, or the claim's data are missing.
        next: what has to be trained for these.
        most: what would have to be trained if no look before the last decided.
    """

    planned: PlannedClaim
    measured: int
    wanted: tuple[int, ...]
    next: Sequence[Cohort]
    most: Sequence[Cohort]


@dataclass(frozen=True)
class Preview:
    """The work that a run would take: claim by claim, and together, where claims share models."""

    plan: RunPlan
    claims: Sequence[ClaimPreview]
    next: Sequence[Cohort]
    most: Sequence[Cohort]
    seconds: Mapping[str, float]
    """Recipe digest → CPU seconds per seed, where it was trained before."""
    store: str


def preview(config: pytest.Config) -> Preview:
    """Look ahead from the items that were collected."""
    settings = settings_of(config)
    store = settings.store_of_run
    plan = config.stash.get(PLAN, RunPlan(claims=(), trainings={}, files={}, ordered=True, studies={}, metrics={}))

    def cohorts(wanted: Iterable[tuple[PlannedClaim, Sequence[int]]]) -> list[Cohort]:
        return plan.cohorts(wanted, store, fresh=settings.fresh)

    previews, following, everything = [], [], []
    for planned in plan.claims:
        measured = [] if settings.fresh else _measured(planned, store)
        observations = [o for measurement in measured for o in measurement.observations]
        wanted = seeds_wanted(planned.claim, observations, planned=planned.planned)
        wanted = tuple(seed for seed in wanted if seed in planned.selected and not planned.missing)
        most = planned.selected if wanted else ()
        following.append((planned, wanted))
        everything.append((planned, most))
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
        next=cohorts(following),
        most=cohorts(everything),
        seconds=seconds_per_seed(plan.trainings.values(), store, settings.accepted),
        store=str(store),
    )


def _measured(planned: PlannedClaim, store: Store) -> list[Measurement]:
    """Return the measurements of a claim's planned seeds that are in the store."""
    found = (stored_measurement(planned.key, planned.claim, seed, store) for seed in planned.planned)
    return [measurement for measurement in found if measurement is not None]
