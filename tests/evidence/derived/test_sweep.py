"""A sweep makes a claim of each cell of its grid, and refuses what would make fewer or other ones."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

from memkit import Contrast, MemkitError, sweep
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.derived.sweep import is_sweep
from memkit.evidence.origin import SweepCell

CONTRAST = Contrast("a", over=0.2, metric="accuracy", bounds=(0, 1))
OPTIONS: dict[str, Any] = {
    "arms": ("a",),
    "contrasts": [CONTRAST],
    "over": {"width": (8, 16), "kind": ("Soft!", "hard")},
}


def module(**changes: Any) -> dict[str, Any]:
    """The globals of a module that holds a sweep."""
    own: dict[str, Any] = {"__name__": "made"}
    template: Any = _measured
    function = FunctionType(template.__code__, own, "test_grid", template.__defaults__)
    function.__qualname__ = "test_grid"
    statement = changes.pop("statement", "Width {width}, {kind}.")
    own["test_grid"] = sweep("study/grid", statement, **{**OPTIONS, **changes})(function)
    return own


def _measured(seed: int, scale: float = 2.0) -> dict[str, float]:
    return {"a": scale * seed}


def test_each_cell_is_a_claim_with_a_function_of_its_own() -> None:
    own = module()
    assert is_sweep(own["test_grid"])
    claims = {name: claim_of(value) for name, value in own.items() if claim_of(value) is not None}
    assert sorted(claims) == [
        f"test_grid__width_{width}_kind_{kind}" for width in (16, 8) for kind in ("hard", "soft_")
    ]
    made = claims["test_grid__width_8_kind_soft_"]
    assert made is not None
    assert (made.id, made.statement) == ("study/grid/width-8_kind-soft-", "Width 8, Soft!.")
    assert made.origin == SweepCell("study/grid", {"width": 8, "kind": "Soft!"}, 4)
    assert (made.expect, made.gates) == ("open", False)
    assert not is_sweep(own["test_grid__width_8_kind_soft_"])
    assert own["test_grid__width_8_kind_soft_"](2) == {"a": 4.0}
    assert len({claim.digest for claim in claims.values() if claim}) == 4
    assert len({claim.test for claim in claims.values() if claim}) == 1


def test_arms_may_depend_on_the_cell() -> None:
    own = module(arms=lambda width, kind: {"a": None, f"of {width} {kind}": None})
    made = claim_of(own["test_grid__width_16_kind_hard"])
    assert made is not None
    assert list(made.arms) == ["a", "of 16 hard"]


def test_a_claim_that_is_no_cell_keeps_its_digest() -> None:
    """It was registered before there were sweeps."""
    made = claim_of(module()["test_grid__width_8_kind_hard"])
    assert made is not None
    data = made.to_json()
    assert made.from_json(data) == made
    old = {name: value for name, value in data.items() if name not in ("sweep", "cell")}
    assert made.from_json(old).origin is None
    assert made.from_json(old).digest != made.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"over": None}, "over=None must be a dict of factors"),
        ({"over": {"width": "wide"}}, "width='wide' must be a list of strings or numbers"),
        ({"over": {"width": (True,)}}, "must be a list of strings or numbers"),
        (
            {"over": {"Width": (8,)}},
            "the name of a factor must be lower-case letters, digits and '_', starting with a letter, not 'Width'",
        ),
        ({"over": {"width": tuple(range(1001))}}, "has 1001 cells, more than the limit of 1000"),
        ({"over": {"width": (8,), "kind": ("a!", "a?")}}, "two cells have the same id"),
        (
            {"statement": "Width {with}."},
            "the statement names 'with', which is not a factor; the factors are width, kind",
        ),
        ({"ovr": {}}, "unknown option 'ovr'; did you mean 'over'?"),
    ],
)
def test_mistakes_get_a_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError) as caught:
        module(**changes)
    assert "study/grid" in str(caught.value)
    assert message.partition("; did")[0] in str(caught.value)


def test_a_method_is_no_sweep() -> None:
    with pytest.raises(MemkitError, match="not a method"):

        class TestIt:
            @sweep("study/grid", "Width {width}.", arms=("a",), contrasts=[CONTRAST], over={"width": (8,)})
            def test_it(self, seed: int) -> dict[str, float]:
                return {"a": 1.0}
