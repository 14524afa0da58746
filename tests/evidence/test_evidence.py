"""The evidence file: lossless, recomputed without torch, and doctoring is found."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import (
    Arm,
    Claim,
    ClaimEvidence,
    Contrast,
    Evidence,
    Observation,
    Registration,
    Verdict,
    gate,
    judge,
    load,
    recompute,
    seeds_saved,
)

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), sesoi=0.1)


def entry(
    id: str = "study/name",
    *,
    a: float = 1.0,
    b: float = 0.0,
    n: int = 8,
    diverged: int | None = None,
    **options: Any,
) -> ClaimEvidence:
    contrast = options.pop("contrast", OVER)
    claim = Claim(
        id=id,
        statement="A beats B.",
        arms={"a": Arm({"steps": 9}), "b": Arm()},
        contrasts=(contrast,),
        **options,
    )
    registration = Registration(status="registered", attempt=1, first_seed=10_000)
    planned = registration.seeds(n)
    rows = tuple(
        Observation(claim=id, seed=seed, arm=arm, metric="accuracy", value=value + jitter * (arm == "a"))
        for seed, jitter in zip(planned, [0.0, -1 / 64] * n, strict=False)
        for arm, value in (("a", a), ("b", b))
    )
    if diverged is not None:
        rows = (
            *rows[: 2 * diverged],
            replace(rows[2 * diverged], value=math.nan, reason="nan at step 3"),
            *rows[2 * diverged + 1 :],
        )
    judgement = judge(claim, rows, planned=planned)
    return ClaimEvidence(
        claim=claim,
        nodeid="claims/test_it.py::test_it",
        registration=registration,
        planned=planned,
        observations=rows,
        judgement=judgement,
        gate=gate(claim, judgement, registration=registration, failures={}),
        arms={"a": {"digest": "0" * 32, "parameters": 12}},
        cost={"training_cpu_seconds": 1.5},
    )


def evidence(*claims: ClaimEvidence) -> Evidence:
    return Evidence(created="2025-07-29T12:00:00+00:00", provenance={"python": "3.11", "commit": None}, claims=claims)


FREE = Contrast("a", over="b", metric="accuracy", assume="normal")
MANY = evidence(
    entry(),
    entry("study/refuted", a=0.2, b=1.0, expect="refuted"),
    entry("study/unclear", a=0.55, b=0.5, n=16),
    entry("study/diverged", diverged=2, n=16),
    entry("study/unbounded", contrast=FREE, diverged=2, gate=True),
    entry("study/free", contrast=FREE),
    entry("study/odd", n=12),
    entry("study/one", n=1),
    entry("other/open", expect="open"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reports" / "evidence.json"
    MANY.save(path)
    return path


def doctor(path: Path, at: int, *keys: str | int, value: Any) -> tuple[str, str]:
    """Change one thing in the file; returns what is recorded and what is found for the claim."""
    data = json.loads(path.read_text())
    inner = data["claims"][at]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(data))
    _, recorded, found = recompute(path)[at]
    return recorded, found


# --- round trip ---------------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    read = load(file)
    assert [e.claim.digest for e in read.claims] == [e.claim.digest for e in MANY.claims]
    assert json.loads(json.dumps(read.to_json())) == json.loads(file.read_text())
    assert [e.verdict for e in read.claims] == [e.verdict for e in MANY.claims]
    assert {e.verdict for e in read.claims} >= {
        Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.INCOMPLETE,
    }  # fmt: skip
    assert [other.name for other in file.parent.iterdir()] == ["evidence.json"], "nothing is left beside it"


def test_recomputing_finds_no_difference(file: Path) -> None:
    rows = recompute(file)
    assert [(id, recorded) for id, recorded, _ in rows] == [(e.claim.id, e.verdict.value) for e in MANY.claims]
    assert all(recorded == found for _, recorded, found in rows)


def test_the_file_is_strict_json_and_names_its_schema(file: Path) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(name)

    data = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    assert data["schema"] == 1
    documented = {
        "claim",
        "digest",
        "nodeid",
        "registration",
        "planned",
        "observations",
        "failures",
        "judgement",
    }
    assert set(data["claims"][0]) == {*documented, "outcome", "arms", "cost"}


def test_an_observation_that_is_not_a_number_survives(file: Path) -> None:
    diverged = load(file).claims[3]
    (bad,) = [o for o in diverged.observations if not math.isfinite(o.value)]
    assert (bad.seed, bad.arm, bad.reason) == (10_002, "a", "nan at step 3")
    assert diverged.verdict is MANY.claims[3].verdict


def test_seeds_seen(file: Path) -> None:
    whole = entry()
    assert whole.seen == whole.planned
    part = replace(whole, observations=tuple(o for o in whole.observations if o.seed != 10_004))
    assert part.seen == tuple(seed for seed in whole.planned if seed != 10_004)


def test_seeds_saved() -> None:
    early = entry(n=32)
    assert early.judgement.look == 8
    seen = early.planned[:8]
    adaptive = replace(early, observations=tuple(o for o in early.observations if o.seed in seen))
    assert judge(adaptive.claim, adaptive.observations, planned=adaptive.planned) == early.judgement
    assert (early.saved, adaptive.saved) == ((), early.planned[8:])
    failed = replace(adaptive, failures={early.planned[9]: "a worker died"})
    assert len(failed.saved) == 23, "a seed that ran beyond the look, and failed, was not saved"
    missing = replace(adaptive, judgement=judge(early.claim, adaptive.observations[2:], planned=early.planned))
    assert missing.saved == (), "of seeds that are missing below the look, nothing was saved"
    assert seeds_saved([early, adaptive, failed, missing]) == (24 + 23, 3 * 32)
    assert seeds_saved([]) == (0, 0)


def test_seeds_that_were_never_needed_leave_the_file_whole(tmp_path: Path) -> None:
    early = entry(n=32)
    few = replace(early, observations=early.observations[: 2 * 8], arms={"a": {"cpu_seconds": 1.5}, "b": {}})
    evidence(few).save(tmp_path / "evidence.json")
    assert recompute(tmp_path / "evidence.json") == [("study/name", "SUPPORTED", "SUPPORTED")]
    (read,) = load(tmp_path / "evidence.json").claims
    assert (read.judgement, len(read.saved), read.arms["a"]) == (early.judgement, 24, {"cpu_seconds": 1.5})


# --- doctoring ----------------------------------------------------------------------------------------------


def test_a_doctored_verdict_is_found(file: Path) -> None:
    assert doctor(file, 0, "judgement", "verdict", value="REFUTED") == ("REFUTED", "SUPPORTED")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("judgement", "look"), 16),
        (("judgement", "n"), 7),
        (("judgement", "notes"), ["all is well"]),
        (("judgement", "findings", 0, "estimate"), 0.5),
        (("judgement", "findings", 0, "intervals", 0, "low"), 0.97),
        (("judgement", "findings", 0, "intervals", 1, "high"), 0.97),
        (("judgement", "findings", 0, "negligible"), True),
        (("judgement", "findings"), []),
        (("observations", 0, 3), 0.9),
        (("observations", 0, 3), None),
    ],
)
def test_a_doctored_judgement_or_observation_is_found(file: Path, keys: tuple[Any, ...], value: Any) -> None:
    recorded, found = doctor(file, 0, *keys, value=value)
    assert found != recorded
    assert found == f"{recorded} (intervals differ)"


def test_doctored_observations_that_turn_the_verdict_are_found(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    exchanged = [[seed, {"a": "b", "b": "a"}[arm], *rest] for seed, arm, *rest in rows]
    assert doctor(file, 0, "observations", value=exchanged) == ("SUPPORTED", "REFUTED")


def test_an_observation_that_was_removed_is_found(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    assert doctor(file, 0, "observations", value=rows[2:]) == ("SUPPORTED", "INCOMPLETE")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("claim", "contrasts", 0, "bounds"), [-0.001, 1]),
        (("claim", "contrasts", 0, "sesoi"), 0.11),
        (("claim", "contrasts", 0, "margin"), 0.001),
        (("claim", "statement"), "A beats everything."),
        (("claim", "arms", "a", "recipe", "steps"), 10),
        (("claim", "expect"), "open"),
        (("digest",), "0" * 32),
    ],
)
def test_a_doctored_claim_is_found_by_its_digest(file: Path, keys: tuple[Any, ...], value: Any) -> None:
    recorded, found = doctor(file, 0, *keys, value=value)
    assert found == f"{recorded} (the claim's digest differs)"


def test_another_order_of_the_seeds_is_found(file: Path) -> None:
    planned = json.loads(file.read_text())["claims"][0]["planned"]
    recorded, found = doctor(file, 0, "planned", value=planned[::-1])
    assert found == f"{recorded} (the seeds are not those of the registration)"


def test_a_doctored_outcome_is_found(file: Path) -> None:
    data = json.loads(file.read_text())["claims"]
    assert data[2]["outcome"]["outcome"] == "failed", "or this test shows nothing"
    recorded, found = doctor(file, 2, "outcome", "outcome", value="passed")
    assert found == f"{recorded} (the outcome differs)"


def test_two_observations_of_one_seed_are_refused(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    with pytest.raises(MemkitError, match="two observations of one arm and seed"):
        doctor(file, 0, "observations", value=[*rows, [10_000, "a", "accuracy", 0.9, ""]])


# --- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as JSON"),
        ("hello", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "is no evidence file: it has no schema"),
        ("{}", "is no evidence file: it has no schema"),
        ('{"schema": 2}', "has schema 2; this memkit reads schema 1"),
        ('{"schema": 1}', "is no evidence file of schema 1: 'claims' is missing"),
        ('{"schema": 1, "claims": []}', "'created' is missing"),
        ('{"schema": 1, "claims": [3]}', "is no evidence file of schema 1"),
        ('{"schema": 1, "claims": 3}', "is no evidence file of schema 1"),
    ],
)
def test_what_is_no_evidence_is_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    for read in (load, recompute):
        with pytest.raises(MemkitError, match=message) as raised:
            read(path)
        assert str(path) in str(raised.value)


def test_a_missing_or_truncated_file_is_refused_with_a_sentence(tmp_path: Path, file: Path) -> None:
    with pytest.raises(MemkitError, match="does not exist; a run of claims writes it"):
        load(tmp_path / "none.json")
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(tmp_path)
    text = file.read_bytes()
    file.write_bytes(text[: len(text) // 2])
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(file)
    file.write_bytes(b"\xff" + text)
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(file)


@pytest.mark.parametrize("gone", ["judgement", "digest", "outcome", "claim", "planned", "registration", "failures"])
def test_what_is_missing_is_named(file: Path, gone: str) -> None:
    data = json.loads(file.read_text())
    del data["claims"][1][gone]
    file.write_text(json.dumps(data))
    with pytest.raises(MemkitError, match=f"no evidence file of schema 1: '{gone}' is missing"):
        recompute(file)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(leaf for key, value in inner for leaf in leaves(value, (*path, key)))]


SMALL = evidence(entry(n=8, requires=(replace(OVER, over=0.2),))).to_json()
WEIRD = st.sampled_from([None, True, -1, 0, 3.5, 1e999, 10**400, "", "nan", "REFUTED", [], [[]], {}, {"a": 1}])


@given(path=st.sampled_from(leaves(SMALL)[1:]), value=WEIRD)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_put_in_is_read_or_refused_with_a_sentence(
    tmp_path: Path, path: tuple[Any, ...], value: Any
) -> None:
    data = copy.deepcopy(SMALL)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(data))
    try:
        recompute(file)
        load(file).to_frame()
    except MemkitError as error:
        assert str(file) in str(error)  # noqa: PT017 any other exception is the failure


# --- without torch ------------------------------------------------------------------------------------------

BLOCK = "import sys; sys.modules['torch'] = None; from memkit.cli import main; sys.exit(main(sys.argv[1:]))"


def verdicts(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK, "verdicts", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_verdicts_are_recomputed_without_torch(file: Path) -> None:
    done = verdicts(file)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"all {len(MANY.claims)} verdicts follow from the observations" in done.stdout
    doctor(file, 0, "judgement", "verdict", value="INCONCLUSIVE")
    done = verdicts(file)
    assert (done.returncode, done.stderr) == (1, "")
    assert "DIFFERS: the file says INCONCLUSIVE" in done.stdout


# --- the table ----------------------------------------------------------------------------------------------


def test_the_frame_is_tidy() -> None:
    early = entry("study/early", n=16)
    assert early.judgement.look == 8
    part = entry("study/part")
    rows = tuple(o for o in part.observations if o.seed != 10_000)
    part = replace(part, observations=rows, judgement=judge(part.claim, rows, planned=part.planned))
    frame = evidence(early, entry("other/diverged", diverged=2), part).to_frame()
    assert list(frame.columns) == [
        "study",
        "claim",
        "seed",
        "arm",
        "metric",
        "value",
        "reason",
        "used",
        "verdict",
    ]
    assert len(frame) == 2 * 16 + 2 * 8 + 2 * 7
    assert not frame.duplicated(["claim", "seed", "arm", "metric"]).any()
    assert frame["value"].dtype == float
    assert frame["value"].isna().sum() == 1
    assert frame.loc[frame["value"].isna(), "reason"].tolist() == ["nan at step 3"]
    assert set(frame.loc[(frame["claim"] == "study/early") & frame["used"], "seed"]) == set(range(10_000, 10_008))
    incomplete = frame[frame["claim"] == "study/part"]
    assert (incomplete["verdict"] == "INCOMPLETE").all()
    assert incomplete["used"].all(), "the intervals shown stand on all seeds that were seen"
    assert set(frame["study"]) == {"study", "other"}


def test_the_frame_of_nothing_has_its_columns() -> None:
    assert len(evidence().to_frame().columns) == 9


def test_observations_of_unplanned_seeds_are_refused(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    with pytest.raises(MemkitError, match="observations of seed 77, which was not planned"):
        doctor(file, 0, "observations", value=[*rows, [77, *rows[0][1:]]])


def test_one_claim_twice_is_refused(file: Path) -> None:
    data = json.loads(file.read_text())
    data["claims"].append(data["claims"][0])
    file.write_text(json.dumps(data))
    with pytest.raises(MemkitError, match="holds one claim twice"):
        load(file)
