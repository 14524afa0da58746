"""Combination of laboratories: products on disjoint seeds, means on the same ones, and nothing else."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Evidence, Gate, Lock, Observation, Registration, judge
from memkit.evidence.attempt import Outcome
from memkit.evidence.combination import combination_lines, combine

CLAIM = Claim(
    id="study/name",
    statement="A beats chance.",
    arms={"a": Arm()},
    contrasts=(Contrast("a", over=0.5, metric="accuracy", bounds=(0, 1)),),
    deterministic=True,
    test="the test",
)


def run(values: list[float], first_seed: int, laboratory: str = "", claim: Claim = CLAIM, attempt: int = 1) -> Evidence:
    seeds = tuple(range(first_seed, first_seed + len(values)))
    observations = tuple(
        Observation(claim=claim.id, seed=seed, arm="a", metric="accuracy", value=value)
        for seed, value in zip(seeds, values, strict=True)
    )
    registration = Registration(status="registered", attempt=attempt, first_seed=first_seed, laboratory=laboratory)
    entry = ClaimEvidence(
        claim=claim,
        nodeid="test_it.py::test_it",
        registration=registration,
        planned=seeds,
        observations=observations,
        judgement=judge(claim, observations, planned=seeds),
        gate=Gate("passed", ""),
    )
    return Evidence(created="2026-01-31T12:00:00", provenance={}, claims=(entry,))


def e(evidence: Evidence) -> float:
    value = evidence.claims[0].e_value
    assert value is not None
    return value


GOOD, FAIR = [0.9, 0.8] * 4, [0.6, 0.5] * 4


def test_e_values_on_disjoint_seeds_are_multiplied_and_those_on_the_same_seeds_averaged() -> None:
    a, b, again = run(GOOD, 10_000), run(FAIR, 10_010_000, "oslo"), run(FAIR, 10_000)
    (product,), left_out = combine({"a": a, "b": b}, None)
    assert (product.e_value, product.repeated, left_out) == (pytest.approx(e(a) * e(b)), False, [])
    (mean,), _ = combine({"a": a, "again": again}, None)
    assert (mean.e_value, mean.repeated) == (pytest.approx((e(a) + e(again)) / 2), True)
    (mixed,), _ = combine({"a": a, "b": b, "again": again}, None)
    assert mixed.e_value == pytest.approx((e(a) + e(again)) / 2 * e(b))
    text = "\n".join(combination_lines([mixed], ["study/other"]))
    assert "averaged over runs on the same seeds" in text
    assert "not combined, since not every file has an e-value: study/other" in text


@given(st.permutations(["a", "b", "c"]))
def test_the_order_of_the_files_does_not_matter(order: list[str]) -> None:
    files = {"a": run(GOOD, 10_000), "b": run(FAIR, 10_010_000, "oslo"), "c": run(GOOD, 20_010_000, "zurich")}
    (expected,), _ = combine(files, None)
    (found,), _ = combine({name: files[name] for name in order}, None)
    assert math.isclose(found.e_value, expected.e_value)


def test_a_claim_that_is_false_in_all_laboratories_has_a_mean_of_at_most_1() -> None:
    """Enumerate all values 0 and 1 with a mean of a half, in two laboratories of six seeds."""
    samples = [list(map(float, values)) for values in itertools.product([0, 1], repeat=6)]
    first = [run(values, 10_000) for values in samples]
    second = [run(values, 10_010_000, "oslo") for values in samples]
    total = sum(combine({"a": a, "b": b}, None)[0][0].e_value for a in first for b in second)
    assert total / len(samples) ** 2 == pytest.approx(1)


other = replace(CLAIM, contrasts=(replace(CLAIM.contrasts[0], margin=0.1),))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": run(GOOD, 10_000)}, "give at least two evidence files"),
        (
            {"a": run(GOOD, 10_000), "b": run(GOOD, 10_002)},
            "claim 'study/name': a and b share 6 of their seeds; runs must have the same seeds, or none in common",
        ),
        (
            {"a": run(GOOD, 10_000), "b": run(GOOD, 10_010_000, "oslo", other)},
            f"claim 'study/name' has the digest {CLAIM.digest} in a and {other.digest} in b; only runs of one form",
        ),
        (
            {"a": run(GOOD, 10_000), "b": run(GOOD, 10_010_000, "oslo", attempt=2)},
            "claim 'study/name' is at attempt 1 in a and at attempt 2 in b; attempts are never combined",
        ),
    ],
)
def test_runs_that_cannot_be_combined_are_refused_with_a_sentence(files: dict[str, Evidence], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        combine(files, None)


def outcome(evidence: Evidence, **changes: Any) -> Outcome:
    entry = evidence.claims[0]
    return replace(Outcome(verdict=entry.verdict, n=entry.judgement.n, observations=entry.observed), **changes)


def test_all_recorded_runs_are_combined_or_none() -> None:
    a, b, c = run(GOOD, 10_000), run(FAIR, 10_010_000, "oslo"), run(GOOD, 20_010_000, "zurich")
    lock = Lock().granting("oslo").granting("zurich").register([CLAIM])

    def recorded(**runs: Outcome) -> Lock:
        entry = lock.claims[CLAIM.id]
        for laboratory, found in runs.items():
            entry = entry.recorded(found, laboratory.replace("project", ""))
        return replace(lock, claims={CLAIM.id: entry})

    assert combine({"a": a, "b": b}, lock)[0], "nothing is recorded yet"
    everything = recorded(project=outcome(a), oslo=outcome(b), zurich=outcome(c))
    assert combine({"a": a, "b": b, "c": c}, everything)[0]
    for files, missing in (({"a": a, "b": b}, "laboratory 'zurich'"), ({"b": b, "c": c}, "the project")):
        with pytest.raises(MemkitError, match=f"the lock records a run of {missing}, which is not among the files"):
            combine(files, everything)
    with pytest.raises(MemkitError, match="the observations in b are not those that the lock records for laboratory"):
        combine({"a": a, "b": b}, recorded(oslo=outcome(c)))
    with pytest.raises(MemkitError, match="is not registered in the lock in the form of these files"):
        combine({"a": a, "b": b}, Lock())


def test_claims_without_an_e_value_in_every_file_are_left_out() -> None:
    a, b = run(GOOD, 10_000), run(GOOD[:5], 10_010_000, "oslo")
    assert combine({"a": a, "b": b}, None) == ([], ["study/name"])
    assert combine({"a": a, "b": replace(b, claims=())}, None) == ([], ["study/name"])
