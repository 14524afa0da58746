"""Runs a claim's test on one seed, with its trained arms, and makes a measurement from its result."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import Any

import pytest

from memkit.errors import MemkitError, MemkitWarning, warn
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.figures import Figure, make_figures
from memkit.evidence.learning_curves import thin_curve
from memkit.evidence.observation import to_floats
from memkit.pytest_plugin.item_turn import CHANGED_FILE, WARNINGS
from memkit.pytest_plugin.measurement import PROPERTY, Measurement, differ, stored_measurement
from memkit.pytest_plugin.measurement_keys import figures_digest, key_of
from memkit.pytest_plugin.settings import settings_of

RUNS = pytest.StashKey[dict[str, Any]]()
"""The trained runs of an item: arm → run."""
MEASUREMENT = pytest.StashKey[Measurement]()
"""The measurement of an item."""


def call(item: pytest.Function) -> bool | None:
    """Run the test of a claim and store its measurement in the item's stash.

    Returns:
        True, which tells pytest that the test was run; None for other tests.
    """
    claim = claim_of(item.function)
    if claim is None:
        return None
    seed: int = item.callspec.params["seed"]  # type: ignore[assignment]
    for text in item.stash.get(WARNINGS, ()):
        warn(text)
    # A plugin may run a test again; then the last try counts.
    if MEASUREMENT in item.stash:
        del item.stash[MEASUREMENT]
    item.user_properties[:] = [(name, value) for name, value in item.user_properties if name != PROPERTY]
    started = time.process_time()
    returned = item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames})
    cpu_seconds = time.process_time() - started
    runs = item.stash.get(RUNS, {})
    arms = {
        name: {
            **run.metrics,
            "digest": claim.arms[name].recipe.digest,
            "diverged": run.diverged,
            "tuning": claim.arms[name].recipe.tuning,
            "trained_on": _other_training_device(item, claim.arms[name].recipe.digest, seed),
            "curve": thin_curve(run.history),
        }
        for name, run in runs.items()
    }
    message = ""
    try:
        values = to_floats(claim, seed, returned)
        measurement = Measurement.of(claim, seed, values, arms=arms, cpu_seconds=round(cpu_seconds, 3))
    except MemkitError as error:
        message = str(error)
    if message:  # outside the except block; inside it, pytest would print both exceptions
        pytest.fail(message, pytrace=False)
    if digest := figures_digest(item, claim, seed):
        measurement = replace(measurement, figures=_draw_figures(item, claim, seed), figures_digest=digest)
    if changed_file := item.stash.get(CHANGED_FILE, ""):
        measurement = replace(measurement, changed_file=changed_file)
    item.stash[MEASUREMENT] = measurement
    item.user_properties.append(_measurement_that_counts(item, claim, measurement).to_property())
    return True


def _measurement_that_counts(item: pytest.Item, claim: Claim, measurement: Measurement) -> Measurement:
    """Return the measurement that counts for the verdict.

    If the store has a measurement under the same key with other values, that one counts, and its
    ``second_observations`` are those of the new measurement.
    """
    settings = settings_of(item.config)
    if not settings.fresh and not measurement.figures_digest:
        return measurement
    first = stored_measurement(key_of(item, claim), claim, measurement.seed, settings.store_of_run)
    if first is None or not differ(first.observations, measurement.observations):
        return measurement
    return replace(first, reused=False, figures=measurement.figures, second_observations=measurement.observations)


def _other_training_device(item: pytest.Item, digest: str, seed: int) -> str:
    """Return the device on which a run was trained if it is not the one that measures; else ""."""
    settings = settings_of(item.config)
    device = str(settings.store_of_run.made(digest, seed).get("device", ""))
    return "" if device == settings.device else device


def _draw_figures(item: Any, claim: Claim, seed: int) -> tuple[Figure, ...]:
    """Return the figures of a claim; if one of them raises an exception, warn and return none of them."""
    try:
        return make_figures(
            claim.figures,
            f"claim {claim.id!r}",
            arms=item.funcargs.get("arms", {}),
            seed=seed,
            trained=item.stash.get(RUNS, {}),
        )
    except Exception as error:
        # A figure decides nothing, so it must not fail the test.
        message = str(error) if isinstance(error, MemkitError) else f"claim {claim.id!r}: a figure raised {error!r}"
        warnings.warn(message, MemkitWarning, stacklevel=2)
        return ()
