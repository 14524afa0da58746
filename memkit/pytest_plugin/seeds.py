"""The seeds of a claim in this run, which its registration determines."""

from __future__ import annotations

import pytest

from memkit.evidence.claim import Claim
from memkit.evidence.lock_file import Lock
from memkit.pytest_plugin.settings import settings_of

_LOCK = pytest.StashKey[Lock]()
_PLANNED = pytest.StashKey[dict[str, tuple[int, ...]]]()


def lock_of(config: pytest.Config) -> Lock:
    """Return the project's lock, which is read once per process.

    Raises:
        MemkitError: the project has two locks, or the lock is damaged.
    """
    if _LOCK not in config.stash:
        config.stash[_LOCK] = Lock.load(settings_of(config).lock)
    return config.stash[_LOCK]


def planned_seeds(config: pytest.Config, claim: Claim) -> tuple[int, ...]:
    """Return all seeds that a claim may use in this run, in the order of the looks."""
    planned = config.stash.setdefault(_PLANNED, {})
    if claim.id not in planned:
        settings = settings_of(config)
        registration = lock_of(config).registration(
            claim, development=settings.development, laboratory=settings.laboratory
        )
        planned[claim.id] = registration.seeds(claim.planned(settings.seeds))
    return planned[claim.id]
