"""The gate: the outcome for every combination of expectation, verdict and registration."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from memkit.evidence import EXPECTATIONS, Arm, Claim, Contrast, Judgement, Registration, Verdict, gate
from memkit.evidence.gate import apply_strict_mode, mutant_failed
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
    decided_at = None if verdict in (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE) else 32
    return Judgement(verdict=verdict, n=32, findings=(), **{"decided_at": decided_at, **options})


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


def test_normal_theory_gates_like_any_other_claim() -> None:
    claim = replace(make(), contrasts=(replace(OVER, assume="normal"),))
    assert outcome(claim, judgement_of(Verdict.REFUTED))[0] == "failed"
    assert outcome(claim, judgement_of(Verdict.SUPPORTED))[0] == "passed"
    assert outcome(replace(claim, gate=False), judgement_of(Verdict.REFUTED))[0] == "skipped"


@pytest.mark.parametrize("seeds", [None, 60])
def test_a_claim_that_is_not_supported_on_fewer_seeds_than_declared_gates_nothing(seeds: int | None) -> None:
    claim = make("not_supported", seeds=seeds)
    judgement = replace(judgement_of(Verdict.INCONCLUSIVE), n=16)
    result = gate(claim, judgement, registration=REGISTERED, failures={})
    assert (result.outcome, f"only 16 of {seeds or 32} seeds" in result.reason) == ("skipped", True)
    assert apply_strict_mode(result, claim, judgement, registration=REGISTERED).outcome == "failed"
    decided = replace(judgement_of(Verdict.REFUTED), n=16)
    assert outcome(claim, decided)[0] == "passed"
    enough = replace(judgement, n=seeds or 32)
    assert outcome(claim, enough)[0] == "passed"


def test_a_futile_claim_fails_with_its_note() -> None:
    note = "stopped at 16 of 32 seeds"
    result, reason = outcome(make(), judgement_of(Verdict.INCONCLUSIVE, notes=(note,)))
    assert (result, note in reason) == ("failed", True)


def test_only_a_gate_on_drift_fails_for_drift() -> None:
    result = {
        mode: outcome(make(), judgement_of(Verdict.SUPPORTED), mode=mode, drift=("a over b was +0.8, is +0.2",))
        for mode in ("verdict", "drift", "none")
    }
    assert [outcome for outcome, _ in result.values()] == ["passed", "failed", "skipped"]
    assert "drift since the accepted run: a over b was +0.8, is +0.2" in result["drift"][1]
    assert outcome(make(), judgement_of(Verdict.SUPPORTED), mode="drift")[0] == "passed"
    assert outcome(make("open"), judgement_of(Verdict.SUPPORTED), mode="drift", drift=("x",))[0] == "skipped"


def test_a_mutant_passes_if_it_failed_clearly() -> None:
    for decided_at, verdict, passes in [
        (8, Verdict.REFUTED, True),
        (8, Verdict.EQUIVALENT, True),
        (24, Verdict.INCONCLUSIVE, True),
        (None, Verdict.INCONCLUSIVE, False),
        (8, Verdict.SUPPORTED, False),
    ]:
        judgement = judgement_of(verdict, decided_at=decided_at)
        assert mutant_failed(judgement) is passes
        result, reason = outcome(make("not_supported", origin=Mutant("study/other")), judgement)
        assert result == ("passed" if passes else "failed")
        assert ("not clear enough" in reason) is (decided_at is None)


def test_a_mutant_that_is_merely_undecided_has_not_failed() -> None:
    """Its remaining effect of 0.4 would matter; one of −0.02 is shown to be smaller than the sesoi of 0.3."""
    options = {"expect": "not_supported", "origin": Mutant("study/other"), "contrast": replace(OVER, sesoi=0.3)}
    clear = entry(a=0.1, b=0.12, n=32, **options)
    assert mutant_failed(clear.judgement)
    assert clear.gate.outcome == "passed"
    undecided = entry(a=0.5, b=0.1, n=8, **options)
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert not mutant_failed(undecided.judgement)
    assert (undecided.gate.outcome, "not clear enough" in undecided.gate.reason) == ("failed", True)
