"""E-values: the capital for what was registered, valid at the n of the verdict."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence import Arm, Claim, Contrast, Lock, Observation, judge
from memkit.evidence.attempt import Attempt, Outcome
from memkit.evidence.e_values import e_value, recorded_e_values, weighted_sum
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.gate import Gate
from memkit.evidence.origin import Mutant
from memkit.evidence.registration import Registration

OVER_HALF = Contrast("a", over=0.5, metric="accuracy", bounds=(0, 1), sesoi=0.2)
OVER_FIFTH = replace(OVER_HALF, over=0.2)
CONTROL = Contrast("control", over=0.1, metric="accuracy", bounds=(0, 1))


def make(expect: str = "supported", **options: Any) -> Claim:
    fields: dict[str, Any] = {"contrasts": (OVER_HALF, OVER_FIFTH)}
    if expect == "equivalent":
        fields["positive_control"] = CONTROL
    return Claim(
        id="study/name",
        statement="A is good.",
        arms={"a": Arm(), "control": Arm()},
        expect=expect,
        deterministic=True,
        **{**fields, **options},
    )


def judged(claim: Claim, values: list[float], **options: Any) -> Any:
    observations = [
        Observation(claim=claim.id, seed=seed, arm=arm, metric="accuracy", value=value if arm == "a" else 1.0)
        for seed, value in enumerate(values)
        for arm in claim.arms
    ]
    return judge(claim, observations, planned=range(32), **options)


def capital(values: list[float], over: float) -> float:
    """Return the capital as the documentation states it."""
    factors = [[1 + 0.7**j * (x - over) / over for x in values] for j in range(50)]
    return sum(2.0 ** -(j + 1) * math.prod(row) for j, row in enumerate(factors))


def mirror(values: list[float], over: float) -> float:
    return capital([1 - x for x in values], 1 - over)


def test_the_e_value_is_for_the_registered_expectation_at_the_n_of_the_verdict() -> None:
    values = [0.9] * 32
    supported = judged(make(), values)
    used = values[: supported.n]
    assert supported.n < 32
    assert e_value(make(), supported) == pytest.approx(min(capital(used, 0.5), capital(used, 0.2)))
    refuted = judged(make("refuted"), [0.05] * 32)
    used = [0.05] * refuted.n
    assert e_value(make("refuted"), refuted) == pytest.approx((mirror(used, 0.5) + mirror(used, 0.2)) / 2)
    both = (e_value(make(), refuted), e_value(make("refuted"), refuted))
    assert e_value(make("open"), refuted) == pytest.approx(sum(value / 2 for value in both if value is not None))
    one = make("equivalent", contrasts=(OVER_HALF,))
    equivalent = judged(one, [0.5] * 32)
    sides = capital([0.5] * equivalent.n, 0.3), mirror([0.5] * equivalent.n, 0.7)
    assert e_value(one, equivalent) == pytest.approx(min(sides))


def test_an_undecided_claim_has_the_e_value_at_the_last_n() -> None:
    values = [0.45, 0.55] * 4
    assert e_value(make(), judged(make(), [0.9] * 3)) is None, "seeds are missing"
    claim = make(contrasts=(replace(OVER_HALF, sesoi=None),))
    judgement = judge(
        claim,
        [Observation(claim=claim.id, seed=i, arm="a", metric="accuracy", value=x) for i, x in enumerate(values)],
        planned=range(8),
    )
    assert e_value(claim, judgement) == pytest.approx(capital(values, 0.5))


def test_claims_that_cannot_have_one_have_none() -> None:
    values = [0.9] * 32
    judgement = judged(make(), values)
    assert e_value(make("not_supported"), judgement) is None
    assert e_value(replace(make(), origin=Mutant("study/other")), judgement) is None
    assert e_value(make(), judged(make(), values, development=True)) is None
    by_t = make(contrasts=(replace(OVER_HALF, assume="normal"),))
    assert e_value(by_t, judged(by_t, [0.8 + seed % 3 / 100 for seed in range(32)])) is None


@given(st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from(["supported", "refuted", "open"]))
def test_the_mean_of_a_false_claim_is_at_most_1(mean: float, expect: str) -> None:
    """Enumerate all sequences of values 0 and 1 with the mean at the margin, and stop at the first n that decides."""
    claim = make(expect, contrasts=(Contrast("a", over=mean, metric="accuracy", bounds=(0, 1)),))
    total = 0.0
    for values in itertools.product([0.0, 1.0], repeat=8):
        judgement = judge(
            claim,
            [Observation(claim=claim.id, seed=i, arm="a", metric="accuracy", value=x) for i, x in enumerate(values)],
            planned=range(8),
        )
        value = e_value(claim, judgement)
        assert value is not None
        total += value * math.prod(mean if x else 1 - mean for x in values)
    assert total == pytest.approx(1)


@given(st.lists(st.none() | st.floats(0, 1e6)))
def test_attempts_weigh_less_and_less(e_values: list[float | None]) -> None:
    ones = weighted_sum([1.0] * len(e_values))
    assert ones == 1 - 2.0 ** -len(e_values)
    assert weighted_sum(e_values) <= ones * max([e or 0.0 for e in e_values], default=0.0) * (1 + 1e-12)


def test_attempts_that_left_no_measurement_do_not_count() -> None:
    attempts = [
        Attempt(block=0, outcome=Outcome(verdict="REFUTED", e_value=0.5)),
        Attempt(block=1, unmeasured=True),
        Attempt(block=2),
        Attempt(block=3, outcome=Outcome(verdict="SUPPORTED", e_value=80.0)),
    ]
    assert recorded_e_values(attempts) == [0.5, None, 80.0]


def test_the_lock_knows_the_e_values_of_all_claims_that_were_ever_registered() -> None:
    claim, other = make(), replace(make(), id="study/other", test="another")
    lock = Lock().register([claim, other])
    outcome = Outcome(verdict="SUPPORTED", n=8, e_value=48.0)
    lock = replace(lock, claims={**lock.claims, claim.id: lock.claims[claim.id].recorded(outcome)})
    assert lock.e_values() == {claim.id: 24.0, other.id: 0.0}
    assert lock.remove([claim.id]).e_values() == lock.e_values(), "a removed claim was registered, too"
    renamed = lock.remove([claim.id]).register([replace(claim, id="study/renamed")])
    assert renamed.e_values() == {other.id: 0.0, "study/renamed": 0.0}, "the same claim, at its second attempt"


def test_changed_code_cannot_raise_an_e_value() -> None:
    claim = make()
    judgement = judged(claim, [0.9] * 32)
    registration = Registration(status="registered", attempt=1, first_seed=0)
    entry = ClaimEvidence(
        claim=claim,
        nodeid="test_it.py::test_it",
        registration=registration,
        planned=tuple(range(32)),
        observations=(),
        judgement=judgement,
        gate=Gate("passed", ""),
    )
    assert entry.e_value is not None
    recorded = Outcome(verdict="SUPPORTED", n=8, e_value=40.5)
    confirmed = replace(entry, registration=replace(registration, recorded=recorded))
    assert confirmed.e_value == 40.5 < entry.e_value
    assert replace(confirmed, registration=replace(confirmed.registration, same_values=True)).e_value == entry.e_value
    assert replace(confirmed, judgement=replace(judgement, decided_at=None)).e_value is None
