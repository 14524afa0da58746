"""Runs a claim's test on one seed, with its trained arms, and makes a measurement of what it returns."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import Any

import pytest

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.figures import Figure, drawn
from memkit.evidence.learning_curves import thinned
from memkit.evidence.observation import plain
from memkit.pytest_plugin.item_turn import CHANGED, WARNINGS
from memkit.pytest_plugin.measurement import PROPERTY, Measurement, differ, stored_measurement
from memkit.pytest_plugin.measurement_keys import drawn_by, key_of
from memkit.pytest_plugin.settings import settings_of

RUNS = pytest.StashKey[dict[str, Any]]()
"""The trained runs that an item was given: arm → run."""
MEASURED = pytest.StashKey[Measurement]()
"""The measurement of an item."""


def call(item: pytest.Function) -> bool | None:
    """Run a claim's test and keep what it returned; None for other tests."""
    claim = claim_of(item.function)
    if claim is None:
        return None
    seed: int = item.callspec.params["seed"]  # type: ignore[assignment]
    for text in item.stash.get(WARNINGS, ()):
        told(text)
    # If a test is run again, the last try counts.
    if MEASURED in item.stash:
        del item.stash[MEASURED]
    item.user_properties[:] = [(name, value) for name, value in item.user_properties if name != PROPERTY]
    started = time.process_time()
    returned = item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames})
    took = time.process_time() - started
    runs = item.stash.get(RUNS, {})
    arms = {
        name: {
            **run.metrics,
            "digest": claim.arms[name].recipe.digest,
            "diverged": run.diverged,
            "tuning": claim.arms[name].recipe.tuning,
            "trained_on": _elsewhere(item, claim.arms[name].recipe.digest, seed),
            "curve": thinned(run.history),
        }
        for name, run in runs.items()
    }
    refusal = ""
    try:
        measurement = Measurement.of(claim, seed, plain(claim, seed, returned), arms=arms, cpu_seconds=round(took, 3))
    except MemkitError as error:
        refusal = str(error)
    if refusal:  # outside of the except block, or pytest prints both exceptions
        pytest.fail(refusal, pytrace=False)
    if functions := drawn_by(item, claim, seed):
        measurement = replace(measurement, figures=_figures(item, claim, seed), drawn_by=functions)
    if changed := item.stash.get(CHANGED, ""):
        measurement = replace(measurement, changed=changed)
    item.stash[MEASURED] = measurement
    item.user_properties.append(_counted(item, claim, measurement).to_property())
    return True


def _counted(item: pytest.Item, claim: Claim, measurement: Measurement) -> Measurement:
    """Return the measurement that counts.

    An earlier one under the same key counts if it differs from this one, whose observations it then has as ``again``.
    """
    settings = settings_of(item.config)
    if not settings.fresh and not measurement.drawn_by:
        return measurement
    first = stored_measurement(key_of(item, claim), claim, measurement.seed, settings.store_of_run)
    if first is None or not differ(first.observations, measurement.observations):
        return measurement
    return replace(first, reused=False, figures=measurement.figures, again=measurement.observations)


def _elsewhere(item: pytest.Item, digest: str, seed: int) -> str:
    """The device that a run was trained on, where that is another than the one that measures it; else ""."""
    settings = settings_of(item.config)
    device = str(settings.store_of_run.made(digest, seed).get("device", ""))
    return "" if device == settings.device else device


def _figures(item: Any, claim: Claim, seed: int) -> tuple[Figure, ...]:
    """Draw the claim's figures; if one cannot be drawn, warn and return none. Figures decide nothing."""
    try:
        return drawn(
            claim.figures,
            f"claim {claim.id!r}",
            arms=item.funcargs.get("arms", {}),
            seed=seed,
            trained=item.stash.get(RUNS, {}),
        )
    except Exception as error:
        text = str(error) if isinstance(error, MemkitError) else f"claim {claim.id!r}: a figure raised {error!r}"
        warnings.warn(text, MemkitWarning, stacklevel=2)
        return ()
