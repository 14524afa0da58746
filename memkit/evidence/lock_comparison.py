"""Compare an evidence file with the project's lock: is it evidence for what was registered, and on those seeds?

A file can say anything about its own registration. Only the lock, which is under version control, knows what was
registered.
"""

from __future__ import annotations

from dataclasses import dataclass

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.lock_file import Lock
from memkit.evidence.registration import DEVELOPMENT_SEEDS, Registration


@dataclass(frozen=True)
class Held:
    """A claim of a file compared with the lock.

    Attributes:
        differs: sentences on what the file says and the lock does not.
        notes: sentences on what is no contradiction, but no registered result either.
    """

    differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def held_against(lock: Lock | None, entry: ClaimEvidence) -> Held:
    """Compare the claim, the attempt and the seeds of a claim's evidence with what the lock holds of it.

    Args:
        lock: None where there is none to compare with.
    """
    if lock is None:
        development = entry.registration.development
        return Held(notes=("on development seeds, which decide nothing",) if development else ())
    told, claim = entry.registration, entry.claim
    known = claim.id in lock.claims
    registered = lock.registration(claim, development=told.explores)
    differs, notes = [], []
    if told.status == "unregistered":
        since = "; it has been registered since" if known else ""
        notes.append(f"unregistered: on development seeds, which decide nothing{since}")
        registered = Lock().registration(claim)
    elif not known:
        return Held(differs=("the file says that it is registered, and it is not in the lock",))
    elif told.explores:
        edited = ", of a claim that was edited" if told.status in ("reworded", "changed") else ""
        notes.append(f"on development seeds, which decide nothing{edited}")
    elif registered.attempt > told.attempt:
        differs.append(
            f"the claim was changed and registered anew since: attempt {registered.attempt} in the lock, "
            f"{told.attempt} in the file"
        )
    else:
        if registered.attempt < told.attempt:
            differs.append(f"attempt {told.attempt} in the file, {registered.attempt} in the lock")
        if registered.status == "changed":
            differs.append("the claim is not the one that was registered: its digest is not that in the lock")
        elif registered.status == "reworded" and claim.annotations in lock.claims[claim.id].wordings:
            notes.append(f"as it was registered before, and edited since: {registered.edited}")
        elif registered.status == "reworded":
            differs.append(f"the claim is not as it was registered: {registered.edited}")
    if not differs:
        differs += _seeds(registered, entry)
    decides = known and told.status != "unregistered" and not told.explores
    if decides and not differs and told.revision != registered.revision:
        notes.append(f"revision {told.revision} of the code behind it; the lock has revision {registered.revision}")
    return Held(tuple(differs), tuple(notes))


def _seeds(registered: Registration, entry: ClaimEvidence) -> list[str]:
    """Say what is wrong with the planned seeds, in sentences; none where nothing is."""
    count = len(entry.planned)
    if entry.planned != registered.seeds(count):
        kind = "development seeds" if registered.first_seed in DEVELOPMENT_SEEDS else "the seeds of the lock"
        return [f"its seeds are not {kind}, which begin with {registered.first_seed}"]
    if count > (most := entry.claim.planned(count)):
        return [f"{count} seeds were planned, and the claim declares {most} at most"]
    return []
