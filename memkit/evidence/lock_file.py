"""The lock: which claims were registered, in which form, and on which seeds they are decided.

A claim is decided on seeds that nobody has looked at while it was developed. So development seeds have a
range of their own; registering a claim gives it deciding seeds; and a claim that is edited afterwards, in what it tests
or in its arms, is reported as changed until it is registered again, which moves it to fresh seeds and counts an
attempt. Until then it has development seeds alone. Whether anybody looked at the earlier seeds cannot be known, so
every change counts.

What is said of a claim, and how many seeds it may use, is registered beside that. An edit there has to be registered,
too; it costs no attempt, and what was registered before is kept.

Seeds come in blocks, which all claims of a study have in common: claims that share seeds share models. Claims of a
study that are changed at once move to one block, the first that none of them was on or before.

The lock names the file of each claim, so a claim that is deleted is missed. A claim may be taken out of the lock, which
keeps its attempts: a claim of that id that comes back goes on from there.

The code behind a claim (models, tasks, the trainer, fixtures) may be changed for other reasons than its verdict, so a
change there costs no seeds; but it is told beside the verdict, and counted when it is registered.

``memkit accept`` writes what an attempt came to. A run never writes the lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, nearest, shown
from memkit.evidence import lock_schema_1, strict_json
from memkit.evidence.claim import Claim
from memkit.evidence.lock_entry import Attempt, Entry, NewerError, entry_from, known
from memkit.evidence.registration import BLOCK, DEVELOPMENT_SEEDS, STUDY_STRIDE, Registration, Status
from memkit.files import write_whole
from memkit.paths import LOCK

SCHEMA = 2
ALPHA = 0.05
"""The error probability of a claim."""
_ON_ONE_LINE = 4  # attempts, by how deep they are nested


@dataclass(frozen=True)
class Lock:
    """``claims.lock``: study → first seed, claim → entry. Kept under version control.

    Attributes:
        removed: claims that are registered no more, as they were.
        laboratories: name → the block of seeds that is its own.
        alpha: the error probability of claims that are registered from now on.
    """

    studies: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, Entry] = field(default_factory=dict)
    removed: Mapping[str, Entry] = field(default_factory=dict)
    laboratories: Mapping[str, int] = field(default_factory=dict)
    alpha: float = ALPHA

    def registration(self, claim: Claim, *, development: bool = False, code: str = "") -> Registration:
        """Return what the lock says of a claim.

        Args:
            development: asks for development seeds all the same.
            code: digest of the code behind the claim, where it is known.
        """
        entry = self.claims.get(claim.id)
        if entry is None:
            return Registration(status="unregistered", attempt=0, first_seed=DEVELOPMENT_SEEDS.start)
        changed = not entry.is_of(claim)
        edited = ", ".join(() if changed else entry.edited(claim))
        status: Status = "changed" if changed else "reworded" if edited else "registered"
        first = self.studies[claim.study] + entry.block * BLOCK
        return Registration(
            status=status,
            attempt=entry.attempt,
            first_seed=DEVELOPMENT_SEEDS.start if development or changed else first,
            revision=entry.revision,
            recoded=bool(code and code != entry.code and (entry.code or not entry.of_schema_1)),
            edited=edited,
            withheld=changed and not development,
        )

    def register(
        self,
        claims: Iterable[Claim],
        code: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Lock:
        """Return the lock with these claims in their present form.

        Changed claims of a study move to one block of fresh seeds. A claim that is only said otherwise stays where it
        is, and so does one whose code alone has changed, which counts a revision. A mutant or a replication that is new
        joins its claim, so that they share models.

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
            if (old := entries.get(claim.id)) is not None and not old.is_of(claim):
                moving.add(claim.id)
                fresh[claim.study] = max(fresh.get(claim.study, 0), old.block + 1)
        for claim in claims:
            if claim.study not in studies:
                studies[claim.study] = max(studies.values(), default=0) + STUDY_STRIDE
            old, now = entries.get(claim.id), code.get(claim.id, "")
            if old is None:
                joined = self.claims.get(claim.made_from)
                moves = joined is not None and claim.made_from in moving
                block = 0 if joined is None else fresh[claim.study] if moves else joined.block
                new = Entry(
                    digest=claim.digest, annotations=claim.annotations, code=now, attempts=(Attempt(block=block),)
                )
            elif claim.id in moving:
                if (fresh[claim.study] + 1) * BLOCK > STUDY_STRIDE:
                    raise MemkitError(f"claim {claim.id!r} has used up all its seeds; register it under a new id")
                attempts = (*old.attempts, Attempt(block=fresh[claim.study]))
                new = replace(old.reworded(claim), code=now, revision=0, attempts=attempts)
            else:
                new = old.reworded(claim)
                if now and now != old.code:
                    known_before = bool(old.code) or not old.of_schema_1
                    new = replace(new, code=now, revision=old.revision + known_before)
            if file := files.get(claim.id, ""):
                new = replace(new, file=file)
            entries[claim.id] = new
        removed = {name: entry for name, entry in self.removed.items() if name not in returning}
        return replace(self, studies=studies, claims=entries, removed=removed)

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
        """Return JSON, sorted, one line for each thing that may change, so that changes are read in a diff."""
        data: dict[str, Any] = {"schema": SCHEMA}
        if self.alpha != ALPHA:
            data["alpha"] = self.alpha
        if self.laboratories:
            data["laboratories"] = dict(sorted(self.laboratories.items()))
        data["studies"] = {name: {"first_seed": self.studies[name]} for name in sorted(self.studies)}
        data["claims"] = {name: self.claims[name].to_json() for name in sorted(self.claims)}
        if self.removed:
            data["removed"] = {name: self.removed[name].to_json() for name in sorted(self.removed)}
        return _text(data) + "\n"

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
            data = strict_json.fields(strict_json.read_json(path), "the lock", {}, "schema")
            schema = strict_json.whole(data["schema"], "the schema", 1)
            if schema not in (1, SCHEMA):
                raise NewerError(f"it has schema {shown(schema)}; this memkit reads schema {SCHEMA} and 1")
            found = cls._from(lock_schema_1.rewritten(data) if schema == 1 else data)
        except FileNotFoundError:
            if path.is_symlink():
                raise MemkitError(f"{path} is a link to a file that is gone; restore that, or the link") from None
            return cls()
        except OSError as error:
            raise MemkitError(f"{path} cannot be read: {error.strerror}") from error
        except NewerError as error:
            raise MemkitError(f"{path} was written by a newer memkit ({error}); update this one") from error
        except MemkitError as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
        found._check_studies(path)
        if twice := next((name for name in found.claims if name in found.removed), None):  # as a merge may leave it
            raise MemkitError(f"{path} has {twice!r} among its claims and among those removed; delete one of the two")
        return found

    @classmethod
    def _from(cls, data: Mapping[str, Any]) -> Lock:
        """Return the lock of plain types."""
        checks = dict.fromkeys(("schema", "studies", "claims", "removed", "laboratories", "alpha"), _anything)
        parts = known(data, "the lock", checks, "studies", "claims")
        studies = {
            name: strict_json.whole(study.get("first_seed"), f"the first seed of {name!r}", None)
            for name, study in strict_json.each(parts["studies"], "studies", _study).items()
        }
        if not 0 < (alpha := strict_json.number(parts.get("alpha", ALPHA), "alpha")) < 1:
            raise MemkitError(f"alpha must lie between 0 and 1, and is {alpha:g}")
        if alpha != ALPHA:
            raise NewerError(f"it sets alpha to {alpha:g}; this memkit decides with {ALPHA:g}")
        if laboratories := strict_json.each(parts.get("laboratories", {}), "laboratories", strict_json.whole):
            raise NewerError(f"it gives {min(laboratories)!r:.80} seeds of its own")
        return cls(
            studies,
            strict_json.each(parts["claims"], "claims", entry_from),
            strict_json.each(parts.get("removed", {}), "removed", entry_from),
            laboratories,
            alpha,
        )

    def _check_studies(self, path: Path) -> None:
        owners: dict[int, str] = {}
        for name, first in self.studies.items():
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
        names = [*self.claims, *self.removed]
        if orphan := next((name for name in names if name.split("/", 1)[0] not in self.studies), None):
            raise MemkitError(f"{path} has no first_seed for the study of {orphan!r}; restore it from version control")


def _study(value: Any, what: str) -> dict[str, Any]:
    return known(value, what, {"first_seed": _anything})


def _anything(value: Any, what: str) -> Any:
    return value


def _text(value: Any, depth: int = 0) -> str:
    """JSON, a line for each value, but for those that are nested deepest."""
    if depth == _ON_ONE_LINE or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, ensure_ascii=False)
    indent = " " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{indent}{json.dumps(name, ensure_ascii=False)}: {_text(v, depth + 1)}" for name, v in value.items()]
    else:
        lines = [f"{indent}{_text(one, depth + 1)}" for one in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    return f"{ends[0]}\n" + ",\n".join(lines) + f"\n{' ' * depth}{ends[1]}"


def lock_path(root: Path) -> Path:
    """Return where a project keeps its lock: in its ``claims`` folder, or at its root if it has none."""
    inside, outside = root / "claims" / LOCK, root / LOCK
    if os.path.lexists(outside) and os.path.lexists(inside):
        raise MemkitError(f"{inside} and {outside} are both there; keep the one that the claims were registered in")
    if os.path.lexists(outside):  # a claims folder that came later
        return outside
    return inside if inside.parent.is_dir() else outside
