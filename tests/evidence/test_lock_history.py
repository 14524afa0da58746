"""The audit of a lock: legal changes hide nothing, and whatever is taken away is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence import Arm, Claim, Contrast, Lock
from memkit.evidence.attempt import Attempt, Outcome
from memkit.evidence.lock_history import Version, audit, read_version
from memkit.evidence.trace import Trace

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
OUTCOME = Outcome(verdict="REFUTED", n=8, date="2026-01-31", observations="0b5e", revision=0)


def make(name: str, form: int = 0, **options: Any) -> Claim:
    """Return a claim whose statement begins with the number of its form."""
    fields: dict[str, Any] = {"statement": f"{form} A beats B.", "arms": {"a": Arm(), "b": Arm()}, "contrasts": (OVER,)}
    return Claim(id=f"study/{name}", test=f"{name} {form}", **{**fields, **options})


def versions(*locks: Lock | None) -> list[Version]:
    """Return the history that ends with the last lock, the newest first."""
    numbered = [Version(commit=f"c{i}", date=f"2026-01-{i + 1:02}T12:00:00", lock=lock) for i, lock in enumerate(locks)]
    return numbered[::-1]


def findings(present: Lock, *earlier: Lock | None) -> list[str]:
    return list(audit(present, versions(*earlier)).findings)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "revise", "accept", "remove", "laboratory", "fail"]),
        st.sampled_from("ab"),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=10,
)


def step(lock: Lock, kind: str, name: str, number: int) -> Lock:
    """Return the lock after a change that memkit makes."""
    id, verdict = f"study/{name}", ["SUPPORTED", "REFUTED", "INCONCLUSIVE", "EQUIVALENT"][number]
    if kind == "register":
        return lock.register([make(name, number)])
    if kind == "laboratory":
        return replace(lock, laboratories={**lock.laboratories, name: 1 + "ab".index(name)})
    if id not in lock.claims:
        return lock
    if kind == "remove":
        return lock.remove([id])
    if kind == "accept":
        outcome = replace(OUTCOME, verdict=verdict, revision=lock.claims[id].revision)
        return replace(lock, claims={**lock.claims, id: lock.claims[id].recorded(outcome)})
    form = int(lock.claims[id].annotations["statement"].split(" ")[0])
    claim = make(name, form, statement=f"{form} {number}")
    if kind == "revise":
        return lock.register([claim], {id: f"code {number}"})
    return lock.register([make(name, number)], traces={id: Trace(failed_only=True)})


@given(STEPS)
def test_what_memkit_does_hides_nothing(steps: list[tuple[str, str, int]]) -> None:
    locks = [Lock()]
    for kind, name, number in steps:
        locks.append(step(locks[-1], kind, name, number))
    result = audit(locks[-1], versions(*locks))
    assert (result.findings, result.undetermined) == ((), ())


@given(STEPS, st.data())
def test_an_earlier_lock_in_the_place_of_the_present_one_is_found_and_restored(
    steps: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    locks = [Lock().register([make("a")])]
    for kind, name, number in steps:
        locks.append(step(locks[-1], kind, name, number))
    put_back = data.draw(st.sampled_from(locks))
    result = audit(put_back, versions(*locks))
    assert audit(result.restored, versions(*locks)).findings == ()
    shown = {(name, len(entry.attempts)) for name, entry in {**put_back.removed, **put_back.claims}.items()}
    newest = {(name, len(entry.attempts)) for name, entry in {**locks[-1].removed, **locks[-1].claims}.items()}
    if shown != newest:
        assert result.findings


def edited(lock: Lock, name: str = "study/a", **fields: Any) -> Lock:
    return replace(lock, claims={**lock.claims, name: replace(lock.claims[name], **fields)})


def base() -> Lock:
    lock = Lock(laboratories={"oslo": 1}).register([make("a"), make("b")], {"study/a": "old"})
    lock = lock.register([make("a")], {"study/a": "new"})
    return replace(lock, claims={**lock.claims, "study/a": lock.claims["study/a"].recorded(OUTCOME)})


CHEATS: dict[str, tuple[Callable[[Lock], Lock], str]] = {
    "a deleted claim": (
        lambda lock: replace(lock, claims={"study/b": lock.claims["study/b"]}),
        "study/a was registered, attempt 1, and is gone (commit c0, 2026-01-01)",
    ),
    "a deleted outcome": (
        lambda lock: edited(lock, attempts=(Attempt(block=0),)),
        "study/a: attempt 1 was recorded as REFUTED, n = 8, 2026-01-31, which the lock no longer shows",
    ),
    "a rewritten outcome": (
        lambda lock: edited(lock, attempts=(Attempt(block=0, outcome=replace(OUTCOME, verdict="SUPPORTED")),)),
        "study/a: attempt 1 was recorded as REFUTED",
    ),
    "another block": (
        lambda lock: edited(lock, attempts=(Attempt(block=4, outcome=OUTCOME),)),
        "study/a: attempt 1 was on block 0 of the seeds, and is on block 4 now",
    ),
    "an attempt that does not count": (
        lambda lock: edited(lock, attempts=(Attempt(block=0, outcome=OUTCOME, unmeasured=True), Attempt(block=1))),
        "study/a: attempt 1 had an outcome, and is said to have left no measurement",
    ),
    "a lowered revision": (
        lambda lock: edited(lock, revision=0),
        "study/a: the code behind attempt 1 was at revision 1, and is at revision 0 now",
    ),
    "another form": (lambda lock: edited(lock, digest="0" * 32), "study/a: attempt 1 tested something else"),
    "a larger alpha": (lambda lock: edited(lock, alpha=0.2), "study/a was registered at an alpha of 0.05, and has 0.2"),
    "other seeds": (
        lambda lock: replace(lock, studies={"study": 20_000}),
        "the study 'study' had its seeds from 10000",
    ),
    "a laboratory that is gone": (
        lambda lock: replace(lock, laboratories={}),
        "the laboratory 'oslo' was granted seeds, and is gone",
    ),
    "a laboratory with other seeds": (
        lambda lock: replace(lock, laboratories={"oslo": 2}),
        "the laboratory 'oslo' had the number 1, and has another one now",
    ),
}


@pytest.mark.parametrize(("cheat", "sentence"), CHEATS.values(), ids=CHEATS)
def test_what_is_taken_away_is_named_with_the_commit_that_has_it(cheat: Callable[[Lock], Lock], sentence: str) -> None:
    assert findings(base(), base()) == []
    (found,) = findings(cheat(base()), base())
    assert found.startswith(sentence)
    assert found.endswith("(commit c0, 2026-01-01)")


def test_a_lowered_attempt_is_found_and_restored() -> None:
    later = base().register([make("a", 1)])
    result = audit(base(), versions(base(), later))
    assert result.findings == ("study/a was at attempt 2, and is at attempt 1 now (commit c1, 2026-01-02)",)
    assert result.restored.claims["study/a"].attempts == later.claims["study/a"].attempts


def test_a_fact_is_reported_once_with_the_newest_version_that_has_it() -> None:
    assert findings(Lock(), base(), base(), None, base(), None) == [
        "the laboratory 'oslo' was granted seeds, and is gone (commit c3, 2026-01-04)",
        "study/a was registered, attempt 1, and is gone (commit c3, 2026-01-04)",
        "study/b was registered, attempt 1, and is gone (commit c3, 2026-01-04)",
    ]
    notes = audit(Lock(), versions(base(), base(), None, base(), None)).notes
    assert "the lock did not exist in commit c4, 2026-01-05, although it did before" in notes


def test_an_outcome_by_an_earlier_rule_may_be_replaced() -> None:
    earlier = replace(base(), rule=1)
    present = edited(base(), attempts=(Attempt(block=0, outcome=replace(OUTCOME, verdict="SUPPORTED")),))
    result = audit(present, versions(earlier))
    assert result.findings == ()
    assert "1 attempt changed when the rule of verdicts did, which hides nothing" in result.notes
    assert findings(edited(base(), attempts=(Attempt(block=0),)), earlier), "it was deleted, not replaced"


def test_an_attempt_that_was_never_seen_without_its_outcome_is_told() -> None:
    registered = Lock(laboratories={"oslo": 1}).register([make("a"), make("b")], {"study/a": "old"})
    (note,) = audit(base(), versions(base())).notes
    assert note.startswith("1 attempt first appears in the history with an outcome, such as attempt 1 at study/a, so")
    assert audit(base(), versions(registered, base())).notes == ()


def test_a_version_that_cannot_be_read_is_named() -> None:
    version = read_version("1a2b3c4", "2026-01-31T12:00:00", b'{"schema": 2')
    result = audit(base(), [version])
    assert result.findings == ()
    (sentence,) = result.undetermined
    assert sentence.startswith("the lock of commit 1a2b3c4, 2026-01-31 cannot be read (")
    assert read_version("1a2b3c4", "2026-01-31", base().to_text().encode()).lock == base()
