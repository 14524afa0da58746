"""Comparison of an evidence file with the project's lock: was it measured for the registered claims, on their seeds?

An evidence file can say anything about its own registration. Only the lock, which is under version control, shows what
was registered.
"""

from __future__ import annotations

from dataclasses import dataclass

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.lock_file import Lock
from memkit.evidence.registration import DEVELOPMENT_SEEDS, Registration


@dataclass(frozen=True)
class LockComparison:
    """The result of comparing a claim of an evidence file with the lock.

    Attributes:
        contradictions: sentences on contradictions between the file and the lock.
        notes: sentences on what does not contradict the lock, but is not a registered result either.
    """

    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare_with_lock(lock: Lock | None, entry: ClaimEvidence) -> LockComparison:
    """Compare the claim, the attempt and the seeds of a claim's evidence with the claim's entry in the lock.

    Args:
        lock: the project's lock, or None if there is none.
        entry: the claim's evidence.
    """
    if lock is None:
        development = entry.registration.development
        return LockComparison(notes=("on development seeds, which decide nothing",) if development else ())
    recorded, claim = entry.registration, entry.claim
    is_registered = claim.id in lock.claims
    if recorded.laboratory not in ("", *lock.laboratories):
        sentence = f"the lock has granted no seeds to the laboratory {recorded.laboratory!r}"
        return LockComparison(contradictions=(sentence,))
    registered = lock.registration(claim, development=recorded.explores, laboratory=recorded.laboratory)
    contradictions, notes = [], []
    if recorded.status == "unregistered":
        since = "; it has been registered since" if is_registered else ""
        notes.append(f"unregistered: on development seeds, which decide nothing{since}")
        registered = Lock().registration(claim)
    elif not is_registered:
        return LockComparison(contradictions=("the file says that it is registered, but it is not in the lock",))
    elif recorded.explores:
        edited = ", for a claim that was edited" if recorded.status in ("reworded", "changed") else ""
        notes.append(f"on development seeds, which decide nothing{edited}")
    elif registered.attempt > recorded.attempt:
        contradictions.append(
            f"the claim was changed and registered again since: attempt {registered.attempt} in the lock, "
            f"{recorded.attempt} in the file"
        )
    else:
        if registered.attempt < recorded.attempt:
            contradictions.append(f"attempt {recorded.attempt} in the file, {registered.attempt} in the lock")
        if registered.status == "changed":
            contradictions.append(
                "the claim is not the one that was registered: its digest differs from that in the lock"
            )
        elif registered.status == "reworded" and claim.annotations in lock.claims[claim.id].wordings:
            notes.append(f"as it was registered earlier; edited since: {registered.edited}")
        elif registered.status == "reworded":
            contradictions.append(f"the claim differs from what was registered: {registered.edited}")
    if not contradictions:
        contradictions += _seed_contradictions(registered, entry)
    decides = is_registered and recorded.status != "unregistered" and not recorded.explores
    if decides and not contradictions and recorded.revision != registered.revision:
        notes.append(f"its code is at revision {recorded.revision}; the lock has revision {registered.revision}")
    return LockComparison(tuple(contradictions), tuple(notes))


def _seed_contradictions(registered: Registration, entry: ClaimEvidence) -> list[str]:
    """Return sentences on what is wrong with the planned seeds; empty if nothing is."""
    count = len(entry.planned)
    if entry.planned != registered.seeds(count):
        whose = f"the laboratory {registered.laboratory!r}" if registered.laboratory else "the lock"
        kind = "development seeds" if registered.first_seed in DEVELOPMENT_SEEDS else f"the seeds of {whose}"
        return [f"its seeds are not {kind}, which start at {registered.first_seed}"]
    if count > (most := entry.claim.planned(count)):
        return [f"{count} seeds were planned, but the claim declares at most {most}"]
    return []
