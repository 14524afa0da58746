"""A lock of schema 1: runs accept it, and registering rewrites it without counting an attempt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, Contrast, Lock
from memkit.evidence.lock_schema_1 import carry_over_accepted, digest_1, is_digest_of

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
ARMS = {"a": Arm(), "b": Arm()}


def make(name: str, **options: Any) -> Claim:
    return Claim(**{"id": f"study/{name}", "statement": "A beats B.", "arms": ARMS, "contrasts": (OVER,), **options})


FIRST, SECOND, GONE = make("first"), make("second", source="page 3", seeds=16), make("gone")
# The digests that memkit computed when it wrote locks of schema 1.
DIGESTS = {
    FIRST.id: "13657bac596d71d368d8eec5bfbe71aa",
    SECOND.id: "c05a5b665392696cbe3f74e24b48e8b8",
    GONE.id: "d1d78eb8acfe43c99432d690c85643fa",
}
TEXT = """{
 "schema": 1,
 "studies": {
  "study": {
   "first_seed": 10000
  }
 },
 "claims": {
  "study/first": {
   "digest": "13657bac596d71d368d8eec5bfbe71aa",
   "attempt": 1,
   "code": "c0de",
   "revision": 2,
   "file": "claims/test_it.py"
  },
  "study/second": {
   "digest": "c05a5b665392696cbe3f74e24b48e8b8",
   "attempt": 3,
   "skipped": 4
  }
 },
 "removed": {
  "study/gone": {
   "digest": "d1d78eb8acfe43c99432d690c85643fa",
   "attempt": 2
  }
 }
}
"""


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    (tmp_path / "claims.lock").write_text(TEXT)
    return Lock.load(tmp_path / "claims.lock")


@pytest.mark.parametrize("claim", [FIRST, SECOND, GONE])
def test_digests_of_schema_1_are_computed_as_they_were_then(claim: Claim) -> None:
    assert digest_1(claim) == DIGESTS[claim.id]
    assert is_digest_of(claim, digest_1(claim))
    assert is_digest_of(claim, claim.digest)
    assert not is_digest_of(replace(claim, test="another"), claim.digest)
    assert digest_1(replace(claim, source="page 9", headline=True, deterministic=True)) == digest_1(claim)


@pytest.mark.parametrize("change", [{"statement": "B loses."}, {"seeds": 8}, {"id": "study/x"}, {"test": "another"}])
def test_digests_of_schema_1_cover_id_statement_and_seeds_too(change: dict[str, Any]) -> None:
    assert digest_1(replace(FIRST, **change)) != digest_1(FIRST)


def test_a_run_accepts_a_lock_of_schema_1(lock: Lock) -> None:
    first, second = lock.registration(FIRST, code="other"), lock.registration(SECOND)
    assert (first.status, first.attempt, first.first_seed, first.revision, first.recoded) == (
        *("registered", 1, 10_000, 2),
        True,
    )
    assert (second.status, second.attempt, second.first_seed) == ("registered", 3, 10_600)
    assert lock.registration(replace(FIRST, statement="B loses.")).status == "changed"
    assert lock.registration(replace(FIRST, source="page 9")).status == "registered", "schema 1 records no source"


def test_registering_rewrites_the_entries_of_collected_claims_only(lock: Lock, tmp_path: Path) -> None:
    after = lock.register([SECOND])
    rewritten, unchanged = after.claims[SECOND.id], after.claims[FIRST.id]
    assert (rewritten.digest, rewritten.annotations, rewritten.earlier) == (SECOND.digest, SECOND.annotations, ())
    assert [attempt.block for attempt in rewritten.attempts] == [None, None, 6]
    assert {str(attempt) for attempt in rewritten.attempts} == {"not recorded"}
    assert unchanged == lock.claims[FIRST.id]
    assert unchanged.digest == f"1:{DIGESTS[FIRST.id]}"
    after.save(tmp_path / "claims.lock")
    read = Lock.load(tmp_path / "claims.lock")
    assert read == after
    assert read.register([SECOND]) == after
    for claim in (FIRST, SECOND):
        assert read.registration(claim) == lock.registration(claim)
    both = read.register([FIRST])
    assert (both.claims[FIRST.id].code, both.claims[FIRST.id].revision) == ("c0de", 2)
    assert both.claims[FIRST.id].file == "claims/test_it.py"


def test_registering_a_changed_claim_is_a_new_attempt(lock: Lock) -> None:
    edited = replace(SECOND, test="another")
    after = lock.register([edited])
    assert [attempt.block for attempt in after.claims[SECOND.id].attempts] == [None, None, 6, 7]
    assert after.registration(edited).attempt == 4


def test_a_removed_claim_that_returns_continues_its_attempts(lock: Lock) -> None:
    back = lock.register([GONE]).registration(GONE)
    assert (back.status, back.attempt, back.first_seed) == ("registered", 2, 10_100)
    assert lock.register([replace(GONE, test="another")]).claims[GONE.id].attempt == 3


def accepted(digest: str, attempt: int) -> dict[str, Any]:
    judgement = {"verdict": "REFUTED", "n": 8}
    return {"digest": digest, "attempt": attempt, "judgement": judgement, "created": "2025-07-29T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("digest", "attempt", "outcome"),
    [
        (DIGESTS[SECOND.id], 3, "REFUTED, n = 8, 2025-07-29"),
        (DIGESTS[SECOND.id], 2, "not recorded"),
        (DIGESTS[FIRST.id], 3, "not recorded"),
    ],
)
def test_accepted_verdicts_of_the_present_attempt_get_the_new_digest(
    lock: Lock, digest: str, attempt: int, outcome: str
) -> None:
    before = {SECOND.id: accepted(digest, attempt), FIRST.id: accepted(DIGESTS[FIRST.id], 1)}
    after, claims = carry_over_accepted(lock, lock.register([SECOND]), before)
    assert str(after.claims[SECOND.id].attempts[-1]) == outcome
    taken = outcome != "not recorded"
    assert claims == {**before, SECOND.id: {**before[SECOND.id], "digest": SECOND.digest if taken else digest}}
    assert after.claims[FIRST.id] == lock.claims[FIRST.id], "it was not collected"


def test_accepted_verdicts_of_a_changed_claim_keep_their_digest(lock: Lock) -> None:
    before = {SECOND.id: accepted(DIGESTS[SECOND.id], 3)}
    new = lock.register([replace(SECOND, test="another")])
    assert carry_over_accepted(lock, new, before) == (new, before)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"attempt": 3', '"attempt": 0', "claims: study/second has the attempt 0 and 4 skipped blocks of seeds"),
        ('"attempt": 3', '"attempt": 97', "has the attempt 97 and 4 skipped blocks"),
        ('"attempt": 3', '"attempt": 1000000000000', "has the attempt 1000000000000 and 4 skipped blocks"),
        ('"attempt": 3', '"attempt": "3"', "claims: study/second: attempt must be a whole number"),
        ('"skipped": 4', '"skipped": -1', "has the attempt 3 and -1 skipped blocks"),
        ('"skipped": 4', '"skipped": 98', "has the attempt 3 and 98 skipped blocks"),
        ('"attempt": 2', '"attempt": 101', "removed: study/gone has the attempt 101"),
        (f'"digest": "{DIGESTS[FIRST.id]}"', '"digest": 1', "digest must be a string"),
        (f'"digest": "{DIGESTS[FIRST.id]}",', "", "'digest' is missing in claims: study/first"),
        ('"revision": 2', '"revision": -2', "revision must be a whole number from 0"),
        ('"claims": {', '"other": {', "'claims' is missing in the lock"),
        ('"removed": {', '"removed": [], "x": {', "removed must be an object"),
        ('"removed": {', '"removed": {"study/first": {"digest": "1", "attempt": 1},', "delete one of the two"),
    ],
)
def test_a_damaged_lock_is_refused_with_a_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "claims.lock"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(MemkitError, match=message) as raised:
        Lock.load(path)
    assert str(path) in str(raised.value)


def test_an_empty_one_is_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "claims.lock"
    path.write_text('{"schema": 1, "studies": {}, "claims": {}}')
    assert Lock.load(path) == Lock(rule=1)
    assert json.loads(Lock().to_text()) == {"schema": 2, "rule": 2, "studies": {}, "claims": {}}
