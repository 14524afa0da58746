"""The gate: the outcome for every combination of expectation, verdict and registration."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from memkit.evidence import EXPECTATIONS, Arm, Claim, Contrast, Judgement, Registration, Verdict, gate
from memkit.evidence.gate import mutant_failed
from memkit.evidence.origin import Mutant
from tests.evidence.entries import entry

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), sesoi=0.2)
REGISTERED = Registration(status="registered", attempt=1, first_seed=10_000)
CHANGED = Registration(status="changed", attempt=1, first_seed=10_000)
WITHHELD = Registration(status="changed", attempt=1, first_seed=0, withheld=True)
REWORDED = Registration(status="reworded", attempt=1, first_seed=10_000, edited="statement")
UNREGISTERED = Registration(status="unregistered", attempt=0, first_seed=0)
DECIDED = (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)


def make(expect: str = "supported", **options: Any) -> Claim:
    arms = {"a": Arm(), "b": Arm()}
    return Claim(
        id="s/n",
        statement="A.",
        arms=arms,
        contrasts=(OVER,),
        expect=expect,
        positive_control=OVER,
        **options,
    )


def judgement_of(verdict: Verdict, **options: Any) -> Judgement:
    return Judgement(verdict=verdict, look=32, n=32, findings=(), **options)


def outcome(claim: Claim, judgement: Judgement, **options: Any) -> tuple[str, str]:
    options = {"registration": REGISTERED, "failures": {}, **options}
    result = gate(claim, judgement, **options)
    return result.outcome, result.reason


PASSING = {
    ("supported", Verdict.SUPPORTED),
    ("refuted", Verdict.REFUTED),
    ("equivalent", Verdict.EQUIVALENT),
    ("not_supported", Verdict.REFUTED),
    ("not_supported", Verdict.EQUIVALENT),
    ("not_supported", Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, DECIDED)))
def test_a_claim_passes_if_its_verdict_agrees_with_the_expectation(expect: str, verdict: Verdict) -> None:
    result, reason = outcome(make(expect), judgement_of(verdict))
    if expect == "open":
        assert result == "skipped"
        assert "gates nothing" in reason
    else:
        assert result == ("passed" if (expect, verdict) in PASSING else "failed")
        assert reason == f"expected {expect.replace('_', ' ')}, found {verdict}"
    assert str(verdict) in reason


@pytest.mark.parametrize("expect", EXPECTATIONS)
def test_incomplete_never_passes(expect: str) -> None:
    result, reason = outcome(
        make(expect), judgement_of(Verdict.INCOMPLETE, notes=("precondition not met: c over 0.2",))
    )
    assert result == ("skipped" if expect == "open" else "failed")
    assert reason == "INCOMPLETE: precondition not met: c over 0.2"


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, Verdict)))
def test_a_claim_that_gates_nothing_is_skipped(expect: str, verdict: Verdict) -> None:
    assert outcome(make(expect, gate=False), judgement_of(verdict))[0] == "skipped"


@pytest.mark.parametrize(
    ("expect", "verdict", "registration"),
    list(itertools.product(EXPECTATIONS, Verdict, [REGISTERED, CHANGED, WITHHELD, REWORDED])),
)
def test_gate_none_lets_no_verdict_fail(expect: str, verdict: Verdict, registration: Registration) -> None:
    result, reason = outcome(make(expect), judgement_of(verdict), mode="none", registration=registration)
    assert result == "skipped"
    assert str(verdict) in reason


@pytest.mark.parametrize("mode", ["verdict", "drift", "none"])
@pytest.mark.parametrize("expect", EXPECTATIONS)
def test_a_failed_seed_always_fails_the_run(expect: str, mode: Any) -> None:
    for judgement in (judgement_of(Verdict.SUPPORTED), judgement_of(Verdict.INCOMPLETE, missing=(10_003,))):
        result, reason = outcome(
            make(expect), judgement, failures={10_005: "later", 10_003: "ValueError: no"}, mode=mode
        )
        assert result == "failed"
        assert reason == "seed 10003 and 1 more failed: ValueError: no"
    assert outcome(make(), judgement_of(Verdict.SUPPORTED), failures={3: "no"})[1] == "seed 3 failed: no"


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, Verdict)))
def test_a_changed_claim_does_not_pass_with_any_verdict(expect: str, verdict: Verdict) -> None:
    for claim in (make(expect), make(expect, gate=False)):  # even if the edit switches the gate off
        for judgement in (
            judgement_of(verdict),
            judgement_of(verdict, missing=(10_003,)),
            judgement_of(verdict, indication=verdict),
        ):
            for registration in (CHANGED, WITHHELD):
                result, reason = outcome(claim, judgement, registration=registration)
                assert result == "failed"
                assert "`memkit register` moves it to fresh seeds" in reason
            result, reason = outcome(claim, judgement, registration=REWORDED)
            assert result == "failed"
            assert reason == (
                f"{verdict}, but its statement was edited since it was registered; `memkit register` registers the "
                "edit, which costs no attempt"
            )


@pytest.mark.parametrize(
    ("edited", "sentence"),
    [
        ("source", "its source was edited"),
        ("seeds", "its seeds were edited"),
        ("statement, seeds", "its statement and seeds were edited"),
        ("statement, source, headline", "its statement, source and headline were edited"),
    ],
)
def test_a_sentence_names_what_was_edited(edited: str, sentence: str) -> None:
    result = outcome(make(), judgement_of(Verdict.SUPPORTED), registration=replace(REWORDED, edited=edited))
    assert sentence in result[1]


def test_missing_seeds_are_named_and_skip() -> None:
    missing = (10_001, 10_003, 10_004, 10_005, 10_009)
    for registration in (REGISTERED, UNREGISTERED):
        result, reason = outcome(make(), judgement_of(Verdict.INCOMPLETE, missing=missing), registration=registration)
        assert (result, reason) == ("skipped", "INCOMPLETE: not run: seeds 10001, 10003–10005, 10009")


@pytest.mark.parametrize("indication", Verdict)
def test_seeds_that_decide_nothing_gate_nothing(indication: Verdict) -> None:
    verdict = Verdict.INCOMPLETE if indication is Verdict.INCOMPLETE else Verdict.INCONCLUSIVE
    judgement = judgement_of(verdict, indication=indication, notes=("12 seeds decide nothing",))
    for registration in (REGISTERED, *(replace(one, first_seed=0) for one in (CHANGED, REWORDED))):  # --development
        result, reason = outcome(make(), judgement, registration=registration)
        assert result == "skipped"
        assert reason.startswith(str(verdict))
        assert "12 seeds decide nothing" in reason
        assert str(indication) in reason
    result, reason = outcome(make(), judgement, registration=UNREGISTERED)
    assert result == "skipped"
    assert "not registered, run `memkit register`" in reason


def test_normal_theory_gates_only_when_asked() -> None:
    normal = (replace(OVER, assume="normal"),)
    claim = replace(make(), contrasts=normal)
    assert outcome(claim, judgement_of(Verdict.REFUTED))[0] == "skipped"
    assert outcome(replace(claim, gate=True), judgement_of(Verdict.REFUTED))[0] == "failed"
    assert outcome(replace(claim, gate=True), judgement_of(Verdict.SUPPORTED))[0] == "passed"


def test_only_a_gate_on_drift_fails_for_drift() -> None:
    result = {
        mode: outcome(make(), judgement_of(Verdict.SUPPORTED), mode=mode, drift=("a over b was +0.8, is +0.2",))
        for mode in ("verdict", "drift", "none")
    }
    assert [outcome for outcome, _ in result.values()] == ["passed", "failed", "skipped"]
    assert "drift since the accepted run: a over b was +0.8, is +0.2" in result["drift"][1]
    assert outcome(make(), judgement_of(Verdict.SUPPORTED), mode="drift")[0] == "passed"
    assert outcome(make("open"), judgement_of(Verdict.SUPPORTED), mode="drift", drift=("x",))[0] == "skipped"


def test_a_mutant_that_is_merely_undecided_has_not_failed() -> None:
    """Its remaining effect of 0.4 would matter; one of 0.02 would not."""
    assert mutant_failed(entry(a=0.12, b=0.1).judgement)
    assert mutant_failed(entry(a=0.0, b=0.9).judgement)
    undecided = entry(a=0.5, b=0.1)
    undecided = replace(undecided, claim=replace(undecided.claim, seeds=8))
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert not mutant_failed(undecided.judgement)
    mutant = replace(undecided.claim, expect="not_supported", origin=Mutant("study/other"))
    result = gate(mutant, undecided.judgement, registration=REGISTERED, failures={})
    assert (result.outcome, "not clear enough" in result.reason) == ("failed", True)
    assert (
        gate(replace(mutant, origin=None), undecided.judgement, registration=REGISTERED, failures={}).outcome
        == "passed"
    )
