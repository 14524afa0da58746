"""The cost of training is estimated from earlier costs: from the store, or else from the accepted verdicts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from memkit import Recipe
from memkit.recipes import recipe as recipe_module
from memkit.scheduling.cohorts import Training
from memkit.scheduling.estimates import recipe_key, seconds_per_seed
from memkit.store.store import Store
from memkit.training.trained_run import TrainedRun
from tests.machines import toys

RECIPE = Recipe(toys.Halves(), toys.Cohort, options={"width": 3}, steps=5, batch=4)
TRAINING = Training.of(RECIPE)
OTHER = Training.of(RECIPE.with_(steps=6))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    return tmp_path / "accepted.json"


def took(store: Store, seed: int, seconds: float, training: Training = TRAINING) -> None:
    run = TrainedRun(seed=seed, state={"w": torch.ones(1)}, metrics={"cpu_seconds": seconds})
    store.save(training.digest, training.recipe, run, made={})


def write(accepted: Path, **arms: Any) -> None:
    claims = {"s/old": {"digest": "before arms were kept"}, "s/new": {"arms": arms}}
    accepted.write_text(json.dumps({"schema": 1, "claims": claims}))


def arm(training: Training = TRAINING, seconds: Any = 7.0) -> dict[str, Any]:
    return {"recipe": recipe_key(training.recipe), "cpu_seconds": seconds, "parameters": 3}


def test_unknown_costs_stay_unknown(store: Store, accepted: Path) -> None:
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {}
    took(store, 1, 2.0)
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {TRAINING.digest: 2.0}
    assert seconds_per_seed([], store, accepted) == {}


def test_costs_in_the_store_take_precedence_over_accepted_ones(store: Store, accepted: Path) -> None:
    write(accepted, one=arm(seconds=7.0), two=arm(OTHER, seconds=9))
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {TRAINING.digest: 7.0, OTHER.digest: 9.0}
    took(store, 1, 2.0)
    took(store, 2, 4.0)
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {TRAINING.digest: 3.0, OTHER.digest: 9.0}


def test_impossible_costs_are_ignored(store: Store, accepted: Path) -> None:
    write(accepted, one=arm(seconds=math.nan), two=arm(OTHER, seconds=-1))
    took(store, 1, math.inf)
    took(store, 2, -3.0)
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {}
    took(store, 3, 2.0)
    assert seconds_per_seed([TRAINING, OTHER], store, accepted) == {TRAINING.digest: 2.0}


def test_an_arm_without_a_cost_or_a_recipe_does_not_hide_others(store: Store, accepted: Path) -> None:
    write(accepted, bare={"parameters": 3}, uncounted={"recipe": "ab"}, unnamed={"cpu_seconds": 1.0}, one=arm())
    assert seconds_per_seed([TRAINING], store, accepted) == {TRAINING.digest: 7.0}


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"claims": []}', '{"claims": {"a": 3}}', '{"claims": {"a": {"arms": [1]}}}', "\udcff"],
)
def test_a_damaged_file_is_ignored(store: Store, accepted: Path, text: str) -> None:
    accepted.write_bytes(text.encode(errors="surrogateescape"))
    assert seconds_per_seed([TRAINING], store, accepted) == {}
    write(accepted, one=arm())
    accepted.write_text(accepted.read_text()[:-20])
    assert seconds_per_seed([TRAINING], store, accepted) == {}
    write(accepted, one=arm(), two=arm(OTHER, seconds="a while"))
    assert seconds_per_seed([TRAINING], store, accepted) == {}


def test_costs_are_found_by_the_recipe_without_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "source_digest", lambda modules: "other code")
    changed = Training.of(Recipe.from_json(RECIPE.to_json()))
    assert changed.digest != TRAINING.digest
    assert recipe_key(changed.recipe) == recipe_key(TRAINING.recipe)
    assert recipe_key(json.loads(json.dumps(TRAINING.recipe))) == recipe_key(TRAINING.recipe)
    assert recipe_key(OTHER.recipe) != recipe_key(TRAINING.recipe)
