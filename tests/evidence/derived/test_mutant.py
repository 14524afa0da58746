"""Mutants: a broken arm makes a new claim, which must not be supported, and because of the break."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

from memkit import Arm, Contrast, MemkitError, Recipe, claim, mutant
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.origin import Mutant
from tests.machines import toys

RECIPE = Recipe(toys.Halves(), toys.Ordinary, steps=3)
OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), margin=0.05, sesoi=0.1)


def off(model: Any) -> Any:
    return ("off", model)


def away(model: Any) -> Any:
    return ("away", model)


def _measured(arms: Any) -> dict[str, float]:
    return dict.fromkeys(arms, 0.5)


def module() -> dict[str, Any]:
    """Return the globals of a module that holds a claim with two mutants."""
    namespace: dict[str, Any] = {"__name__": "made"}
    template: Any = _measured
    function: Any = FunctionType(template.__code__, namespace, "test_it")
    function.__qualname__ = "test_it"
    contrasts = [OVER, Contrast("a", over=0.2, metric="accuracy", bounds=(0, 1))]
    arms = {"a": Arm(RECIPE, away), "b": RECIPE}
    function = claim("study/name", "A beats B.", arms=arms, contrasts=contrasts, headline=True)(function)
    function = mutant("Control improved!", arm="b", by=off, seeds=16)(function)
    namespace["test_it"] = mutant("memory off", arm="a", by=off)(function)
    return namespace


def test_a_mutant_has_the_broken_arm_and_the_intact_arm() -> None:
    derived = claim_of(module()["test_it__mutant_memory_off"])
    assert derived is not None
    assert derived.id == "study/name/mutant-memory-off"
    assert (derived.origin, derived.expect, derived.headline, derived.gates) == (
        Mutant("study/name"),
        "not_supported",
        True,
        True,
    )
    assert list(derived.arms) == ["a", "b", "a, intact"]
    assert derived.arms["a, intact"].intervention is away
    assert derived.arms["a"].intervened("m", 3) == ("off", ("away", "m"))
    assert derived.arms["a"].to_json()["intervention"].endswith(":away, then off")
    assert [c.label for c in derived.contrasts] == ["a over b", "a over 0.2"]
    assert [c.label for c in derived.requires] == ["a, intact over a"]
    assert derived.requires[0].margin == 0


def test_a_control_that_is_broken_gets_better() -> None:
    derived = claim_of(module()["test_it__mutant_Control_improved_"])
    assert derived is not None
    assert (derived.id, derived.seeds) == ("study/name/mutant-control-improved", 16)
    assert [c.label for c in derived.requires] == ["b over b, intact"]
    assert derived.arms["b"].intervention is off


def test_the_claim_itself_is_left_as_it_was() -> None:
    namespace = claim_of(module()["test_it"])
    assert namespace is not None
    assert (namespace.id, namespace.origin, list(namespace.arms)) == ("study/name", None, ["a", "b"])


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"arm": "c"}, {}, "has no arm 'c'"),
        ({"by": "off"}, {}, "must be a named function of the trained model"),
        ({}, {"expect": "refuted"}, "the claim must be expected to be supported, not"),
        ({}, {"arms": ("a", "b")}, "the arm 'a' has no model to break, since the test itself fits it"),
        ({"arm": "c"}, {"arms": {"a": RECIPE, "b": RECIPE, "c": RECIPE}}, "no contrast compares the arm 'c'"),
        ({}, None, "there is no claim below it; write @mutant above @claim"),
    ],
)
def test_mistakes_get_a_sentence(options: dict[str, Any], changes: dict[str, Any] | None, message: str) -> None:
    def test_it(arms: Any) -> dict[str, float]:
        return {}

    function = test_it
    if changes is not None:
        given = {"arms": {"a": RECIPE, "b": RECIPE}, "contrasts": [OVER], **changes}
        function = claim("study/name", "A beats B.", **given)(test_it)
    with pytest.raises(MemkitError, match=message):
        mutant("memory off", **{"arm": "a", "by": off, **options})(function)
    with pytest.raises(MemkitError, match="the name must say what is broken"):
        mutant("!", arm="a", by=off)
