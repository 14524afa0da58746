"""Digests of schema 1 of the lock, which also covered a claim's id, its statement and its number of seeds.

A run accepts such a digest as the claim's. ``memkit register`` replaces it in the entries of the claims that it
collects, and in the accepted verdicts, which costs no attempt. Delete this module when no lock of schema 1 is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.evidence.attempt import Outcome
from memkit.evidence.claim import Claim, digest_of
from memkit.evidence.registration import BLOCK, STUDY_STRIDE

if TYPE_CHECKING:
    from memkit.evidence.lock_file import Lock

PREFIX = "1:"
"""The prefix of a digest of schema 1 in an entry of schema 2."""
_COVERED = ("id", "statement", "arms", "expect", "seeds", "derived", "gate", "test")
_COVERED_UNLESS_EMPTY = ("sweep", "cell", "mutant_of", "replicates", "data")
_CONTRAST_FIELDS = ("treatment", "over", "metric", "bounds", "direction", "margin", "sesoi", "assume")


def digest_1(claim: Claim) -> str:
    """Return the digest of a claim according to schema 1."""
    fields = claim.to_json()
    data = {name: fields[name] for name in _COVERED}
    data |= {name: fields[name] for name in _COVERED_UNLESS_EMPTY if fields[name]}
    data |= {name: [_contrast(contrast) for contrast in fields[name]] for name in ("contrasts", "requires")}
    control = fields["positive_control"]
    return digest_of({**data, "positive_control": control and _contrast(control)})


def _contrast(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that contrasts had in schema 1, and fields that were added later unless they are empty."""
    return {name: value for name, value in fields.items() if name in _CONTRAST_FIELDS or value}


def is_digest_of(claim: Claim, digest: str) -> bool:
    """Return whether a digest is that of a claim, according to the present schema or to schema 1."""
    return claim.digest == digest or digest_1(claim) == digest.removeprefix(PREFIX)


def to_schema_2(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a lock of schema 1 in the form of schema 2.

    Raises:
        MemkitError: the content is damaged.
    """
    lock = strict_json.fields(data, "the lock", {}, "studies", "claims")
    entries = {name: strict_json.each(lock.get(name, {}), name, _entry) for name in ("claims", "removed")}
    return {"studies": lock["studies"], **entries}


def _entry(value: Any, what: str) -> dict[str, Any]:
    entry = strict_json.fields(value, what, {"revision": strict_json.whole}, "digest", "attempt")
    for name in {"digest", "code", "file"} & entry.keys():
        strict_json.text(entry[name], f"{what}: {name}")
    for name in {"attempt", "skipped"} & entry.keys():
        strict_json.whole(entry[name], f"{what}: {name}", None)
    attempt, skipped = entry["attempt"], entry.get("skipped", 0)
    if attempt < 1 or skipped < 0 or (attempt + skipped) * BLOCK > STUDY_STRIDE:
        raise MemkitError(
            f"{what} has the attempt {attempt} and {skipped} skipped blocks of seeds; an attempt must be at least 1, "
            f"and together they must be at most {STUDY_STRIDE // BLOCK}"
        )
    # Schema 1 did not record the blocks of earlier attempts.
    blocks = [*[None] * (attempt - 1), attempt - 1 + skipped]
    unchanged: dict[str, Any] = {name: entry[name] for name in ("code", "revision", "file") if name in entry}
    return {"digest": PREFIX + entry["digest"], **unchanged, "attempts": [{"block": block} for block in blocks]}


def carry_over_accepted(before: Lock, after: Lock, accepted: Mapping[str, Any]) -> tuple[Lock, dict[str, Any]]:
    """Update the accepted verdicts, and their outcomes in the lock, after entries of schema 1 were rewritten.

    Args:
        before: the lock before ``memkit register``.
        after: the lock after ``memkit register``.
        accepted: claim id → its accepted result.

    Returns:
        The lock, in which accepted attempts have their outcome, and the accepted claims with the digests of that lock.
    """
    entries, claims = dict(after.claims), dict(accepted)
    for name, claim in accepted.items():
        old, new = before.claims.get(name) or before.removed.get(name), after.claims.get(name)
        if old is None or new is None or not old.of_schema_1 or new.of_schema_1 or new.attempt != old.attempt:
            continue
        if (PREFIX + claim["digest"], claim["attempt"]) == (old.digest, old.attempt):
            claims[name] = {**claim, "digest": new.digest}
            judgement = claim["judgement"]
            outcome = Outcome(verdict=judgement["verdict"], n=judgement.get("n", 0), date=str(claim.get("created", "")))
            entries[name] = new.recorded(outcome)
    return replace(after, claims=entries), claims
