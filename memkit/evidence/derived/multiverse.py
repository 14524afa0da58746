"""Multiverses: would a claim have the same verdict with other defensible choices?

    @multiverse({"rate": (0.5, 1, 2), "budget": (1, 2)}, vary=scaled)
    @claim("study/name", ...)
    def test_it(arms, commands): ...

measures the claim once for each cell of the grid, with every arm's recipe changed by ``vary(recipe, rate=...,
budget=...)``. The cells are a sweep (``--sweeps``): open questions, which cannot fail a run, shown as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from memkit.errors import MemkitError
from memkit.evidence.arm import Arm
from memkit.evidence.claim_decorator import claim_of, refuse_bare, refuse_unknown
from memkit.evidence.derived.copies import add_claim
from memkit.evidence.derived.sweep import check_grid, grid_cells, slug
from memkit.evidence.origin import SweepCell
from memkit.plain_values import plain

NAME = "multiverse"

F = TypeVar("F", bound=Callable[..., Any])


def multiverse(
    over: Mapping[str, Sequence[str | int | float]] | None = None,
    /,
    *,
    vary: Callable[..., Any] | None = None,
    seeds: int | None = None,
    **unknown: Any,
) -> Callable[[F], F]:
    """Measure the claim below in every cell of a grid of choices.

    >>> from memkit import Contrast, Recipe, claim, multiverse
    >>> from memkit.evidence import claim_of
    >>> from memkit.models import LSTMNetwork, SlotNetwork
    >>> from memkit.tasks.binding import Retrieval
    >>> arms = {"slots": Recipe(Retrieval(), SlotNetwork), "lstm": Recipe(Retrieval(), LSTMNetwork)}
    >>> contrast = Contrast("slots", over="lstm", metric="accuracy", bounds=(0, 1))
    >>> @multiverse({"lr": (0.001, 0.01)}, seeds=8)
    ... @claim("binding/slots", "Slots beat an LSTM.", arms=arms, contrasts=[contrast])
    ... def test_slots(arms): ...
    >>> claim_of(test_slots__multiverse_lr_0_01).statement
    'With lr 0.01: Slots beat an LSTM.'

    Args:
        over: choice → its values; the last choice makes the columns of the table.
        vary: a function ``vary(recipe, **cell)`` that returns the recipe of an arm in a cell; None:
            ``recipe.with_(**cell)``.
        seeds: the most seeds per cell, as for a claim; None: as many as the claim may use.

    Raises:
        MemkitError: there is no claim below, one of its arms has no recipe, or the grid is not valid.
    """
    refuse_bare(multiverse, over, '{"lr": (0.02, 0.05)}')
    refuse_unknown("multiverse", multiverse, unknown)
    over = plain(over)
    check_grid("multiverse", over)
    assert over is not None

    def attach(function: F) -> F:
        claim = claim_of(function)
        if claim is None:
            raise MemkitError("multiverse: there is no claim below it; write @multiverse above @claim")
        where = f"multiverse of {claim.id!r}"
        if without_recipe := [name for name, arm in claim.arms.items() if arm.recipe is None]:
            raise MemkitError(
                f"{where}: the arm {without_recipe[0]!r} has no recipe to vary, since the test itself fits it"
            )
        recipes: dict[str, Mapping[str, Any]] = {}
        for cell in grid_cells(over):
            arms = {
                name: Arm(_varied(where, arm.recipe, vary, cell), arm.intervention) for name, arm in claim.arms.items()
            }
            key = repr([arm.recipe.to_json() for arm in arms.values()])
            if key in recipes:
                raise MemkitError(f"{where}: {dict(cell)} and {dict(recipes[key])} give the same recipes")
            recipes[key] = cell
            choices = ", ".join(f"{choice.replace('_', ' ')} {value}" for choice, value in cell.items())
            cell_claim = replace(
                claim,
                id=f"{claim.id}/{NAME}/{slug(cell)}",
                statement=f"With {choices}: {claim.statement}",
                arms=arms,
                source=f"multiverse of {claim.id}",
                expect="open",
                headline=False,
                gate=None,
                seeds=seeds or claim.seeds,
                origin=SweepCell(f"{claim.id}/{NAME}", cell, len(grid_cells(over))),
                figures=(),
            )
            add_claim(function, f"{NAME} {slug(cell)}", cell_claim)
        return function

    return attach


def _varied(where: str, recipe: Any, vary: Callable[..., Any] | None, cell: Mapping[str, Any]) -> Any:
    varied = recipe.with_(**cell) if vary is None else vary(recipe, **cell)
    if not isinstance(varied, type(recipe)):
        raise MemkitError(f"{where}: vary returned a {type(varied).__name__}; it should return a Recipe")
    return varied
