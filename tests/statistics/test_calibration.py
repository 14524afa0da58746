"""Rates of false verdicts and power of ``decide_many`` over all looks.

``benchmarks/calibration.py`` computes the whole table. The simulations here are seeded, and the asserted limits lie at
least four standard errors from the expected rates.
"""

from __future__ import annotations

import numpy as np
import pytest

from memkit.statistics import LOOKS, Decision, Look, decide, decide_many, replay

REPETITIONS = 600


def outcomes(x: np.ndarray, **options: object) -> np.ndarray:
    """Return the final outcomes after all looks, for ``x`` (repetitions, 32)."""
    final = np.full(len(x), "inconclusive")
    for look in LOOKS:
        at_look = decide_many(x[:, : look.n], look=look, **options)  # type: ignore[arg-type]
        final = np.where(final == "inconclusive", at_look, final)
    return final


def rarely_collapsing(*, rate: float, collapsed: float, healthy: float) -> np.ndarray:
    """Return differences, (repetitions, 32), of which a share ``rate`` lies near ``collapsed``."""
    rng = np.random.default_rng(6)
    shape = (REPETITIONS, 32)
    return np.where(rng.random(shape) < rate, collapsed, healthy) + rng.uniform(-0.01, 0.01, shape)


def test_t_keeps_its_level_over_all_looks_for_normal_seeds() -> None:
    x = np.random.default_rng(7).normal(0, 1, (20_000, 32))
    final = outcomes(x, bounds=None, assume="normal")
    assert np.mean(final != "inconclusive") == pytest.approx(0.049, abs=0.006)
    assert np.mean(final == "supported") == pytest.approx(np.mean(final == "refuted"), abs=0.006)


def test_both_intervals_together_keep_the_error_rate_where_t_alone_does_not() -> None:
    x = rarely_collapsing(rate=0.1, collapsed=-0.63, healthy=0.07)  # of mean 0
    assert np.mean(outcomes(x, bounds=None, assume="normal") == "supported") > 0.34
    assert np.mean(outcomes(x, bounds=(-1, 1)) == "supported") <= 0.005
    x = rarely_collapsing(rate=0.1, collapsed=-0.99, healthy=0.0)  # of mean −0.099
    assert np.mean(outcomes(x, bounds=None, assume="normal", sesoi=0.099) == "equivalent") > 0.1
    assert np.mean(outcomes(x, bounds=(-1, 1), sesoi=0.099) == "equivalent") <= 0.005


def test_planted_effects_are_detected() -> None:
    x = np.clip(np.random.default_rng(8).normal(0.5, 0.25, (REPETITIONS, 32)), -1, 1)
    assert np.mean(outcomes(x, bounds=(-1, 1)) == "supported") > 0.98
    assert np.mean(outcomes(-x, bounds=(-1, 1)) == "refuted") > 0.98
    x = np.random.default_rng(9).normal(0, 0.05, (REPETITIONS, 32))
    assert np.mean(outcomes(x, bounds=(-1, 1), sesoi=0.3) == "equivalent") > 0.98


def test_decide_many_agrees_with_replay_one_by_one() -> None:
    x = np.clip(np.random.default_rng(10).normal(0.3, 0.3, (60, 32)), -1, 1)

    def last(row: np.ndarray) -> str:
        def judge(differences: np.ndarray, look: Look) -> Decision:
            return decide(differences, look=look, bounds=(-1, 1), sesoi=0.4)

        return replay(row, judge)[-1].outcome

    assert outcomes(x, bounds=(-1, 1), sesoi=0.4).tolist() == [last(row) for row in x]
