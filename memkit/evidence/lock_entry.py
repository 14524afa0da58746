"""An entry of the lock: what was registered of a claim, and what each attempt came to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from memkit.errors import MemkitError, shown
from memkit.evidence import strict_json
from memkit.evidence.claim import BESIDE, Claim
from memkit.evidence.lock_schema_1 import PREFIX, is_digest_of
from memkit.evidence.registration import BLOCK, STUDY_STRIDE
from memkit.evidence.verdict import Verdict


class NewerError(MemkitError):
    """A lock holds what this memkit does not know, or does not apply."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A form in which a claim was asked on fresh seeds, and what that came to.

    Attributes:
        block: the number of its block of seeds, from 0; None where nobody wrote it down.
        verdict: as it was accepted; "" where none was.
        n: how many seeds that verdict rests on.
        capital: an e-value; None where there is none.
        date: when the run was made, ISO 8601.
        observations: a hash of the observations that the verdict rests on; "" where it is not known.
    """

    block: int | None
    verdict: str = ""
    n: int = 0
    capital: float | None = None
    date: str = ""
    observations: str = ""

    @property
    def outcome(self) -> str:
        """The result of the attempt, in words."""
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
        digest: of what is tested, as it was registered.
        code: digest of the code behind it, as it was registered last; "" where that is not known.
        revision: how many times it was registered again with other code, on the same seeds.
        file: that it was registered from, relative to the project's root, with slashes; "" where that is not known.
        annotations: what was registered beside the digest (:attr:`memkit.Claim.annotations`); empty where that is not
            known, of entries that another schema left.
        earlier: of each registered edit of them, the oldest first, what the edited fields held; None: nothing.
        attempts: each form in which it was registered; the present one is the last.
        results: file → checksum, of a claim on results.
    """

    digest: str
    attempts: tuple[Attempt, ...]
    code: str = ""
    revision: int = 0
    file: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Mapping[str, Any], ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """The number of forms in which the claim was registered, each of them an attempt."""
        return len(self.attempts)

    @property
    def block(self) -> int:
        """The number of its block of seeds, from 0."""
        block = self.attempts[-1].block
        assert block is not None
        return block

    @property
    def of_schema_1(self) -> bool:
        """Return whether its digest is one of schema 1; what stood beside the digest is then not known."""
        return self.digest.startswith(PREFIX)

    @property
    def wordings(self) -> list[Mapping[str, Any]]:
        """Everything that was registered beside the digest, the latest first."""
        found = [self.annotations]
        for edit in reversed(self.earlier):
            found.append({name: value for name, value in {**found[-1], **edit}.items() if value is not None})
        return found

    def is_of(self, claim: Claim) -> bool:
        """Return whether the claim tests what was registered."""
        return is_digest_of(claim, self.digest) if self.of_schema_1 else self.digest == claim.digest

    def edited(self, claim: Claim) -> dict[str, Any]:
        """Return what was registered beside the digest and was edited since: field → what it held; None: nothing."""
        if not self.annotations:
            return {}
        return {
            name: self.annotations.get(name)
            for name in BESIDE
            if self.annotations.get(name) != claim.annotations.get(name)
        }

    def reworded(self, claim: Claim) -> Entry:
        """Return the entry with the claim's digest and its present annotations; what these replace is kept."""
        edits = self.edited(claim)
        earlier = (*self.earlier, edits) if edits else self.earlier
        return replace(self, digest=claim.digest, annotations=claim.annotations, earlier=earlier)

    def recorded(self, verdict: str, n: int, date: str, observations: str = "") -> Entry:
        """Return the entry with what its present attempt came to."""
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
        return {name: value for name, value in data.items() if value}


# --- reading ------------------------------------------------------------------------------------------------------

Check = Callable[[Any, str], Any]


def known(value: Any, what: str, checks: Mapping[str, Check], *needed: str) -> dict[str, Any]:
    """Return an object that has no other fields than those that are checked.

    Raises:
        NewerError: it has; rewriting the lock would lose them.
        MemkitError: as :func:`memkit.evidence.strict_json.fields`.
    """
    found = strict_json.fields(value, what, checks, *needed)
    if more := [name for name in found if name not in checks]:
        raise NewerError(f"{what} has {shown(more[0])}")
    return found


def _verdict(value: Any, what: str) -> str:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {shown(value)} is no verdict")
    return str(value)


def _amount(value: Any, what: str) -> float:
    if (found := strict_json.number(value, what)) < 0:
        raise MemkitError(f"{what} must be a number from 0, not {shown(value)}")
    return found


_ATTEMPT: Mapping[str, Check] = {
    "block": lambda value, what: strict_json.optional(value, what, strict_json.whole),
    "verdict": _verdict,
    "n": strict_json.whole,
    "capital": _amount,
    "date": strict_json.text,
    "observations": strict_json.text,
}
_BESIDE: Mapping[str, Check] = {
    "statement": strict_json.text,
    "source": strict_json.text,
    "seeds": strict_json.whole,
    "headline": strict_json.flag,
    "deterministic": strict_json.flag,
    "environment": strict_json.texts,
}
_EARLIER: Mapping[str, Check] = {
    name: lambda value, what, check=check: strict_json.optional(value, what, check)  # type: ignore[misc]
    for name, check in _BESIDE.items()
}
_ENTRY: Mapping[str, Check] = {
    **dict.fromkeys(("digest", "code", "file"), strict_json.text),
    "revision": strict_json.whole,
    "annotations": lambda value, what: known(value, what, _BESIDE, "statement"),
    "earlier": lambda value, what: [known(one, what, _EARLIER) for one in strict_json.listed(value, what)],
    "results": lambda value, what: strict_json.each(value, what, strict_json.text),
    "attempts": strict_json.listed,
}


def entry_from(value: Any, what: str) -> Entry:
    """Read what :meth:`Entry.to_json` wrote.

    Raises:
        NewerError: it holds what this memkit does not know, or does not apply.
        MemkitError: it is damaged.
    """
    found = known(value, what, _ENTRY, "digest", "attempts")
    attempts = tuple(
        Attempt(**known(one, f"{what}: attempt {number}", _ATTEMPT, "block"))
        for number, one in enumerate(found["attempts"], 1)
    )
    if found.get("results"):
        raise NewerError(f"{what} is about files of results")
    _check_blocks([attempt.block for attempt in attempts], what)
    file = PurePosixPath(found.get("file", ""))
    if ".." in file.parts or file.is_absolute():
        raise MemkitError(f"{what} has the file {str(file)!r}, which must lie in the project")
    annotations = {name: said for name, said in found.get("annotations", {}).items() if said}
    if "statement" not in annotations and not found["digest"].startswith(PREFIX):
        raise MemkitError(f"{what} does not say which statement was registered")
    earlier = tuple(found.get("earlier", ()))
    return Entry(**{**found, "attempts": attempts, "annotations": annotations, "earlier": earlier})


def _check_blocks(blocks: list[int | None], what: str) -> None:
    """Refuse attempts on seeds that the claim was on before."""
    most = STUDY_STRIDE // BLOCK - 1
    passed = [(number, block) for number, block in enumerate(blocks) if block is not None]
    # Each attempt moves on by a block at least, so an attempt's number says where it can be at the earliest.
    rising = all(number <= block <= most for number, block in passed)
    rising = rising and all(b - a >= j - i for (i, a), (j, b) in itertools.pairwise(passed))
    if not blocks or blocks[-1] is None or not rising:
        raise MemkitError(
            f"{what} has attempts on the blocks of seeds {shown(blocks)}, which must rise, up to {most}, and "
            "the last of which must be known"
        )
