"""Every measurement in the store either gives a verdict and a page of its claim, or counts as damage."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit import MemkitWarning
from memkit.evidence import Arm, Registration
from memkit.evidence.figures import Table
from memkit.evidence.learning_curves import Curves, curves_by_recipe
from memkit.pytest_plugin.claim_evidence import evidence_of
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.measurement import Measurement, stored_measurement
from memkit.pytest_plugin.plan import PlannedClaim
from memkit.store.measurements import load_measurement, revoke_measurement, save_measurement
from memkit.store.store import Store
from tests.evidence.planted import FIRST, make
from tests.machines.mutated import mutated

KEY = "ab" * 16
CLAIM = replace(make(), arms={"a": Arm({"model": "toys:Net"}), "b": Arm()})
MEASUREMENT = Measurement.of(
    CLAIM,
    FIRST,
    {"a": {"loss": 0.5, "accuracy": 0.75}, "b": float("nan")},
    arms={
        "a": {
            "loss": 0.5,
            "steps": 7,
            "parameters": 6,
            "cpu_seconds": 0.5,
            "state_size": 3,
            "digest": "cd" * 16,
            "diverged": "",
            "tuning": "by hand",
            "trained_on": "cuda",
            "curve": [[1, 0.75], [7, None]],
        }
    },
    figures=(Table("The table.", ["x"], [["row", 0.5]]),),
    figures_digest="ef" * 16,
    cpu_seconds=0.25,
)


def used(measurement: Measurement) -> None:
    """Use a measurement as a run does."""
    registration = Registration(status="registered", attempt=1, first_seed=FIRST)
    planned = PlannedClaim(
        claim=CLAIM,
        nodeid="test_it.py::test_it",
        location=("test_it.py", 1, "test_it"),
        registration=registration,
        planned=(FIRST,),
        selected=(FIRST,),
        key=KEY,
        code="",
        recipes=("cd" * 16,),
    )
    entry = evidence_of(ClaimRun(planned, measurements={FIRST: measurement}), mode="verdict")
    curves = curves_by_recipe([(CLAIM.id, FIRST, measurement.arms)])
    for made in (entry.to_json(), *(curve.to_json() for curve in curves.values())):
        json.dumps(made, allow_nan=False)
    for curve in curves.values():
        assert Curves.from_json(curve.to_json()) == curve


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_stored_measurement_is_found(store: Store) -> None:
    assert stored_measurement(KEY, CLAIM, FIRST, store) is None
    save_measurement(store, KEY, FIRST, MEASUREMENT.to_stored())
    found = stored_measurement(KEY, CLAIM, FIRST, store)
    assert found is not None
    assert found.reused
    missing = pytest.approx(float("nan"), nan_ok=True)
    returned = [["a", [["loss", 0.5], ["accuracy", 0.75]]], ["b", missing]]
    assert found.to_stored() == {**MEASUREMENT.to_stored(), "returned": returned}, "also in their order"
    assert found.observations[2].reason == "the test returned nan"
    assert stored_measurement(KEY, CLAIM, FIRST, store, figures_digest="") is None, "other functions draw its figures"
    used(found)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_measurement_is_damaged_even_if_its_checksum_matches(store: Store, data: st.DataObject) -> None:
    content: Any = data.draw(mutated(MEASUREMENT.to_stored()))
    revoke_measurement(store, KEY, FIRST)
    save_measurement(store, KEY, FIRST, content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = stored_measurement(KEY, CLAIM, FIRST, store)
    if found is not None:
        assert not caught
        used(found)
    elif caught:  # `null` is not a measurement; other names and numbers out of bounds may be valid for another claim
        assert [w.category for w in caught] == [MemkitWarning]
        assert str(caught[0].message).endswith("; it is measured again")
        assert load_measurement(store, KEY, FIRST) is None, "it is out of the way"
