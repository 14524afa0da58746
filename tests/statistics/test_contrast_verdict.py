"""The verdict on one contrast: thresholds, precedence, what the limits say, values that are not known, Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memkit.statistics import (
    LEAST_SEEDS,
    LOOKS,
    Decision,
    Look,
    Thresholds,
    decide,
    decide_many_by_t,
    first_decisions,
    log_capital,
    look_sizes,
    reached,
    t_limits,
    tost_pvalues,
)

BOUNDS = (-1.0, 1.0)
samples = arrays(np.float64, st.integers(6, 40), elements=st.floats(-1, 1))
thresholds = st.builds(Thresholds, attempt=st.integers(1, 4), contrasts=st.integers(1, 5))


def spread(mean: float, width: float, n: int) -> np.ndarray:
    return mean + np.linspace(-width, width, n)


def is_close(capital: float, threshold: float) -> bool:
    """Return whether rounding may decide if the capital reaches the threshold."""
    return math.isclose(capital, threshold, rel_tol=1e-9)


# --- thresholds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (40, 40, 20)),
        ({"contrasts": 3}, (40, 120, 20)),
        ({"attempt": 2}, (80, 80, 40)),
        ({"attempt": 4, "contrasts": 2}, (320, 640, 160)),
        ({"alpha": 0.01}, (200, 200, 100)),
    ],
)
def test_thresholds_by_attempt_and_number_of_contrasts(options: dict[str, float], expected: tuple[float, ...]) -> None:
    needed = Thresholds(**options)  # type: ignore[arg-type]
    assert (needed.support, needed.refute, needed.equivalence) == pytest.approx(expected)


def test_the_errors_of_all_attempts_add_up_to_twice_that_of_the_first() -> None:
    assert sum(1 / Thresholds(attempt=attempt).support for attempt in range(1, 60)) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must lie strictly between 0 and 1"),
        ({"attempt": 0}, "attempt must be a whole number of at least 1"),
        ({"contrasts": 1.5}, "contrasts must be a whole number of at least 1"),
    ],
)
def test_bad_thresholds_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Thresholds(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("attempt", [1, 2, 3])
@pytest.mark.parametrize("contrasts", [1, 2, 3])
def test_a_contrast_is_decided_exactly_where_its_capital_reaches_the_threshold(attempt: int, contrasts: int) -> None:
    needed = Thresholds(attempt=attempt, contrasts=contrasts)
    for sign, threshold, outcome in ((1, needed.support, "supported"), (-1, needed.refute, "refuted")):
        capitals = [math.exp(log_capital([0.5] * n, mean=0, bounds=BOUNDS).above) for n in range(1, 30)]
        first = next(n for n, capital in enumerate(capitals, 1) if capital >= threshold)
        assert decide([sign * 0.5] * first, bounds=BOUNDS, thresholds=needed).outcome == outcome
        assert decide([sign * 0.5] * (first - 1), bounds=BOUNDS, thresholds=needed).outcome == "inconclusive"


# --- the outcome --------------------------------------------------------------------------------------------


@given(samples, st.floats(-0.5, 0.5), st.floats(0.01, 0.9), thresholds)
def test_the_outcome_follows_from_the_capital_and_the_limits_say_the_same(
    x: np.ndarray, margin: float, sesoi: float, needed: Thresholds
) -> None:
    decision = decide(x, bounds=BOUNDS, margin=margin, sesoi=sesoi, thresholds=needed)
    capital, interval = decision.capital, decision.interval
    assert capital is not None
    assert capital.equivalence is not None
    pairs = [
        (capital.above, needed.support),
        (capital.below, needed.refute),
        (capital.equivalence, needed.equivalence),
    ]
    assume(not any(is_close(*pair) for pair in pairs))
    supported, refuted, equivalent = (won >= threshold for won, threshold in pairs)
    assert not (supported and refuted)
    expected = "supported" if supported else "refuted" if refuted else "equivalent" if equivalent else "inconclusive"
    assert (decision.outcome, decision.decisive) == (expected, expected != "inconclusive")
    if expected == "equivalent":
        assert interval.inside(-sesoi, sesoi)
        assert interval.low_level == interval.high_level == 1 - 1 / needed.equivalence
    else:
        assert interval.above(margin) == supported
        assert interval.below(margin) == refuted
        assert (interval.low_level, interval.high_level) == (1 - 1 / needed.support, 1 - 1 / needed.refute)
    assert decision.negligible == (supported and interval.inside(-sesoi, sesoi))
    assert (decision.tost_p, decision.notes) == (None, ())


@given(samples, st.floats(-0.5, 0.5), st.floats(0.01, 0.9), thresholds)
def test_every_n_has_the_verdict_of_the_seeds_so_far(
    x: np.ndarray, margin: float, sesoi: float, needed: Thresholds
) -> None:
    options = {"bounds": BOUNDS, "margin": margin, "sesoi": sesoi, "thresholds": needed}
    verdicts = reached(x, **options)  # type: ignore[arg-type]
    decisions = [decide(x[:n], **options).outcome for n in range(1, len(x) + 1)]  # type: ignore[arg-type]
    for n, outcome in enumerate(decisions, 1):
        at_n = {name: bool(verdict[n - 1]) for name, verdict in verdicts._asdict().items()}
        assert next((name for name, holds in at_n.items() if holds), "inconclusive") == outcome
    first = next((n for n, outcome in enumerate(decisions, 1) if outcome != "inconclusive"), len(x))
    outcomes, seeds = first_decisions(x, **options)  # type: ignore[arg-type]
    assert (str(outcomes), int(seeds)) == (decisions[first - 1], first)


def test_many_experiments_at_once_give_the_same_as_one_by_one() -> None:
    x = np.clip(np.random.default_rng(10).normal(0.2, 0.3, (3, 20, 40)), -1, 1)
    outcomes, seeds = first_decisions(x, bounds=BOUNDS, sesoi=0.4)
    one, n = first_decisions(x[1, 7], bounds=BOUNDS, sesoi=0.4)
    assert (outcomes[1, 7], seeds[1, 7]) == (one, n)
    assert len(set(outcomes.ravel())) >= 2


def test_nothing_is_decided_with_fewer_than_six_seeds() -> None:
    assert LEAST_SEEDS == 6
    tight = (-0.01, 1.0)
    assert math.exp(log_capital([1.0] * 3, mean=0, bounds=tight).above) > 1000
    assert decide([1.0] * 5, bounds=tight).outcome == "inconclusive"
    assert decide([1.0] * 6, bounds=tight).outcome == "supported"
    assert decide([-1.0] * 6, bounds=(-1.0, 0.01)).outcome == "refuted"
    assert decide([0.0] * 6, bounds=tight, sesoi=0.9).outcome == "equivalent"
    assert reached([1.0] * 8, bounds=tight).supported.tolist() == [False] * 5 + [True] * 3


@given(samples, st.floats(-0.5, 0.5), st.floats(0.01, 0.9))
def test_swapping_the_arms_swaps_the_verdict(x: np.ndarray, margin: float, sesoi: float) -> None:
    swapped = {"supported": "refuted", "refuted": "supported"}
    plain = decide(x, bounds=(-1, 1.5), margin=margin, sesoi=sesoi)
    opposite = decide(-x, bounds=(-1.5, 1), margin=-margin, sesoi=sesoi)
    assert plain.capital is not None
    assert opposite.capital is not None
    assume(not any(is_close(value or 0, 40) or is_close(value or 0, 20) for value in plain.capital))
    assert opposite.outcome == swapped.get(plain.outcome, plain.outcome)
    assert opposite.capital == pytest.approx((plain.capital.below, plain.capital.above, plain.capital.equivalence))


@given(samples, st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_does_not_matter_at_a_given_n(x: np.ndarray, random: object) -> None:
    shuffled = x.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (decide(values, bounds=BOUNDS, sesoi=0.3) for values in (x, shuffled))
    assert one.capital is not None
    assume(not any(is_close(value or 0, 40) or is_close(value or 0, 20) for value in one.capital))
    assert one.outcome == other.outcome


# --- equivalence --------------------------------------------------------------------------------------------


def test_supported_takes_precedence_and_may_be_negligible() -> None:
    x = spread(0.2, 0.01, 32)
    decision = decide(x, bounds=BOUNDS, sesoi=0.5)
    assert (decision.outcome, decision.negligible) == ("supported", True)
    assert reached(x, bounds=BOUNDS, sesoi=0.5).equivalent[-1]
    assert not decide(x, bounds=BOUNDS, sesoi=0.1).negligible
    opposite = decide(-x, bounds=BOUNDS, sesoi=0.5)
    assert (opposite.outcome, opposite.negligible) == ("refuted", False)


def test_equivalence_needs_a_sesoi() -> None:
    x = spread(0, 0.02, 32)
    assert decide(x, bounds=BOUNDS, sesoi=0.2).outcome == "equivalent"
    without = decide(x, bounds=BOUNDS)
    assert without.outcome == "inconclusive"
    assert without.capital is not None
    assert without.capital.equivalence is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_side_of_equivalence_beyond_the_bounds_is_decided_by_the_bounds(sign: int) -> None:
    # No difference can be below −0.05, so that only the other side has to be shown.
    bounds = (-0.05, 1.0) if sign == 1 else (-1.0, 0.05)
    x = sign * spread(0.0, 0.02, 32)
    for sesoi in (0.05, 0.3):
        decision = decide(x, bounds=bounds, sesoi=sesoi, margin=sign * 0.02)
        at_sesoi = log_capital(x, mean=sign * sesoi, bounds=bounds)
        assert decision.capital is not None
        assert decision.capital.equivalence == pytest.approx(math.exp(at_sesoi.below if sign == 1 else at_sesoi.above))
    assert decision.outcome == "equivalent"
    assert decide(sign * np.full(32, 0.29), bounds=bounds, sesoi=0.3).outcome != "equivalent"


# --- values that are not known ------------------------------------------------------------------------------


@given(samples, st.floats(-0.5, 0.5), st.floats(0.01, 0.9), st.sets(st.integers(0, 39)))
def test_unknown_values_can_withhold_a_verdict_but_not_cause_one(
    x: np.ndarray, margin: float, sesoi: float, unknown: set[int]
) -> None:
    low, high = x.copy(), x.copy()
    index = [i for i in unknown if i < len(x)]
    low[index], high[index] = BOUNDS
    with_unknown = reached(low, optimistic=high, bounds=BOUNDS, margin=margin, sesoi=sesoi)
    for verdict, known in zip(with_unknown, reached(x, bounds=BOUNDS, margin=margin, sesoi=sesoi), strict=True):
        assert not (verdict & ~known).any()


@pytest.mark.parametrize(
    ("known", "outcome"), [([0.9] * 8, "supported"), ([-0.9] * 8, "refuted"), ([0.0] * 16, "equivalent")]
)
def test_each_verdict_can_be_withheld(known: list[float], outcome: str) -> None:
    assert decide(known, bounds=BOUNDS, sesoi=0.3).outcome == outcome
    low, high = [-1.0, -1.0, *known[2:]], [1.0, 1.0, *known[2:]]
    decision = decide(low, optimistic=high, bounds=BOUNDS, sesoi=0.3)
    assert decision.outcome == "inconclusive"
    assert decision.interval.low == decide(low, bounds=BOUNDS).interval.low
    assert decision.interval.high == decide(high, bounds=BOUNDS).interval.high
    assert decision.interval.estimate == pytest.approx(np.mean([low, high]))


def test_seeds_of_which_nothing_is_known_decide_nothing() -> None:
    decision = decide([-1.0] * 40, optimistic=[1.0] * 40, bounds=BOUNDS, sesoi=0.9)
    assert (decision.outcome, decision.interval.low, decision.interval.high) == ("inconclusive", -1, 1)


# --- Student's t --------------------------------------------------------------------------------------------


def by_t(x: object, **options: object) -> Decision:
    return decide(x, **{"bounds": None, "assume": "normal", **options})  # type: ignore[arg-type]


def test_the_looks_of_normal_theory_and_their_levels() -> None:
    assert [(look.n, look.alpha) for look in LOOKS] == [(8, 0.0099), (16, 0.0198), (32, 0.0297)]
    with pytest.raises(ValueError, match="n must be a whole number"):
        Look(0, 0.05)


@given(st.sampled_from(LOOKS), st.floats(-0.5, 0.5), st.floats(0.01, 0.9), thresholds, st.integers(0, 999))
def test_normal_theory_decides_by_t_alone(
    look: Look, margin: float, sesoi: float, needed: Thresholds, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.uniform(-1, 1), rng.uniform(0.01, 1), look.n)
    decision = by_t(x, margin=margin, sesoi=sesoi, thresholds=needed)
    alpha = look.alpha / 2 ** (needed.attempt - 1)
    lower = t_limits(x, level=1 - alpha)[0]
    upper = t_limits(x, level=1 - alpha / needed.contrasts)[1]
    p = max(tost_pvalues(x, low=-sesoi, high=sesoi))
    assert decision.tost_p == pytest.approx(float(p))
    equivalent = p < alpha and look.n >= 16
    expected = (
        "supported"
        if lower > margin
        else "refuted"
        if upper < margin
        else "equivalent"
        if equivalent
        else "inconclusive"
    )
    assert decision.outcome == expected
    assert (decision.capital, decision.interval.method) == (None, "student-t")
    if expected != "equivalent":
        assert (decision.interval.low, decision.interval.high) == (lower, upper)
        assert decision.interval.low_level == pytest.approx(1 - alpha / 2)
        assert decision.interval.high_level == pytest.approx(1 - alpha / needed.contrasts / 2)
    else:
        assert decision.interval.inside(-sesoi, sesoi)
        assert decision.interval.low_level == decision.interval.high_level == pytest.approx(1 - alpha)
    assert decision.notes[0].startswith("normal theory")


@given(arrays(np.float64, 40, elements=st.floats(-1, 1)))
def test_normal_theory_decides_at_its_looks_only(x: np.ndarray) -> None:
    verdicts = reached(x, bounds=BOUNDS, assume="normal", sesoi=0.3)
    for n in range(1, 41):
        at_n = [name for name, verdict in verdicts._asdict().items() if verdict[n - 1]]
        first = next(iter(at_n), "inconclusive")
        assert first == decide(x[:n], bounds=BOUNDS, assume="normal", sesoi=0.3).outcome
        assert not at_n or n in (8, 16, 32)


def test_normal_theory_may_reach_both_supported_and_equivalent() -> None:
    both = reached(spread(0.1, 0.01, 16), bounds=BOUNDS, assume="normal", sesoi=0.5)
    assert (both.supported[15], both.refuted[15], both.equivalent[15]) == (True, False, True)


def test_normal_theory_shows_what_wide_bounds_cannot() -> None:
    x = spread(0.02, 0.01, 8)
    assert by_t(x).outcome == "supported"
    assert by_t(x, bounds=BOUNDS).outcome == "supported"
    assert decide(x, bounds=BOUNDS).outcome == "inconclusive"
    assert by_t(spread(0, 0.01, 8), sesoi=0.5).outcome == "inconclusive", "the spread of eight seeds is too uncertain"
    assert by_t(spread(0, 0.01, 16), sesoi=0.5).outcome == "equivalent"


@pytest.mark.parametrize("bounds", [None, BOUNDS])
def test_normal_theory_cannot_judge_seeds_without_spread(bounds: tuple[float, float] | None) -> None:
    rounded = np.tile([0.9 - 0.8, 0.4 - 0.3], 4)
    assert np.ptp(rounded) > 0
    for x in (np.full(8, 0.1), rounded):
        decision = by_t(x, bounds=bounds)
        assert decision.outcome == "inconclusive"
        assert "do not vary" in decision.notes[1]


def test_many_experiments_by_t_give_the_same_as_one_by_one() -> None:
    x = np.random.default_rng(3).normal(0.1, 0.2, (50, 16))
    outcomes = decide_many_by_t(x, alpha=0.0198, sesoi=0.3)
    assert outcomes.tolist() == [by_t(row, sesoi=0.3).outcome for row in x]
    assert len(set(outcomes)) > 1


# --- looks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "options", "sizes"),
    [
        (32, {}, (8, 12, 16, 20, 24, 28, 32)),
        (22, {}, (8, 12, 16, 20, 22)),
        (8, {}, (8,)),
        (6, {}, (6,)),
        (4, {}, (4,)),
        (1, {}, (1,)),
        (9, {"every": 1}, (6, 7, 8, 9)),
        (16, {"every": 5}, (10, 15, 16)),
        (16, {"every": 6}, (6, 12, 16)),
        (16, {"every": 100}, (16,)),
    ],
)
def test_sizes_of_the_looks(most: int, options: dict[str, int], sizes: tuple[int, ...]) -> None:
    assert look_sizes(most, **options) == sizes


# --- arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": None}, 'unless assume is "normal"'),
        ({"bounds": (-0.05, 0.05)}, r"differences must lie within bounds \(-0.05, 0.05\)"),
        ({"optimistic": [2.0] * 8}, "must lie within bounds"),
        ({"assume": "gaussian"}, 'assume must be "bounded" or "normal"'),
        ({"margin": 1.0}, "margin must lie strictly inside bounds"),
        ({"sesoi": 0.0}, "sesoi must be a finite number above 0"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"bounds": BOUNDS, **options}
    for function in (decide, reached):
        with pytest.raises(ValueError, match=message):
            function([0.1] * 8, **arguments)  # type: ignore[arg-type]


def test_looks_after_no_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="every must be a whole number of at least 1"):
        look_sizes(8, every=0)
    with pytest.raises(ValueError, match="most must be a whole number of at least 1"):
        look_sizes(0)
