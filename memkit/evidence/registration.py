"""The lock: which claims were registered, in which form, and on which seeds they are decided.

A claim is decided on seeds that nobody has looked at while it was developed. So development seeds have a
range of their own; registering a claim gives it deciding seeds; and a claim that is edited afterwards, itself
or its arms, is reported as changed until it is registered again, which moves it to fresh seeds and counts an
attempt. Whether anybody looked at the earlier seeds cannot be known, so every change counts.

Seeds come in blocks, which all claims of a study have in common: claims that share seeds share models. Claims of a
study that are changed at once move to one block, the first that none of them was on or before.

The lock names the file of each claim, so a claim that is deleted is missed. A claim may be taken out of the lock, which
keeps its attempts: a claim of that id that comes back goes on from there.

The code behind a claim (models, tasks, the trainer, fixtures) may be changed for other reasons than its verdict, so a
change there costs no seeds; but it is told beside the verdict, and counted when it is registered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from memkit.errors import MemkitError, nearest
from memkit.evidence import reading
from memkit.evidence.claim import Claim
from memkit.files import write_whole
from memkit.paths import LOCK

SCHEMA = 1
DEVELOPMENT_SEEDS = range(0, 10_000)
STUDY_STRIDE = 10_000
BLOCK = 100

Status = Literal["registered", "changed", "unregistered"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim in the lock.

    Attributes:
        digest: of the claim, as it was registered.
        attempt: how many times it was registered in a form of its own.
        code: digest of the code behind it, as it was registered last; "" where that is not known.
        revision: how many times it was registered again with other code, on the same seeds.
        skipped: blocks of seeds that it was never on, for those of the claims that were changed with it.
        file: that it was registered from, relative to the project's root, with slashes; "" where that is not known.
    """

    digest: str
    attempt: int = 1
    code: str = ""
    revision: int = 0
    skipped: int = 0
    file: str = ""

    @property
    def block(self) -> int:
        """The number of its block of seeds, from 0."""
        return self.attempt - 1 + self.skipped


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What the lock says of a claim.

    Attributes:
        status: "registered"; "changed", edited since; or "unregistered".
        attempt: how many times the claim was registered in a form of its own; 0 if never.
        revision: how many times the code behind it was registered anew since that attempt.
        recoded: whether that code differs from what was registered.
        first_seed: the seeds are ``first_seed``, ``first_seed + 1``, …
    """

    status: Status
    attempt: int
    first_seed: int
    revision: int = 0
    recoded: bool = False

    @property
    def development(self) -> bool:
        """Whether the seeds are development seeds, which decide nothing."""
        return self.first_seed in DEVELOPMENT_SEEDS

    def seeds(self, n: int) -> tuple[int, ...]:
        """The first ``n`` seeds, in the order of the looks."""
        return tuple(range(self.first_seed, self.first_seed + n))


@dataclass(frozen=True)
class Lock:
    """``claims.lock``: study → first seed, claim → entry. Kept under version control.

    Attributes:
        removed: claims that are registered no more, as they were.
    """

    studies: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, Entry] = field(default_factory=dict)
    removed: Mapping[str, Entry] = field(default_factory=dict)

    def registration(self, claim: Claim, *, development: bool = False, code: str = "") -> Registration:
        """What the lock says of a claim.

        Args:
            development: asks for development seeds all the same.
            code: digest of the code behind the claim, where it is known.
        """
        entry = self.claims.get(claim.id)
        if entry is None:
            return Registration(status="unregistered", attempt=0, first_seed=DEVELOPMENT_SEEDS.start)
        status: Status = "registered" if entry.digest == claim.digest else "changed"
        first = self.studies[claim.study] + entry.block * BLOCK
        return Registration(
            status=status,
            attempt=entry.attempt,
            first_seed=DEVELOPMENT_SEEDS.start if development else first,
            revision=entry.revision,
            recoded=bool(code and entry.code and code != entry.code),
        )

    def register(
        self,
        claims: Iterable[Claim],
        code: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Lock:
        """The lock with these claims in their present form.

        Changed claims of a study move to one block of fresh seeds. A claim whose code alone has changed stays where it
        is, and counts a revision. A mutant or a replication that is new joins its claim, so that they share models.

        Args:
            code: claim id → digest of the code behind it.
            files: claim id → its file, relative to the project's root.
        """
        code, files, claims = code or {}, files or {}, list(claims)
        studies = dict(self.studies)
        entries = dict(self.claims)
        returning = {claim.id for claim in claims} & set(self.removed)
        entries |= {name: self.removed[name] for name in returning}
        fresh: dict[str, int] = {}
        moving = set()
        for claim in claims:
            if (old := entries.get(claim.id)) is not None and old.digest != claim.digest:
                moving.add(claim.id)
                fresh[claim.study] = max(fresh.get(claim.study, 0), old.block + 1)
        for claim in claims:
            if claim.study not in studies:
                studies[claim.study] = max(studies.values(), default=0) + STUDY_STRIDE
            old = entries.get(claim.id)
            if old is None:
                joined = self.claims.get(claim.mutant_of or claim.replicates)
                moves = joined is not None and (claim.mutant_of or claim.replicates) in moving
                block = 0 if joined is None else fresh[claim.study] if moves else joined.block
                entries[claim.id] = Entry(digest=claim.digest, code=code.get(claim.id, ""), skipped=block)
            elif old.digest != claim.digest:
                if (fresh[claim.study] + 1) * BLOCK > STUDY_STRIDE:
                    raise MemkitError(f"claim {claim.id!r} has used up all its seeds; register it under a new id")
                entries[claim.id] = Entry(
                    digest=claim.digest,
                    attempt=old.attempt + 1,
                    code=code.get(claim.id, ""),
                    skipped=fresh[claim.study] - old.attempt,
                )
            elif (now := code.get(claim.id, "")) and now != old.code:
                entries[claim.id] = replace(old, code=now, revision=old.revision + bool(old.code))
            if file := files.get(claim.id, ""):
                entries[claim.id] = replace(entries[claim.id], file=file)
        return Lock(studies, entries, {name: e for name, e in self.removed.items() if name not in returning})

    def remove(self, ids: Iterable[str]) -> Lock:
        """Return the lock without these claims, which it keeps among those that were removed.

        Raises:
            MemkitError: one of them is not registered.
        """
        ids = list(ids)
        if unknown := next((name for name in ids if name not in self.claims), None):
            raise MemkitError(f"the lock has no claim {unknown!r}{nearest(unknown, self.claims)}")
        kept = {name: entry for name, entry in self.claims.items() if name not in ids}
        return replace(self, claims=kept, removed={**self.removed, **{name: self.claims[name] for name in ids}})

    def to_text(self) -> str:
        """JSON, sorted, one line a claim, so that changes are read in a diff."""
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "studies": {name: {"first_seed": self.studies[name]} for name in sorted(self.studies)},
            "claims": _plain(self.claims),
        }
        if self.removed:
            data["removed"] = _plain(self.removed)
        return json.dumps(data, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write the lock, whole or not at all."""
        write_whole(path, self.to_text())

    @classmethod
    def load(cls, path: Path) -> Lock:
        """Read a lock; a file that does not exist is an empty one.

        Raises:
            MemkitError: the file is damaged or of another version.
        """
        try:
            data = reading.fields(reading.read_json(path), "the lock", {}, "schema")
        except FileNotFoundError:
            if path.is_symlink():
                raise MemkitError(f"{path} is a link to a file that is gone; restore that, or the link") from None
            return cls()
        except OSError as error:
            raise MemkitError(f"{path} cannot be read: {error.strerror}") from error
        except MemkitError as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
        if data["schema"] != SCHEMA:
            raise MemkitError(f"{path} has schema {reading.shown(data['schema'])}; this memkit reads schema {SCHEMA}")
        try:
            parts = reading.fields(data, "the lock", {}, "studies", "claims")
            studies = {
                name: reading.whole(study.get("first_seed"), f"the first seed of {name!r}", None)
                for name, study in reading.each(parts["studies"], "studies", reading.mapping).items()
            }
            claims = reading.each(parts["claims"], "claims", _entry)
            removed = reading.each(data.get("removed", {}), "removed", _entry)
        except MemkitError as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
        owners: dict[int, str] = {}
        for name, first in studies.items():
            if first < STUDY_STRIDE or first % STUDY_STRIDE:
                raise MemkitError(
                    f"{path} starts the study {name!r} at seed {first}; deciding seeds start at a multiple "
                    f"of {STUDY_STRIDE}"
                )
            if owners.setdefault(first, name) != name:  # as a merge of two branches leaves it
                raise MemkitError(
                    f"{path} gives the studies {owners[first]!r} and {name!r} the same seeds; remove the "
                    "newer one, and register its claims again"
                )
        if twice := next((name for name in claims if name in removed), None):  # as a merge of two branches leaves it
            raise MemkitError(f"{path} has {twice!r} among its claims and among those removed; delete one of the two")
        for name, entry in [*claims.items(), *removed.items()]:
            if entry.attempt < 1 or entry.skipped < 0 or (entry.block + 1) * BLOCK > STUDY_STRIDE:
                raise MemkitError(
                    f"{path} gives {name!r} the attempt {entry.attempt}, and {entry.skipped} blocks of seeds passed "
                    "over; restore it from version control"
                )
            if entry.file and (".." in (file := PurePosixPath(entry.file)).parts or file.is_absolute()):
                raise MemkitError(f"{path} gives {name!r} the file {entry.file!r}, which must lie in the project")
        if orphan := next((name for name in [*claims, *removed] if name.split("/", 1)[0] not in studies), None):
            raise MemkitError(f"{path} has no first_seed for the study of {orphan!r}; restore it from version control")
        return cls(studies, claims, removed)


def _plain(entries: Mapping[str, Entry]) -> dict[str, Any]:
    return {name: {k: v for k, v in asdict(entries[name]).items() if v} for name in sorted(entries)}


def _entry(value: Any, what: str) -> Entry:
    """Return a claim's entry, of whatever fields entries have."""
    checks = {"str": reading.text, "int": lambda number, where: reading.whole(number, where, None)}
    kinds = {field.name: checks[str(field.type)] for field in fields(Entry)}
    found = reading.fields(value, what, {**kinds, "revision": reading.whole}, "digest", "attempt")
    return Entry(**{name: found[name] for name in kinds if name in found})


def lock_path(root: Path) -> Path:
    """Where a project keeps its lock: in its ``claims`` folder, or at its root if it has none."""
    inside, outside = root / "claims" / LOCK, root / LOCK
    if os.path.lexists(outside) and os.path.lexists(inside):
        raise MemkitError(f"{inside} and {outside} are both there; keep the one that the claims were registered in")
    if os.path.lexists(outside):  # a claims folder that came later
        return outside
    return inside if inside.parent.is_dir() else outside
