"""Looks: where they end, what the verdict is if seeds are missing, and which seeds a run needs next."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.evidence import Claim, Contrast, Judgement, Observation, Verdict, judge, next_seeds
from memkit.statistics import LOOKS

from .planted import FIRST, OVER, around, make, observations_of, planned

CONTRASTS = {
    "bounded": OVER,
    "equivalence": replace(OVER, sesoi=0.6),
    "normal theory": replace(OVER, assume="normal"),
    "unbounded": replace(OVER, assume="normal", bounds=None),
}
SIZES = [look.n for look in LOOKS]


# --- looks --------------------------------------------------------------------------------------------------


def test_looks_stop_at_the_first_decisive_one_although_later_seeds_contradict() -> None:
    values = {"a": [1.0] * 8 + [0.0] * 24, "b": [0.0] * 8 + [1.0] * 24}
    result = judge(make(), observations_of(values), planned=planned(32))
    assert (result.verdict, result.look, result.n) == (Verdict.SUPPORTED, 8, 8)
    backwards = judge(make(), observations_of(values), planned=list(reversed(planned(32))))
    assert (backwards.verdict, backwards.look) == (Verdict.REFUTED, 8), "the order of the looks is that of `planned`"


def test_a_missing_seed_below_the_look_leaves_the_claim_incomplete() -> None:
    rows = [o for o in observations_of({"a": [1.0] * 8, "b": [0.0] * 8}) if o.seed not in (FIRST + 2, FIRST + 5)]
    result = judge(make(), rows, planned=planned(8))
    assert (result.verdict, result.look, result.n) == (Verdict.INCOMPLETE, None, 6)
    assert result.missing == (FIRST + 2, FIRST + 5)
    assert result.findings[0].n == 6, "the intervals of what was seen are shown"


def test_a_missing_seed_beyond_the_look_is_irrelevant() -> None:
    rows = observations_of({"a": [1.0] * 9, "b": [0.0] * 9})
    whole = judge(make(), observations_of({"a": [1.0] * 32, "b": [0.0] * 32}), planned=planned(32))
    assert judge(make(), rows, planned=planned(32)) == whole


def test_an_undecided_look_needs_all_seeds_of_the_next() -> None:
    result = judge(make(), observations_of({"a": around(0.75, 15), "b": around(0.35, 15)}), planned=planned(32))
    assert (result.verdict, result.missing) == (Verdict.INCOMPLETE, (FIRST + 15,))


def test_a_claim_without_observations_is_incomplete() -> None:
    result = judge(make(), [], planned=planned(8))
    assert (result.verdict, result.findings, result.missing) == (Verdict.INCOMPLETE, (), tuple(planned(8)))
    assert judge(make(), [], planned=planned(3)).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("n", [1, 2, 7, 12, 31, 33])
def test_another_number_of_seeds_decides_nothing_and_indicates(n: int) -> None:
    result = judge(make(), observations_of({"a": [1.0] * n, "b": [0.0] * n}), planned=planned(n))
    assert (result.verdict, result.look, result.n) == (Verdict.INCONCLUSIVE, None, n)
    assert result.indication is (Verdict.SUPPORTED if n > 7 else result.indication)
    count = "1 seed decides" if n == 1 else f"{n} seeds decide"
    assert f"{count} nothing; looks are at 8, 16, 32" in result.notes
    assert result.findings[0].t.level == pytest.approx(0.95)
    json.dumps(result.to_json(), allow_nan=False)


def test_another_number_of_seeds_with_one_missing_is_incomplete() -> None:
    result = judge(make(), observations_of({"a": [1.0] * 11, "b": [0.0] * 11}), planned=planned(12))
    assert (result.verdict, result.missing, result.indication) == (Verdict.INCOMPLETE, (FIRST + 11,), None)


def test_development_seeds_decide_nothing_and_indicate() -> None:
    values = {"a": [1.0] * 8, "b": [0.0] * 8}
    result = judge(make(), observations_of(values, first=0), planned=planned(8, 0), development=True)
    assert (result.verdict, result.look, result.indication) == (Verdict.INCONCLUSIVE, None, Verdict.SUPPORTED)
    assert "development seeds decide nothing" in result.notes


@given(
    data=st.data(),
    a=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=32, max_size=32),
    b=st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=32, max_size=32),
)
@settings(max_examples=60)
def test_neither_the_order_of_arrival_nor_unplanned_observations_matter(
    data: st.DataObject, a: list[float], b: list[float]
) -> None:
    rows = observations_of({"a": a, "b": b})
    claim = make()
    result = judge(claim, rows, planned=planned(32))
    assert judge(claim, data.draw(st.permutations(rows)), planned=planned(32)) == result
    # Seeds that were not planned, observations of other claims, and seeds beyond the decisive look.
    foreign = [replace(o, claim="study/other", value=1 - o.value) for o in rows]
    outside = observations_of({"a": b, "b": a}, first=FIRST + 32) + observations_of({"a": b, "b": a}, first=0)
    assert judge(claim, [*rows, *foreign, *outside], planned=planned(32)) == result
    if result.look is not None:
        within = [o for o in rows if o.seed < FIRST + result.look]
        assert judge(claim, within, planned=planned(32)) == result
        changed = [o if o.seed < FIRST + result.look else replace(o, value=math.nan) for o in rows]
        assert judge(claim, changed, planned=planned(32)) == result
    # The order of the seeds within the decisive look does not matter either.
    if result.look == 32:
        shuffled = data.draw(st.permutations(range(FIRST, FIRST + 32)))
        last = judge(claim, rows, planned=shuffled)
        assert last.look is not None
        if last.look == 32:
            assert last.verdict is result.verdict


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
    n=st.sampled_from([*SIZES, *SIZES, 1, 5, 12, 31]),
    conditional=st.booleans(),
    data=st.data(),
)
@settings(max_examples=80)
def test_measuring_only_the_next_seeds_gives_the_judgement_of_all_planned_seeds(
    a: list[float], b: list[float], kind: str, n: int, conditional: bool, data: st.DataObject
) -> None:
    requires = (Contrast("b", over=0.1, metric="accuracy", bounds=(0, 1)),) if conditional else ()
    claim = make(CONTRASTS[kind], requires=requires)
    rows = observations_of({"a": a, "b": b})
    planned = data.draw(st.permutations(range(FIRST, FIRST + n)))
    judgement, asked, batches = course(claim, rows, planned)

    whole = judge(claim, of_seeds(rows, planned), planned=planned)
    assert judgement == whole
    assert judgement.missing == ()
    assert asked == planned[: len(asked)], "in the order of the looks"
    assert len(asked) == judgement.n
    if n in SIZES:
        assert batches == [8, 8, 16][: len(batches)]
    else:
        assert asked == planned
    # Development seeds are treated in the same way, and end where they would have been decided.
    developing = judge(claim, of_seeds(rows, asked), planned=planned, development=True)
    assert developing == judge(claim, of_seeds(rows, planned), planned=planned, development=True)
    # Seeds beyond the decisive look, and observations of seeds that were not wanted, change nothing.
    extra = data.draw(st.lists(st.sampled_from(planned)))
    foreign = [replace(o, claim="study/other") for o in rows] + observations_of({"a": a, "b": b}, first=FIRST + 100)
    more = [*of_seeds(rows, {*asked, *extra}), *foreign]
    assert judge(claim, more, planned=planned) == whole
    assert next_seeds(claim, more, planned=planned) == ()


@given(a=VALUES, b=VALUES, data=st.data())
@settings(max_examples=30)
def test_next_seeds_are_those_of_the_next_look_that_are_missing(
    a: list[float], b: list[float], data: st.DataObject
) -> None:
    """One worker reports at a time; the wanted seeds are those of the next look that are still missing."""
    claim, rows, planned = make(OVER), observations_of({"a": a, "b": b}), range(FIRST, FIRST + 32)
    observed: list[int] = []
    while wanted := next_seeds(claim, of_seeds(rows, observed), planned=planned):
        look = next(n for n in SIZES if n > len(observed))
        assert wanted == tuple(seed for seed in planned[:look] if seed not in observed)
        assert judge(claim, of_seeds(rows, observed), planned=planned).missing == wanted
        observed.append(data.draw(st.sampled_from(wanted)))
    assert judge(claim, of_seeds(rows, observed), planned=planned) == judge(claim, rows, planned=planned)


@pytest.mark.parametrize(
    ("a", "b", "batches", "verdict"),
    [
        ([1.0] * 32, [0.0] * 32, [8], Verdict.SUPPORTED),
        ([0.75, 0.76] * 16, [0.36, 0.35] * 16, [8, 8], Verdict.SUPPORTED),
        ([0.75, 0.76] * 16, [0.56, 0.55] * 16, [8, 8, 16], Verdict.SUPPORTED),
        ([0.5, 0.6] * 16, [0.6, 0.5] * 16, [8, 8, 16], Verdict.INCONCLUSIVE),
    ],
)
def test_the_judgement_at_every_look(a: list[float], b: list[float], batches: list[int], verdict: Verdict) -> None:
    judgement, _, taken = course(make(OVER), observations_of({"a": a, "b": b}), range(FIRST, FIRST + 32))
    assert (taken, judgement.verdict) == (batches, verdict)


def test_the_looks_are_capped_by_what_is_planned() -> None:
    rows = observations_of({"a": [0.5, 0.6] * 16, "b": [0.6, 0.5] * 16})
    assert course(make(OVER), rows, range(FIRST, FIRST + 16))[2] == [8, 8]
    assert course(make(OVER), rows, range(FIRST, FIRST + 8))[2] == [8]


@pytest.mark.parametrize("n", [1, 7, 12, 33])
def test_all_seeds_are_next_if_their_number_is_not_a_look(n: int) -> None:
    claim, planned = make(OVER), range(FIRST, FIRST + n)
    rows = observations_of({"a": [1.0] * n, "b": [0.0] * n})
    assert next_seeds(claim, [], planned=planned) == tuple(planned)
    assert next_seeds(claim, of_seeds(rows, [FIRST]), planned=planned) == tuple(planned)[1:]
    assert next_seeds(claim, rows, planned=planned) == ()


def test_a_seed_that_cannot_be_scored_ends_the_looks() -> None:
    claim, planned = make(CONTRASTS["unbounded"]), range(FIRST, FIRST + 32)
    rows = observations_of({"a": [math.nan, *[0.5, 0.6] * 16][:32], "b": [0.5] * 32})
    judgement, asked, _ = course(claim, rows, planned)
    assert (judgement.verdict, len(asked)) == (Verdict.INCOMPLETE, 8)
    assert judgement == judge(claim, rows, planned=planned)


def test_a_precondition_that_is_not_met_yet_asks_for_the_next_look() -> None:
    claim = make(OVER, requires=(Contrast("b", over=0.2, metric="accuracy", bounds=(0, 1)),))
    rows = observations_of({"a": [1.0] * 32, "b": [0.0] * 32})
    judgement, asked, _ = course(claim, rows, range(FIRST, FIRST + 32))
    assert (judgement.verdict, len(asked)) == (Verdict.INCOMPLETE, 32)
    assert "precondition not met" in judgement.notes[0]


def test_a_failed_seed_is_returned_again() -> None:
    """It has no observation, and only the caller knows that it will never have one."""
    rows = [o for o in observations_of({"a": [1.0] * 32, "b": [0.0] * 32}) if o.seed != FIRST + 3]
    assert next_seeds(make(OVER), rows, planned=range(FIRST, FIRST + 32)) == (FIRST + 3,)
