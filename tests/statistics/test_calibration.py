"""Rates of false verdicts and power of the rule with up to 32 seeds.

``benchmarks/calibration.py`` computes the whole table. The simulations here are seeded, and the asserted limits lie at
least four standard errors from the expected rates.
"""

from __future__ import annotations

import numpy as np
import pytest

from memkit.statistics import LOOKS, Thresholds, decide_many_by_t, first_decisions

REPETITIONS = 600


def by_betting(x: np.ndarray, **options: object) -> np.ndarray:
    """Return the outcomes, (repetitions,), for ``x`` (repetitions, n) on [−1, 1]."""
    return first_decisions(x, bounds=(-1, 1), **options)[0]  # type: ignore[arg-type]


def by_t(x: np.ndarray, **options: object) -> np.ndarray:
    """Return the outcomes after the looks of Student's t, for ``x`` (repetitions, 32)."""
    final = np.full(len(x), "inconclusive")
    for look in LOOKS:
        at_look = decide_many_by_t(x[:, : look.n], alpha=look.alpha, **options)  # type: ignore[arg-type]
        final = np.where(final == "inconclusive", at_look, final)
    return final


def rarely_collapsing(*, rate: float, collapsed: float, healthy: float) -> np.ndarray:
    """Return differences, (repetitions, 32), of which a share ``rate`` lies near ``collapsed``."""
    rng = np.random.default_rng(6)
    shape = (REPETITIONS, 32)
    return np.where(rng.random(shape) < rate, collapsed, healthy) + rng.uniform(-0.01, 0.01, shape)


def test_t_keeps_its_level_over_all_looks_for_normal_seeds() -> None:
    x = np.random.default_rng(7).normal(0, 1, (20_000, 32))
    final = by_t(x)
    assert np.mean(final != "inconclusive") == pytest.approx(0.049, abs=0.006)
    assert np.mean(final == "supported") == pytest.approx(np.mean(final == "refuted"), abs=0.006)


def test_betting_keeps_the_error_rate_where_t_does_not() -> None:
    x = rarely_collapsing(rate=0.1, collapsed=-0.63, healthy=0.07)  # of mean 0
    assert np.mean(by_t(x) == "supported") > 0.34
    assert np.mean(by_betting(x) == "supported") <= 0.005
    x = rarely_collapsing(rate=0.1, collapsed=-0.99, healthy=0.0)  # of mean −0.099
    assert np.mean(by_t(x, sesoi=0.099) == "equivalent") > 0.1
    assert np.mean(by_betting(x, sesoi=0.099) == "equivalent") <= 0.02


def test_the_error_rate_holds_after_every_seed_up_to_100_at_the_worst_distribution() -> None:
    x = np.where(np.random.default_rng(11).random((2000, 100)) < 0.5, -1.0, 1.0)
    outcomes = by_betting(x)
    for verdict in ("supported", "refuted"):
        rate = np.mean(outcomes == verdict)
        assert 0.003 < rate <= 0.025 + 4 * np.sqrt(0.025 / len(x)), "a threshold of 4 or 400 would fall outside"
    again = by_betting(x, thresholds=Thresholds(attempt=3))
    assert np.mean(again == "supported") < np.mean(outcomes == "supported") / 2


def test_planted_effects_are_detected() -> None:
    x = np.clip(np.random.default_rng(8).normal(0.5, 0.25, (REPETITIONS, 32)), -1, 1)
    assert np.mean(by_betting(x) == "supported") > 0.98
    assert np.mean(by_betting(-x) == "refuted") > 0.98
    x = np.random.default_rng(9).normal(0, 0.05, (REPETITIONS, 32))
    assert np.mean(by_betting(x, sesoi=0.3) == "equivalent") > 0.98
