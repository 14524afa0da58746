"""The lock: deciding seeds are fresh, and no two studies and no two attempts share any."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import DEVELOPMENT_SEEDS, Arm, Claim, Contrast, Lock, lock_path

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))


def make(id: str = "study/name", statement: str = "A beats B.") -> Claim:
    return Claim(id=id, statement=statement, arms={"a": Arm(), "b": Arm()}, contrasts=(OVER,))


def test_a_claim_that_is_not_registered_gets_development_seeds() -> None:
    found = Lock().registration(make())
    assert (found.status, found.attempt, found.development) == ("unregistered", 0, True)
    assert set(found.seeds(32)) <= set(DEVELOPMENT_SEEDS)


def test_registering_gives_deciding_seeds_and_again_changes_nothing() -> None:
    lock = Lock().register([make()])
    found = lock.registration(make())
    assert (found.status, found.attempt, found.development) == ("registered", 1, False)
    assert lock.register([make()]) == lock
    assert lock.registration(make(), development=True).seeds(32) == Lock().registration(make()).seeds(32)


def test_a_changed_claim_is_reported_until_it_is_registered_on_fresh_seeds() -> None:
    lock = Lock().register([make()])
    edited = make(statement="A beats B by far.")
    changed = lock.registration(edited)
    assert (changed.status, changed.attempt) == ("changed", 1)
    again = lock.register([edited]).registration(edited)
    assert (again.status, again.attempt) == ("registered", 2)
    assert not set(again.seeds(32)) & set(changed.seeds(32))
    # And back: whoever has looked at the first seeds knows them.
    back = lock.register([edited]).register([make()]).registration(make())
    assert back.attempt == 3
    assert not set(back.seeds(32)) & {*again.seeds(32), *changed.seeds(32)}


def test_an_arm_that_is_edited_changes_its_claim() -> None:
    lock = Lock().register([make()])
    assert lock.registration(replace(make(), arms={"a": Arm({"steps": 9}), "b": Arm()})).status == "changed"
    assert lock.registration(replace(make(), source="page 3", headline=True)).status == "registered"


def test_seeds_run_out_with_a_sentence() -> None:
    lock = Lock()
    bases = []
    for i in range(100):
        lock = lock.register([make(statement=f"Attempt {i}."), make("other/name")])
        bases.append(lock.registration(make(statement=f"Attempt {i}.")).first_seed)
    assert len(set(bases)) == 100
    assert max(bases) + 100 <= lock.studies["other"]
    with pytest.raises(MemkitError, match="'study/name' has used up all its seeds; register it under a new id"):
        lock.register([make(statement="One more.")])


BATCH = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(0, 3), min_size=1)


@given(st.lists(BATCH, min_size=1, max_size=15))
def test_a_changed_claim_never_comes_back_to_seeds_that_it_was_on(batches: list[dict[tuple[str, str], int]]) -> None:
    """Any sequence of registrations, of several claims at once: (study, name) → version."""
    lock = Lock()
    used: dict[str, list[set[int]]] = {}
    for batch in batches:
        claims = [make(f"{study}/{name}", f"Version {version}.") for (study, name), version in batch.items()]
        before = {claim.id: lock.registration(claim) for claim in claims}
        lock = lock.register(claims)
        moved: dict[str, set[int]] = {}
        for claim in claims:
            after, seeds = lock.registration(claim), set(lock.registration(claim).seeds(32))
            assert after.status == "registered"
            assert after.attempt == len(used.get(claim.id, [])) + (before[claim.id].status != "registered")
            if before[claim.id].status == "registered":
                continue
            assert not seeds & set().union(*used.get(claim.id, [set()]))
            used.setdefault(claim.id, []).append(seeds)
            if before[claim.id].status == "changed":
                assert moved.setdefault(claim.study, seeds) == seeds, "those that are changed at once share models"
    of_study: dict[str, set[int]] = {}
    for name, blocks in used.items():
        of_study.setdefault(name[0], set()).update(*blocks)
    for one, other in itertools.combinations(of_study.values(), 2):
        assert not one & other
    assert not set(DEVELOPMENT_SEEDS) & set().union(*of_study.values())


def test_claims_that_are_changed_at_once_move_to_one_block_of_seeds(tmp_path: Path) -> None:
    one, other = make("study/one"), make("study/other")
    lock = Lock().register([one, other])
    for version in ("B.", "C."):
        lock = lock.register([make("study/one", version)])
    both = [make("study/one", "D."), make("study/other", "B.")]
    lock = lock.register(both)
    found = [lock.registration(claim) for claim in both]
    assert [each.attempt for each in found] == [4, 2]
    assert {each.first_seed for each in found} == {10_300}
    lock.save(tmp_path / "claims.lock")
    assert Lock.load(tmp_path / "claims.lock") == lock
    # By itself it goes on from there.
    assert lock.register([other]).registration(other).first_seed == 10_400


@pytest.mark.parametrize("kind", ["mutant_of", "replicates"])
def test_what_is_new_beside_a_claim_joins_it_on_its_seeds(kind: str) -> None:
    first = Lock().register([make("study/it")])
    moved = first.register([make("study/it", "A beats B by far.")])
    beside: dict[str, Any] = {kind: "study/it"}
    late = moved.register([make("study/it", "A beats B by far."), replace(make("study/it/beside"), **beside)])
    assert late.claims["study/it/beside"].attempt == 1
    assert late.claims["study/it/beside"].block == late.claims["study/it"].block == 1

    at_once = first.register([replace(make("study/it/beside"), **beside), make("study/it", "A beats it.")])
    assert at_once.claims["study/it/beside"].block == at_once.claims["study/it"].block == 1
    alone = Lock().register([replace(make("study/it/beside"), **beside)])
    assert alone.claims["study/it/beside"].block == 0


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "claims.lock"
    lock = Lock().register([make(), make("other/name"), make("other/second")]).register([make(statement="C.")])
    lock.save(path)
    assert Lock.load(path) == lock
    assert [file.name for file in path.parent.iterdir()] == ["claims.lock"]
    assert path.read_text() == lock.to_text()
    assert Lock.load(tmp_path / "no.lock") == Lock()


GOOD = json.loads(Lock().register([make(), make("other/name")]).to_text())


def edited(*path: str, value: Any) -> str:
    data = json.loads(json.dumps(GOOD))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ("null", "is damaged"),
        (json.dumps(GOOD)[:-9], "is damaged"),
        ("<<<<<<< HEAD\n" + json.dumps(GOOD), "is damaged"),
        (edited("studies", value=[]), "is damaged"),
        (edited("studies", "study", "first_seed", value="ten"), "is damaged"),
        (edited("studies", "study", "first_seed", value=float("inf")), "is damaged"),
        (edited("claims", "study/name", value={"digest": "x"}), "is damaged"),
        (edited("schema", value=2), "has schema 2; this memkit reads schema 1"),
        (edited("studies", value={}), "has no first_seed for the study of"),
        (
            edited("studies", "study", "first_seed", value=5000),
            "starts the study 'study' at seed 5000; deciding seeds",
        ),
        (edited("studies", "study", "first_seed", value=-10_000), "deciding seeds start at a multiple"),
        (edited("studies", "study", "first_seed", value=10_050), "deciding seeds start at a multiple"),
        (
            edited("studies", "study", "first_seed", value=20_000),
            "gives the studies 'other' and 'study' the same seeds",
        ),
        (edited("claims", "study/name", "attempt", value=0), "gives 'study/name' the attempt 0"),
        (edited("claims", "study/name", "skipped", value=-1), "and -1 blocks of seeds passed over"),
        (edited("claims", "study/name", "skipped", value=100), "and 100 blocks of seeds passed over"),
        (edited("claims", "study/name", "attempt", value=101), "the attempt 101"),
    ],
)
def test_a_damaged_lock_is_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.lock"
    path.write_text(text)
    with pytest.raises(MemkitError, match=message) as raised:
        Lock.load(path)
    assert str(path) in str(raised.value)


def test_a_lock_that_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MemkitError, match="cannot be read"):
        Lock.load(tmp_path)
    path = tmp_path / "claims.lock"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MemkitError, match="is damaged"):
        Lock.load(path)


def test_where_the_lock_lies(tmp_path: Path) -> None:
    assert lock_path(tmp_path) == tmp_path / "claims.lock"
    (tmp_path / "claims").mkdir()
    assert lock_path(tmp_path) == tmp_path / "claims" / "claims.lock"


@given(st.lists(st.sampled_from(["register", "edit", "remove"]), max_size=12))
def test_no_way_out_of_the_lock_leads_back_to_seeds_that_a_claim_was_on(steps: list[str]) -> None:
    lock, form, seen = Lock(), 0, dict[int, str]()
    for step in ["register", *steps]:
        claim = make(statement=f"Form {form}.")
        if step == "edit":
            form += 1
        elif step == "remove" and claim.id in lock.claims:
            lock = lock.remove([claim.id])
            assert lock.registration(claim).status == "unregistered"
        else:
            lock = lock.register([claim])
            first = lock.registration(claim).first_seed
            assert seen.setdefault(first, claim.digest) == claim.digest


def test_what_is_removed_is_kept_and_is_read_as_it_was_written(tmp_path: Path) -> None:
    claim = make()
    lock = Lock().register([claim], files={claim.id: "claims/test_x.py"}).remove([claim.id])
    lock.save(tmp_path / "claims.lock")
    assert Lock.load(tmp_path / "claims.lock") == lock
    assert lock.removed[claim.id].file == "claims/test_x.py"
    with pytest.raises(MemkitError, match="the lock has no claim 's/other'"):
        lock.remove(["s/other"])
