"""Files from untrusted sources: read, or refused with one sentence, in bounded time and memory."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import Lock, load, recompute, strict_json
from memkit.evidence.accepted_verdicts import accepted_claims, load_accepted, save_accepted
from memkit.evidence.drift import compare
from memkit.evidence.evidence_file import Evidence
from memkit.evidence.evidence_loading import claim_evidence
from memkit.evidence.evidence_merging import merge
from memkit.evidence.gate import Gate
from memkit.evidence.origin import SweepCell
from memkit.evidence.reports import render_html
from memkit.study.promotion import Entrant, Policy, Promotion, load_promotion, promote

from .entries import MANY, entry, evidence

ROOT = Path(__file__).parents[2]

# --- JSON, strictly ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' occurs twice in one object"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "the number 1e999 is too large"),
        (b"9" * 5000, "Exceeds the limit"),
        (b"[" * 100_000, "it is nested deeper than 64 levels"),
        (b"[" * 65 + b"]" * 65, "it is nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "it is nested deeper than 64 levels"),
        (b'"\xff"', "it is not UTF-8 at byte 1"),
        (b'"\\ud800"', "it holds half of a surrogate pair"),
        (b'{"\\udc00": 1}', "it holds half of a surrogate pair"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b'"a\nb"', "Invalid control character"),
    ],
)
def test_invalid_json_is_refused_in_one_sentence(raw: bytes, message: str) -> None:
    with pytest.raises(MemkitError) as raised:
        strict_json.parse(raw)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_all_other_json_is_read(value: Any) -> None:
    assert strict_json.parse(json.dumps(value).encode()) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode()) == value
    assert strict_json.parse(b"[" * 64 + b"]" * 64)


UNITS = ["[]", "{}", '{"a":0}', '{"":0}', "1.5", "999", '"ab"', '"é"', '"—b"', '"😀"', '"\\u20ac"', "[[1,2],[]]"]


@pytest.mark.parametrize("unit", [*UNITS, "keys", "long", "wide"])
def test_no_text_takes_more_memory_than_estimated(unit: str) -> None:
    known = {
        "keys": "{" + ",".join(f'"{i:06}":1' for i in range(20_000)) + "}",
        "long": '"' + "a" * 200_000 + '"',
        "wide": '"' + "a" * 200_000 + '😀"',
    }
    raw = known.get(unit, "[" + ",".join([unit] * 30_000) + "]").encode()
    tracemalloc.start()
    try:
        found = strict_json.parse(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found
    assert peak <= strict_json.memory_bytes(raw) * 1.05 + 100_000


def test_what_is_too_large_is_refused_and_the_limit_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.json"
    monkeypatch.setattr(strict_json, "LARGEST", 2_000_000)
    path.write_bytes(b" " * 2_000_001)
    for read in (load, Lock.load, load_accepted, load_promotion):
        with pytest.raises(MemkitError, match="it is larger than the limit of 2 MB"):
            read(path)
    monkeypatch.setattr(strict_json, "MEMORY", 50_000_000)
    path.write_bytes(b"[" + b"{}," * 600_000 + b"{}]")
    for read in (load, Lock.load, load_accepted, load_promotion):
        with pytest.raises(MemkitError, match="MB of memory, more than the limit of 50 MB"):
            read(path)


# --- evidence ----------------------------------------------------------------------------------------------


def written(path: Path, change: Callable[[dict[str, Any]], None], *, lines: bool = True) -> Path:
    """Write evidence of many claims after a change, with one claim per line, as memkit does, or on one line."""
    data = copy.deepcopy(MANY.to_json())
    change(data)
    claims = ",\n".join(map(json.dumps, data.pop("claims")))
    head = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in data.items())
    text = f'{{\n{head}"claims": [\n{claims}\n]\n}}\n'
    path.write_text(text if lines else json.dumps(json.loads(text)))
    return path


@pytest.mark.parametrize("indent", [None, 0, 1])
def test_the_layout_of_a_file_means_nothing(file: Path, tmp_path: Path, indent: int | None) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(file.read_text()), indent=indent))
    assert load(other).to_json() == load(file).to_json()  # as JSON, since nan does not equal nan
    assert recompute(other) == recompute(file)


@pytest.mark.parametrize(
    "text", ['{\n"claims": [\n]\n}', '{"a": {\n"claims": [\n{}\n]\n}}', '{\n"claims": [\n{}\n{}\n]\n}']
)
def test_splitting_a_file_does_not_change_its_meaning(tmp_path: Path, text: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    with pytest.raises(MemkitError, match=r"has no schema|cannot be read as JSON"):
        load(path)


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["registration"].update(attempt=-3), "must be a whole number from 1, not -3"),
        (lambda e: e["registration"].update(attempt=0), "must be a whole number from 1, not 0"),
        (lambda e: e["registration"].update(attempt=True), "must be a whole number from 1, not True"),
        (lambda e: e["registration"].update(status="unregistered"), "is unregistered, and so cannot have an attempt 1"),
        (lambda e: e["registration"].update(status="reworded"), "is reworded, which contradicts its edited fields, ''"),
        (lambda e: e["registration"].update(edited="x"), "is registered, which contradicts its edited fields, 'x'"),
        (lambda e: e["registration"].update(edited=1), "edited must be a string"),
        (lambda e: e["registration"].update(withheld=1), "withheld must be true or false"),
        (lambda e: e["registration"].update(withheld=True), "withheld may be true only for a claim that is changed"),
        (
            lambda e: e["registration"].update(withheld=True, status="changed"),
            "withheld may be true only for a claim that is changed",
        ),
        (
            lambda e: e["registration"].update(status="sworn"),
            "the registration's status 'sworn' must be one of reg",
        ),
        (lambda e: e["registration"].update(first_seed=-1), "first_seed must be a whole number from 0, not -1"),
        (lambda e: e.update(planned=list(range(101))), "planned seeds must hold at most 100 items, not 101"),
        (lambda e: e.update(planned=[10_000, 10_000]), "a seed is planned twice"),
        (lambda e: e.update(planned=[1e4]), "a planned seed must be a whole number"),
        (lambda e: e["observations"][0].__setitem__(0, "10000"), "an observation must be"),
        (lambda e: e["observations"][0].__setitem__(1, "c"), "has observations of 'c', which is not one of its arms"),
        (lambda e: e["observations"][0].__setitem__(3, "1"), "the value of a must be a number, not '1'"),
        (lambda e: e["observations"][0].__setitem__(3, 10**400), "the value of a must be a number"),
        (lambda e: e.update(nodeid=["x"]), "nodeid must be a string"),
        (lambda e: e.update(arms={"a": 3}), "arms: a must be an object, not 3"),
        (lambda e: e.update(arms={"a": {"parameters": "12"}}), "parameters must be a whole number from 0"),
        (lambda e: e.update(cost={"trained": "much"}), "cost: trained must be a number"),
        (lambda e: e.update(failures={"-1": "x"}), "failures must be a seed, not '-1'"),
        (lambda e: e.update(outcome={"outcome": "won", "reason": ""}), "the outcome 'won' must be one of passed"),
        (lambda e: e["claim"].update(sweep=3), "sweep must be a string"),
        (lambda e: e["claim"].update(cell={"k": []}), "cell: k must be a number"),
        (lambda e: e["claim"]["arms"].update(a=3), "arm a must be an object"),
        (lambda e: e["judgement"].pop("verdict"), "'verdict' is missing in"),
    ],
)
def test_impossible_evidence_is_refused(
    tmp_path: Path, lines: bool, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = written(tmp_path / "evidence.json", lambda data: change(data["claims"][0]), lines=lines)
    with pytest.raises(MemkitError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path} ")
    assert message in str(raised.value)


def test_the_number_of_observations_and_the_time_of_judging_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memkit.evidence import evidence_loading

    path = written(tmp_path / "evidence.json", lambda data: None)
    monkeypatch.setattr(evidence_loading, "MOST_OBSERVATIONS", 40)
    with pytest.raises(MemkitError, match="the file holds more than 40 observations"):
        load(path)
    monkeypatch.undo()
    monkeypatch.setattr(evidence_loading, "MOST_DECISIONS", len(MANY.claims))
    assert load(path).claims
    monkeypatch.setattr(evidence_loading, "MOST_DECISIONS", len(MANY.claims) - 1)
    with pytest.raises(MemkitError, match=f"takes as long as more than {len(MANY.claims) - 1} contrasts"):
        load(path)


@pytest.mark.parametrize(("n", "units"), [(8, 1), (32, 1), (16, 9)])
def test_predicting_the_chance_of_a_verdict_counts_as_much_as_the_seeds(
    n: int, units: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memkit.evidence import evidence_loading

    whole = entry(a=0.55, b=0.5, n=32)
    rows = whole.observations[: 2 * n]
    evidence(replace(whole, observations=rows)).save(tmp_path / "evidence.json")
    monkeypatch.setattr(evidence_loading, "MOST_DECISIONS", units)
    load(tmp_path / "evidence.json")
    monkeypatch.setattr(evidence_loading, "MOST_DECISIONS", units - 1)
    with pytest.raises(MemkitError, match="takes as long as more than"):
        load(tmp_path / "evidence.json")


def test_a_claim_of_many_contrasts_is_refused_before_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memkit.evidence import evidence_loading

    data = evidence(entry()).to_json()
    contrast = data["claims"][0]["claim"]["contrasts"][0]
    data["claims"][0]["claim"]["contrasts"] = [{**contrast, "margin": k / 1000} for k in range(900)]
    (tmp_path / "evidence.json").write_text(json.dumps(data))
    monkeypatch.setattr(evidence_loading, "MOST_DECISIONS", 2000)
    monkeypatch.setattr(evidence_loading, "judge_registered", lambda *_, **__: pytest.fail("it was judged"))
    with pytest.raises(MemkitError, match="takes as long as more than 2000 contrasts"):
        load(tmp_path / "evidence.json")


def test_a_file_of_many_claims_must_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MEMORY", 250_000)
    with pytest.raises(MemkitError, match="reading it may take 0 MB of memory"):
        load(written(tmp_path / "evidence.json", lambda data: None))


def test_names_and_seeds_of_observations_are_kept_once() -> None:
    read = claim_evidence(json.loads(json.dumps(entry(n=32).to_json())))
    for name in ("arm", "metric", "claim"):
        found = [getattr(o, name) for o in read.observations]
        assert len({id(text) for text in found}) == len(set(found))
    assert all(o.seed is seed for o, seed in zip(read.observations[::2], read.planned, strict=True))


# --- any change of the file ----------------------------------------------------------------------------------

ENTRY = entry(n=8, expect="open", origin=SweepCell("study/s", {"k": 1}, 2))
POLICY = Policy(by="m", higher=True, best=1, always=("b",))
ENTRANTS = tuple(Entrant(name=name, family="", scores={0: {"m": 0.5}}, reported="0.5") for name in "ab")
PROMOTION = Promotion(
    study="lab/x",
    matrix="0" * 32,
    seeds=(0,),
    policy=POLICY,
    entrants=ENTRANTS,
    outcomes=tuple(promote(ENTRANTS, POLICY)),
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def accepted_json(tmp_path: Path) -> Any:
    save_accepted(tmp_path / "accepted.json", accepted_claims(evidence(ENTRY), lambda recipe: "0" * 16))
    return json.loads((tmp_path / "accepted.json").read_text())


def read_evidence(path: Path) -> None:
    recompute(path)
    found = load(path)
    found.to_frame()
    render_html(found)
    compare(path, path)


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], object]]] = {
    "evidence": (lambda _: evidence(ENTRY).to_json(), read_evidence),
    "lock": (lambda _: json.loads(Lock().register([ENTRY.claim]).to_text()), Lock.load),
    "accepted": (accepted_json, lambda path: (load_accepted(path), compare(path, path))),
    "promotion": (lambda _: PROMOTION.to_json(), load_promotion),
}
PUT = st.sampled_from([None, True, -1, 0, 3.5, 1e300, 10**30, "", "nan", "REFUTED", "\ud800", [], [[]], {}, {"a": 1}])


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_file_that_was_changed_anywhere_is_read_or_refused(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    make, read = READERS[kind]
    content = copy.deepcopy(make(tmp_path))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.sampled_from(places(content)[1:]))
        inner = content
        for key in at[:-1]:
            inner = inner[key]
        what = data.draw(st.sampled_from(["put", "remove", "add"]))
        if what == "put":
            inner[at[-1]] = copy.deepcopy(data.draw(PUT))
        elif what == "remove":
            del inner[at[-1]]
        elif isinstance(inner, dict):
            inner[data.draw(st.sampled_from(["extra", "", "file", "\x00"]))] = copy.deepcopy(data.draw(PUT))
        else:
            inner.append(copy.deepcopy(data.draw(PUT)))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    try:
        read(path)
    except MemkitError as error:
        assert str(path) in str(error)  # noqa: PT017 any other exception is the failure


def test_the_files_of_this_repository_are_read() -> None:
    assert len(load_accepted(ROOT / "reports" / "accepted.json")) > 500
    lock = ROOT / "claims" / "claims.lock"
    assert Lock.load(lock).to_text() == lock.read_text(encoding="utf-8")
    for file in (ROOT / "claims").rglob("*.promoted.json"):
        assert load_promotion(file) is not None


def test_a_lock_may_say_more_of_a_claim(tmp_path: Path) -> None:
    data = json.loads(Lock().register([ENTRY.claim]).to_text())
    data["claims"][ENTRY.claim.id]["file"] = "claims/test_it.py"
    path = tmp_path / "claims.lock"
    path.write_text(json.dumps(data))
    assert set(Lock.load(path).claims) == {ENTRY.claim.id}


@pytest.mark.parametrize("outcome", ["skipped", "passed"])
def test_an_outcome_that_the_gate_of_the_file_does_not_give_differs(tmp_path: Path, outcome: str) -> None:
    refuted = replace(entry(a=0.1, b=0.9), gate=Gate(outcome, "nothing"))  # type: ignore[arg-type]
    path = tmp_path / "evidence.json"
    Evidence(created="now", provenance={"gate": "verdict", "strict": False}, claims=(refuted,)).save(path)
    ((_, _, found),) = recompute(path)
    assert found == "REFUTED (the outcome differs)"
    assert merge({"one": load(path)}).claims[0].gate.outcome == "failed"
