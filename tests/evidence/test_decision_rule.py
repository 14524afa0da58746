"""Verdicts of hand-made observations: every verdict, every rule, and what must not change the verdict."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.evidence import Contrast, Observation, Verdict, differences, judge
from memkit.evidence.decision_rule import next_seeds

from .planted import CHANCE, FIRST, OVER, around, make, observations_of, planned

# --- each verdict -------------------------------------------------------------------------------------------


def test_supported_at_the_first_look() -> None:
    result = judge(make(), observations_of({"a": around(0.95, 32), "b": around(0.1, 32)}), planned=planned(32))
    assert (result.verdict, result.look, result.n) == (Verdict.SUPPORTED, 8, 8)
    (finding,) = result.findings
    assert finding.t.low > 0
    assert finding.betting is not None
    assert finding.betting.low > 0
    assert (finding.n, finding.alpha, finding.role) == (8, 0.0099, "contrast")
    assert finding.t.level == pytest.approx(1 - 0.0099)
    assert (result.indication, result.missing, finding.planning) == (None, (), {})


def test_refuted_at_the_first_look() -> None:
    result = judge(make(), observations_of({"a": around(0.1, 8), "b": around(0.95, 8)}), planned=planned(8))
    assert (result.verdict, result.look) == (Verdict.REFUTED, 8)


def test_a_smaller_effect_needs_a_later_look() -> None:
    result = judge(make(), observations_of({"a": around(0.75, 32), "b": around(0.35, 32)}), planned=planned(32))
    assert (result.verdict, result.look, result.n) == (Verdict.SUPPORTED, 16, 16)
    assert result.findings[0].alpha == 0.0198


def test_inconclusive_findings_have_planning() -> None:
    result = judge(make(), observations_of({"a": around(0.52, 8, 0.1), "b": [0.5] * 8}), planned=planned(8))
    assert (result.verdict, result.look, result.n) == (Verdict.INCONCLUSIVE, None, 8)
    planning = result.findings[0].planning
    assert set(planning) == {"mde", "seeds_needed", "betting_minimum"}
    assert planning["seeds_needed"] > 8
    assert planning["betting_minimum"] == pytest.approx(0.76, abs=0.01)


@pytest.mark.parametrize("margin", [0.01, 0.5, 0.99])
def test_planning_is_relative_to_the_margin_even_if_no_difference_is_negative(margin: float) -> None:
    contrast = Contrast("a", over=0, metric="accuracy", bounds=(0, 1), margin=margin)
    claim = make(contrast)
    result = judge(claim, observations_of({"a": around(margin, 8, 0.01), "b": [0.5] * 8}), planned=planned(8))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings[0].planning.get("betting_minimum", 1.0) > margin
    one = judge(claim, observations_of({"a": [margin], "b": [0.5]}), planned=planned(5))
    assert one.verdict is Verdict.INCOMPLETE


def test_a_finding_is_provisional_if_t_alone_would_decide() -> None:
    result = judge(make(), observations_of({"a": around(0.6, 8), "b": around(0.3, 8)}), planned=planned(8))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings[0].provisional is Verdict.SUPPORTED
    unclear = judge(make(), observations_of({"a": around(0.5, 8, 0.2), "b": [0.5] * 8}), planned=planned(8))
    assert unclear.findings[0].provisional is None


def test_supported_inside_sesoi_is_negligible() -> None:
    small = replace(OVER, bounds=(0, 0.1), sesoi=0.09)
    values = {"a": around(0.085, 32, 0.001), "b": around(0.015, 32, 0.001)}
    result = judge(make(small), observations_of(values), planned=planned(32))
    assert result.verdict is Verdict.SUPPORTED
    assert result.findings[0].negligible is True
    relevant = judge(make(replace(small, sesoi=0.01)), observations_of(values), planned=planned(32))
    assert relevant.findings[0].negligible is False


def test_margin_has_to_be_exceeded() -> None:
    values = observations_of({"a": around(0.95, 32), "b": around(0.1, 32)})
    assert judge(make(replace(OVER, margin=0.5)), values, planned=planned(32)).verdict is Verdict.SUPPORTED
    assert judge(make(replace(OVER, margin=0.9)), values, planned=planned(32)).verdict is not Verdict.SUPPORTED
    strict = judge(
        make(replace(OVER, margin=0.99)), observations_of({"a": [0.1] * 32, "b": [0.95] * 32}), planned=planned(32)
    )
    assert strict.verdict is Verdict.REFUTED


def test_a_loss_is_better_when_it_is_lower() -> None:
    loss = Contrast("a", over="b", metric="loss", bounds=(0, 1), direction="lower")
    result = judge(make(loss), observations_of({"a": [0.0] * 8, "b": [1.0] * 8}, metric="loss"), planned=planned(8))
    assert result.verdict is Verdict.SUPPORTED
    assert result.findings[0].t.estimate == 1.0


def test_the_control_may_be_a_number() -> None:
    assert judge(make(CHANCE), observations_of({"a": [1.0] * 8}), planned=planned(8)).verdict is Verdict.SUPPORTED
    assert judge(make(CHANCE), observations_of({"a": [0.0] * 32}), planned=planned(32)).verdict is Verdict.REFUTED


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=8, max_size=8))
def test_exchanging_the_arms_exchanges_supported_and_refuted(pairs: list[tuple[float, float]]) -> None:
    rows = observations_of({"a": [x for x, _ in pairs], "b": [y for _, y in pairs]})
    verdict = judge(make(), rows, planned=planned(8)).verdict
    exchanged = judge(make(Contrast("b", over="a", metric="accuracy", bounds=(0, 1))), rows, planned=planned(8)).verdict
    mirror = {Verdict.SUPPORTED: Verdict.REFUTED, Verdict.REFUTED: Verdict.SUPPORTED}
    assert exchanged is mirror.get(verdict, verdict)


# --- failed seeds -------------------------------------------------------------------------------------------


def test_a_seed_that_is_not_finite_counts_as_the_worst() -> None:
    failed = {"a": [math.nan, *[1.0] * 31], "b": [0.0] * 32}
    result = judge(make(), observations_of(failed), planned=planned(32))
    worst = judge(make(), observations_of({"a": [0.0, *[1.0] * 31], "b": [0.0] * 32}), planned=planned(32))
    assert result == worst, "and only the arm that failed is scored so"
    assert differences(make(), OVER, observations_of(failed))[FIRST] == 0.0
    assert differences(make(), OVER, observations_of({"a": [1.0], "b": [math.nan]})) == {FIRST: 0.0}
    assert differences(make(), OVER, observations_of({"a": [math.nan], "b": [math.nan]})) == {FIRST: -1.0}
    assert (
        differences(make(), OVER, [replace(o, claim="other/claim") for o in observations_of({"a": [1.0], "b": [0.0]})])
        == {}
    )


def test_without_bounds_a_seed_that_is_not_finite_leaves_the_claim_incomplete() -> None:
    free = Contrast("a", over="b", metric="accuracy", assume="normal")
    result = judge(
        make(free), observations_of({"a": [math.nan, *around(0.9, 7)], "b": around(0.1, 8, 0.02)}), planned=planned(8)
    )
    assert (result.verdict, result.look) == (Verdict.INCOMPLETE, None)
    assert "not finite" in result.notes[0]
    assert (result.findings[0].verdict, result.findings[0].n) == (Verdict.INCOMPLETE, 7)
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize(("n", "development"), [(12, False), (8, True)])
def test_a_seed_that_is_not_finite_also_makes_undeciding_seeds_incomplete(n: int, development: bool) -> None:
    free = Contrast("a", over="b", metric="accuracy", assume="normal")
    rows = observations_of({"a": [math.nan, *around(0.9, n - 1)], "b": around(0.1, n)})
    result = judge(make(free), rows, planned=planned(n), development=development)
    assert (result.verdict, result.indication) == (Verdict.INCOMPLETE, Verdict.INCOMPLETE)


def test_a_failed_seed_beyond_the_decisive_look_is_irrelevant_without_bounds_too() -> None:
    free = Contrast("a", over="b", metric="accuracy", assume="normal")
    result = judge(make(free), observations_of({"a": [*around(0.9, 8), math.nan], "b": [0.1] * 9}), planned=planned(16))
    assert (result.verdict, result.look) == (Verdict.SUPPORTED, 8)


# --- equivalence --------------------------------------------------------------------------------------------

SAME = replace(OVER, sesoi=0.3)
FOUND = Contrast("a", over="c", metric="accuracy", bounds=(0, 1))
EQUIVALENT = make(SAME, expect="equivalent", positive_control=FOUND)


def same(n: int, control: float = 0.0) -> list[Observation]:
    return observations_of({"a": around(0.9, n), "b": around(0.9, n)[::-1], "c": [control] * n})


def test_equivalent_from_the_second_look_on() -> None:
    wide = make(replace(SAME, sesoi=0.9), expect="equivalent", positive_control=FOUND)
    result = judge(wide, same(32), planned=planned(32))
    assert (result.verdict, result.look) == (Verdict.EQUIVALENT, 16)
    assert judge(wide, same(8), planned=planned(8)).verdict is Verdict.INCONCLUSIVE
    assert [f.role for f in result.findings] == ["contrast", "positive control"]


def test_equivalence_needs_both_intervals_inside_sesoi() -> None:
    assert judge(EQUIVALENT, same(32), planned=planned(32)).verdict is Verdict.EQUIVALENT
    narrow = make(replace(SAME, sesoi=0.05), expect="equivalent", positive_control=FOUND)
    result = judge(narrow, same(32), planned=planned(32))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings[0].tost_p is not None
    assert result.findings[0].tost_p < 0.0297
    assert result.findings[0].provisional


def test_equivalence_needs_its_positive_control() -> None:
    result = judge(EQUIVALENT, same(32, control=0.9), planned=planned(32))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the positive control is not SUPPORTED" in result.notes[0]


def test_the_positive_control_has_to_be_shown_at_the_same_look() -> None:
    # The control is SUPPORTED only at 32 seeds, while the equivalence is established at 16 seeds.
    wide = make(replace(SAME, sesoi=0.9), expect="equivalent", positive_control=FOUND)
    result = judge(wide, same(32, control=0.65), planned=planned(32))
    assert (result.verdict, result.look) == (Verdict.EQUIVALENT, 32)


def test_supported_comes_before_equivalent() -> None:
    both = replace(OVER, sesoi=0.95)
    result = judge(make(both), observations_of({"a": around(0.9, 16), "b": around(0.3, 16)}), planned=planned(16))
    assert result.verdict is Verdict.SUPPORTED
    assert result.findings[0].negligible


# --- several contrasts --------------------------------------------------------------------------------------

PAIR = (OVER, Contrast("a", over="c", metric="accuracy", bounds=(0, 1)))


def test_all_contrasts_have_to_be_supported_at_the_same_look() -> None:
    late = observations_of({"a": [0.9] * 32, "b": [0.0] * 32, "c": around(0.45, 32)})
    result = judge(make(*PAIR), late, planned=planned(32))
    assert (result.verdict, result.look) == (Verdict.SUPPORTED, 16)
    never = observations_of({"a": [0.9] * 32, "b": [0.0] * 32, "c": [0.9] * 32})
    assert judge(make(*PAIR), never, planned=planned(32)).verdict is Verdict.INCONCLUSIVE


def test_one_refuted_contrast_refutes() -> None:
    result = judge(make(*PAIR), observations_of({"a": [0.0] * 8, "b": [0.0] * 8, "c": [1.0] * 8}), planned=planned(8))
    assert (result.verdict, result.look) == (Verdict.REFUTED, 8)


def test_with_k_contrasts_each_is_refuted_at_a_kth_of_alpha() -> None:
    # A difference of −0.76 on every seed is the smallest that eight seeds can show; at half of alpha it is too small.
    values = {"a": [0.1] * 8, "b": [0.87] * 8, "c": [0.1] * 8}
    alone = judge(make(), observations_of(values), planned=planned(8))
    assert alone.verdict is Verdict.REFUTED
    together = judge(make(*PAIR), observations_of(values), planned=planned(8))
    assert together.verdict is Verdict.INCONCLUSIVE
    assert together.findings[0].verdict is Verdict.REFUTED, "the contrast alone is"


def test_supported_and_equivalent_contrasts_together_decide_nothing() -> None:
    mixed = make(replace(PAIR[0], sesoi=0.3), replace(PAIR[1], sesoi=0.3))
    values = {"a": around(0.9, 32), "b": [0.0] * 32, "c": around(0.9, 32)[::-1]}
    result = judge(mixed, observations_of(values), planned=planned(32))
    assert {f.verdict for f in result.findings} == {Verdict.SUPPORTED, Verdict.EQUIVALENT}
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "split the claim" in result.notes[0]


# --- preconditions ------------------------------------------------------------------------------------------

NEEDS = make(requires=(Contrast("c", over=0.2, metric="accuracy", bounds=(0, 1)),))


def test_an_unmet_precondition_leaves_the_claim_incomplete() -> None:
    values = {"a": [1.0] * 32, "b": [0.0] * 32, "c": [0.2] * 32}
    result = judge(NEEDS, observations_of(values), planned=planned(32))
    assert (result.verdict, result.look, result.n) == (Verdict.INCOMPLETE, None, 32)
    assert "precondition not met: c over 0.2" in result.notes
    assert result.missing == ()


def test_the_precondition_is_checked_at_the_decisive_look() -> None:
    values = {"a": [1.0] * 32, "b": [0.0] * 32, "c": around(0.3, 32)}
    result = judge(NEEDS, observations_of(values), planned=planned(32))
    assert result.verdict is Verdict.SUPPORTED
    assert result.look is not None
    assert result.look > 8
    assert {f.role: f.verdict for f in result.findings} == dict.fromkeys(("contrast", "requires"), Verdict.SUPPORTED)


def test_a_precondition_guards_a_refutation_too() -> None:
    values = {"a": [0.0] * 32, "b": [1.0] * 32, "c": [0.2] * 32}
    assert judge(NEEDS, observations_of(values), planned=planned(32)).verdict is Verdict.INCOMPLETE


# --- normal theory ------------------------------------------------------------------------------------------


def test_normal_theory_decides_by_t_alone_and_says_so() -> None:
    small = replace(OVER, assume="normal")
    values = observations_of({"a": around(0.52, 8, 0.005), "b": around(0.5, 8, 0.005)[::-1]})
    result = judge(make(small), values, planned=planned(8))
    assert result.verdict is Verdict.SUPPORTED
    assert any("normal theory" in note for note in result.findings[0].notes)
    assert result.findings[0].betting is not None, "it is shown all the same"
    assert judge(make(), values, planned=planned(8)).verdict is Verdict.INCONCLUSIVE
    assert judge(make(replace(small, bounds=None)), values, planned=planned(8)).findings[0].betting is None


def test_normal_theory_decides_nothing_without_spread() -> None:
    result = judge(
        make(replace(OVER, assume="normal")), observations_of({"a": [1.0] * 8, "b": [0.0] * 8}), planned=planned(8)
    )
    assert result.verdict is Verdict.INCONCLUSIVE


# --- other --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(*[st.one_of(st.just(math.nan), st.floats(0, 1))] * 2), min_size=1, max_size=33),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60)
def test_every_judgement_can_be_written_as_json(pairs: list[tuple[float, float]], normal: bool, bounded: bool) -> None:
    contrast = replace(OVER, assume="normal" if normal or not bounded else "bounded", sesoi=0.2)
    contrast = replace(contrast, bounds=(0, 1) if bounded else None)
    rows = observations_of({"a": [x for x, _ in pairs], "b": [y for _, y in pairs]})
    result = judge(make(contrast), rows, planned=planned(len(pairs)))
    json.dumps(result.to_json(), allow_nan=False)
    assert result.verdict in Verdict
    assert (result.look is None) == (result.verdict in (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE))


def test_differences_by_seed() -> None:
    rows = observations_of({"a": [0.5, 1.0], "b": [0.25, 0.0]})
    assert differences(make(), OVER, rows) == {FIRST: 0.25, FIRST + 1: 1.0}
    assert np.isfinite(list(differences(make(CHANCE), CHANCE, rows).values())).all()


@pytest.mark.parametrize(
    ("values", "repeats"),
    [
        pytest.param({"a": [0.9] * 16, "b": [0.1] * 16}, True, id="every arm repeats a value"),
        pytest.param({"a": [1.0] * 16, "b": [0.1] * 16}, True, id="one of them is at no bound"),
        pytest.param({"a": [1.0] * 16, "b": [0.0] * 16}, False, id="all are at a bound"),
        pytest.param({"a": [0.9] * 16, "b": [0.2] + [0.1] * 15}, False, id="one seed differs"),
        pytest.param({"a": [math.nan] * 16, "b": [0.1] * 16}, False, id="a value is missing"),
    ],
)
def test_arms_that_repeat_their_values_are_incomplete_unless_that_is_declared(
    values: dict[str, list[float]], repeats: bool
) -> None:
    judgement = judge(make(deterministic=False), observations_of(values), planned=planned(16))
    assert (judgement.verdict is Verdict.INCOMPLETE) == repeats
    assert any("deterministic=True" in note for note in judgement.notes) == repeats
    declared = judge(make(deterministic=True), observations_of(values), planned=planned(16))
    assert declared.verdict is not Verdict.INCOMPLETE
    wanted = next_seeds(make(deterministic=False), observations_of(values), planned=planned(16))
    assert not wanted, "more seeds would not help"


def test_what_only_a_precondition_compares_counts_as_well() -> None:
    values = {"a": [0.9] * 8, "b": [0.1] * 8, "c": around(0.8, 8)}
    needs = make(requires=(Contrast("c", over=0.2, metric="accuracy", bounds=(0, 1)),), deterministic=False)
    assert judge(needs, observations_of(values), planned=planned(8)).verdict is not Verdict.INCOMPLETE
