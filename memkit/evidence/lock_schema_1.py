"""Digests of schema 1 of the lock, which covered a claim's id, its statement and its number of seeds, too.

A run knows claims by such a digest; ``memkit register`` rewrites the entries that it collects, and the digests among
the accepted verdicts, and that costs no attempt. This module is to be deleted once there is no lock of schema 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.evidence.claim import Claim, digest_of
from memkit.evidence.registration import BLOCK, STUDY_STRIDE

if TYPE_CHECKING:
    from memkit.evidence.lock_file import Lock

PREFIX = "1:"
"""The prefix of a digest of schema 1 in an entry of schema 2."""
_COVERED = ("id", "statement", "arms", "expect", "seeds", "derived", "gate", "test")
_COVERED_WHERE_SAID = ("sweep", "cell", "mutant_of", "replicates", "data")
_OF_CONTRASTS = ("treatment", "over", "metric", "bounds", "direction", "margin", "sesoi", "assume")


def digest_1(claim: Claim) -> str:
    """Return the digest of a claim as schema 1 registered it."""
    fields = claim.to_json()
    data = {name: fields[name] for name in _COVERED}
    data |= {name: fields[name] for name in _COVERED_WHERE_SAID if fields[name]}
    data |= {name: [_contrast(one) for one in fields[name]] for name in ("contrasts", "requires")}
    control = fields["positive_control"]
    return digest_of({**data, "positive_control": control and _contrast(control)})


def _contrast(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that contrasts had then; of later ones, those that say something, as none did then."""
    return {name: value for name, value in fields.items() if name in _OF_CONTRASTS or value}


def is_digest_of(claim: Claim, digest: str) -> bool:
    """Return whether a digest is that of a claim, by this schema or the first."""
    return claim.digest == digest or digest_1(claim) == digest.removeprefix(PREFIX)


def rewritten(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a lock of schema 1 in the form of schema 2.

    Raises:
        MemkitError: it is damaged.
    """
    found = strict_json.fields(data, "the lock", {}, "studies", "claims")
    parts = {name: strict_json.each(found.get(name, {}), name, _entry) for name in ("claims", "removed")}
    return {"studies": found["studies"], **parts}


def _entry(value: Any, what: str) -> dict[str, Any]:
    found = strict_json.fields(value, what, {"revision": strict_json.whole}, "digest", "attempt")
    for name in {"digest", "code", "file"} & found.keys():
        strict_json.text(found[name], f"{what}: {name}")
    for name in {"attempt", "skipped"} & found.keys():
        strict_json.whole(found[name], f"{what}: {name}", None)
    attempt, skipped = found["attempt"], found.get("skipped", 0)
    if attempt < 1 or skipped < 0 or (attempt + skipped) * BLOCK > STUDY_STRIDE:
        raise MemkitError(f"{what} has the attempt {attempt}, and {skipped} blocks of seeds passed over")
    # Nobody wrote down the blocks of earlier attempts.
    blocks = [*[None] * (attempt - 1), attempt - 1 + skipped]
    kept: dict[str, Any] = {name: found[name] for name in ("code", "revision", "file") if name in found}
    return {"digest": PREFIX + found["digest"], **kept, "attempts": [{"block": block} for block in blocks]}


def carried_over(before: Lock, after: Lock, accepted: Mapping[str, Any]) -> tuple[Lock, dict[str, Any]]:
    """Bring accepted verdicts along with the entries that were rewritten.

    Args:
        before: the lock before ``memkit register``; ``after``: the same after it.
        accepted: claim id → what was accepted.

    Returns:
        The lock, in which the attempts that were accepted have their outcome, and the accepted claims, which have the
        digests of that lock.
    """
    entries, claims = dict(after.claims), dict(accepted)
    for name, claim in accepted.items():
        old, new = before.claims.get(name) or before.removed.get(name), after.claims.get(name)
        if old is None or new is None or not old.of_schema_1 or new.of_schema_1 or new.attempt != old.attempt:
            continue
        if (PREFIX + claim["digest"], claim["attempt"]) == (old.digest, old.attempt):
            claims[name] = {**claim, "digest": new.digest}
            judgement = claim["judgement"]
            entries[name] = new.recorded(judgement["verdict"], judgement.get("n", 0), str(claim.get("created", "")))
    return replace(after, claims=entries), claims
