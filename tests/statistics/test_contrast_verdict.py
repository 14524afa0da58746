from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memkit.statistics import LOOKS, Decision, Look, betting, decide, decide_many, looks_within, replay, tost

FIRST, SECOND, THIRD = LOOKS
BOUNDS = (-1.0, 1.0)
samples_at_a_look = st.sampled_from(LOOKS).flatmap(
    lambda look: st.tuples(st.just(look), arrays(np.float64, look.n, elements=st.floats(-1, 1)))
)


def spread(mean: float, width: float, look: Look) -> np.ndarray:
    return mean + np.linspace(-width, width, look.n)


def test_an_effect_is_supported_and_its_opposite_is_refuted() -> None:
    x = spread(0.85, 0.05, FIRST)
    assert decide(x, look=FIRST, bounds=BOUNDS).outcome == "supported"
    assert decide(-x, look=FIRST, bounds=BOUNDS).outcome == "refuted"
    assert decide(x, look=FIRST, bounds=BOUNDS, margin=0.9).outcome != "supported"


def test_an_outcome_is_provisional_if_only_t_decides() -> None:
    x = spread(0.2, 0.05, FIRST)
    decision = decide(x, look=FIRST, bounds=BOUNDS)
    assert (decision.outcome, decision.provisional, decision.decisive) == ("inconclusive", "supported", False)
    assert decide(-x, look=FIRST, bounds=BOUNDS).provisional == "refuted"
    assert decide(spread(0, 0.5, FIRST), look=FIRST, bounds=BOUNDS).provisional is None
    assert decide(spread(0, 0.02, SECOND), look=SECOND, bounds=BOUNDS, sesoi=0.1).provisional == "equivalent"


def test_equivalence_needs_the_second_look_and_a_sesoi() -> None:
    tight = (-0.3, 0.3)
    for look, sesoi, outcome in [
        (FIRST, 0.25, "inconclusive"),
        (SECOND, 0.25, "equivalent"),
        (SECOND, None, "inconclusive"),
    ]:
        decision = decide(spread(0, 0.02, look), look=look, bounds=tight, sesoi=sesoi)
        assert (decision.outcome, decision.provisional) == (outcome, None)
    early = decide(spread(0, 0.02, FIRST), look=FIRST, bounds=tight, sesoi=0.25, equivalence_from=8)
    assert early.outcome == "equivalent"
    assert early.tost_p == tost(spread(0, 0.02, FIRST), low=-0.25, high=0.25).p


def test_supported_takes_precedence_and_may_be_negligible() -> None:
    x = spread(0.2, 0.01, THIRD)
    decision = decide(x, look=THIRD, bounds=BOUNDS, sesoi=0.5)
    assert (decision.outcome, decision.negligible) == ("supported", True)
    assert not decide(x, look=THIRD, bounds=BOUNDS, sesoi=0.1).negligible
    assert not decide(-x, look=THIRD, bounds=BOUNDS, sesoi=0.5).negligible


def test_normal_theory_waives_the_betting_interval_and_notes_it() -> None:
    x = spread(0.02, 0.01, FIRST)
    decision = decide(x, look=FIRST, bounds=BOUNDS, assume="normal")
    assert (decision.outcome, decision.assume) == ("supported", "normal")
    assert decision.notes[0].startswith("normal theory")
    assert decision.betting == betting(x, bounds=BOUNDS)  # reported although it does not decide
    assert decide(x, look=FIRST, bounds=None, assume="normal").betting is None


@pytest.mark.parametrize("bounds", [None, BOUNDS])
def test_normal_theory_cannot_judge_seeds_without_spread(bounds: tuple[float, float] | None) -> None:
    rounded = np.tile([0.9 - 0.8, 0.4 - 0.3], 4)
    assert np.ptp(rounded) > 0
    for x in (np.full(8, 0.1), rounded):
        decision = decide(x, look=FIRST, bounds=bounds, assume="normal")
        assert (decision.outcome, decision.provisional) == ("inconclusive", None)
        assert "do not vary" in decision.notes[1]


def test_levels_are_those_of_the_look_divided_by_the_share() -> None:
    x = spread(0.3, 0.2, SECOND)
    one, third = (decide(x, look=SECOND, bounds=BOUNDS, share=k) for k in (1, 3))
    assert one.betting is not None
    assert third.betting is not None
    assert (one.t.level, one.betting.level) == pytest.approx((1 - 0.0198, 0.95))
    assert (third.t.level, third.betting.level) == pytest.approx((1 - 0.0066, 1 - 0.05 / 3))
    assert third.betting == betting(x, bounds=BOUNDS, alpha=0.05 / 3)


@given(samples_at_a_look, st.floats(-0.5, 0.5), st.floats(0.01, 0.9), st.integers(1, 5))
def test_the_outcome_follows_from_the_reported_intervals(
    drawn: tuple[Look, np.ndarray], margin: float, sesoi: float, share: int
) -> None:
    look, x = drawn
    decision = decide(x, look=look, bounds=BOUNDS, margin=margin, sesoi=sesoi, share=share)
    t, betting_interval = decision.t, decision.betting
    assert betting_interval is not None
    assert decision.tost_p is not None
    supported = t.above(margin) and betting_interval.above(margin)
    refuted = t.below(margin) and betting_interval.below(margin)
    assert not (supported and refuted)
    within_sesoi = decision.tost_p < look.alpha / share and betting_interval.inside(-sesoi, sesoi)
    equivalent = look.n >= 16 and within_sesoi
    expected = "supported" if supported else "refuted" if refuted else "equivalent" if equivalent else "inconclusive"
    assert decision.outcome == expected
    assert str(decide_many(x, look=look, bounds=BOUNDS, margin=margin, sesoi=sesoi, share=share)) == expected


@given(samples_at_a_look)
def test_swapping_the_arms_swaps_the_verdict(drawn: tuple[Look, np.ndarray]) -> None:
    look, x = drawn
    swapped = {"supported": "refuted", "refuted": "supported"}
    outcome = decide(x, look=look, bounds=BOUNDS, sesoi=0.3).outcome
    assert decide(-x, look=look, bounds=BOUNDS, sesoi=0.3).outcome == swapped.get(outcome, outcome)


@given(samples_at_a_look, st.randoms(use_true_random=False))
def test_the_order_of_seeds_within_a_look_does_not_matter(drawn: tuple[Look, np.ndarray], random: object) -> None:
    look, x = drawn
    shuffled = x.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(x, look=look, bounds=BOUNDS).outcome == decide(shuffled, look=look, bounds=BOUNDS).outcome


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"look": SECOND}, "differences must be the 16 seeds of the look; 8 were given"),
        ({"bounds": None}, 'unless assume is "normal"'),
        ({"bounds": (-0.05, 0.05)}, r"differences must lie within bounds \(-0.05, 0.05\)"),
        ({"assume": "gaussian"}, 'assume must be "bounded" or "normal"'),
        ({"margin": 1.0}, "margin must lie strictly inside bounds"),
        ({"sesoi": 0.0}, "sesoi must be a finite number above 0"),
        ({"share": 0}, "share must be a whole number of at least 1"),
    ],
)
def test_invalid_arguments_are_named_in_the_message(options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"look": FIRST, "bounds": BOUNDS}
    with pytest.raises(ValueError, match=message):
        decide([0.1] * 8, **(arguments | options))  # type: ignore[arg-type]


def test_there_are_looks_at_8_16_and_32_seeds() -> None:
    assert [(look.n, look.alpha) for look in LOOKS] == [(8, 0.0099), (16, 0.0198), (32, 0.0297)]
    assert looks_within(7) == ()
    assert looks_within(16) == LOOKS[:2]
    assert looks_within(100) == LOOKS
    with pytest.raises(ValueError, match="n must be a whole number"):
        Look(0, 0.05)


def judge(x: np.ndarray, look: Look) -> Decision:
    return decide(x, look=look, bounds=BOUNDS)


def test_replay_stops_at_the_first_decisive_look_and_uses_no_later_seed() -> None:
    x = np.concatenate([spread(0.5, 0.1, SECOND), np.full(16, -1.0)])
    decisions = replay(x, judge)
    assert [(d.look.n, d.outcome) for d in decisions] == [(8, "inconclusive"), (16, "supported")]
    x[16:] = np.nan  # not even an invalid value beyond the decisive look changes the result
    assert replay(x, judge) == decisions


def test_replay_takes_the_looks_that_the_seeds_suffice_for() -> None:
    undecided = np.tile([-0.5, 0.5], 16)
    assert replay(undecided[:7], judge) == ()
    assert [d.look.n for d in replay(undecided[:31], judge)] == [8, 16]
    assert [d.look.n for d in replay(undecided, judge)] == [8, 16, 32]
    assert [d.look.n for d in replay(undecided, judge, looks=[Look(20, 0.05)])] == [20]
    with pytest.raises(ValueError, match="increasing order"):
        replay(undecided, judge, looks=[SECOND, FIRST])


def test_replay_slices_several_contrasts_at_the_same_look() -> None:
    x = np.stack([np.tile([-0.5, 0.5], 16), np.full(32, 0.9)], axis=1)
    shapes: list[tuple[int, ...]] = []

    def judge_first(rows: np.ndarray, look: Look) -> Decision:
        shapes.append(rows.shape)
        return judge(rows[:, 0], look)

    replay(x, judge_first)
    assert shapes == [(8, 2), (16, 2), (32, 2)]


@pytest.mark.parametrize("rows", [list(range(32)), range(32), tuple(range(32)), "x" * 32])
def test_replay_slices_any_sequence_and_keeps_its_type(rows: Sequence[object]) -> None:
    slices: list[Sequence[object]] = []

    def judge_undecided(rows_at_look: Sequence[object], look: Look) -> Decision:
        slices.append(rows_at_look)
        return judge(np.tile([-0.5, 0.5], look.n // 2), look)

    replay(rows, judge_undecided)
    assert slices == [rows[:8], rows[:16], rows]
