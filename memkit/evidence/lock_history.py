"""The history of a lock: what earlier versions recorded, and the present one does not show.

A lock only grows: claims, attempts and outcomes are added to it, and nothing is taken away. So each earlier version has
to be part of the present one, and whatever is not was deleted, rewritten or lost in a merge.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from memkit.errors import MemkitError, count_of
from memkit.evidence.attempt import Attempt, Outcome
from memkit.evidence.lock_entry import Entry
from memkit.evidence.lock_file import RULE, Lock

_Sentences = dict[Hashable, str]
"""What was lost → a sentence; the key is the same for all versions of one fact."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """An earlier version of a lock.

    Attributes:
        commit: the commit, abbreviated.
        date: its date, ISO 8601.
        lock: the lock; None if the file does not exist in the commit.
        problem: why the lock cannot be read; "" if it can.
    """

    commit: str
    date: str
    lock: Lock | None
    problem: str = ""

    def __str__(self) -> str:
        return f"commit {self.commit}, {self.date.partition('T')[0]}"


@dataclass(frozen=True)
class Audit:
    """The result of comparing a lock with its history.

    Attributes:
        findings: sentences on what the present lock does not show.
        undetermined: sentences on what cannot be determined.
        notes: sentences on changes that hide nothing.
        restored: the present lock with everything that was found, as far as it can hold it.
    """

    findings: tuple[str, ...]
    undetermined: tuple[str, ...]
    notes: tuple[str, ...]
    restored: Lock


def audit(present: Lock, versions: Sequence[Version]) -> Audit:
    """Compare a lock with its earlier versions, the newest first.

    Each fact that is missing is reported once, with the newest version that has it.
    """
    findings: dict[Hashable, tuple[str, Version]] = {}
    undetermined, restored, by_earlier_rule = list[str](), present, set[str]()
    for version in versions:
        if version.problem:
            undetermined.append(f"the lock of {version} cannot be read ({version.problem})")
        if version.lock is None:
            continue
        lost, restored = _lost(restored, present, version.lock, by_earlier_rule)
        for key, sentence in lost.items():
            findings.setdefault(key, (sentence, version))
    deleted = [v for i, v in enumerate(versions) if v.lock is None and not v.problem and _has_lock(versions[i + 1 :])]
    notes = []
    if deleted:
        notes.append(f"the lock did not exist in {deleted[0]}, although it did before")
    if by_earlier_rule:
        notes.append(
            f"{count_of(len(by_earlier_rule), 'attempt')} changed when the rule of verdicts did, which hides nothing"
        )
    if together := _decided_when_registered(versions):
        appear = "appears" if len(together) == 1 else "appear"
        notes.append(
            f"{count_of(len(together), 'attempt')} first {appear} in the history with an outcome, such as "
            f"{together[0]}, so it does not show that they were registered before they were decided"
        )
    sentences = tuple(f"{sentence} ({version})" for sentence, version in findings.values())
    return Audit(sentences, tuple(undetermined), tuple(notes), restored)


def _decided_when_registered(versions: Sequence[Version]) -> list[str]:
    """Return the attempts that no version shows without an outcome."""
    seen, together = set[tuple[str, int]](), list[str]()
    for version in reversed(versions):
        for name, entry in (version.lock.claims if version.lock is not None else {}).items():
            for number, attempt in enumerate(entry.attempts, 1):
                if (name, number) not in seen and attempt.outcome is not None and not attempt.of:
                    together.append(f"attempt {number} at {name}")
                seen.add((name, number))
    return together


def _has_lock(versions: Iterable[Version]) -> bool:
    return any(version.lock is not None for version in versions)


def _lost(restored: Lock, present: Lock, earlier: Lock, by_earlier_rule: set[str]) -> tuple[_Sentences, Lock]:
    """Return what an earlier lock has and the present one does not show, and the lock that shows it, too."""
    sentences: _Sentences = {}
    for study, first in earlier.studies.items():
        if study in present.studies and present.studies[study] != first:
            sentences[study] = f"the study {study!r} had its seeds from {first}, and has them from another seed now"
        elif study not in restored.studies:
            restored = replace(restored, studies={**restored.studies, study: first})
    for name, number in earlier.laboratories.items():
        if present.laboratories.get(name, number) != number:
            sentences["laboratory", name] = f"the laboratory {name!r} had the number {number}, and has another one now"
        elif name not in present.laboratories:
            sentences["laboratory", name] = f"the laboratory {name!r} was granted seeds, and is gone"
            restored = replace(restored, laboratories={**restored.laboratories, name: number})
    follows_rule = earlier.rule == RULE
    for name, entry in (*earlier.removed.items(), *earlier.claims.items()):
        now = present.claims.get(name) or present.removed.get(name)
        kept = restored.claims.get(name) or restored.removed.get(name)
        if now is None:
            sentences[name] = f"{name} was registered, attempt {entry.attempt}, and is gone"
            if kept is None or len(kept.attempts) < len(entry.attempts):
                restored = replace(restored, removed={**restored.removed, name: entry})
            continue
        assert kept is not None
        lost, kept = _lost_of_entry(name, now, kept, entry, by_earlier_rule, follows_rule=follows_rule)
        sentences |= lost
        where = "claims" if name in restored.claims else "removed"
        restored = replace(restored, **{where: {**getattr(restored, where), name: kept}})  # type: ignore[arg-type]
    return sentences, restored


def _lost_of_entry(
    name: str, now: Entry, kept: Entry, earlier: Entry, by_earlier_rule: set[str], *, follows_rule: bool
) -> tuple[_Sentences, Entry]:
    """Return what an earlier entry of a claim has and the present one does not show, and the entry with it."""
    sentences, attempts = _Sentences(), list(kept.attempts)
    if len(earlier.attempts) > len(now.attempts):
        sentences[name, "attempt"] = f"{name} was at attempt {earlier.attempt}, and is at attempt {now.attempt} now"
        if len(earlier.attempts) > len(attempts):
            attempts += earlier.attempts[len(attempts) :]
            kept = earlier
    for number, (before, after) in enumerate(zip(earlier.attempts, now.attempts, strict=False), 1):
        if None not in (before.block, after.block) and before.block != after.block:
            sentences[name, number, "block"] = (
                f"{name}: attempt {number} was on block {before.block} of the seeds, and is on block {after.block} now"
            )
        if after.unmeasured and before.outcome is not None:
            sentences[name, number, "unmeasured"] = (
                f"{name}: attempt {number} had an outcome, and is said to have left no measurement"
            )
        for outcome in _outcomes(before):
            if any(outcome.agrees(other) for other in _outcomes(after)):
                continue
            if not follows_rule and after.outcome is not None:
                by_earlier_rule.add(f"{name} {number}")
                continue
            sentences[name, number, str(outcome)] = (
                f"{name}: attempt {number} was recorded as {outcome}, which the lock no longer shows"
            )
            if not any(outcome.agrees(other) for other in _outcomes(attempts[number - 1])):
                attempts[number - 1] = _with(attempts[number - 1], outcome)
    same_attempt = len(earlier.attempts) == len(now.attempts)
    if same_attempt and earlier.revision > now.revision:
        sentences[name, "revision"] = (
            f"{name}: the code behind attempt {now.attempt} was at revision {earlier.revision}, and is at revision "
            f"{now.revision} now"
        )
    if same_attempt and earlier.alpha < now.alpha:
        sentences[name, "alpha"] = f"{name} was registered at an alpha of {earlier.alpha:g}, and has {now.alpha:g} now"
    is_other_form = same_attempt and earlier.digest != now.digest and not earlier.of_schema_1
    if is_other_form and not follows_rule:
        by_earlier_rule.add(name)
    elif is_other_form:
        sentences[name, "form"] = f"{name}: attempt {now.attempt} tested something else"
    return sentences, replace(kept, attempts=tuple(attempts), revision=max(kept.revision, _revision(earlier, kept)))


def _revision(earlier: Entry, kept: Entry) -> int:
    return earlier.revision if len(earlier.attempts) == len(kept.attempts) else 0


def _outcomes(attempt: Attempt) -> tuple[Outcome, ...]:
    """Return all outcomes that an attempt shows."""
    present = () if attempt.outcome is None else (attempt.outcome,)
    return (*attempt.replaced, *present, *attempt.laboratories.values())


def _with(attempt: Attempt, outcome: Outcome) -> Attempt:
    """Return an attempt that shows an outcome, too."""
    if attempt.outcome is None:
        return replace(attempt, outcome=outcome, unmeasured=False)
    return replace(attempt, replaced=(outcome, *attempt.replaced))


def read_version(commit: str, date: str, content: bytes | None) -> Version:
    """Return a version of a lock from the content of the file; None means that the commit does not have it."""
    if content is None:
        return Version(commit=commit, date=date, lock=None)
    try:
        return Version(commit=commit, date=date, lock=Lock.parse(content))
    except MemkitError as error:
        return Version(commit=commit, date=date, lock=None, problem=str(error))
