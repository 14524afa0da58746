"""Earlier runs of an attempt: what they allow changed code to do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence import Arm, Claim, Contrast, Observation, Registration, Verdict
from memkit.evidence.attempt import Outcome
from memkit.evidence.earlier_runs import EarlierRuns, record_of, same_values, values_of
from memkit.evidence.gate import mutant_failed
from memkit.evidence.origin import Mutant
from memkit.evidence.registered_judgement import judge_registered
from memkit.evidence.trace import NO_TRACE, Trace

CLAIM = Claim(
    id="study/name",
    statement="A beats chance.",
    arms={"a": Arm()},
    contrasts=(Contrast("a", over=0.5, metric="accuracy", bounds=(0, 1)),),
    test="the test",
)
MUTANT = replace(CLAIM, id="study/name/broken", origin=Mutant("study/name"), expect="not_supported")
HERE, THERE = {"machine": "x86_64"}, {"machine": "arm64"}
REGISTRATION = Registration(status="registered", attempt=1, first_seed=10_000)
GOOD = [0.9 + i / 1000 for i in range(16)]
EVEN = [0.5 + (-1) ** i * 0.3 + i / 1000 for i in range(32)]
BAD = [0.1 + i / 1000 for i in range(16)]


def observations(values: list[float], claim: Claim = CLAIM) -> list[Observation]:
    return [
        Observation(claim=claim.id, seed=10_000 + i, arm="a", metric="accuracy", value=value)
        for i, value in enumerate(values)
    ]


def judged(values: list[float], claim: Claim = CLAIM, registration: Registration = REGISTRATION) -> Any:
    return judge_registered(
        claim, observations(values, claim), planned=range(10_000, 10_032), registration=registration
    )


def record(
    values: list[float],
    code: str = "old",
    platform: dict[str, str] = HERE,
    claim: Claim = CLAIM,
    failures: dict[int, str] | None = None,
) -> dict[str, Any]:
    return record_of(
        claim,
        judged(values, claim),
        observations(values, claim),
        registration=REGISTRATION,
        code=code,
        platform=platform,
        failures=failures or {},
    )


def runs(*records: dict[str, Any], claim: Claim = CLAIM) -> EarlierRuns:
    return EarlierRuns(claim.digest, 10_000, records, is_mutant=claim.is_mutant)


def rows(values: list[float]) -> list[list[Any]]:
    return values_of(CLAIM, observations(values))


def test_without_a_change_of_values_nothing_is_withheld() -> None:
    earlier = runs(record(EVEN))
    for code in ("old", "new"):
        assert earlier.outcome(rows(EVEN), code, HERE) is None
        assert earlier.outcome(rows(EVEN[:8]), code, HERE) is None, "a part of the seeds"
        assert earlier.trace(REGISTRATION, code) == Trace(measured=True)


def test_the_first_values_count_whatever_was_seen_later() -> None:
    undecided = Outcome(verdict="INCONCLUSIVE", n=32)
    for later in ([], [record(GOOD, "new")], [record(GOOD)], [record(GOOD, "new"), record(EVEN)]):
        earlier = runs(record(EVEN), *later)
        assert earlier.outcome(rows(GOOD), "new", HERE) == undecided
        assert earlier.outcome(rows(GOOD), "old", HERE) == undecided, "its data have changed"
        assert earlier.outcome(rows(EVEN), "old", HERE) is None
    assert runs(record(EVEN), record(GOOD, "new")).trace(REGISTRATION, "new").needs_attempt
    assert not runs(record(EVEN), record(GOOD, "new")).trace(REGISTRATION, "newer").needs_attempt, "not measured yet"
    assert not runs(record(EVEN), record(EVEN, "new")).trace(REGISTRATION, "new").needs_attempt
    assert not runs(record(GOOD), record(EVEN, "new")).trace(REGISTRATION, "new").needs_attempt, "it was decided"


def test_further_seeds_of_the_same_code_continue_what_was_found_first() -> None:
    earlier = runs(record(EVEN[:8]), record(EVEN), record(EVEN[:8], "new"))
    assert earlier.outcome(rows(GOOD), "new", HERE) == Outcome(verdict="INCONCLUSIVE", n=32)


def test_on_another_platform_the_same_code_may_give_other_values() -> None:
    earlier = runs(record(EVEN))
    assert earlier.outcome(rows(GOOD), "old", THERE) is None
    assert earlier.outcome(rows(GOOD), "new", THERE) is not None
    nearly = [value * (1 + 1e-9) for value in EVEN]
    assert earlier.outcome(rows(nearly), "new", THERE) is None
    assert earlier.outcome(rows(nearly), "new", HERE) is not None


def test_records_of_another_attempt_or_another_form_do_not_count() -> None:
    other = EarlierRuns(CLAIM.digest, 10_100, [record(EVEN)])
    assert (other.outcome(rows(GOOD), "new", HERE), other.trace(REGISTRATION, "new")) == (None, NO_TRACE)
    assert EarlierRuns("another", 10_000, [record(EVEN)]).outcome(rows(GOOD), "new", HERE) is None


@pytest.mark.parametrize("field", ["digest", "first_seed", "code", "platform", "verdict", "decided", "n", "values"])
def test_records_in_another_form_are_left_out(field: str) -> None:
    good = record(EVEN)
    assert (
        runs({**good, field: None}, {k: v for k, v in good.items() if k != field}).trace(REGISTRATION, "") == NO_TRACE
    )
    assert runs({**good, "values": [[1, "a"]]}).trace(REGISTRATION, "") == NO_TRACE


@pytest.mark.parametrize(
    ("records", "failed_only"),
    [
        ([], False),
        ([record([], failures={10_000: "OSError: no such file"})], True),
        ([record([], failures={10_000: "assert 0.3 > 0.5"})], False),
        ([record([], failures={10_000: "accuracy of 'a' is 1.5, outside the declared bounds (0, 1)"})], False),
        ([record([], failures={10_000: "OSError"}), record(EVEN)], False),
        ([record([], failures={10_000: "OSError"}), record([], failures={10_000: "AssertionError"})], False),
        ([record(EVEN[:1], failures={10_001: "OSError"})], False),
    ],
)
def test_only_harness_errors_leave_an_attempt_unmeasured(records: list[dict[str, Any]], failed_only: bool) -> None:
    assert runs(*records).trace(REGISTRATION, "new").failed_only is failed_only


def test_a_mutant_has_to_fail_again() -> None:
    def found(values: list[float]) -> Outcome:
        outcome = runs(record(values, claim=MUTANT), claim=MUTANT).outcome(rows([0.3] * 32), "new", HERE)
        assert outcome is not None
        return outcome

    for values, again, verdict, fails in (
        (BAD, BAD, "INCONCLUSIVE", True),
        (BAD, EVEN, "INCONCLUSIVE", False),
        (EVEN, BAD, "INCOMPLETE", False),  # it was merely undecided
        (GOOD, BAD, "INCOMPLETE", False),  # the measurement did not notice the break
    ):
        registration = replace(REGISTRATION, recorded=found(values))
        judgement = judged([value + 0.001 for value in again], MUTANT, registration)
        assert (judgement.verdict.value, mutant_failed(judgement)) == (verdict, fails)


VERDICTS = {"SUPPORTED": GOOD, "REFUTED": BAD, "INCONCLUSIVE": EVEN}


@pytest.mark.parametrize("before", ["SUPPORTED", "REFUTED", "EQUIVALENT", "INCONCLUSIVE"])
@pytest.mark.parametrize("now", VERDICTS)
def test_changed_code_reaches_no_verdict_that_was_not_reached_before(before: str, now: str) -> None:
    registration = replace(REGISTRATION, recorded=Outcome(verdict=before, n=8))
    verdict = judged(VERDICTS[now], registration=registration).verdict
    expected = Verdict.INCOMPLETE if before == "INCONCLUSIVE" else now if now == before else Verdict.INCONCLUSIVE
    assert verdict == expected
    assert judged(VERDICTS[now], registration=replace(registration, same_values=True)).verdict == now
    assert judged(VERDICTS[now][:3], registration=registration).verdict is Verdict.INCOMPLETE


NUMBERS = st.none() | st.floats(-1, 1)
ROWS = st.dictionaries(st.integers(0, 5), NUMBERS, min_size=1).map(
    lambda values: [(seed, "a", "accuracy", value) for seed, value in values.items()]
)


@given(ROWS, ROWS)
def test_values_are_the_same_if_they_agree_on_the_seeds_of_both(one: list[Any], other: list[Any]) -> None:
    first, second = ({row[0]: row[3] for row in rows} for rows in (one, other))
    common = first.keys() & second.keys()
    agree = all(first[seed] == second[seed] for seed in common)
    assert same_values(one, other, exactly=True) is (bool(common) and agree)
    assert same_values(one, other, exactly=True) is same_values(other, one, exactly=True)
    assert same_values(one, one, exactly=True)


def test_values_that_are_not_finite_are_kept_as_none() -> None:
    assert rows([math.nan, 0.5])[0] == [10_000, "a", "accuracy", None]
