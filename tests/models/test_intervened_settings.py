"""Contradictory settings are refused in one sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest

from memkit import MemkitError, Recipe
from memkit.models.intervened_settings import Intervention
from memkit.training.building import build
from tests.models.intervened import model, recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "gatd"}, "mode='gatd' is unknown; did you mean 'gated'"),
        ({"which": "all"}, "which='all' is unknown; known: nearest, random, shuffled"),
        ({"k": 0}, "k=0 must be a positive whole number"),
        ({"steps": 1.5}, "steps=1.5 must be a positive whole number"),
        ({"affected": 0}, "affected=0 must be a positive whole number, or None for all dimensions"),
        ({"warmup": -1}, "warmup=-1 must be a whole number of examples, 0 or more"),
        ({"alpha": 1.5}, "alpha=1.5 must lie between 0 and 1"),
        ({"refresh": True}, "refresh=True must lie between 0 and 1"),
        ({"step_size": 0}, "step_size=0 must be a positive number"),
        ({"temperature": math.nan}, "temperature=nan must be a positive number"),
        ({"refresh_within": math.inf}, "refresh_within=inf must be a distance, 0 or more"),
        ({"k": 9, "capacity": 8}, "k=9 neighbours must not be more than capacity=8 entries"),
        ({"target": "current"}, "with target='current' use value='absolute'"),
        ({"gate": "warmup"}, "gate='warmup' needs warmup, the number of examples"),
        (
            {"gate": "uncertainty", "mode": "residual"},
            "mode='residual' has no gate; with gate='uncertainty' use mode='gated'",
        ),
        ({"eviction": "ttl"}, "eviction='ttl' needs ttl, the age in examples"),
        ({"query": "untouched", "affected": None}, "query='untouched' needs dimensions that are not affected"),
        ({"gate": "learnt", "alpha": 1.0}, "gate='learnt' starts at alpha, which must lie between 0 and 1, not be 1.0"),
        ({"gate": "learnt", "use": "inference"}, "needs a memory that is applied in training, .*'inference'"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=f"^Intervention: .*{message}"):
        Intervention(**changes)


def test_a_misspelt_setting_is_not_swallowed() -> None:
    with pytest.raises(MemkitError, match="Intervention has no setting 'capcity'; did you mean 'capacity'"):
        Intervention().with_(capcity=3)
    with pytest.raises(TypeError, match="capcity"):
        build(recipe(capcity=3), [0])


def test_more_affected_dimensions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="affected=8 of the 7 dimensions at 'penultimate' are too many"):
        model(affected=8)
    with pytest.raises(ValueError, match="affected=7 of the 7 dimensions at 'penultimate' leaves none untouched"):
        model(affected=7, query="untouched")


def test_settings_survive_json_and_a_recipe() -> None:
    assert Intervention().to_json() == {}
    settings = Intervention().with_(affected=None, mode="residual", alpha=0.1, ttl=5)
    assert settings.to_json() == {"affected": None, "mode": "residual", "alpha": 0.1, "ttl": 5}
    assert Intervention(**settings.to_json()) == settings
    plan = recipe(**settings.to_json())
    again = Recipe.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest != recipe().digest
    assert build(again, [0]).settings == settings.with_(k=4, capacity=64)
