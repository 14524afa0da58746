"""Multiverses: the claim is measured in every cell, with every arm's recipe changed."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import pytest

from memkit import Arm, Contrast, MemkitError, Recipe, claim, multiverse
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.origin import SweepCell
from tests.machines import toys

RECIPE = Recipe(toys.Halves(), toys.Ordinary, steps=3)
OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))


def off(model: Any) -> Any:
    return model


def _measured(arms: Any) -> dict[str, float]:
    return dict.fromkeys(arms, 0.5)


def claims_of(*grid: Any, arms: Any = None, **options: Any) -> dict[str, Claim]:
    """Return function name → the claim that it measures, for a module with a multiverse of a claim."""
    namespace: dict[str, Any] = {"__name__": "made"}
    template: Any = _measured
    function: Any = FunctionType(template.__code__, namespace, "test_it")
    function.__qualname__ = "test_it"
    given = {"a": Arm(RECIPE, off), "b": RECIPE.with_(steps=5)} if arms is None else arms
    namespace["test_it"] = multiverse(*grid, **options)(
        claim("study/name", "A beats B.", arms=given, contrasts=[OVER], headline=True, expect="refuted")(function)
    )
    claims = {name: claim_of(value) for name, value in namespace.items()}
    return {name: derived for name, derived in claims.items() if derived is not None}


def test_each_cell_changes_the_recipe_of_every_arm() -> None:
    claims = claims_of({"lr": (0.1, 0.2), "steps": (7,)}, seeds=16)
    assert sorted(claims) == ["test_it", "test_it__multiverse_lr_0_1_steps_7", "test_it__multiverse_lr_0_2_steps_7"]
    derived = claims["test_it__multiverse_lr_0_2_steps_7"]
    assert derived.id == "study/name/multiverse/lr-0.2_steps-7"
    assert derived.origin == SweepCell("study/name/multiverse", {"lr": 0.2, "steps": 7}, 2)
    assert (derived.expect, derived.gates, derived.headline, derived.seeds) == ("open", False, False, 16)
    assert derived.statement == "With lr 0.2, steps 7: A beats B."
    assert [(arm.recipe.lr, arm.recipe.steps) for arm in derived.arms.values()] == [(0.2, 7), (0.2, 7)]
    assert derived.arms["a"].intervention is off
    assert claims["test_it"].expect == "refuted"


def test_choices_may_be_numbers_of_numpy() -> None:
    given = claims_of({"lr": np.array([0.25, 0.5]), "steps": (np.int64(7),)}, seeds=np.int64(16))
    meant = claims_of({"lr": (0.25, 0.5), "steps": (7,)}, seeds=16)
    assert {name: derived.to_json() for name, derived in given.items()} == {
        n: derived.to_json() for n, derived in meant.items()
    }
    assert [derived.digest for derived in given.values()] == [derived.digest for derived in meant.values()]


def test_arms_may_be_varied_relative_to_themselves() -> None:
    claims = claims_of({"budget": (2,)}, vary=lambda recipe, budget: recipe.with_(steps=budget * recipe.steps))
    assert [arm.recipe.steps for arm in claims["test_it__multiverse_budget_2"].arms.values()] == [6, 10]


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        ({}, {}, "must be a dict of factors"),
        ({"steps": ()}, {}, "must be a list of strings or numbers"),
        ({"stps": (3,)}, {}, "Recipe has no field 'stps'"),
        ({"steps": (3,)}, {"arms": ("a", "b")}, "the arm 'a' has no recipe to vary"),
        ({"steps": (3,)}, {"vary": lambda recipe, steps: None}, "vary returned a NoneType; it should return a Recipe"),
    ],
)
def test_mistakes_get_a_sentence(grid: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        claims_of(grid, **options)


def test_there_must_be_a_claim_below() -> None:
    with pytest.raises(MemkitError, match="write @multiverse above @claim"):
        multiverse({"steps": (3,)})(_measured)
