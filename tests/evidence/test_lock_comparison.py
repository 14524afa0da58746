"""Comparison of evidence with the lock: the registered form, the seeds and the attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memkit.evidence import ClaimEvidence, Lock
from memkit.evidence.lock_comparison import compare_with_lock

from .entries import entry

ENTRY = entry(n=16, seeds=16)
CLAIM = ENTRY.claim
EDITED = replace(CLAIM, test="another")
REWORDED = replace(CLAIM, statement="A beats B by far.", headline=True)
LOCK = Lock().register([CLAIM])


def with_registration(claim: ClaimEvidence = ENTRY, **changes: object) -> ClaimEvidence:
    """Return the evidence with another registration and the seeds that follow from it."""
    registration = replace(claim.registration, **changes)  # type: ignore[arg-type]
    return replace(claim, registration=registration, planned=registration.seeds(len(claim.planned)))


@pytest.mark.parametrize(
    ("lock", "claim", "sentence"),
    [
        (Lock(), ENTRY, "the file says that it is registered, but it is not in the lock"),
        (LOCK, replace(ENTRY, claim=EDITED), "its digest differs from that in the lock"),
        (LOCK, replace(ENTRY, claim=REWORDED), "the claim differs from what was registered: statement, headline"),
        (
            LOCK,
            replace(with_registration(status="changed", withheld=True, first_seed=0), claim=EDITED),
            "its digest differs from that in the lock",
        ),
        (
            LOCK,
            replace(with_registration(status="reworded", edited="statement, headline"), claim=REWORDED),
            "the claim differs from what was registered: statement, headline",
        ),
        (LOCK.register([EDITED]), ENTRY, "changed and registered again since: attempt 2 in the lock, 1 in the file"),
        (LOCK, with_registration(attempt=2), "attempt 2 in the file, 1 in the lock"),
        (LOCK, with_registration(first_seed=10_100), "its seeds are not the seeds of the lock, which start at 10000"),
        (LOCK, replace(ENTRY, planned=ENTRY.planned[::-1]), "its seeds are not the seeds of the lock"),
        (
            LOCK,
            replace(ENTRY, planned=ENTRY.registration.seeds(32)),
            "32 seeds were planned, but the claim declares at most 16",
        ),
        (
            LOCK,
            with_registration(status="unregistered", attempt=0),
            "its seeds are not development seeds, which start at 0",
        ),
    ],
)
def test_contradictions_are_reported(lock: Lock, claim: ClaimEvidence, sentence: str) -> None:
    (result,) = compare_with_lock(lock, claim).contradictions
    assert sentence in result


@pytest.mark.parametrize(
    ("lock", "claim", "notes"),
    [
        (LOCK, ENTRY, ()),
        (None, with_registration(attempt=7), ()),
        (None, with_registration(first_seed=0), ("on development seeds, which decide nothing",)),
        (LOCK, with_registration(first_seed=0), ("on development seeds, which decide nothing",)),
        (
            LOCK,
            replace(with_registration(first_seed=0, status="changed"), claim=EDITED),
            ("on development seeds, which decide nothing, for a claim that was edited",),
        ),
        (
            Lock(),
            with_registration(status="unregistered", attempt=0, first_seed=0),
            ("unregistered: on development seeds, which decide nothing",),
        ),
        (
            LOCK,
            with_registration(status="unregistered", attempt=0, first_seed=0),
            ("unregistered: on development seeds, which decide nothing; it has been registered since",),
        ),
        (
            LOCK,
            replace(with_registration(first_seed=0, status="reworded", edited="statement, headline"), claim=REWORDED),
            ("on development seeds, which decide nothing, for a claim that was edited",),
        ),
        (
            LOCK.register([REWORDED]),
            ENTRY,
            ("as it was registered earlier; edited since: statement, headline",),
        ),
        (LOCK, with_registration(revision=1), ("its code is at revision 1; the lock has revision 0",)),
    ],
)
def test_other_differences_are_notes(lock: Lock | None, claim: ClaimEvidence, notes: tuple[str, ...]) -> None:
    result = compare_with_lock(lock, claim)
    assert (result.contradictions, result.notes) == ((), notes)
