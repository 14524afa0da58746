"""Drift: changes are reported, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memkit import MemkitError
from memkit.cli import main
from memkit.evidence import Evidence
from memkit.evidence.accepted_verdicts import load_accepted, save_accepted
from memkit.evidence.drift import compare, difference
from memkit.evidence.evidence_loading import claim_evidence
from tests.evidence.entries import entry

OLD = entry(a=0.9, b=0.1).as_accepted()


def changes(**changes: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sentences on drift, and those on other changes."""
    result = difference("study/name", OLD, {**entry(a=0.9, b=0.1).as_accepted(), **changes})
    return result.drift, result.others


def test_equal_results_have_no_changes() -> None:
    assert changes() == ((), ())


def test_an_effect_outside_its_interval_and_another_verdict_are_drift() -> None:
    later = entry(a=0.1, b=0.9).as_accepted()
    drift, others = changes(judgement=later["judgement"])
    assert drift[0] == "was SUPPORTED, is REFUTED"
    assert drift[1].startswith("a over b was +0.79")
    assert drift[1].endswith(", outside that interval")
    assert others == ()


def test_rounding_is_not_drift_if_seeds_agree() -> None:
    assert changes(judgement=entry(a=0.9004, b=0.1).as_accepted()["judgement"]) == ((), ())
    assert len(changes(judgement=entry(a=1.0, b=0.1).as_accepted()["judgement"])[0]) == 1


def test_changes_of_code_and_cost_are_reported_but_are_not_drift() -> None:
    old = {**OLD, "arms": {"a": {"digest": "1", "cpu_seconds": 1.0}, "b": {"digest": "2", "cpu_seconds": 1.0}}}
    new = {**OLD, "arms": {"a": {"digest": "3", "cpu_seconds": 9.0}, "b": {"digest": "2", "cpu_seconds": 1.0}}}
    result = difference("study/name", old, {**new, "digest": "another"})
    assert result.drift == ()
    assert result.others == (
        "the claim itself differs",
        "the recipe or the code behind a differs",
        "training takes 5.0 times as long per seed",
    )


def test_two_files_are_compared_claim_by_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def save(name: str, **values: float) -> Path:
        claims = (entry("study/one", **values), entry(f"study/{name}", a=0.9, b=0.1))
        Evidence(created="now", provenance={}, claims=claims).save(tmp_path / f"{name}.json")
        return tmp_path / f"{name}.json"

    before, after = save("old", a=0.9, b=0.1), save("new", a=0.1, b=0.9)
    result, removed, new = compare(before, after)
    assert [(d.claim, bool(d.drift)) for d in result] == [("study/one", True)]
    assert (removed, new) == (["study/old"], ["study/new"])
    assert main(["compare", str(before), str(before)]) == 0
    assert main(["compare", str(before), str(after)]) == 1
    output = capsys.readouterr().out
    assert "study/one: was SUPPORTED, is REFUTED" in output
    assert f"study/old: only in {before}" in output
    assert "1 claim in both; the verdict or an effect of 1 of them changed" in output
    fields = dict.fromkeys(("statement", "source", "nodeid", "expect", "sweep", "mutant_of"), "")
    fields |= {"attempt": 1, "revision": 0, "cell": {}, "means": {}, "cost": {}}
    arms = {name: {"recipe": "", **arm} for name, arm in OLD["arms"].items()}
    save_accepted(tmp_path / "accepted.json", {"study/one": {**fields, "weakest": "", **OLD, "arms": arms}})
    assert compare(tmp_path / "accepted.json", before)[0][0].drift == ()
    with pytest.raises(MemkitError, match="does not exist"):
        compare(tmp_path / "none.json", before)
    (tmp_path / "broken.json").write_text("[1")
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        compare(tmp_path / "broken.json", before)


def test_no_effect_leaves_an_infinite_interval() -> None:
    judgement = entry(a=0.9, b=0.1).as_accepted()["judgement"]
    finding = judgement["findings"][0]
    wide = {**finding, "sd": None, "interval": {**finding["interval"], "low": None, "high": None}}
    old = {**OLD, "judgement": {**judgement, "findings": [wide]}}
    assert difference("study/name", old, entry(a=0.5, b=0.4).as_accepted()).effects == ()


def save_of_earlier_rule(path: Path, assume: str, intervals: list[dict[str, Any]]) -> None:
    """Write an accepted.json by the rule of two intervals."""
    finding = {"contrast": "a over b", "role": "contrast", "metric": "accuracy", "assume": assume}
    finding |= {"verdict": "SUPPORTED", "estimate": 0.79, "sesoi": None, "intervals": intervals, "provisional": None}
    judgement = {"verdict": "SUPPORTED", "look": 8, "n": 8, "findings": [finding]}
    fields: dict[str, Any] = dict.fromkeys(("statement", "source", "nodeid", "expect", "sweep", "mutant_of"), "")
    fields |= {"attempt": 1, "revision": 0, "cell": {}, "means": {}, "cost": {}, "weakest": "", "digest": "0" * 32}
    save_accepted(path, {"study/name": {**fields, "arms": {}, "judgement": judgement}})


@pytest.mark.parametrize(("assume", "method"), [("bounded", "betting"), ("normal", "student-t")])
def test_accepted_results_of_the_earlier_rule_are_read_with_the_interval_that_decides_now(
    assume: str, method: str, tmp_path: Path
) -> None:
    path = tmp_path / "accepted.json"
    narrow = {"method": "student-t", "level": 0.99, "low": 0.78, "high": 0.8, "n": 8}
    wide = {"method": "betting", "level": 0.95, "low": 0.1, "high": 0.9, "n": 8}
    save_of_earlier_rule(path, assume, [narrow, wide])
    read = load_accepted(path)["study/name"]
    (finding,) = read["judgement"]["findings"]
    assert finding["interval"] == {"betting": wide, "student-t": narrow}[method]
    later = entry(a=0.86, b=0.1).as_accepted()
    assert len(difference("study/name", read, later).effects) == (1 if assume == "normal" else 0)


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ([], "has no interval"),
        ([{"method": "betting", "low": 0.1}], "'high' is missing"),
        ([{"method": "betting", "low": 0.1, "high": "wide"}], "must be a number"),
        ("none", "must be a list"),
    ],
)
def test_accepted_results_of_the_earlier_rule_with_a_damaged_interval_are_refused(
    intervals: Any, message: str, tmp_path: Path
) -> None:
    save_of_earlier_rule(tmp_path / "accepted.json", "bounded", intervals)
    with pytest.raises(MemkitError, match=message):
        load_accepted(tmp_path / "accepted.json")


def test_drift_is_in_the_file_and_in_the_table() -> None:
    from memkit.evidence.reports import terminal_table

    drifted = replace(entry(a=0.9, b=0.1), drift=("was REFUTED, is SUPPORTED",))
    assert claim_evidence(drifted.to_json()).drift == drifted.drift
    assert any("since the accepted run: was REFUTED" in line for line in terminal_table([drifted], width=100))
