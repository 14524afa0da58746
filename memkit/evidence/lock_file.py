"""The lock: which claims were registered, in which form, and on which seeds they are decided.

A claim is decided on seeds that nobody used while it was developed. So development seeds have a range of their own, and
registering a claim gives it deciding seeds. If what the claim tests, or one of its arms, is edited afterwards, the
claim is reported as changed and has only development seeds until it is registered again, which moves it to fresh seeds
and counts as an attempt. Nobody can know whether the results on the earlier seeds influenced the edit, so every change
counts, unless the store shows that nothing was measured because every seed failed.

The statement of a claim, the number of seeds that it may use, and other annotations are registered separately. An edit
of these has to be registered, too, but costs no attempt; the lock keeps what was registered before.

Seeds come in blocks, which all claims of a study share, because claims that share seeds share models. Claims of a study
that are new or changed, and are registered together, get one block that no claim of the study has used; the first
claims of a study get block 0.

The lock names the file of each claim, so it shows when a claim was deleted. A claim may be removed from the lock, which
keeps its attempts: if a claim with this id, or one with the same arms, metrics and test, is registered again, it
continues from there.

The code behind a claim (models, tasks, the trainer, fixtures) may change for reasons unrelated to its verdict, so such
a change costs no seeds. It is counted as a revision when it is registered. The changed code can confirm a verdict, but
cannot improve one (:mod:`memkit.evidence.registered_judgement`).

``memkit accept`` records the outcome of an attempt; an outcome that it replaces is kept. A run never writes the lock.
``memkit audit`` compares it with its history.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from memkit.errors import MemkitError, short_repr, suggestion
from memkit.evidence import lock_schema_1, strict_json
from memkit.evidence.attempt import Attempt, NewerError, known
from memkit.evidence.claim import Claim
from memkit.evidence.e_values import recorded_e_values, weighted_sum
from memkit.evidence.lock_entry import Entry, checked_alpha, entry_from
from memkit.evidence.registration import (
    BLOCK,
    DEVELOPMENT_SEEDS,
    LABORATORY_STRIDE,
    MOST_LABORATORIES,
    STUDY_STRIDE,
    Registration,
    Status,
)
from memkit.evidence.trace import NO_TRACE, Trace
from memkit.files import write_whole
from memkit.paths import LOCK
from memkit.statistics import ALPHA

SCHEMA = 2
RULE = 2
"""The rule by which verdicts are reached: 1 needed two intervals that agree, 2 the capital won by betting."""
_LABORATORY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ON_ONE_LINE = 4  # the depth of an attempt in the JSON; values at this depth are written on one line


@dataclass(frozen=True)
class Lock:
    """The content of ``claims.lock``, which is kept under version control.

    Attributes:
        studies: study → its first seed.
        claims: claim id → its entry.
        removed: claim id → the last entry of a claim that is no longer registered.
        laboratories: name → its number, from 1, which determines its seeds.
        alpha: the error probability of claims that are registered from now on.
        rule: the rule of verdicts under which the claims were last registered; see ``RULE``.

    >>> from memkit.evidence import Arm, Claim, Contrast, Lock
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> lock = Lock().register([claim])
    >>> lock.registration(claim).status, lock.registration(claim).seeds(3)
    ('registered', (10000, 10001, 10002))
    """

    studies: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, Entry] = field(default_factory=dict)
    removed: Mapping[str, Entry] = field(default_factory=dict)
    laboratories: Mapping[str, int] = field(default_factory=dict)
    alpha: float = ALPHA
    rule: int = RULE

    def registration(
        self, claim: Claim, *, development: bool = False, code: str = "", laboratory: str = ""
    ) -> Registration:
        """Return the registration of a claim.

        Args:
            claim: the claim in its present form.
            development: whether to use development seeds even if the claim is registered.
            code: digest of the code behind the claim; "" if it is not known.
            laboratory: the laboratory that makes the run, whose seeds are then used; "" for the project itself.

        Raises:
            MemkitError: the laboratory is not registered.
        """
        offset = self._offset(laboratory)
        entry = self.claims.get(claim.id)
        if entry is None:
            return Registration(
                status="unregistered", attempt=0, first_seed=DEVELOPMENT_SEEDS.start, laboratory=laboratory
            )
        changed = not entry.is_of(claim)
        edited = ", ".join(() if changed else entry.edited(claim))
        status: Status = "changed" if changed else "reworded" if edited else "registered"
        deciding = self.studies[claim.study] + entry.block * BLOCK + offset
        recoded = bool(code and code != entry.code and (entry.code or not entry.of_schema_1))
        present = entry.attempts[-1]
        outcome = present.laboratories.get(laboratory) if laboratory else present.outcome
        is_revised = outcome is not None and outcome.revision is not None
        is_revised = is_revised and (recoded or outcome.revision != entry.revision)  # type: ignore[union-attr]
        return Registration(
            status=status,
            attempt=entry.attempt,
            first_seed=DEVELOPMENT_SEEDS.start if development or changed else deciding,
            revision=entry.revision,
            recoded=recoded,
            edited=edited,
            withheld=changed and not development,
            alpha=entry.alpha,
            earlier=entry.attempts[:-1],
            recorded=outcome if is_revised else None,
            laboratory=laboratory,
        )

    def _offset(self, laboratory: str) -> int:
        """Return how far the seeds of a laboratory are from those of the project."""
        if not laboratory:
            return 0
        if laboratory not in self.laboratories:
            raise MemkitError(
                f"the lock grants no seeds to the laboratory {laboratory!r}, as `memkit register --laboratory NAME` "
                f"does{suggestion(laboratory, self.laboratories)}"
            )
        return self.laboratories[laboratory] * LABORATORY_STRIDE

    def register(
        self,
        claims: Iterable[Claim],
        code: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        traces: Mapping[str, Trace] | None = None,
    ) -> Lock:
        """Return the lock with these claims in their present form.

        Changed and new claims of a study that are registered together move to one block of seeds that no claim of the
        study has used. A claim keeps its seeds if only its annotations changed, and also if only the code behind it
        changed, unless that needs a new attempt. A new mutant or replication gets the block of its claim, so that they
        share models. A new claim with the identity of an earlier one continues its attempts.

        Args:
            claims: the claims to register.
            code: claim id → digest of the code behind it.
            files: claim id → its file, relative to the project's root.
            traces: claim id → what the store knows of its present attempt.

        Raises:
            MemkitError: a study has used up its blocks of seeds, or a claim may use fewer seeds than its recorded
                verdict rests on.
        """
        code, files, traces, claims = code or {}, files or {}, traces or {}, list(claims)
        studies = dict(self.studies)
        entries = dict(self.claims)
        returning = {claim.id for claim in claims} & set(self.removed)
        entries |= {name: self.removed[name] for name in returning}
        moving = {
            claim.id
            for claim in claims
            if (old := entries.get(claim.id)) is not None
            and (not old.is_of(claim) or traces.get(claim.id, NO_TRACE).needs_attempt)
        }
        fresh = self._fresh_blocks(traces)
        for claim in claims:
            if claim.study not in studies:
                studies[claim.study] = max(studies.values(), default=0) + STUDY_STRIDE
            old, code_now = entries.get(claim.id), code.get(claim.id, "")
            if old is None:
                continued = self._continued(claim)
                block = self._first_block(claim, moving, fresh, continues=bool(continued))
                new = Entry(
                    digest=claim.digest,
                    identity=claim.identity,
                    annotations=claim.annotations,
                    code=code_now,
                    attempts=(*continued, Attempt(block=block)),
                    alpha=self.alpha,
                )
            elif claim.id in moving:
                unmeasured = traces.get(claim.id, NO_TRACE).failed_only and old.attempts[-1].outcome is None
                last = replace(old.attempts[-1], unmeasured=unmeasured)
                attempts = (*old.attempts[:-1], last, Attempt(block=_checked_block(claim, fresh[claim.study].block)))
                new = replace(old.reworded(claim), code=code_now, revision=0, attempts=attempts, alpha=self.alpha)
            else:
                new = old.reworded(claim)
                outcome = old.attempts[-1].outcome
                if outcome is not None and (most := claim.planned(None)) < outcome.n:
                    raise MemkitError(
                        f"claim {claim.id!r}: seeds={most} is below the {outcome.n} seeds that its recorded verdict "
                        f"rests on; declare at least {outcome.n}"
                    )
                if code_now and code_now != old.code:
                    known_before = bool(old.code) or not old.of_schema_1
                    new = replace(new, code=code_now, revision=old.revision + known_before)
            if file := files.get(claim.id, ""):
                new = replace(new, file=file)
            entries[claim.id] = replace(new, identity=claim.identity)
        removed = {name: entry for name, entry in self.removed.items() if name not in returning}
        return replace(self, studies=studies, claims=entries, removed=removed, rule=RULE)

    def _fresh_blocks(self, traces: Mapping[str, Trace]) -> dict[str, _Blocks]:
        """Return study → its blocks, for the studies of the lock."""
        blocks: dict[str, _Blocks] = {}
        for name, entry in (*self.removed.items(), *self.claims.items()):
            study = name.split("/", 1)[0]
            before = blocks.get(study, _Blocks(0, has_evidence=False))
            has_evidence = any(attempt.outcome for attempt in entry.attempts) or traces.get(name, NO_TRACE).measured
            # A claim that moved did so because seeds may have been measured.
            has_evidence = has_evidence or len(entry.attempts) > 1 or name in self.removed
            blocks[study] = _Blocks(max(before.block, entry.block + 1), before.has_evidence or has_evidence)
        return blocks

    def _first_block(
        self, claim: Claim, moving: Container[str], fresh: Mapping[str, _Blocks], *, continues: bool
    ) -> int:
        """Return the block of a claim that is not in the lock yet."""
        blocks = fresh.get(claim.study, _Blocks(0, has_evidence=False))
        parent = self.claims.get(claim.parent_id)
        if parent is not None and claim.parent_id not in moving and not continues:
            return parent.block
        if parent is not None or blocks.has_evidence or continues:
            return _checked_block(claim, blocks.block)
        return max(0, blocks.block - 1)

    def _continued(self, claim: Claim) -> tuple[Attempt, ...]:
        """Return the attempts of the earlier claim with the same identity that has the most; none if there is none."""
        same = [
            (len(entry.attempts), name, entry)
            for name, entry in (*self.claims.items(), *self.removed.items())
            if entry.identity == claim.identity and name.split("/", 1)[0] == claim.study
        ]
        if not same:
            return ()
        _, name, entry = max(same, key=lambda item: item[:2])
        # Its e-values are for its own margin and expectation.
        return tuple(
            replace(attempt, of=attempt.of or name, outcome=attempt.outcome and replace(attempt.outcome, e_value=None))
            for attempt in entry.attempts
        )

    def remove(self, ids: Iterable[str]) -> Lock:
        """Return the lock with these claims moved to ``removed``.

        Raises:
            MemkitError: one of the claims is not registered.
        """
        ids = list(ids)
        if unknown := next((name for name in ids if name not in self.claims), None):
            raise MemkitError(f"the lock has no claim {unknown!r}{suggestion(unknown, self.claims)}")
        remaining = {name: entry for name, entry in self.claims.items() if name not in ids}
        return replace(self, claims=remaining, removed={**self.removed, **{name: self.claims[name] for name in ids}})

    def granting(self, laboratory: str) -> Lock:
        """Return the lock with seeds for a laboratory; one that has seeds keeps them.

        Raises:
            MemkitError: the name is not valid, or no more laboratories can be granted seeds.
        """
        if laboratory in self.laboratories:
            return self
        if not _LABORATORY.fullmatch(laboratory):
            raise MemkitError(
                f"the laboratory's name {laboratory!r:.80} must consist of lower-case letters, digits, '-' and '_'"
            )
        number = max(self.laboratories.values(), default=0) + 1
        if number > MOST_LABORATORIES:
            raise MemkitError(f"{MOST_LABORATORIES} laboratories have seeds already, which is the most")
        return replace(self, laboratories={**self.laboratories, laboratory: number})

    def e_values(self) -> dict[str, float]:
        """Return claim id → the e-value over its recorded attempts, for every claim that was ever registered.

        A removed claim whose attempts another one continues is the same claim, and is left out.
        """
        continued = {attempt.of for entry in self.claims.values() for attempt in entry.attempts}
        entries = {name: entry for name, entry in self.removed.items() if name not in continued} | dict(self.claims)
        return {name: weighted_sum(recorded_e_values(entries[name].attempts)) for name in sorted(entries)}

    def to_text(self) -> str:
        """Return sorted JSON, with one line for each value that may change, so that a diff is easy to read."""
        data: dict[str, Any] = {"schema": SCHEMA, "rule": self.rule}
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
        """Write the lock; if writing fails, an existing file stays as it was."""
        write_whole(path, self.to_text())

    @classmethod
    def load(cls, path: Path) -> Lock:
        """Read a lock; if the file does not exist, the lock is empty.

        Raises:
            MemkitError: the file is damaged, or was written by a newer memkit.
        """
        try:
            lock = cls.parse(strict_json.read_bytes(path))
        except FileNotFoundError:
            if path.is_symlink():
                raise MemkitError(
                    f"{path} is a link to a file that does not exist; restore the file or the link"
                ) from None
            return cls()
        except OSError as error:
            raise MemkitError(f"{path} cannot be read: {error.strerror}") from error
        except NewerError as error:
            raise MemkitError(f"{path} was written by a newer memkit ({error}); update this one") from error
        except MemkitError as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
        lock._check_studies(path)
        if duplicate := next((name for name in lock.claims if name in lock.removed), None):  # a merge may cause this
            raise MemkitError(
                f"{path} has {duplicate!r} both in its claims and in the removed claims; delete one of the two entries"
            )
        return lock

    @classmethod
    def parse(cls, raw: bytes) -> Lock:
        """Return the lock in the content of a file, without the checks that concern several of its parts.

        Raises:
            NewerError: a newer memkit wrote it.
            MemkitError: it is damaged.
        """
        data = strict_json.fields(strict_json.parse(raw, len(raw)), "the lock", {}, "schema")
        schema = strict_json.whole(data["schema"], "the schema", 1)
        if schema not in (1, SCHEMA):
            raise NewerError(f"it has schema {short_repr(schema)}; this memkit reads schema {SCHEMA} and 1")
        return cls._from_json(lock_schema_1.to_schema_2(data) if schema == 1 else data)

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Lock:
        """Return the lock for the JSON of schema 2.

        Raises:
            NewerError: the JSON holds something that this memkit does not know, or does not apply.
            MemkitError: the JSON is damaged.
        """
        checks = dict.fromkeys(("schema", "rule", "studies", "claims", "removed", "laboratories", "alpha"), _anything)
        parts = known(data, "the lock", checks, "studies", "claims")
        studies = {
            name: strict_json.whole(study.get("first_seed"), f"the first seed of {name!r}", None)
            for name, study in strict_json.each(parts["studies"], "studies", _study).items()
        }
        alpha = checked_alpha(parts.get("alpha", ALPHA), "alpha")
        if (rule := strict_json.whole(parts.get("rule", 1), "the rule", 1)) > RULE:
            raise NewerError(f"its claims are judged by rule {rule}; this memkit judges by rule {RULE}")
        laboratories = strict_json.each(parts.get("laboratories", {}), "laboratories", _laboratory)
        if len(set(laboratories.values())) < len(laboratories):
            raise MemkitError("two laboratories have the same number")
        return cls(
            studies,
            strict_json.each(parts["claims"], "claims", entry_from),
            strict_json.each(parts.get("removed", {}), "removed", entry_from),
            laboratories,
            alpha,
            rule,
        )

    def _check_studies(self, path: Path) -> None:
        owners: dict[int, str] = {}
        for name, first in self.studies.items():
            if first < STUDY_STRIDE or first % STUDY_STRIDE:
                raise MemkitError(
                    f"{path} starts the study {name!r} at seed {first}; deciding seeds start at a multiple "
                    f"of {STUDY_STRIDE}"
                )
            if owners.setdefault(first, name) != name:  # merging two branches may cause this
                raise MemkitError(
                    f"{path} gives the studies {owners[first]!r} and {name!r} the same seeds; remove the "
                    "newer one, and register its claims again"
                )
        names = [*self.claims, *self.removed]
        if orphan := next((name for name in names if name.split("/", 1)[0] not in self.studies), None):
            raise MemkitError(f"{path} has no first_seed for the study of {orphan!r}; restore it from version control")


class _Blocks(NamedTuple):
    """The first block of a study that no claim has used, and whether any of its claims may have been measured."""

    block: int
    has_evidence: bool


def _checked_block(claim: Claim, block: int) -> int:
    """Return the number of a block, unless it is beyond the seeds of the study.

    Raises:
        MemkitError: the study has used up its blocks.
    """
    if (block + 1) * BLOCK > STUDY_STRIDE:
        raise MemkitError(
            f"claim {claim.id!r}: the study {claim.study!r} has used all its {STUDY_STRIDE // BLOCK} blocks of seeds; "
            "begin a new study"
        )
    return block


def _study(value: Any, what: str) -> dict[str, Any]:
    return known(value, what, {"first_seed": _anything})


def _laboratory(value: Any, what: str) -> int:
    if (number := strict_json.whole(value, what, 1)) > MOST_LABORATORIES:
        raise MemkitError(f"{what} must be at most {MOST_LABORATORIES}, not {number}")
    return number


def _anything(value: Any, what: str) -> Any:
    return value


def _text(value: Any, depth: int = 0) -> str:
    """Return JSON with one line per value, and values at the depth ``_ON_ONE_LINE`` on one line."""
    if depth == _ON_ONE_LINE or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, ensure_ascii=False)
    indent = " " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{indent}{json.dumps(name, ensure_ascii=False)}: {_text(v, depth + 1)}" for name, v in value.items()]
    else:
        lines = [f"{indent}{_text(item, depth + 1)}" for item in value]
    brackets = "{}" if isinstance(value, dict) else "[]"
    return f"{brackets[0]}\n" + ",\n".join(lines) + f"\n{' ' * depth}{brackets[1]}"


def lock_path(root: Path) -> Path:
    """Return the path of a project's lock: in its ``claims`` folder, or in its root if it has no such folder.

    Raises:
        MemkitError: there is a lock in both places.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from memkit.evidence import lock_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock_path(Path(folder)).name
    'claims.lock'
    """
    inside, outside = root / "claims" / LOCK, root / LOCK
    if os.path.lexists(outside) and os.path.lexists(inside):
        raise MemkitError(f"{inside} and {outside} both exist; keep the one in which the claims were registered")
    if os.path.lexists(outside):  # the claims folder was added later
        return outside
    return inside if inside.parent.is_dir() else outside
