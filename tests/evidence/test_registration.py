"""The lock: deciding seeds are fresh, and neither two studies nor two attempts share any."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import DEVELOPMENT_SEEDS, Arm, Claim, Contrast, Lock, Verdict, lock_path
from memkit.evidence.attempt import Attempt, Outcome
from memkit.evidence.lock_entry import Entry
from memkit.evidence.origin import Mutant, Replication
from memkit.evidence.trace import Trace

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))


def make(id: str = "study/name", test: str = "", **options: Any) -> Claim:
    fields: dict[str, Any] = {"statement": "A beats B.", "arms": {"a": Arm(), "b": Arm()}, "contrasts": (OVER,)}
    # A test of its own for each id: claims with the same arms, metric and test are attempts at one claim.
    return Claim(id=id, test=f"{id} {test}", **{**fields, **options})


def test_a_claim_that_is_not_registered_gets_development_seeds() -> None:
    result = Lock().registration(make())
    assert (result.status, result.attempt, result.development) == ("unregistered", 0, True)
    assert result.thresholds.attempt == 1, "it is judged as a first attempt would be"
    assert set(result.seeds(32)) <= set(DEVELOPMENT_SEEDS)


def test_registering_gives_deciding_seeds_and_registering_again_changes_nothing() -> None:
    lock = Lock().register([make()])
    result = lock.registration(make())
    assert (result.status, result.attempt, result.development) == ("registered", 1, False)
    assert lock.register([make()]) == lock
    assert result.thresholds.attempt == 1
    assert lock.registration(make(), development=True).seeds(32) == Lock().registration(make()).seeds(32)


def test_a_changed_claim_is_reported_until_it_is_registered_on_fresh_seeds() -> None:
    lock = Lock().register([make()])
    edited = make(test="another")
    changed = lock.registration(edited)
    assert (changed.status, changed.attempt) == ("changed", 1)
    again = lock.register([edited]).registration(edited)
    assert (again.status, again.attempt, again.thresholds.attempt) == ("registered", 2, 2)
    assert not set(again.seeds(32)) & set(changed.seeds(32))
    # Back to the first form: its results on the first seeds are known by now, so it gets fresh seeds, too.
    back = lock.register([edited]).register([make()]).registration(make())
    assert back.attempt == 3
    assert not set(back.seeds(32)) & {*again.seeds(32), *changed.seeds(32)}


def test_an_arm_that_is_edited_changes_its_claim() -> None:
    lock = Lock().register([make()])
    assert lock.registration(replace(make(), arms={"a": Arm({"steps": 9}), "b": Arm()})).status == "changed"
    assert lock.registration(replace(make(), figures=(print,))).status == "registered"


def test_seeds_run_out_with_a_sentence() -> None:
    lock = Lock()
    bases = []
    for i in range(100):
        lock = lock.register([make(test=f"Attempt {i}."), make("other/name")])
        bases.append(lock.registration(make(test=f"Attempt {i}.")).first_seed)
    assert len(set(bases)) == 100
    assert max(bases) + 100 <= lock.studies["other"]
    with pytest.raises(MemkitError, match="the study 'study' has used all its 100 blocks of seeds; begin a new study"):
        lock.register([make(test="One more.")])


BATCH = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(0, 3), min_size=1)


@given(st.lists(BATCH, min_size=1, max_size=15))
def test_a_changed_claim_never_comes_back_to_seeds_that_it_was_on(batches: list[dict[tuple[str, str], int]]) -> None:
    """Generate sequences of registrations of one or more claims: (study, name) → version."""
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
    result = [lock.registration(claim) for claim in both]
    assert [each.attempt for each in result] == [4, 2]
    assert {each.first_seed for each in result} == {10_300}
    lock.save(tmp_path / "claims.lock")
    assert Lock.load(tmp_path / "claims.lock") == lock
    # Registered alone, it continues from there.
    assert lock.register([other]).registration(other).first_seed == 10_400


@pytest.mark.parametrize("kind", [Mutant, Replication])
def test_a_new_mutant_or_replication_gets_the_seeds_of_its_claim(kind: type[Mutant | Replication]) -> None:
    first = Lock().register([make("study/it")])
    moved = first.register([make("study/it", "another")])
    beside: dict[str, Any] = {"origin": kind("study/it")}
    late = moved.register([make("study/it", "another"), replace(make("study/it/beside"), **beside)])
    assert late.claims["study/it/beside"].attempt == 1
    assert late.claims["study/it/beside"].block == late.claims["study/it"].block == 1

    at_once = first.register([replace(make("study/it/beside"), **beside), make("study/it", "A beats it.")])
    assert at_once.claims["study/it/beside"].block == at_once.claims["study/it"].block == 1
    alone = Lock().register([replace(make("study/it/beside"), **beside)])
    assert alone.claims["study/it/beside"].block == 0


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "claims.lock"
    lock = Lock().register([make(), make("other/name"), make("other/second")]).register([make(test="C.")])
    lock.save(path)
    assert Lock.load(path) == lock
    assert [file.name for file in path.parent.iterdir()] == ["claims.lock"]
    assert path.read_text() == lock.to_text()
    assert Lock.load(tmp_path / "no.lock") == Lock()


NAME = "claims: study/name"
GOOD = json.loads(Lock().register([make(), make("other/name")]).to_text())


def edited(*path: str, value: Any) -> str:
    data = json.loads(json.dumps(GOOD))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


def blocks(*result: object) -> str:
    """Return a lock with a claim that has attempts on these blocks."""
    return edited("claims", "study/name", "attempts", value=[{"block": block} for block in result])


def attempt(**fields: object) -> str:
    """Return a lock with a claim that has such an attempt."""
    return edited("claims", "study/name", "attempts", value=[{"block": 0, **fields}])


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
        (edited("schema", value=3), "by a newer memkit .it has schema 3; this memkit reads schema 2 and 1.; update"),
        (edited("schema", value=0), "is damaged"),
        (edited("schema", value=True), "is damaged"),
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
        *(
            (
                blocks(*result),
                r"study/name has attempts on the blocks of seeds \[.*\]; the blocks must rise, up to 99, and the",
            )
            for result in ((), (None,), (100,), (0, 0), (1, 0), (0, None), (None, 0), (3, None, 4))
        ),
        (blocks("0"), "attempt 1: block must be a whole number from 0"),
        (edited("claims", "study/name", "attempts", value=[{}]), "'block' is missing in claims: study/name: attempt 1"),
        (edited("claims", "study/name", "attempts", value=[None]), "attempt 1 must be an object"),
        (attempt(verdict="FINE"), "attempt 1: verdict: 'FINE' is not a verdict"),
        (attempt(e_value=-1), "e_value must be a number of at least 0"),
        (attempt(n=-1), "n must be a whole number from 0"),
        (attempt(date=2025), "date must be a string"),
        (
            edited("claims", "study/name", "file", value="../x.py"),
            "has the file '../x.py', which must lie in the project",
        ),
        (edited("claims", "study/name", "file", value="/x.py"), "has the file '/x.py', which must lie in the pro"),
        (edited("claims", "study/name", "annotations", value={}), "'statement' is missing"),
        (edited("claims", "study/name", "annotations", value={"statement": ""}), "does not say which statement"),
        (edited("claims", "study/name", "annotations", "headline", value=1), "headline must be true or false"),
        (edited("claims", "study/name", "earlier", value=[{"seeds": "8"}]), "seeds must be a whole number"),
        (edited("alpha", value=0), "alpha must lie between 0 and 1, not 0"),
        (edited("alpha", value="0.05"), "alpha must be a number"),
        (edited("laboratories", value={"ours": "1"}), "ours must be a whole number from 1"),
        (edited("claims", "study/name", "results", value={"x.csv": 1}), "x.csv must be a string"),
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


def test_the_lock_is_in_the_claims_folder_if_there_is_one(tmp_path: Path) -> None:
    assert lock_path(tmp_path) == tmp_path / "claims.lock"
    (tmp_path / "claims").mkdir()
    assert lock_path(tmp_path) == tmp_path / "claims" / "claims.lock"


@given(st.lists(st.sampled_from(["register", "edit", "remove"]), max_size=12))
def test_removing_a_claim_does_not_give_it_its_earlier_seeds_again(steps: list[str]) -> None:
    lock, form, seen = Lock(), 0, dict[int, str]()
    for step in ["register", *steps]:
        claim = make(test=f"Form {form}.")
        if step == "edit":
            form += 1
        elif step == "remove" and claim.id in lock.claims:
            lock = lock.remove([claim.id])
            assert lock.registration(claim).status == "unregistered"
        else:
            lock = lock.register([claim])
            first = lock.registration(claim).first_seed
            assert seen.setdefault(first, claim.digest) == claim.digest


def test_removed_claims_stay_in_the_file(tmp_path: Path) -> None:
    claim = make()
    lock = Lock().register([claim], files={claim.id: "claims/test_x.py"}).remove([claim.id])
    lock.save(tmp_path / "claims.lock")
    assert Lock.load(tmp_path / "claims.lock") == lock
    assert lock.removed[claim.id].file == "claims/test_x.py"
    with pytest.raises(MemkitError, match="the lock has no claim 's/other'"):
        lock.remove(["s/other"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (edited("claims", "study/name", "results", value={"x.csv": "ab"}), f"{NAME} is about files of results"),
        (edited("claims", "study/name", "title", value="A"), f"{NAME} has the unknown field 'title'"),
        (
            edited("claims", "study/name", "annotations", "title", value="A"),
            f"{NAME}: annotations has the unknown field 'title'",
        ),
        (attempt(device="cuda"), f"{NAME}: attempt 1 has the unknown field 'device'"),
        (edited("more", value=[]), "the lock has the unknown field 'more'"),
    ],
)
def test_what_a_newer_memkit_wrote_is_refused_and_not_lost(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "claims.lock"
    path.write_text(text)
    with pytest.raises(MemkitError) as raised:
        Lock.load(path)
    assert str(raised.value) == f"{path} was written by a newer memkit ({reason}); update this one"


# --- annotations of a claim ---------------------------------------------------------------------------------------

EDITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"statement": "B loses."}, {"statement": "A beats B."}),
    ({"source": "page 3"}, {"source": None}),
    ({"seeds": 16}, {"seeds": None}),
    ({"seeds": 100}, {"seeds": None}),
    ({"seeds_per_look": 1}, {"seeds_per_look": None}),
    ({"headline": True}, {"headline": None}),
    ({"deterministic": True}, {"deterministic": None}),
    ({"environment": ("FLAG",)}, {"environment": None}),
    ({"source": "page 3", "statement": "B loses."}, {"statement": "A beats B.", "source": None}),
]


@pytest.mark.parametrize(("edit", "replaced"), EDITS)
def test_registering_an_edit_of_annotations_costs_no_attempt(
    tmp_path: Path, edit: dict[str, Any], replaced: dict[str, Any]
) -> None:
    lock, now = Lock().register([make()]), make(**edit)
    result = lock.registration(now)
    assert (result.status, result.edited, result.withheld) == ("reworded", ", ".join(replaced), False)
    assert (result.attempt, result.first_seed) == (1, 10_000)
    after = lock.register([now])
    assert after.registration(now) == replace(result, status="registered", edited="")
    assert after.claims[now.id].earlier == (replaced,)
    assert after.claims[now.id].wordings == [now.annotations, make().annotations]
    back = after.register([make()])
    assert back.claims[now.id].wordings == [make().annotations, now.annotations, make().annotations]
    back.save(tmp_path / "claims.lock")
    assert Lock.load(tmp_path / "claims.lock") == back


NORMAL = Contrast("a", over="b", metric="accuracy", assume="normal")


@pytest.mark.parametrize(
    "options", [{"contrasts": (NORMAL,)}, {"expect": "not_supported"}], ids=["normal theory", "not supported"]
)
def test_a_number_of_seeds_that_is_part_of_the_test_costs_an_attempt(options: dict[str, Any]) -> None:
    lock, now = Lock().register([make(**options)]), make(seeds=16, **options)
    assert lock.registration(now).status == "changed"
    assert lock.register([now]).registration(now).thresholds.attempt == 2
    looks = make(seeds_per_look=2, **options)
    assert lock.registration(looks).status == "reworded", "the looks do not change the verdict"


@pytest.mark.parametrize(
    "change",
    [
        {"divergence": "measured"},
        {"contrasts": (Contrast("a", over="b", metric="accuracy", bounds=(0, 1), clip=True),)},
    ],
    ids=["divergence", "clip"],
)
def test_how_divergence_and_outliers_count_is_part_of_the_test(change: dict[str, Any]) -> None:
    lock = Lock().register([make()])
    assert lock.registration(make(**change)).status == "changed"


def test_a_change_keeps_the_wording_too() -> None:
    lock = Lock().register([make()]).register([make(test="another", statement="B loses.")])
    (entry,) = lock.claims.values()
    assert (entry.attempt, entry.earlier) == (2, ({"statement": "A beats B."},))


def test_a_changed_claim_has_development_seeds_alone_and_did_not_ask_for_them() -> None:
    lock, changed = Lock().register([make()]), make(test="another")
    result = lock.registration(changed)
    assert (result.development, result.withheld, result.explores) == (True, True, False)
    asked = lock.registration(changed, development=True)
    assert (asked.status, asked.withheld, asked.explores) == ("changed", False, True)


OUTCOME = Outcome(verdict="REFUTED", n=8, date="2025-07-29", observations="0b5e", revision=0)


# --- its form -----------------------------------------------------------------------------------------------------


def test_each_value_that_may_change_has_a_line_of_its_own(tmp_path: Path) -> None:
    lock = Lock().register([make(source="S. 3, «ü»")], {"study/name": "c0de"}, {"study/name": "claims/test_it.py"})
    lock = lock.register([make(test="another", statement="B loses.")])
    entry = lock.claims["study/name"].recorded(OUTCOME)
    digest = make(test="another").digest
    assert (
        replace(lock, claims={"study/name": entry}).to_text()
        == f"""{{
 "schema": 2,
 "rule": 2,
 "studies": {{
  "study": {{
   "first_seed": 10000
  }}
 }},
 "claims": {{
  "study/name": {{
   "digest": "{digest}",
   "identity": "{make(test="another").identity}",
   "file": "claims/test_it.py",
   "annotations": {{
    "statement": "B loses."
   }},
   "earlier": [
    {{"statement": "A beats B.", "source": "S. 3, «ü»"}}
   ],
   "attempts": [
    {{"block": 0}},
    {{"block": 1, "verdict": "REFUTED", "n": 8, "date": "2025-07-29", "observations": "0b5e", "revision": 0}}
   ]
  }}
 }}
}}
"""
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
OUTCOMES = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    n=st.integers(0, 32),
    e_value=st.none() | st.floats(0, 1e9),
    date=st.just("") | TEXT,
    observations=st.just("") | TEXT,
    revision=st.none() | st.integers(0, 9),
)
ATTEMPT = st.builds(
    Attempt,
    block=st.none(),
    outcome=st.none() | OUTCOMES,
    replaced=st.lists(OUTCOMES, max_size=2).map(tuple),
    laboratories=st.dictionaries(st.sampled_from(["oslo", "zurich"]), OUTCOMES),
    unmeasured=st.booleans(),
    of=st.sampled_from(["", "study/other"]),
)
BESIDE_IT = st.fixed_dictionaries({"statement": TEXT}, optional={"source": TEXT, "headline": st.just(True)})
ENTRIES = st.builds(
    lambda digest, attempts, steps, **options: Entry(
        digest=digest,
        # The last block is known, and the others may be.
        attempts=tuple(
            replace(one, block=sum(steps[: i + 1]) + i if i == len(attempts) - 1 or steps[i] else None)
            for i, one in enumerate(attempts)
        ),
        **options,
    ),
    TEXT,
    st.lists(ATTEMPT, min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=4, max_size=4),
    code=st.just("") | TEXT,
    revision=st.integers(0, 9),
    file=st.sampled_from(["", "claims/test_it.py"]),
    annotations=BESIDE_IT,
    earlier=st.lists(st.dictionaries(st.sampled_from(["statement", "source"]), st.none() | TEXT)).map(tuple),
)


@given(st.dictionaries(st.sampled_from(["s/a", "s/b", "t/a"]), ENTRIES), st.dictionaries(st.just("s/c"), ENTRIES))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_lock_is_read_as_it_was_written(
    tmp_path: Path, claims: dict[str, Entry], removed: dict[str, Entry]
) -> None:
    lock = Lock({"s": 10_000, "t": 20_000}, claims, removed)
    path = tmp_path / "claims.lock"
    lock.save(path)
    read = Lock.load(path)
    assert read == lock
    assert read.to_text() == path.read_text(encoding="utf-8")


def test_fields_that_this_memkit_does_not_apply_survive_its_changes_of_the_lock() -> None:
    lock = Lock(laboratories={"ours": 40}, alpha=0.01)
    after = lock.register([make()]).register([make(test="another")]).remove(["study/name"])
    assert (after.laboratories, after.alpha) == (lock.laboratories, lock.alpha)
    data = json.loads(after.to_text())
    assert (data["laboratories"], data["alpha"]) == ({"ours": 40}, 0.01)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (Attempt(block=0), "not recorded"),
        (Attempt(block=0, outcome=OUTCOME), "REFUTED, n = 8, 2025-07-29"),
        (
            Attempt(block=0, outcome=OUTCOME, replaced=(OUTCOME,)),
            "REFUTED, n = 8, 2025-07-29 (1 earlier outcome replaced)",
        ),
        (Attempt(block=0, unmeasured=True), "no seed was measured"),
        (Attempt(block=0, of="study/old"), "not recorded, as study/old"),
    ],
)
def test_an_attempt_in_words(attempt: Attempt, text: str) -> None:
    assert str(attempt) == text


# --- attempts -----------------------------------------------------------------------------------------------------

MEASURED = Trace(measured=True)


def test_a_new_claim_starts_on_fresh_seeds_where_the_study_has_evidence() -> None:
    lock = Lock().register([make("study/old")])
    assert lock.register([make("study/new")]).claims["study/new"].block == 0, "nothing was measured yet"
    later = lock.register([make("study/new"), make("study/newer")], traces={"study/old": MEASURED})
    assert {later.claims[name].block for name in ("study/new", "study/newer")} == {1}, "they share models"
    recorded = replace(lock, claims={"study/old": lock.claims["study/old"].recorded(OUTCOME)})
    assert recorded.register([make("study/new")]).claims["study/new"].block == 1
    assert recorded.register([make("other/new")]).claims["other/new"].block == 0, "another study"
    removed = lock.remove(["study/old"])
    assert removed.register([make("study/new")]).claims["study/new"].block == 1, "it may have been measured"


def test_a_claim_moves_to_seeds_that_no_claim_of_the_study_was_on() -> None:
    lock = Lock().register([make("study/one"), make("study/other")])
    for version in ("B.", "C."):
        lock = lock.register([make("study/one", version)])
    assert lock.register([make("study/other", "B.")]).claims["study/other"].block == 3


VARIANTS = {
    "its id": {},
    "its margin": {"contrasts": (replace(OVER, margin=1e-9),)},
    "its sesoi": {"contrasts": (replace(OVER, sesoi=0.2),)},
    "its bounds": {"contrasts": (replace(OVER, bounds=(-1, 2)),)},
    "its direction": {"contrasts": (replace(OVER, direction="lower"),)},
    "its assumption": {"contrasts": (replace(OVER, assume="normal"),), "seeds": 16},
    "its number of seeds": {"seeds": 8},
    "its expectation": {"expect": "refuted"},
    "its statement": {"statement": "A is no worse than B."},
}


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("removed", [False, True])
def test_a_claim_with_the_arms_metric_and_test_of_an_earlier_one_continues_its_attempts(
    fields: dict[str, Any], removed: bool
) -> None:
    first = replace(make("study/old"), test="the test")
    lock = Lock().register([first])
    lock = replace(lock, claims={first.id: lock.claims[first.id].recorded(replace(OUTCOME, e_value=0.1))})
    lock = lock.remove([first.id]) if removed else lock
    again = replace(first, id="study/again", **fields)
    entry = lock.register([again]).claims[again.id]
    assert (entry.attempt, entry.attempts[0].of, entry.block) == (2, first.id, 1)
    assert entry.attempts[0].outcome == replace(OUTCOME, e_value=None), "its e-value was that of another claim"
    assert lock.register([again]).registration(again).thresholds.support == 80


OTHERS = {
    "another test": {"test": "another test"},
    "another metric": {"contrasts": (replace(OVER, metric="recall"),)},
    "another control": {"arms": {"a": Arm(), "b": Arm(), "c": Arm()}, "contrasts": (replace(OVER, over="c"),)},
    "another recipe": {"arms": {"a": Arm({"steps": 9}), "b": Arm()}},
    "a mutant": {"origin": Mutant("study/old")},
    "another study": {"id": "other/again"},
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_a_claim_that_measures_something_else_begins_anew(fields: dict[str, Any]) -> None:
    lock = Lock().register([replace(make("study/old"), test="the test")])
    again = replace(make("study/again"), **{"test": "the test", **fields})
    assert lock.register([again]).claims[again.id].attempt == 1


def test_names_of_arms_do_not_make_another_claim() -> None:
    recipes = {"steps": 9}, {"steps": 10}
    first = make(arms={"a": Arm(recipes[0]), "b": Arm(recipes[1])})
    renamed = make(
        arms={"c": Arm(recipes[1]), "d": Arm(recipes[0])},
        contrasts=(replace(OVER, treatment="d", over="c"),),
    )
    assert first.identity == renamed.identity
    assert first.identity != replace(renamed, contrasts=(replace(OVER, treatment="c", over="d"),)).identity
    over_number = replace(OVER, over=0.5)
    assert make(contrasts=(over_number,)).identity == make(contrasts=(replace(over_number, over=0.6),)).identity


def test_an_attempt_in_which_nothing_was_measured_is_shown_and_not_counted() -> None:
    lock = Lock().register([make()])
    failed = Trace(failed_only=True)
    after = lock.register([make(test="B.")], traces={"study/name": failed})
    entry = after.claims["study/name"]
    assert (entry.attempt, entry.block, [attempt.unmeasured for attempt in entry.attempts]) == (1, 1, [True, False])
    assert after.register([make(test="C.")]).claims["study/name"].attempt == 2
    # What the lock has recorded was measured, whatever the store knows.
    recorded = replace(lock, claims={"study/name": lock.claims["study/name"].recorded(OUTCOME)})
    assert recorded.register([make(test="B.")], traces={"study/name": failed}).claims["study/name"].attempt == 2


def test_changed_code_that_needs_a_new_attempt_gets_fresh_seeds() -> None:
    lock = Lock().register([make()], {"study/name": "old"})
    assert lock.register([make()], {"study/name": "new"}).claims["study/name"].attempt == 1
    moved = lock.register([make()], {"study/name": "new"}, traces={"study/name": Trace(needs_attempt=True)})
    entry = moved.claims["study/name"]
    assert (entry.attempt, entry.block, entry.revision, entry.code) == (2, 1, 0, "new")


def test_an_outcome_that_is_replaced_stays_on_record() -> None:
    entry = Lock().register([make()]).claims["study/name"].recorded(OUTCOME)
    assert entry.recorded(replace(OUTCOME, date="2026-01-01", revision=1)).attempts[-1].replaced == ()
    other = replace(OUTCOME, verdict="SUPPORTED")
    assert entry.recorded(other).attempts[-1].replaced == (OUTCOME,)
    assert entry.recorded(other, "oslo").attempts[-1] == replace(entry.attempts[-1], laboratories={"oslo": other})


def test_an_outcome_of_earlier_code_is_handed_to_the_run() -> None:
    lock = Lock().register([make()], {"study/name": "old"})
    lock = replace(lock, claims={"study/name": lock.claims["study/name"].recorded(OUTCOME)})
    assert lock.registration(make(), code="old").recorded is None
    assert lock.registration(make(), code="new").recorded == OUTCOME, "the code has changed, and is not registered"
    revised = lock.register([make()], {"study/name": "new"})
    assert revised.registration(make(), code="new").recorded == OUTCOME
    # Outcomes of older versions of memkit do not say which code they belong to.
    unknown = lock.claims["study/name"].recorded(replace(OUTCOME, revision=None))
    assert replace(lock, claims={"study/name": unknown}).registration(make(), code="new").recorded is None


def test_seeds_of_laboratories_are_shared_with_nobody() -> None:
    lock = Lock(laboratories={"oslo": 1, "zurich": 2}).register([make(), make("other/name")])
    seeds = [
        seed
        for laboratory in ("", *lock.laboratories)
        for claim in (make(), make("other/name"))
        for seed in lock.registration(claim, laboratory=laboratory).seeds(100)
    ]
    assert len(set(seeds)) == len(seeds)
    with pytest.raises(MemkitError, match=r"no seeds to the laboratory 'olso', .*; did you mean 'oslo'"):
        lock.registration(make(), laboratory="olso")


def test_laboratories_are_granted_seeds_once() -> None:
    lock = Lock().granting("oslo").granting("zurich-2").granting("oslo")
    assert lock.laboratories == {"oslo": 1, "zurich-2": 2}
    for name in ("", "Oslo", "a b", "../x", "-", "a" * 41):
        with pytest.raises(MemkitError, match="must consist of lower-case letters, digits, '-' and '_'"):
            lock.granting(name)
    with pytest.raises(MemkitError, match="99 laboratories have seeds already"):
        Lock(laboratories={"last": 99}).granting("one-more")
