"""Looks: the first n that decides, missing seeds, futility, continuation, and which seeds a run needs next."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.evidence import Claim, Contrast, Judgement, Observation, Verdict, judge, next_seeds
from memkit.evidence.decision_rule import judgements_at_looks
from memkit.evidence.origin import Mutant
from memkit.statistics import Thresholds

from .planted import FIRST, OVER, around, constant, make, observations_of, planned

CONTRASTS = {
    "bounded": OVER,
    "equivalence": replace(OVER, sesoi=0.4),
    "normal theory": replace(OVER, assume="normal"),
    "unbounded": replace(OVER, assume="normal", bounds=None),
}
FUTILE = {"a": around(0.5, 100, 0.1), "b": [0.5] * 100}
"""Values whose mean difference is 0, and which no number of seeds decides."""


# --- the first n that decides -------------------------------------------------------------------------------


def test_the_first_n_that_decides_counts_although_later_seeds_contradict() -> None:
    values = {"a": [1.0] * 8 + [0.0] * 24, "b": [0.0] * 8 + [1.0] * 24}
    result = judge(make(), observations_of(values), planned=planned(32))
    assert (result.verdict, result.decided_at, result.n) == (Verdict.SUPPORTED, 7, 7)
    backwards = judge(make(), observations_of(values), planned=list(reversed(planned(32))))
    assert (backwards.verdict, backwards.decided_at) == (Verdict.REFUTED, 7), "the order is that of `planned`"


@pytest.mark.parametrize("every", [1, 3, 4, 10, 100])
def test_the_looks_do_not_change_the_verdict(every: int) -> None:
    rows = observations_of(constant(0.5, 32))
    result = judge(make(seeds_per_look=every), rows, planned=planned(32))
    assert result == judge(make(), rows, planned=planned(32))
    assert result.decided_at == 11


def test_a_missing_seed_leaves_the_claim_incomplete() -> None:
    rows = [o for o in observations_of({"a": [1.0] * 8, "b": [0.0] * 8}) if o.seed not in (FIRST + 4, FIRST + 5)]
    result = judge(make(), rows, planned=planned(32))
    assert (result.verdict, result.decided_at, result.n) == (Verdict.INCOMPLETE, None, 4)
    assert result.missing == (FIRST + 4, FIRST + 5)
    assert result.findings[0].n == 4, "what was seen before the gap is shown"


def test_a_seed_behind_a_gap_is_never_used() -> None:
    rows = [o for o in observations_of({"a": [1.0] * 32, "b": [0.0] * 32}) if o.seed != FIRST]
    result = judge(make(), rows, planned=planned(32))
    assert (result.verdict, result.n, result.missing) == (Verdict.INCOMPLETE, 0, (FIRST,))
    assert result.findings == ()


def test_a_missing_seed_beyond_the_verdict_is_irrelevant() -> None:
    whole = judge(make(), observations_of({"a": [1.0] * 32, "b": [0.0] * 32}), planned=planned(32))
    for n in (7, 9):
        rows = observations_of({"a": [1.0] * n, "b": [0.0] * n})
        assert judge(make(), rows, planned=planned(32)) == whole


def test_an_undecided_look_needs_all_seeds_of_the_next() -> None:
    result = judge(make(), observations_of(constant(0.4, 10)), planned=planned(32))
    assert (result.verdict, result.missing) == (Verdict.INCOMPLETE, (FIRST + 10, FIRST + 11))


def test_a_claim_without_observations_is_incomplete() -> None:
    result = judge(make(), [], planned=planned(8))
    assert (result.verdict, result.findings, result.missing) == (Verdict.INCOMPLETE, (), tuple(planned(8)))
    assert judge(make(), [], planned=planned(3)).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_than_six_seeds_decide_nothing_and_say_so(n: int) -> None:
    result = judge(make(), observations_of({"a": [1.0] * n, "b": [0.0] * n}), planned=planned(n))
    assert (result.verdict, result.decided_at, result.n) == (Verdict.INCONCLUSIVE, None, n)
    assert result.indication is Verdict.INCONCLUSIVE
    count = "1 seed" if n == 1 else f"{n} seeds"
    assert f"{count} cannot decide; the rule needs 6" in result.notes
    json.dumps(result.to_json(), allow_nan=False)


def test_fewer_than_eight_seeds_decide_nothing_under_normality() -> None:
    claim = make(CONTRASTS["normal theory"])
    result = judge(claim, observations_of({"a": around(0.9, 7), "b": [0.1] * 7}), planned=planned(7))
    assert (result.verdict, result.indication) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert "7 seeds cannot decide; Student’s t needs 8" in result.notes


def test_development_seeds_decide_nothing_and_indicate() -> None:
    values = {"a": [1.0] * 8, "b": [0.0] * 8}
    result = judge(make(), observations_of(values, first=0), planned=planned(8, 0), development=True)
    assert (result.verdict, result.decided_at, result.indication) == (Verdict.INCONCLUSIVE, None, Verdict.SUPPORTED)
    assert "development seeds decide nothing" in result.notes


@given(
    data=st.data(),
    a=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, math.nan]), min_size=32, max_size=32),
    b=st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=32, max_size=32),
    kind=st.sampled_from(sorted(CONTRASTS)),
    mutant=st.booleans(),
)
@settings(max_examples=60)
def test_neither_the_order_of_arrival_nor_later_seeds_nor_foreign_ones_matter(
    data: st.DataObject, a: list[float], b: list[float], kind: str, mutant: bool
) -> None:
    rows = observations_of({"a": a, "b": b})
    claim = make(CONTRASTS[kind], **({"origin": Mutant("study/other")} if mutant else {}))
    result = judge(claim, rows, planned=planned(32))
    assert judge(claim, data.draw(st.permutations(rows)), planned=planned(32)) == result
    foreign = [replace(o, claim="study/other", value=1 - o.value) for o in rows]
    outside = observations_of({"a": b, "b": a}, first=FIRST + 32) + observations_of({"a": b, "b": a}, first=0)
    assert judge(claim, [*rows, *foreign, *outside], planned=planned(32)) == result
    if result.decided_at is not None:
        n = result.decided_at
        within = [o for o in rows if o.seed < FIRST + n]
        assert judge(claim, within, planned=planned(32)) == result
        changed = [
            o if o.seed < FIRST + n else replace(o, value=data.draw(st.floats(0, 1) | st.just(math.nan))) for o in rows
        ]
        assert judge(claim, changed, planned=planned(32)) == result
        assert judge(claim, changed, planned=planned(100)) == result


# --- continuation -------------------------------------------------------------------------------------------


def test_raising_the_number_of_seeds_keeps_the_capital() -> None:
    values = constant(0.13, 60)
    rows = observations_of(values)
    before = judge(make(), [o for o in rows if o.seed < FIRST + 32], planned=planned(32))
    assert (before.verdict, before.n) == (Verdict.INCONCLUSIVE, 32)
    assert before.findings[0].capital is not None
    assert 20 < before.findings[0].capital.above < 40
    more = next_seeds(make(), [o for o in rows if o.seed < FIRST + 32], planned=planned(60))
    assert more == tuple(range(FIRST + 32, FIRST + 36)), "only the new seeds are measured"
    after = judge(make(), [o for o in rows if o.seed < FIRST + 36], planned=planned(60))
    assert (after.verdict, after.decided_at) == (Verdict.SUPPORTED, 35)
    assert after == judge(make(), rows, planned=planned(60))


def test_a_claim_that_assumes_normality_has_no_look_after_32() -> None:
    claim = make(CONTRASTS["normal theory"])
    assert claim.looks(60) == (8, 16, 32)
    rows = observations_of({"a": around(0.5, 60, 0.1), "b": [0.5] * 60})
    assert judge(claim, rows, planned=planned(60)).decided_at is None


# --- futility -----------------------------------------------------------------------------------------------


def of_first(values: dict[str, list[float]], n: int) -> list[Observation]:
    return observations_of({arm: column[:n] for arm, column in values.items()})


def test_a_run_stops_from_16_seeds_on_if_more_are_unlikely_to_decide() -> None:
    assert next_seeds(make(), of_first(FUTILE, 12), planned=planned(32)) == tuple(range(FIRST + 12, FIRST + 16))
    assert next_seeds(make(), of_first(FUTILE, 16), planned=planned(32)) == ()
    result = judge(make(), of_first(FUTILE, 16), planned=planned(32))
    assert (result.verdict, result.decided_at, result.n, result.missing) == (Verdict.INCONCLUSIVE, None, 16, ())
    assert result.notes == (
        "stopped at 16 of 32 seeds, as further seeds like these have a chance of a verdict below 5 %",
    )
    assert result == judge(make(), of_first(FUTILE, 16), planned=planned(32)), "the generator is fixed"


def test_a_claim_with_a_chance_of_a_verdict_does_not_stop() -> None:
    rows = of_first({"a": around(0.7, 16, 0.2), "b": [0.5] * 16}, 16)
    assert len(next_seeds(make(), rows, planned=planned(32))) == 4


def test_values_that_have_not_varied_predict_nothing_for_normal_theory() -> None:
    claim = make(CONTRASTS["normal theory"], deterministic=True)
    assert len(next_seeds(claim, of_first(constant(0.5, 32), 16), planned=planned(32))) == 16


def test_futility_is_not_final() -> None:
    """The claim goes on when further seeds are given, and when more of them are planned."""
    values = {"a": [*around(0.52, 16, 0.1), *[1.0] * 16], "b": [0.5] * 16 + [0.0] * 16}
    assert next_seeds(make(), of_first(values, 16), planned=planned(32)) == ()
    result = judge(make(), of_first(values, 32), planned=planned(32))
    assert result.verdict is Verdict.SUPPORTED
    assert result.decided_at is not None
    assert result.decided_at > 16
    drifting = of_first({"a": around(0.6, 16, 0.1), "b": [0.5] * 16}, 16)
    assert next_seeds(make(), drifting, planned=planned(20)) == ()
    assert len(next_seeds(make(), drifting, planned=planned(100))) == 4


def test_all_seeds_without_a_verdict_are_not_futile() -> None:
    result = judge(make(), of_first(FUTILE, 32), planned=planned(32))
    assert (result.verdict, result.n, result.notes) == (Verdict.INCONCLUSIVE, 32, ())


def test_claims_that_are_expected_not_to_be_supported_do_not_stop() -> None:
    claim = make(expect="not_supported")
    assert len(next_seeds(claim, of_first(FUTILE, 16), planned=planned(32))) == 4
    assert judge(claim, of_first(FUTILE, 16), planned=planned(32)).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("expect", ["supported", "refuted", "open"])
def test_other_claims_do_stop(expect: str) -> None:
    assert next_seeds(make(expect=expect), of_first(FUTILE, 16), planned=planned(32)) == ()


def test_stopping_seldom_prevents_a_verdict() -> None:
    """At most one run in twenty or so that stops at 16 seeds would have been decided by 32 that are like them."""
    rng = np.random.default_rng(0)
    stopped = decided = 0
    for _ in range(40):
        a = (0.5 + np.clip(rng.normal(0.05, 0.2, 32), -0.5, 0.5)).tolist()
        values = {"a": a, "b": [0.5] * 32}
        if not next_seeds(make(), of_first(values, 16), planned=planned(32)):
            stopped += 1
            decided += judge(make(), of_first(values, 32), planned=planned(32)).decided_at is not None
    assert stopped > 10
    assert decided <= stopped / 5


# --- next seeds: a run that observes only these reaches the same judgement ----------------------------------


def of_seeds(rows: Iterable[Observation], seeds: Iterable[int]) -> list[Observation]:
    wanted = set(seeds)
    return [row for row in rows if row.seed in wanted]


def course(claim: Claim, rows: Sequence[Observation], planned: Sequence[int]) -> tuple[Judgement, list[int], list[int]]:
    """Return the judgement of an adaptive run, the seeds in the order of the requests, and the size of each request."""
    asked: list[int] = []
    batches: list[int] = []
    while wanted := next_seeds(claim, of_seeds(rows, asked), planned=planned):
        assert not set(wanted) & set(asked), "a seed was asked for twice"
        asked += wanted
        batches.append(len(wanted))
    return judge(claim, of_seeds(rows, asked), planned=planned), asked, batches


VALUES = st.one_of(
    st.just([1.0] * 32),
    st.lists(st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0]), min_size=32, max_size=32),
    st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), min_size=32, max_size=32),
    st.floats(0, 1).map(lambda mean: [mean + (-1) ** i * min(mean, 1 - mean) / 16 for i in range(32)]),
)


@given(
    a=VALUES,
    b=VALUES,
    kind=st.sampled_from(sorted(CONTRASTS)),
    n=st.sampled_from([1, 5, 6, 8, 12, 16, 31, 32]),
    every=st.sampled_from([None, 1, 5]),
    conditional=st.booleans(),
    data=st.data(),
)
@settings(max_examples=60)
def test_measuring_only_the_next_seeds_gives_the_judgement_of_all_planned_seeds(
    a: list[float],
    b: list[float],
    kind: str,
    n: int,
    every: int | None,
    conditional: bool,
    data: st.DataObject,
) -> None:
    requires = (Contrast("b", over=0.1, metric="accuracy", bounds=(0, 1)),) if conditional else ()
    # Claims that are expected not to be supported never stop for futility.
    expect = data.draw(st.sampled_from(["supported", "not_supported"]))
    claim = make(CONTRASTS[kind], requires=requires, seeds_per_look=every, expect=expect)
    rows = observations_of({"a": a, "b": b})
    planned = data.draw(st.permutations(range(FIRST, FIRST + n)))
    judgement, asked, batches = course(claim, rows, planned)
    whole = judge(claim, of_seeds(rows, planned), planned=planned)
    assert judgement.missing == ()
    assert asked == planned[: len(asked)], "in the order of the looks"
    ends = [sum(batches[: i + 1]) for i in range(len(batches))]
    assert tuple(ends) == claim.looks(n)[: len(ends)]
    if any("stopped at" in note for note in judgement.notes):
        assert expect == "supported"
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert len(asked) >= 16
        return
    if judgement.n == whole.n:  # seeds that are undecided, or cannot be judged, are shown all the same
        assert judgement == whole
    assert (judgement.verdict, judgement.decided_at) == (whole.verdict, whole.decided_at)
    # Development seeds are treated in the same way, and end where they would have been decided.
    developing = judge(claim, of_seeds(rows, asked), planned=planned, development=True)
    assert developing.indication is judgement.indication or developing.indication is judgement.verdict
    # Seeds beyond the verdict, and observations of seeds that were not wanted, change nothing.
    if judgement.decided_at is not None:
        extra = data.draw(st.lists(st.sampled_from(planned)))
        foreign = [replace(o, claim="study/other") for o in rows]
        foreign += observations_of({"a": a, "b": b}, first=FIRST + 100)
        more = [*of_seeds(rows, {*asked, *extra}), *foreign]
        assert judge(claim, more, planned=planned) == whole
        assert next_seeds(claim, more, planned=planned) == ()


@given(a=VALUES, b=VALUES, data=st.data())
@settings(max_examples=10)
def test_next_seeds_are_those_of_the_next_look_that_are_missing(
    a: list[float], b: list[float], data: st.DataObject
) -> None:
    """One worker reports at a time, in any order; the wanted seeds are those of the next look that are missing."""
    claim, rows, planned = make(expect="not_supported"), observations_of({"a": a, "b": b}), range(FIRST, FIRST + 32)
    observed: list[int] = []
    while wanted := next_seeds(claim, of_seeds(rows, observed), planned=planned):
        without_gap = next(i for i, seed in enumerate([*planned, -1]) if seed not in observed)
        look = next(n for n in claim.looks(32) if n > without_gap)
        assert wanted == tuple(seed for seed in planned[:look] if seed not in observed)
        assert judge(claim, of_seeds(rows, observed), planned=planned).missing == wanted
        observed.append(data.draw(st.sampled_from(wanted)))
    result, whole = (judge(claim, part, planned=planned) for part in (of_seeds(rows, observed), rows))
    assert (result.verdict, result.decided_at) == (whole.verdict, whole.decided_at)


@pytest.mark.parametrize(
    ("difference", "batches", "verdict"),
    [
        (1.0, [8], Verdict.SUPPORTED),
        (0.5, [8, 4], Verdict.SUPPORTED),
        (0.29, [8, 4, 4, 4], Verdict.SUPPORTED),
        (-0.4, [8, 4, 4], Verdict.REFUTED),
        (0.135, [8, 4, 4, 4, 4, 4, 4], Verdict.INCONCLUSIVE),
    ],
)
def test_a_run_takes_as_many_seeds_as_the_effect_needs(difference: float, batches: list[int], verdict: Verdict) -> None:
    claim = make(expect="not_supported")
    judgement, _, taken = course(claim, observations_of(constant(difference, 32)), planned(32))
    assert (taken, judgement.verdict) == (batches, verdict)


@pytest.mark.parametrize(
    ("n", "every", "batches"),
    [(32, 8, [8] * 4), (30, None, [8, 4, 4, 4, 4, 4, 2]), (8, 1, [6, 1, 1]), (9, 20, [9]), (5, None, [5])],
)
def test_next_seeds_follow_the_looks(n: int, every: int | None, batches: list[int]) -> None:
    claim = make(expect="not_supported", seeds_per_look=every)
    assert course(claim, observations_of(FUTILE), planned(n))[2] == batches


def test_next_seeds_of_normal_theory_follow_its_looks() -> None:
    claim = make(CONTRASTS["normal theory"], expect="not_supported", seeds=32)
    assert course(claim, observations_of(FUTILE), planned(32))[2] == [8, 8, 16]


def test_the_judgement_at_every_look_ends_with_the_verdict() -> None:
    rows = observations_of(constant(0.4, 32))
    looks = judgements_at_looks(make(), rows, planned=planned(32))
    assert [(j.verdict, j.n) for j in looks[:-1]] == [(Verdict.INCONCLUSIVE, 8), (Verdict.INCONCLUSIVE, 12)][
        : len(looks) - 1
    ]
    assert looks[-1] == judge(make(), rows, planned=planned(32))
    capitals = [j.findings[0].capital for j in looks]
    assert sorted(capitals, key=lambda c: c.above if c else 0) == capitals
    missing = judgements_at_looks(make(), of_first(constant(0.4, 32), 10), planned=planned(32))
    assert [(j.verdict, j.n) for j in missing] == [(Verdict.INCONCLUSIVE, 8)]
    assert judgements_at_looks(make(), [], planned=planned(32)) == ()
    later = judgements_at_looks(make(), rows, planned=planned(32), thresholds=Thresholds(attempt=4))
    assert len(later) > len(looks)


def test_later_attempts_need_more_seeds() -> None:
    rows = observations_of(constant(0.5, 12))
    assert next_seeds(make(), rows, planned=planned(32)) == ()
    assert len(next_seeds(make(), rows, planned=planned(32), thresholds=Thresholds(attempt=3))) == 4


def test_a_seed_that_cannot_be_judged_ends_the_looks() -> None:
    claim, planned = make(CONTRASTS["unbounded"]), range(FIRST, FIRST + 32)
    rows = observations_of({"a": [math.nan, *[0.5, 0.6] * 16][:32], "b": [0.5] * 32})
    judgement, asked, _ = course(claim, rows, planned)
    assert (judgement.verdict, len(asked)) == (Verdict.INCOMPLETE, 8)


def test_a_precondition_that_is_not_met_yet_asks_for_the_next_look() -> None:
    claim = make(requires=(Contrast("b", over=0.2, metric="accuracy", bounds=(0, 1)),), expect="not_supported")
    judgement, asked, _ = course(claim, observations_of({"a": [1.0] * 32, "b": [0.0] * 32}), planned(32))
    assert (judgement.verdict, len(asked)) == (Verdict.INCOMPLETE, 32)
    assert "precondition not met" in judgement.notes[0]


def test_a_failed_seed_is_returned_again() -> None:
    """It has no observation, and only the caller knows that it will never have one."""
    rows = [o for o in observations_of({"a": [1.0] * 32, "b": [0.0] * 32}) if o.seed != FIRST + 3]
    assert next_seeds(make(), rows, planned=planned(32)) == (FIRST + 3,)
