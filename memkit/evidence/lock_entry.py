"""Entries of the lock: what was registered for a claim, and the outcome of each attempt."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from memkit.errors import MemkitError, short_repr
from memkit.evidence import strict_json
from memkit.evidence.attempt import Attempt, Check, NewerError, Outcome, attempt_from, known
from memkit.evidence.claim import ANNOTATIONS, DEFAULT_SEEDS, Claim
from memkit.evidence.lock_schema_1 import PREFIX, is_digest_of
from memkit.evidence.registration import BLOCK, STUDY_STRIDE
from memkit.statistics import ALPHA


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim in the lock.

    Attributes:
        digest: the registered digest of what is tested.
        attempts: the forms in which the claim was registered, those of a claim that it continues included; the last one
            is the present form.
        code: the digest of the code behind the claim when it was last registered; "" if it is not known.
        revision: how many times the claim was registered again with other code, on the same seeds.
        file: the file that the claim was registered from, relative to the project's root, with slashes; "" if it is not
            known.
        annotations: the registered fields that the digest does not cover (:attr:`memkit.Claim.annotations`); empty if
            they are not known, as in entries of schema 1.
        earlier: for each registered edit of the annotations, the oldest first, the previous values of the edited
            fields; None for a field that was empty.
        results: file → checksum, for a claim about files of results.
        alpha: the error probability at the first attempt, as the project had set it when the claim was registered.
        identity: a hash of the arms, the metrics and the test (:attr:`memkit.Claim.identity`); "" if it is not known.
    """

    digest: str
    attempts: tuple[Attempt, ...]
    code: str = ""
    revision: int = 0
    file: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Mapping[str, Any], ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    alpha: float = ALPHA
    identity: str = ""

    @property
    def attempt(self) -> int:
        """The number of attempts that count: the forms in which the claim was registered, unless nothing was measured.

        The present form always counts.
        """
        return 1 + sum(not attempt.unmeasured for attempt in self.attempts[:-1])

    @property
    def block(self) -> int:
        """The number of the claim's present block of seeds, from 0."""
        block = self.attempts[-1].block
        assert block is not None
        return block

    @property
    def planned(self) -> int:
        """The most seeds that the claim was registered to use."""
        return int(self.annotations.get("seeds") or DEFAULT_SEEDS)

    @property
    def of_schema_1(self) -> bool:
        """True if the digest is one of schema 1; the annotations are then not known."""
        return self.digest.startswith(PREFIX)

    @property
    def wordings(self) -> list[Mapping[str, Any]]:
        """All annotations that were ever registered, the latest first."""
        wordings = [self.annotations]
        for edit in reversed(self.earlier):
            wordings.append({name: value for name, value in {**wordings[-1], **edit}.items() if value is not None})
        return wordings

    def is_of(self, claim: Claim) -> bool:
        """Return whether the claim tests what was registered."""
        return is_digest_of(claim, self.digest) if self.of_schema_1 else self.digest == claim.digest

    def edited(self, claim: Claim) -> dict[str, Any]:
        """Return the annotations that were edited since: field → its registered value; None for an empty field."""
        if not self.annotations:
            return {}
        return {
            name: self.annotations.get(name)
            for name in ANNOTATIONS
            if self.annotations.get(name) != claim.annotations.get(name)
        }

    def reworded(self, claim: Claim) -> Entry:
        """Return the entry with the claim's digest and present annotations; ``earlier`` keeps the replaced values."""
        edits = self.edited(claim)
        earlier = (*self.earlier, edits) if edits else self.earlier
        return replace(self, digest=claim.digest, annotations=claim.annotations, earlier=earlier)

    def recorded(self, outcome: Outcome, laboratory: str = "") -> Entry:
        """Return the entry with an outcome of its present attempt; an outcome that it replaces is kept.

        Args:
            outcome: the outcome.
            laboratory: the laboratory that made the run; "" for the project itself.
        """
        attempt = self.attempts[-1]
        if laboratory:
            new = replace(attempt, laboratories={**attempt.laboratories, laboratory: outcome})
        else:
            before = attempt.outcome
            replaced = attempt.replaced if before is None or before.agrees(outcome) else (*attempt.replaced, before)
            new = replace(attempt, outcome=outcome, replaced=replaced)
        return replace(self, attempts=(*self.attempts[:-1], new))

    def to_json(self) -> dict[str, Any]:
        """Return plain types; empty fields are left out."""
        data = {
            "digest": self.digest,
            "identity": self.identity,
            "code": self.code,
            "revision": self.revision,
            "file": self.file,
            "annotations": dict(self.annotations),
            "earlier": [dict(edit) for edit in self.earlier],
            "results": dict(self.results),
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }
        data = {name: value for name, value in data.items() if value}
        return data if self.alpha == ALPHA else {**data, "alpha": self.alpha}


# --- reading ------------------------------------------------------------------------------------------------------


def checked_alpha(value: Any, what: str) -> float:
    """Return an error probability."""
    if not 0 < (alpha := strict_json.number(value, what)) < 1:
        raise MemkitError(f"{what} must lie between 0 and 1, not {short_repr(value)}")
    return alpha


_ANNOTATIONS: Mapping[str, Check] = {
    "statement": strict_json.text,
    "source": strict_json.text,
    "seeds": strict_json.whole,
    "seeds_per_look": strict_json.whole,
    "headline": strict_json.flag,
    "deterministic": strict_json.flag,
    "environment": strict_json.texts,
}
_EARLIER: Mapping[str, Check] = {
    name: lambda value, what, check=check: strict_json.optional(value, what, check)  # type: ignore[misc]
    for name, check in _ANNOTATIONS.items()
}
_ENTRY: Mapping[str, Check] = {
    **dict.fromkeys(("digest", "identity", "code", "file"), strict_json.text),
    "revision": strict_json.whole,
    "annotations": lambda value, what: known(value, what, _ANNOTATIONS, "statement"),
    "earlier": lambda value, what: [known(edit, what, _EARLIER) for edit in strict_json.listed(value, what)],
    "results": lambda value, what: strict_json.each(value, what, strict_json.text),
    "attempts": strict_json.listed,
    "alpha": checked_alpha,
}


def entry_from(value: Any, what: str) -> Entry:
    """Read the entry that :meth:`Entry.to_json` wrote.

    Raises:
        NewerError: the entry holds something that this memkit does not know, or does not apply.
        MemkitError: the entry is damaged.
    """
    data = known(value, what, _ENTRY, "digest", "attempts")
    attempts = tuple(
        attempt_from(attempt, f"{what}: attempt {number}") for number, attempt in enumerate(data["attempts"], 1)
    )
    if data.get("results"):
        raise NewerError(f"{what} is about files of results")
    _check_blocks([attempt.block for attempt in attempts], what)
    file = PurePosixPath(data.get("file", ""))
    if ".." in file.parts or file.is_absolute():
        raise MemkitError(f"{what} has the file {str(file)!r}, which must lie in the project")
    annotations = {name: annotation for name, annotation in data.get("annotations", {}).items() if annotation}
    if "statement" not in annotations and not data["digest"].startswith(PREFIX):
        raise MemkitError(f"{what} does not say which statement was registered")
    earlier = tuple(data.get("earlier", ()))
    return Entry(**{**data, "attempts": attempts, "annotations": annotations, "earlier": earlier})


def _check_blocks(blocks: list[int | None], what: str) -> None:
    """Refuse attempts that reuse a block of seeds."""
    most = STUDY_STRIDE // BLOCK - 1
    recorded = [(number, block) for number, block in enumerate(blocks) if block is not None]
    # Each attempt moves on by at least one block, so the number of an attempt is the least number of its block.
    is_rising = all(number <= block <= most for number, block in recorded)
    is_rising = is_rising and all(b - a >= j - i for (i, a), (j, b) in itertools.pairwise(recorded))
    if not blocks or blocks[-1] is None or not is_rising:
        raise MemkitError(
            f"{what} has attempts on the blocks of seeds {short_repr(blocks)}; the blocks must rise, up to {most}, and "
            "the last one must be known"
        )
