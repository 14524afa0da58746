"""Sweeps: one measurement over a grid of settings, with one claim per cell.

    @sweep(
        "binding/levels",
        "At level {level}, {network} answers held-out commands more often than a Transformer.",
        over={"level": (1, 2, 3, 4), "network": ("slots", "lstm")},
        arms=lambda level, network: {"network": RECIPES[network], "transformer": TRANSFORMER},
        contrasts=[Contrast("network", over="transformer", metric="accuracy", bounds=(0, 1))],
    )
    def test_levels(arms, cell): ...

makes eight claims, ``binding/levels/level-1_network-slots`` and so on. Each is measured, registered and judged like any
other claim, but it is an open question and cannot fail a run.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeVar

from memkit.errors import MemkitError
from memkit.evidence.claim_decorator import make_claim, refuse_bare, refuse_unknown
from memkit.evidence.contrast import Contrast
from memkit.evidence.derived.copies import add_claim
from memkit.evidence.origin import SweepCell
from memkit.plain_values import plain

MOST_CELLS = 1000
_FACTOR = re.compile(r"[a-z][a-z0-9_]*")

F = TypeVar("F", bound=Callable[..., Any])


def sweep(
    id: str = "",
    statement: str = "",
    /,
    *,
    over: Mapping[str, Sequence[str | int | float]] | None = None,
    arms: Mapping[str, Any] | Callable[..., Mapping[str, Any]] = (),  # type: ignore[assignment]
    contrasts: Iterable[Contrast] | Callable[..., Iterable[Contrast]] = (),
    source: str = "",
    seeds: int | None = None,
    derived: Iterable[str] = (),
    requires: Iterable[Contrast] = (),
    figures: Iterable[Callable[..., Any]] = (),
    deterministic: bool = False,
    data: Iterable[str] = (),
    environment: Iterable[str] = (),
    **unknown: Any,
) -> Callable[[F], F]:
    """Make a test function the measurement of many claims, one for each cell of a grid.

    If the function needs to know which cell it measures, it takes the fixture ``cell`` (factor → value). Sweeps run
    only with ``--sweeps``.

    >>> from memkit import Contrast, sweep
    >>> from memkit.evidence import claim_of
    >>> contrast = Contrast("mean", over="median", metric="squared error", bounds=(0, 9), direction="lower")
    >>> statement = "With {df} degrees of freedom, the mean beats the median."
    >>> @sweep("location/tails", statement, over={"df": (1, 30)}, arms=("mean", "median"), contrasts=[contrast])
    ... def test_tails(seed, cell): ...
    >>> claim_of(test_tails__df_30).statement
    'With 30 degrees of freedom, the mean beats the median.'

    Args:
        id: ``study/name``; the id of a cell has its values appended.
        statement: the statement of a cell, with the factors in braces.
        over: factor → its values, strings or numbers, in a list or an array. The last factor makes the columns
            of the sweep's table.
        arms: as for a claim, or a function that takes the factors as keyword arguments and returns the arms.
        contrasts: as for a claim, or a function that takes the factors and returns the contrasts.

    The other options are described in :class:`memkit.Claim`.

    Raises:
        MemkitError: an option is unknown or not valid; the message names it and what would be right.
    """
    refuse_bare(sweep, id, '"study/name", "The statement.", over={...}, arms=..., contrasts=[...]')
    where = f"sweep {id!r}"
    refuse_unknown(where, sweep, unknown)
    over = plain(over)
    check_grid(where, over)
    assert over is not None
    shared: dict[str, Any] = {"source": source, "seeds": seeds, "expect": "open"}
    shared |= {"derived": tuple(derived), "requires": tuple(requires), "figures": tuple(figures)}
    shared |= {"deterministic": deterministic, "data": tuple(data), "environment": tuple(environment)}
    same_contrasts = () if callable(contrasts) else tuple(contrasts)
    claims = []
    for cell in grid_cells(over):
        try:
            cell_statement = statement.format(**cell)
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise MemkitError(
                f"{where}: the statement names {error}, which is not a factor; the factors are {', '.join(over)}"
            ) from None
        cell_arms = _of_cell(where, "arms", arms, cell) if callable(arms) else arms
        cell_contrasts = _of_cell(where, "contrasts", contrasts, cell) if callable(contrasts) else same_contrasts
        claim = make_claim(f"{id}/{slug(cell)}", cell_statement, cell_arms, contrasts=cell_contrasts, **shared)
        claims.append(replace(claim, origin=SweepCell(id, cell, len(grid_cells(over)))))
    if len({claim.id for claim in claims}) < len(claims):
        raise MemkitError(
            f"{where}: two cells have the same id; give the factors values that differ in letters or digits"
        )

    def attach(function: F) -> F:
        for claim in claims:
            add_claim(function, claim.id.rsplit("/", 1)[1], claim)
        function.__memkit_sweep__ = id  # type: ignore[attr-defined]
        return function

    return attach


def _of_cell(where: str, option: str, function: Callable[..., Any], cell: Mapping[str, Any]) -> Any:
    """Return the value of an option in a cell, for an option that is a function of the factors."""
    try:
        inspect.signature(function).bind(**cell)
    except TypeError as error:
        raise MemkitError(f"{where}: {option}= must be a function of {', '.join(cell)}: {error}") from None
    return function(**cell)


def is_sweep(function: Any) -> bool:
    """Return whether a function is the test of a whole sweep; each cell is measured by a copy of it."""
    return hasattr(function, "__memkit_sweep__")


def check_grid(where: str, over: Any) -> None:
    """Refuse ``over`` unless it is a grid: factor → strings or numbers.

    Raises:
        MemkitError: it is not a grid, or has too many cells.
    """
    if not isinstance(over, Mapping) or not over:
        raise MemkitError(f'{where}: over={over!r} must be a dict of factors, such as over={{"width": (32, 64)}}')
    for factor, values in over.items():
        if not isinstance(factor, str) or not _FACTOR.fullmatch(factor):
            raise MemkitError(
                f"{where}: the name of a factor must be lower-case letters, digits and '_', starting with a letter, "
                f"not {factor!r}"
            )
        is_list = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
        if not is_list or not all(isinstance(v, (str, int, float)) and not isinstance(v, bool) for v in values):
            raise MemkitError(f"{where}: {factor}={values!r} must be a list of strings or numbers")
    if (cells := math.prod(map(len, over.values()))) > MOST_CELLS:
        raise MemkitError(f"{where} has {cells} cells, more than the limit of {MOST_CELLS}; split it into several")


def grid_cells(over: Mapping[str, Sequence[str | int | float]]) -> list[dict[str, Any]]:
    """Return all cells of a grid, each as factor → value; the last factor varies fastest."""
    return [dict(zip(over, values, strict=True)) for values in product(*over.values())]


def slug(cell: Mapping[str, Any]) -> str:
    """Return a cell as part of an id: ``level-1_network-slots``."""
    return "_".join(f"{factor}-{re.sub('[^0-9a-z.]+', '-', str(value).lower())}" for factor, value in cell.items())
