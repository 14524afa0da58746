"""What a verdict means for the run: the whole table."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from memkit.evidence import EXPECTATIONS, Arm, Claim, Contrast, Judgement, Registration, Verdict, gate
from memkit.evidence.gate import fell
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


def judged(verdict: Verdict, **options: Any) -> Judgement:
    return Judgement(verdict=verdict, look=32, n=32, findings=(), **options)


def outcome(claim: Claim, judgement: Judgement, **options: Any) -> tuple[str, str]:
    options = {"registration": REGISTERED, "failures": {}, **options}
    found = gate(claim, judgement, **options)
    return found.outcome, found.reason


PASSING = {
    ("supported", Verdict.SUPPORTED),
    ("refuted", Verdict.REFUTED),
    ("equivalent", Verdict.EQUIVALENT),
    ("not_supported", Verdict.REFUTED),
    ("not_supported", Verdict.EQUIVALENT),
    ("not_supported", Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, DECIDED)))
def test_expectation_against_verdict(expect: str, verdict: Verdict) -> None:
    found, reason = outcome(make(expect), judged(verdict))
    if expect == "open":
        assert found == "skipped"
        assert "gates nothing" in reason
    else:
        assert found == ("passed" if (expect, verdict) in PASSING else "failed")
        assert reason == f"expected {expect.replace('_', ' ')}, found {verdict}"
    assert str(verdict) in reason


@pytest.mark.parametrize("expect", EXPECTATIONS)
def test_incomplete_never_passes(expect: str) -> None:
    found, reason = outcome(make(expect), judged(Verdict.INCOMPLETE, notes=("precondition not met: c over 0.2",)))
    assert found == ("skipped" if expect == "open" else "failed")
    assert reason == "INCOMPLETE: precondition not met: c over 0.2"


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, Verdict)))
def test_a_claim_that_gates_nothing_is_skipped(expect: str, verdict: Verdict) -> None:
    assert outcome(make(expect, gate=False), judged(verdict))[0] == "skipped"


@pytest.mark.parametrize(
    ("expect", "verdict", "registration"),
    list(itertools.product(EXPECTATIONS, Verdict, [REGISTERED, CHANGED, WITHHELD, REWORDED])),
)
def test_gate_none_lets_no_verdict_fail(expect: str, verdict: Verdict, registration: Registration) -> None:
    found, reason = outcome(make(expect), judged(verdict), mode="none", registration=registration)
    assert found == "skipped"
    assert str(verdict) in reason


@pytest.mark.parametrize("mode", ["verdict", "drift", "none"])
@pytest.mark.parametrize("expect", EXPECTATIONS)
def test_a_failed_seed_always_fails_the_run(expect: str, mode: Any) -> None:
    for judgement in (judged(Verdict.SUPPORTED), judged(Verdict.INCOMPLETE, missing=(10_003,))):
        found, reason = outcome(
            make(expect), judgement, failures={10_005: "later", 10_003: "ValueError: no"}, mode=mode
        )
        assert found == "failed"
        assert reason == "seed 10003 and 1 more failed: ValueError: no"
    assert outcome(make(), judged(Verdict.SUPPORTED), failures={3: "no"})[1] == "seed 3 failed: no"


@pytest.mark.parametrize(("expect", "verdict"), list(itertools.product(EXPECTATIONS, Verdict)))
def test_a_changed_claim_passes_with_no_verdict(expect: str, verdict: Verdict) -> None:
    for claim in (make(expect), make(expect, gate=False)):  # nor where the edit says that it gates nothing
        for judgement in (judged(verdict), judged(verdict, missing=(10_003,)), judged(verdict, indication=verdict)):
            for registration in (CHANGED, WITHHELD):
                found, reason = outcome(claim, judgement, registration=registration)
                assert found == "failed"
                assert "`memkit register` moves it to fresh seeds" in reason
            found, reason = outcome(claim, judgement, registration=REWORDED)
            assert found == "failed"
            assert reason == (
                f"{verdict}, but its statement was edited since it was registered; `memkit register` registers the "
                "edit, which costs no attempt"
            )


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        ("source", "its source was edited"),
        ("seeds", "its seeds were edited"),
        ("statement, seeds", "its statement and seeds were edited"),
        ("statement, source, headline", "its statement, source and headline were edited"),
    ],
)
def test_a_sentence_names_what_was_edited(edited: str, said: str) -> None:
    found = outcome(make(), judged(Verdict.SUPPORTED), registration=replace(REWORDED, edited=edited))
    assert said in found[1]


def test_missing_seeds_are_named_and_skip() -> None:
    missing = (10_001, 10_003, 10_004, 10_005, 10_009)
    for registration in (REGISTERED, UNREGISTERED):
        found, reason = outcome(make(), judged(Verdict.INCOMPLETE, missing=missing), registration=registration)
        assert (found, reason) == ("skipped", "INCOMPLETE: not run: seeds 10001, 10003–10005, 10009")


@pytest.mark.parametrize("indication", Verdict)
def test_seeds_that_decide_nothing_gate_nothing(indication: Verdict) -> None:
    verdict = Verdict.INCOMPLETE if indication is Verdict.INCOMPLETE else Verdict.INCONCLUSIVE
    judgement = judged(verdict, indication=indication, notes=("12 seeds decide nothing",))
    for registration in (REGISTERED, *(replace(one, first_seed=0) for one in (CHANGED, REWORDED))):  # --development
        found, reason = outcome(make(), judgement, registration=registration)
        assert found == "skipped"
        assert reason.startswith(str(verdict))
        assert "12 seeds decide nothing" in reason
        assert str(indication) in reason
    found, reason = outcome(make(), judgement, registration=UNREGISTERED)
    assert found == "skipped"
    assert "not registered, run `memkit register`" in reason


def test_normal_theory_gates_only_when_asked() -> None:
    normal = (replace(OVER, assume="normal"),)
    claim = replace(make(), contrasts=normal)
    assert outcome(claim, judged(Verdict.REFUTED))[0] == "skipped"
    assert outcome(replace(claim, gate=True), judged(Verdict.REFUTED))[0] == "failed"
    assert outcome(replace(claim, gate=True), judged(Verdict.SUPPORTED))[0] == "passed"


def test_a_gate_on_drift_fails_for_it_and_no_other_gate_does() -> None:
    found = {
        mode: outcome(make(), judged(Verdict.SUPPORTED), mode=mode, drift=("a over b was +0.8, is +0.2",))
        for mode in ("verdict", "drift", "none")
    }
    assert [outcome for outcome, _ in found.values()] == ["passed", "failed", "skipped"]
    assert "drift since the accepted run: a over b was +0.8, is +0.2" in found["drift"][1]
    assert outcome(make(), judged(Verdict.SUPPORTED), mode="drift")[0] == "passed"
    assert outcome(make("open"), judged(Verdict.SUPPORTED), mode="drift", drift=("x",))[0] == "skipped"


def test_a_mutant_that_is_merely_undecided_has_not_fallen() -> None:
    """What is left of its effect, 0.4 with any number of seeds, would matter; 0.02 would not."""
    assert fell(entry(a=0.12, b=0.1).judgement)
    assert fell(entry(a=0.0, b=0.9).judgement)
    still = entry(a=0.5, b=0.1)
    still = replace(still, claim=replace(still.claim, seeds=8))
    assert still.verdict is Verdict.INCONCLUSIVE
    assert not fell(still.judgement)
    mutant = replace(still.claim, expect="not_supported", origin=Mutant("study/other"))
    found = gate(mutant, still.judgement, registration=REGISTERED, failures={})
    assert (found.outcome, "not clear enough" in found.reason) == ("failed", True)
    assert gate(replace(mutant, origin=None), still.judgement, registration=REGISTERED, failures={}).outcome == "passed"
