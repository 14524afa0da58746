"""Entries of the lock: what was registered for a claim, and the outcome of each attempt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from memkit.errors import MemkitError, short_repr
from memkit.evidence import strict_json
from memkit.evidence.claim import ANNOTATIONS, DEFAULT_SEEDS, Claim
from memkit.evidence.lock_schema_1 import PREFIX, is_digest_of
from memkit.evidence.registration import BLOCK, STUDY_STRIDE
from memkit.evidence.verdict import Verdict
from memkit.statistics import ALPHA


class NewerError(MemkitError):
    """An error for a lock that holds something that this memkit does not know, or does not apply."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One form of a claim, on seeds of its own, and its outcome.

    Attributes:
        block: the number of its block of seeds, from 0; None if it was not recorded.
        verdict: the verdict that was accepted; "" if none was.
        n: the number of seeds that the verdict rests on.
        capital: an e-value; None if there is none.
        date: when the run was made, ISO 8601.
        observations: a hash of the observations that the verdict rests on; "" if it is not known.
    """

    block: int | None
    verdict: str = ""
    n: int = 0
    capital: float | None = None
    date: str = ""
    observations: str = ""

    @property
    def outcome(self) -> str:
        """The outcome of the attempt, in words."""
        if not self.verdict:
            return "not recorded"
        return ", ".join(filter(None, (self.verdict, f"n = {self.n}", self.date.partition("T")[0])))

    def to_json(self) -> dict[str, Any]:
        """Return plain types; empty fields are left out, except for the block."""
        fields = {**asdict(self), "n": self.n or None}
        return {"block": self.block, **{name: value for name, value in fields.items() if value not in (None, "")}}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim in the lock.

    Attributes:
        digest: the registered digest of what is tested.
        attempts: the forms in which the claim was registered; the last one is the present form.
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

    @property
    def attempt(self) -> int:
        """The number of forms in which the claim was registered, each of them an attempt."""
        return len(self.attempts)

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

    def recorded(self, verdict: str, n: int, date: str, observations: str = "") -> Entry:
        """Return the entry with the outcome of its present attempt."""
        attempt = Attempt(block=self.block, verdict=str(verdict), n=n, date=date, observations=observations)
        return replace(self, attempts=(*self.attempts[:-1], attempt))

    def to_json(self) -> dict[str, Any]:
        """Return plain types; empty fields are left out."""
        data = {
            "digest": self.digest,
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

Check = Callable[[Any, str], Any]


def known(value: Any, what: str, checks: Mapping[str, Check], *needed: str) -> dict[str, Any]:
    """Return an object after checking its fields; a field that is not known is refused.

    Raises:
        NewerError: a field is not known; rewriting the lock would lose it.
        MemkitError: as :func:`memkit.evidence.strict_json.fields`.
    """
    result = strict_json.fields(value, what, checks, *needed)
    if unknown := [name for name in result if name not in checks]:
        raise NewerError(f"{what} has the unknown field {short_repr(unknown[0])}")
    return result


def _verdict(value: Any, what: str) -> str:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {short_repr(value)} is not a verdict")
    return str(value)


def _amount(value: Any, what: str) -> float:
    if (amount := strict_json.number(value, what)) < 0:
        raise MemkitError(f"{what} must be a number of at least 0, not {short_repr(value)}")
    return amount


def checked_alpha(value: Any, what: str) -> float:
    """Return an error probability."""
    if not 0 < (alpha := strict_json.number(value, what)) < 1:
        raise MemkitError(f"{what} must lie between 0 and 1, not {short_repr(value)}")
    return alpha


_ATTEMPT: Mapping[str, Check] = {
    "block": lambda value, what: strict_json.optional(value, what, strict_json.whole),
    "verdict": _verdict,
    "n": strict_json.whole,
    "capital": _amount,
    "date": strict_json.text,
    "observations": strict_json.text,
}
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
    **dict.fromkeys(("digest", "code", "file"), strict_json.text),
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
        Attempt(**known(attempt, f"{what}: attempt {number}", _ATTEMPT, "block"))
        for number, attempt in enumerate(data["attempts"], 1)
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
