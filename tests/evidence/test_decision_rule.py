"""Verdicts of hand-made observations: every verdict, every rule, and what must not change the verdict."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.evidence import Claim, Contrast, Judgement, Observation, Verdict, differences, judge, observe
from memkit.evidence.decision_rule import next_seeds
from memkit.evidence.gate import mutant_failed
from memkit.evidence.origin import Mutant
from memkit.statistics import Thresholds, log_capital, reached, smallest_constant

from .planted import CHANCE, FIRST, OVER, around, constant, make, observations_of, planned

SMALL = Contrast("a", over=0.01, metric="accuracy", bounds=(0, 1), sesoi=0.6)
"""Of a value of 0.06, both SUPPORTED and EQUIVALENT hold at six seeds."""
MUTANT = {"origin": Mutant("study/other"), "expect": "not_supported"}


def judged(claim: Claim, values: dict[str, list[float]], attempt: int = 1) -> Judgement:
    n = len(next(iter(values.values())))
    return judge(claim, observations_of(values), planned=planned(n), thresholds=Thresholds(attempt=attempt))


# --- each verdict -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "smallest"), [(8, 0.685), (16, 0.3), (32, 0.14)])
def test_the_smallest_constant_difference_is_decided_at_its_number_of_seeds(n: int, smallest: float) -> None:
    assert smallest_constant(n, bounds=(-1, 1)) == pytest.approx(smallest, abs=5e-4)
    for sign, verdict in ((1, Verdict.SUPPORTED), (-1, Verdict.REFUTED)):
        result = judged(make(), constant(sign * (smallest + 0.001), 40))
        assert (result.verdict, result.decided_at, result.n) == (verdict, n, n)
        assert judged(make(), constant(sign * (smallest - 0.001), n)).verdict is Verdict.INCONCLUSIVE


def test_a_finding_shows_the_capital_and_the_interval_at_the_deciding_n() -> None:
    values = {"a": around(0.95, 32), "b": around(0.1, 32)}
    result = judged(make(), values)
    (finding,) = result.findings
    assert (result.verdict, finding.verdict, finding.n) == (Verdict.SUPPORTED, Verdict.SUPPORTED, result.n)
    x = np.subtract(values["a"], values["b"])[: result.n]
    capital = log_capital(x, mean=0, bounds=(-1, 1))
    assert finding.capital is not None
    assert tuple(finding.capital) == (
        pytest.approx(math.exp(capital.above)),
        pytest.approx(math.exp(capital.below)),
        None,
    )
    assert log_capital(x[:-1], mean=0, bounds=(-1, 1)).above < math.log(40) <= capital.above
    assert finding.interval.low > 0
    assert finding.interval.estimate == pytest.approx(x.mean())
    assert (finding.interval.low_level, finding.interval.high_level) == (0.975, 0.975)
    assert finding.p == pytest.approx(2 / finding.capital.above)
    assert (result.indication, result.missing, finding.planning) == (None, (), {})


def test_inconclusive_findings_have_planning() -> None:
    result = judged(make(), {"a": around(0.52, 8, 0.1), "b": [0.5] * 8})
    assert (result.verdict, result.decided_at, result.n) == (Verdict.INCONCLUSIVE, None, 8)
    planning = result.findings[0].planning
    assert set(planning) == {"mde", "seeds_needed", "least_constant"}
    assert planning["least_constant"] == pytest.approx(0.685, abs=5e-4)
    assert planning["least_constant"] < planning["mde"] < 0.8, "since these seeds vary"
    assert planning["seeds_needed"] > 100


def test_as_many_seeds_as_are_needed_decide() -> None:
    result = judged(make(), constant(0.2, 16))
    needed = int(result.findings[0].planning["seeds_needed"])
    assert (judged(make(), constant(0.2, 100)).decided_at, needed > 16) == (needed, True)


@pytest.mark.parametrize("margin", [0.01, 0.5, 0.99])
def test_planning_is_relative_to_the_margin_even_if_no_difference_is_negative(margin: float) -> None:
    contrast = Contrast("a", over=0, metric="accuracy", bounds=(0, 1), margin=margin)
    result = judged(make(contrast), {"a": around(margin, 8, 0.001)})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings[0].planning.get("least_constant", 1.0) > margin
    assert result.findings[0].planning.get("mde", 1.0) > margin


def test_supported_inside_sesoi_is_negligible() -> None:
    result = judged(make(SMALL), {"a": around(0.06, 8)})
    assert result.verdict is Verdict.SUPPORTED
    assert result.findings[0].negligible is True
    assert judged(make(replace(SMALL, sesoi=0.01)), {"a": around(0.06, 8)}).findings[0].negligible is False


def test_the_margin_has_to_be_exceeded() -> None:
    values = {"a": around(0.95, 32), "b": around(0.1, 32)}
    assert judged(make(replace(OVER, margin=0.5)), values).verdict is Verdict.SUPPORTED
    assert judged(make(replace(OVER, margin=0.84)), values).verdict is Verdict.INCONCLUSIVE
    strict = judged(make(replace(OVER, margin=0.99)), {"a": [0.1] * 8, "b": [0.95] * 8})
    assert strict.verdict is Verdict.REFUTED


def test_a_loss_is_better_when_it_is_lower() -> None:
    loss = Contrast("a", over="b", metric="loss", bounds=(0, 1), direction="lower")
    result = judge(make(loss), observations_of({"a": [0.0] * 8, "b": [1.0] * 8}, metric="loss"), planned=planned(8))
    assert result.verdict is Verdict.SUPPORTED
    assert result.findings[0].interval.estimate == 1.0


def test_the_control_may_be_a_number() -> None:
    assert judged(make(CHANCE), {"a": [1.0] * 8}).verdict is Verdict.SUPPORTED
    assert judged(make(CHANCE), {"a": [0.0] * 32}).verdict is Verdict.REFUTED


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=8, max_size=20))
def test_exchanging_the_arms_exchanges_supported_and_refuted(pairs: list[tuple[float, float]]) -> None:
    values = {"a": [x for x, _ in pairs], "b": [y for _, y in pairs]}
    one = judged(make(), values)
    other = judged(make(Contrast("b", over="a", metric="accuracy", bounds=(0, 1))), values)
    mirror = {Verdict.SUPPORTED: Verdict.REFUTED, Verdict.REFUTED: Verdict.SUPPORTED}
    assert (other.verdict, other.decided_at) == (mirror.get(one.verdict, one.verdict), one.decided_at)


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_each_attempt_doubles_what_a_verdict_needs(attempt: int) -> None:
    capitals = [math.exp(log_capital([0.5] * n, mean=0, bounds=(-1, 1)).above) for n in range(1, 40)]
    result = judged(make(), constant(0.5, 32), attempt=attempt)
    assert result.decided_at == 1 + sum(capital < 40 * 2 ** (attempt - 1) for capital in capitals)
    assert result.findings[0].thresholds == Thresholds(attempt=attempt)


def test_the_first_verdict_needs_six_seeds() -> None:
    tight = Contrast("a", over=0.01, metric="accuracy", bounds=(0, 1))
    assert judged(make(tight), {"a": [1.0] * 32}).decided_at == 6
    assert judged(make(replace(tight, over=0.99)), {"a": [0.0] * 32}).decided_at == 6


# --- values that are not finite -----------------------------------------------------------------------------


def test_a_value_that_is_not_finite_counts_as_the_worst_for_each_bet() -> None:
    known = {"a": [0.9] * 32, "b": [0.1] * 32}
    failed = {"a": [math.nan, *known["a"][1:]], "b": known["b"]}
    result, worst = (judged(make(), values) for values in (failed, {"a": [0.0, *known["a"][1:]], "b": known["b"]}))
    assert (result.verdict, result.decided_at) == (worst.verdict, worst.decided_at)
    assert judged(make(), known).decided_at < result.decided_at  # type: ignore[operator]
    assert result.findings[0].interval.low == worst.findings[0].interval.low
    assert result.findings[0].interval.high > worst.findings[0].interval.high, "it may have been the best as well"
    found = differences(make(), OVER, observations_of({"a": [1.0, math.nan], "b": [math.inf, 0.0]}))
    assert all(map(math.isnan, found.values()))
    assert len(found) == 2


EXAMPLES = {
    Verdict.SUPPORTED: ([0.95] * 8, [0.05] * 8),
    Verdict.REFUTED: ([0.05] * 8, [0.95] * 8),
    Verdict.EQUIVALENT: ([0.5] * 16, [0.5] * 16),
}


@pytest.mark.parametrize("verdict", EXAMPLES)
@pytest.mark.parametrize("arm", ["a", "b"])
def test_divergence_can_withhold_each_verdict(verdict: Verdict, arm: str) -> None:
    a, b = EXAMPLES[verdict]
    claim = make(replace(OVER, sesoi=0.25), positive_control=replace(CHANCE, treatment="c"))
    values = {"a": a, "b": b, "c": [1.0] * len(a)}
    assert judged(claim, values).verdict is verdict
    values[arm] = [math.nan] * 3 + values[arm][3:]
    assert judged(claim, values).verdict is Verdict.INCONCLUSIVE


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=6, max_size=24)
    | st.tuples(st.floats(0, 1), st.floats(0, 1)).flatmap(lambda pair: st.integers(6, 24).map(lambda n: [pair] * n)),
    st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 23)), min_size=1),
)
def test_divergence_never_causes_a_verdict(pairs: list[tuple[float, float]], diverged: set[tuple[str, int]]) -> None:
    values = {"a": [x for x, _ in pairs], "b": [y for _, y in pairs]}
    contrast = replace(OVER, sesoi=0.4)
    x = list(differences(make(contrast), contrast, observations_of(values)).values())
    finite = reached(x, bounds=(-1, 1), sesoi=0.4)
    for arm, index in diverged:
        if index < len(pairs):
            values[arm][index] = math.nan
    result = judged(make(contrast), values)
    if result.decided_at is not None:
        assert getattr(finite, result.verdict.value.lower())[result.decided_at - 1]


@pytest.mark.parametrize("names", ["ab", "a", "b"])
def test_arms_that_always_diverge_leave_the_claim_inconclusive(names: str) -> None:
    values = {arm: [math.nan if arm in names else 0.5] * 32 for arm in "ab"}
    result = judged(make(replace(OVER, sesoi=0.4)), values)
    assert result.verdict is Verdict.INCONCLUSIVE
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize(("low", "high"), [(-4e307, 4e307), (0.0, 5e-324), (-1e-310, 1e-310)])
def test_bounds_may_be_as_wide_or_as_narrow_as_floats_are(low: float, high: float) -> None:
    contrast = replace(OVER, bounds=(low, high))
    known = judged(make(contrast), {"a": [high] * 8, "b": [low] * 8})
    assert (known.verdict, known.decided_at) == (Verdict.SUPPORTED, 7)
    diverged = judged(make(contrast), {"a": [high, math.nan] * 8, "b": [low] * 16})
    assert diverged.verdict is Verdict.INCONCLUSIVE or diverged.findings[0].interval.low > 0
    json.dumps(diverged.to_json(), allow_nan=False)


@pytest.mark.parametrize("arm", ["a", "b"])
def test_a_mutant_that_diverges_is_incomplete(arm: str) -> None:
    values = {"a": [0.5] * 16, "b": [0.5] * 16}
    values[arm] = [0.5, math.nan, *[0.5] * 14]
    result = judged(make(**MUTANT), values)
    assert (result.verdict, result.decided_at, mutant_failed(result)) == (Verdict.INCOMPLETE, None, False)
    assert "the mutant diverged" in result.notes[0]
    assert not next_seeds(make(**MUTANT), observations_of(values), planned=planned(32))


def test_without_bounds_a_value_that_is_not_finite_leaves_the_claim_incomplete() -> None:
    free = Contrast("a", over="b", metric="accuracy", assume="normal")
    rows = observations_of({"a": [math.nan, *around(0.9, 7)], "b": around(0.1, 8, 0.02)})
    for development in (False, True):
        result = judge(make(free), rows, planned=planned(8), development=development)
        assert (result.verdict, result.decided_at) == (Verdict.INCOMPLETE, None)
        assert "not finite" in result.notes[0]
        assert (result.findings[0].verdict, result.findings[0].n) == (Verdict.INCOMPLETE, 7)
        json.dumps(result.to_json(), allow_nan=False)


def test_a_value_that_cannot_be_judged_is_irrelevant_beyond_the_verdict() -> None:
    free = Contrast("a", over="b", metric="accuracy", assume="normal")
    rows = observations_of({"a": [*around(0.9, 8), math.nan], "b": [0.1] * 9})
    assert judge(make(free), rows, planned=planned(16)).decided_at == 8
    failed = judged(make(**MUTANT), {"a": [0.0] * 8 + [math.nan], "b": [1.0] * 9})
    assert (failed, mutant_failed(failed)) == (judged(make(**MUTANT), {"a": [0.0] * 8, "b": [1.0] * 8}), True)


def test_a_claim_about_divergence_scores_the_arms_that_diverged() -> None:
    returned = {"a": 0.0, "b": 1.0}
    verdicts = {}
    for divergence in ("withholds", "measured"):
        claim = make(divergence=divergence, expect="refuted")
        rows = [o for seed in planned(16) for o in observe(claim, seed, returned, diverged={"a": "nan at step 3"})]
        verdicts[divergence] = judge(claim, rows, planned=planned(16)).verdict
        assert rows[0].reason == "nan at step 3"
    assert verdicts == {"withholds": Verdict.INCONCLUSIVE, "measured": Verdict.REFUTED}


# --- clipping -----------------------------------------------------------------------------------------------


def test_a_clipped_contrast_is_about_the_clipped_metric_and_says_so() -> None:
    loss = Contrast("a", over="b", metric="loss", bounds=(0, 4), direction="lower", clip=True)
    rows = {"a": [0.5] * 12, "b": [3.5, 1e6, 4.0, *[3.5] * 9]}
    result, limited = (
        judge(make(loss), observations_of(values, metric="loss"), planned=planned(12))
        for values in (rows, {**rows, "b": [3.5, 4.0, 4.0, *[3.5] * 9]})
    )
    assert (result.verdict, result.decided_at) == (limited.verdict, limited.decided_at) == (Verdict.SUPPORTED, 8)
    assert result.findings[0].interval == limited.findings[0].interval
    assert result.findings[0].notes == ("the metric is clipped to 0 to 4, which concerns 1 of 8 seeds",)
    assert "concerns 0 of 8 seeds" in limited.findings[0].notes[0]
    diverged = {**rows, "b": [3.5, math.inf, *rows["b"][2:]]}
    unknown = judge(make(loss), observations_of(diverged, metric="loss"), planned=planned(12))
    assert unknown.findings[0].interval.low < result.findings[0].interval.low, "infinity diverged, and is not clipped"


# --- equivalence --------------------------------------------------------------------------------------------

SAME = replace(OVER, sesoi=0.3)
FOUND = Contrast("a", over="c", metric="accuracy", bounds=(0, 1))
EQUIVALENT = make(SAME, expect="equivalent", positive_control=FOUND)


def same(n: int, control: float = 0.0) -> list[Observation]:
    return observations_of({"a": around(0.9, n), "b": around(0.9, n)[::-1], "c": [control] * n})


def test_equivalence_needs_a_capital_of_20_on_either_side() -> None:
    result = judge(EQUIVALENT, same(32), planned=planned(32))
    assert result.verdict is Verdict.EQUIVALENT
    assert [f.role for f in result.findings] == ["contrast", "positive control"]
    finding = result.findings[0]
    assert finding.capital is not None
    assert finding.capital.equivalence is not None
    assert finding.capital.equivalence >= 20
    assert finding.p == pytest.approx(1 / finding.capital.equivalence)
    assert finding.interval.inside(-0.3, 0.3)
    assert (finding.interval.low_level, finding.interval.high_level) == (0.95, 0.95)
    narrow = make(replace(SAME, sesoi=0.05), expect="equivalent", positive_control=FOUND)
    assert judge(narrow, same(32), planned=planned(32)).verdict is Verdict.INCONCLUSIVE


def test_equivalence_needs_its_positive_control() -> None:
    result = judge(EQUIVALENT, same(32, control=0.9), planned=planned(32))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the positive control is not SUPPORTED at a margin of the sesoi" in result.notes[0]


def test_the_positive_control_has_to_exceed_the_largest_sesoi() -> None:
    # The control exceeds 0 by 0.4, but a sesoi of 0.3 only by 0.1.
    result = judge(EQUIVALENT, same(32, control=0.5), planned=planned(32))
    assert result.verdict is Verdict.INCONCLUSIVE
    control = result.findings[-1]
    assert (control.contrast.margin, control.verdict) == (0.3, Verdict.INCONCLUSIVE)
    own = make(SAME, expect="equivalent", positive_control=replace(FOUND, margin=0.5))
    assert judge(own, same(32), planned=planned(32)).findings[-1].contrast.margin == 0.5


def test_the_positive_control_has_to_be_shown_at_the_same_n() -> None:
    early = judge(EQUIVALENT, same(60), planned=planned(60))
    late = judge(EQUIVALENT, same(60, control=0.25), planned=planned(60))
    assert early.verdict is late.verdict is Verdict.EQUIVALENT
    assert early.decided_at is not None
    assert late.decided_at is not None
    assert early.decided_at < late.decided_at
    control = next(f for f in late.findings if f.role == "positive control")
    assert control.n == late.decided_at


def test_the_positive_control_is_not_needed_for_another_verdict() -> None:
    values = {"a": [1.0] * 8, "b": [0.0] * 8, "c": [1.0] * 8}
    assert judged(EQUIVALENT, values).verdict is Verdict.SUPPORTED
    assert judged(EQUIVALENT, {**values, "a": [0.0] * 8, "b": [1.0] * 8}).verdict is Verdict.REFUTED


def test_supported_comes_before_equivalent() -> None:
    result = judged(make(SMALL), {"a": [0.06] * 8})
    assert (result.verdict, result.decided_at) == (Verdict.SUPPORTED, 6)
    margin = replace(SMALL, margin=0.07)
    assert judged(make(margin), {"a": [0.06] * 8}).verdict is Verdict.EQUIVALENT
    tight = Contrast("a", over=0.99, metric="accuracy", bounds=(0, 1), sesoi=0.5)
    refuted = judged(make(tight), {"a": [0.94] * 8})
    assert (refuted.verdict, refuted.findings[0].capital.equivalence > 20) == (Verdict.REFUTED, True)  # type: ignore


def test_contrasts_that_are_all_within_sesoi_are_equivalent_even_if_one_is_supported() -> None:
    values = {"a": [0.06] * 16, "b": [0.06] * 16}
    result = judged(make(SMALL, replace(OVER, sesoi=0.6)), values)
    assert result.verdict is Verdict.EQUIVALENT
    assert [finding.verdict for finding in result.findings] == [Verdict.SUPPORTED, Verdict.EQUIVALENT]


# --- several contrasts --------------------------------------------------------------------------------------

PAIR = (OVER, Contrast("a", over="c", metric="accuracy", bounds=(0, 1)))


def test_all_contrasts_have_to_be_supported_at_the_same_n() -> None:
    late = {"a": [0.9] * 32, "b": [0.0] * 32, "c": around(0.45, 32)}
    result = judged(make(*PAIR), late)
    alone = judged(make(PAIR[1]), late)
    assert (result.verdict, result.decided_at) == (Verdict.SUPPORTED, alone.decided_at)
    assert {finding.n for finding in result.findings} == {alone.decided_at}
    never = {"a": [0.9] * 32, "b": [0.0] * 32, "c": [0.9] * 32}
    assert judged(make(*PAIR), never).verdict is Verdict.INCONCLUSIVE


def test_one_refuted_contrast_refutes() -> None:
    result = judged(make(*PAIR), {"a": [0.0] * 32, "b": [0.0] * 32, "c": [1.0] * 32})
    assert result.verdict is Verdict.REFUTED
    assert [finding.thresholds.refute for finding in result.findings] == [80, 80]


def test_with_k_contrasts_each_needs_k_times_the_capital_to_refute() -> None:
    values = {"a": [0.1] * 8, "b": [0.79] * 8, "c": [0.1] * 8}
    assert judged(make(), values).verdict is Verdict.REFUTED
    together = judged(make(*PAIR), values)
    assert together.verdict is together.findings[0].verdict is Verdict.INCONCLUSIVE
    opposite = {"a": [0.79] * 8, "b": [0.1] * 8, "c": [0.1] * 8}
    assert judged(make(*PAIR), opposite).verdict is Verdict.SUPPORTED, "which needs no correction"


def test_supported_and_equivalent_contrasts_together_decide_nothing() -> None:
    mixed = make(replace(PAIR[0], sesoi=0.3), replace(PAIR[1], sesoi=0.3))
    result = judged(mixed, {"a": around(0.9, 32), "b": [0.0] * 32, "c": around(0.9, 32)[::-1]})
    assert {f.verdict for f in result.findings} == {Verdict.SUPPORTED, Verdict.EQUIVALENT}
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "split the claim" in result.notes[0]


# --- preconditions ------------------------------------------------------------------------------------------

NEEDS = make(requires=(Contrast("c", over=0.2, metric="accuracy", bounds=(0, 1)),))


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (0.0, 1.0)])
def test_an_unmet_precondition_leaves_the_claim_incomplete(a: float, b: float) -> None:
    result = judged(NEEDS, {"a": [a] * 32, "b": [b] * 32, "c": [0.2] * 32})
    assert (result.verdict, result.decided_at, result.missing) == (Verdict.INCOMPLETE, None, ())
    assert "precondition not met: c over 0.2" in result.notes


def test_the_precondition_has_to_be_supported_at_the_deciding_n() -> None:
    values = {"a": [1.0] * 60, "b": [0.0] * 60, "c": around(0.3, 60)}
    result = judged(NEEDS, values)
    alone = judged(make(NEEDS.requires[0]), values)
    assert (result.verdict, result.decided_at) == (Verdict.SUPPORTED, alone.decided_at)
    assert {f.role: f.verdict for f in result.findings} == dict.fromkeys(("contrast", "requires"), Verdict.SUPPORTED)
    several = make(*PAIR[:1], replace(OVER, over=0.5), requires=NEEDS.requires)
    assert judged(several, values).findings[-1].thresholds == Thresholds(), "of 40, however many contrasts there are"


# --- mutants ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sesoi", [None, 0.4])
def test_a_mutant_is_decided_when_an_effect_that_matters_is_ruled_out(sesoi: float | None) -> None:
    claim = make(replace(OVER, sesoi=sesoi, margin=0.05), **MUTANT)
    relevant = 0.05 + (sesoi or 0.1)
    result = judged(claim, constant(-0.1, 100))
    capital = [log_capital([-0.1] * n, mean=relevant, bounds=(-1, 1)).below for n in range(1, 101)]
    first = next(n for n, log in enumerate(capital, 1) if log >= math.log(40))
    assert (result.decided_at, mutant_failed(result)) == (first, True)
    undecided = judged(claim, constant(-0.1, first - 1))
    assert (undecided.verdict, undecided.decided_at, mutant_failed(undecided)) == (Verdict.INCONCLUSIVE, None, False)
    assert judged(replace(claim, origin=None), constant(-0.1, first)).decided_at is None, "only of mutants"


def test_a_mutant_with_two_contrasts_needs_twice_the_capital() -> None:
    two = judged(make(*PAIR, **MUTANT), {**constant(-0.1, 100), "c": [0.0] * 100})
    capital = [log_capital([-0.1] * n, mean=0.1, bounds=(-1, 1)).below for n in range(1, 101)]
    assert two.decided_at == next(n for n, log in enumerate(capital, 1) if log >= math.log(80))


def test_a_mutant_that_works_is_supported_and_has_not_failed() -> None:
    result = judged(make(**MUTANT), constant(0.9, 8))
    assert (result.verdict, mutant_failed(result)) == (Verdict.SUPPORTED, False)


# --- normal theory ------------------------------------------------------------------------------------------

NORMAL = replace(OVER, assume="normal")


def test_normal_theory_decides_by_t_and_says_so() -> None:
    values = {"a": around(0.52, 8, 0.005), "b": around(0.5, 8, 0.005)[::-1]}
    for contrast in (NORMAL, replace(NORMAL, bounds=None)):
        (finding,) = judged(make(contrast), values).findings
        assert (finding.verdict, finding.capital, finding.interval.method) == (Verdict.SUPPORTED, None, "student-t")
        assert any("normal theory" in note for note in finding.notes)
    assert judged(make(), values).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("n", "alpha"), [(8, 0.0099), (16, 0.0198), (32, 0.0297)])
@pytest.mark.parametrize("attempt", [1, 2])
def test_the_levels_of_normal_theory(n: int, alpha: float, attempt: int) -> None:
    (finding,) = judged(make(NORMAL), {"a": around(0.5, n, 0.1), "b": [0.5] * n}, attempt=attempt).findings
    assert (
        finding.interval.low_level == finding.interval.high_level == pytest.approx(1 - alpha / 2 / 2 ** (attempt - 1))
    )
    assert finding.n == n
    pair = make(NORMAL, replace(NORMAL, over="c"))
    both = judged(pair, {"a": around(0.5, n, 0.1), "b": [0.5] * n, "c": [0.5] * n}).findings[0]
    assert (both.interval.low_level, both.interval.high_level) == pytest.approx((1 - alpha / 2, 1 - alpha / 4))


def test_normal_theory_is_judged_at_8_16_and_32_seeds_only() -> None:
    values = {"a": [0.5, 0.5, 0.5, *around(0.9, 29)], "b": [0.5] * 32}
    claim = make(NORMAL)
    assert judged(claim, values).decided_at == 16
    for n in (6, 7, 9, 15):
        assert judged(claim, {arm: column[:n] for arm, column in values.items()}).decided_at is None
    mixed = make(CHANCE, requires=(NORMAL,))
    assert judged(mixed, {"a": around(0.9, 32), "b": around(0.1, 32, 0.03)}).decided_at == 8, (
        "and so is the whole claim"
    )


def test_a_bounded_contrast_of_a_claim_that_assumes_normality_is_judged_at_the_same_looks() -> None:
    tight = Contrast("a", over=0.99, metric="accuracy", bounds=(0, 1))
    values = {"a": around(0.02, 32), "b": around(0.02, 32)[::-1]}
    assert judged(make(tight), values).decided_at == 6
    result = judged(make(tight, NORMAL), values)
    assert (result.verdict, result.decided_at) == (Verdict.REFUTED, 8)


def test_normal_theory_decides_nothing_without_spread() -> None:
    assert judged(make(NORMAL), constant(1.0, 32)).verdict is Verdict.INCONCLUSIVE


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
    result = judged(make(contrast), {"a": [x for x, _ in pairs], "b": [y for _, y in pairs]})
    json.dumps(result.to_json(), allow_nan=False)
    assert result.verdict in Verdict
    assert (result.decided_at is None) == (result.verdict in (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE))
    assert result.decided_at in (None, result.n)


def test_differences_by_seed() -> None:
    rows = observations_of({"a": [0.5, 1.0], "b": [0.25, 0.0]})
    assert differences(make(), OVER, rows) == {FIRST: 0.25, FIRST + 1: 1.0}
    assert np.isfinite(list(differences(make(CHANCE), CHANCE, rows).values())).all()
    assert differences(make(), OVER, [replace(o, claim="other/claim") for o in rows]) == {}


@pytest.mark.parametrize(
    ("values", "repeats"),
    [
        pytest.param({"a": [0.9] * 16, "b": [0.1] * 16}, True, id="every arm repeats a value"),
        pytest.param({"a": [1.0] * 16, "b": [0.1] * 16}, True, id="one of them is at no bound"),
        pytest.param({"a": [1.0] * 16, "b": [0.0] * 16}, False, id="all are at a bound"),
        pytest.param({"a": [0.9] * 16, "b": [0.2] + [0.1] * 15}, False, id="one seed differs"),
        pytest.param({"a": [math.nan] * 16, "b": [0.1] * 16}, False, id="a value is missing"),
        pytest.param({"a": [0.9] * 5, "b": [0.1] * 5}, False, id="too few seeds to tell"),
    ],
)
def test_arms_that_repeat_their_values_are_incomplete_unless_that_is_declared(
    values: dict[str, list[float]], repeats: bool
) -> None:
    judgement = judged(make(deterministic=False), values)
    assert (judgement.verdict is Verdict.INCOMPLETE) == repeats
    assert any("deterministic=True" in note for note in judgement.notes) == repeats
    assert judged(make(deterministic=True), values).verdict is not Verdict.INCOMPLETE
    if repeats:
        wanted = next_seeds(make(deterministic=False), observations_of(values), planned=planned(32))
        assert not wanted, "more seeds would not help"


def test_what_only_a_precondition_compares_counts_as_well() -> None:
    values = {"a": [0.9] * 8, "b": [0.1] * 8, "c": around(0.8, 8)}
    needs = make(requires=(Contrast("c", over=0.2, metric="accuracy", bounds=(0, 1)),), deterministic=False)
    assert judged(needs, values).verdict is not Verdict.INCOMPLETE
