"""Sweeps: one claim per cell of the grid; a grid that would give other or fewer claims is refused."""

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
    """Return the globals of a module that holds a sweep."""
    namespace: dict[str, Any] = {"__name__": "made"}
    template: Any = _measured
    function = FunctionType(template.__code__, namespace, "test_grid", template.__defaults__)
    function.__qualname__ = "test_grid"
    statement = changes.pop("statement", "Width {width}, {kind}.")
    namespace["test_grid"] = sweep("study/grid", statement, **{**OPTIONS, **changes})(function)
    return namespace


def _measured(seed: int, scale: float = 2.0) -> dict[str, float]:
    return {"a": scale * seed}


def test_each_cell_is_a_claim_with_a_function_of_its_own() -> None:
    namespace = module()
    assert is_sweep(namespace["test_grid"])
    claims = {name: claim_of(value) for name, value in namespace.items() if claim_of(value) is not None}
    assert sorted(claims) == [
        f"test_grid__width_{width}_kind_{kind}" for width in (16, 8) for kind in ("hard", "soft_")
    ]
    cell_claim = claims["test_grid__width_8_kind_soft_"]
    assert cell_claim is not None
    assert (cell_claim.id, cell_claim.statement) == ("study/grid/width-8_kind-soft-", "Width 8, Soft!.")
    assert cell_claim.origin == SweepCell("study/grid", {"width": 8, "kind": "Soft!"}, 4)
    assert (cell_claim.expect, cell_claim.gates) == ("open", False)
    assert not is_sweep(namespace["test_grid__width_8_kind_soft_"])
    assert namespace["test_grid__width_8_kind_soft_"](2) == {"a": 4.0}
    assert len({claim.digest for claim in claims.values() if claim}) == 4
    assert len({claim.test for claim in claims.values() if claim}) == 1


def test_arms_may_depend_on_the_cell() -> None:
    namespace = module(arms=lambda width, kind: {"a": None, f"of {width} {kind}": None})
    cell_claim = claim_of(namespace["test_grid__width_16_kind_hard"])
    assert cell_claim is not None
    assert list(cell_claim.arms) == ["a", "of 16 hard"]


def test_a_claim_that_is_not_a_cell_keeps_its_digest() -> None:
    """It was registered before sweeps existed."""
    cell_claim = claim_of(module()["test_grid__width_8_kind_hard"])
    assert cell_claim is not None
    data = cell_claim.to_json()
    assert cell_claim.from_json(data) == cell_claim
    old = {name: value for name, value in data.items() if name not in ("sweep", "cell")}
    assert cell_claim.from_json(old).origin is None
    assert cell_claim.from_json(old).digest != cell_claim.digest


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


def test_a_method_cannot_be_a_sweep() -> None:
    with pytest.raises(MemkitError, match="not a method"):

        class TestIt:
            @sweep("study/grid", "Width {width}.", arms=("a",), contrasts=[CONTRAST], over={"width": (8,)})
            def test_it(self, seed: int) -> dict[str, float]:
                return {"a": 1.0}
