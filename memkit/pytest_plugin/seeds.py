"""The seeds of a claim in this run, by its registration."""

from __future__ import annotations

import pytest

from memkit.evidence.claim import Claim
from memkit.evidence.lock_file import Lock
from memkit.pytest_plugin.settings import settings_of

_LOCK = pytest.StashKey[Lock]()
_PLANNED = pytest.StashKey[dict[str, tuple[int, ...]]]()


def lock_of(config: pytest.Config) -> Lock:
    """The project's lock, read once per process."""
    if _LOCK not in config.stash:
        config.stash[_LOCK] = Lock.load(settings_of(config).lock)
    return config.stash[_LOCK]


def planned_seeds(config: pytest.Config, claim: Claim) -> tuple[int, ...]:
    """The most seeds that a claim may use in this run, in the order of the looks."""
    known = config.stash.setdefault(_PLANNED, {})
    if claim.id not in known:
        settings = settings_of(config)
        registration = lock_of(config).registration(claim, development=settings.development)
        known[claim.id] = registration.seeds(claim.planned(settings.seeds))
    return known[claim.id]
