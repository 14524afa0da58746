"""Sweeps: one measurement over a grid of settings, a claim a cell.

    @sweep(
        "binding/levels",
        "At level {level}, {network} answers held-out commands more often than a Transformer.",
        over={"level": (1, 2, 3, 4), "network": ("slots", "lstm")},
        arms=lambda level, network: {"network": RECIPES[network], "transformer": TRANSFORMER},
        contrasts=[Contrast("network", over="transformer", metric="accuracy", bounds=(0, 1))],
    )
    def test_levels(arms, cell): ...

makes eight claims, ``binding/levels/level-1_network-slots`` and so on. Each is measured, registered and judged as a
claim is, and is an open question: it gates nothing. Its p is adjusted by Benjamini-Hochberg within its sweep.
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

    The function takes the fixture ``cell`` (factor → value) where it needs to know which one it measures. Sweeps run
    with ``--sweeps``, and are left out without it.

    Args:
        id: ``study/name``; a cell adds its values.
        statement: the statement of a cell, with the factors in braces.
        over: factor → its values, texts or numbers, in a list or an array. The last factor makes the columns
            of the sweep's table.
        arms: as of a claim; or a function of the factors, by name, that returns them.
        contrasts: as of a claim; or a function of the factors, as of arms.

    The other options are described at :class:`memkit.Claim`.

    Raises:
        MemkitError: a sentence that names the field and what would be right.
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
    same = () if callable(contrasts) else tuple(contrasts)
    claims = []
    for cell in grid_cells(over):
        try:
            said = statement.format(**cell)
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise MemkitError(f"{where}: the statement names {error}, which is no factor: {', '.join(over)}") from None
        own = _of_cell(where, "arms", arms, cell) if callable(arms) else arms
        compared = _of_cell(where, "contrasts", contrasts, cell) if callable(contrasts) else same
        made = make_claim(f"{id}/{slug(cell)}", said, own, contrasts=compared, **shared)
        claims.append(replace(made, origin=SweepCell(id, cell, len(grid_cells(over)))))
    if len({made.id for made in claims}) < len(claims):
        raise MemkitError(f"{where}: two cells have one id; give the factors values that differ in letters or digits")

    def attach(function: F) -> F:
        for made in claims:
            add_claim(function, made.id.rsplit("/", 1)[1], made)
        function.__memkit_sweep__ = id  # type: ignore[attr-defined]
        return function

    return attach


def _of_cell(where: str, option: str, made: Callable[..., Any], cell: Mapping[str, Any]) -> Any:
    try:
        inspect.signature(made).bind(**cell)
    except TypeError as error:
        raise MemkitError(f"{where}: {option}= must be a function of {', '.join(cell)}: {error}") from None
    return made(**cell)


def is_sweep(function: Any) -> bool:
    """Return whether a function is the test of a sweep, whose cells have functions of their own."""
    return hasattr(function, "__memkit_sweep__")


def check_grid(where: str, over: Any) -> None:
    """Refuse ``over`` unless it is a grid: factor → texts or numbers."""
    if not isinstance(over, Mapping) or not over:
        raise MemkitError(f'{where}: over={over!r} must be a dict of factors, over={{"width": (32, 64)}}')
    for factor, values in over.items():
        if not isinstance(factor, str) or not _FACTOR.fullmatch(factor):
            raise MemkitError(f"{where}: {factor!r} is no name for a factor; take lower case letters, digits and '_'")
        fine = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
        if not fine or not all(isinstance(v, (str, int, float)) and not isinstance(v, bool) for v in values):
            raise MemkitError(f"{where}: {factor}={values!r} must be a list of texts or numbers")
    if (cells := math.prod(map(len, over.values()))) > MOST_CELLS:
        raise MemkitError(f"{where} has {cells} cells; {MOST_CELLS} is the most")


def grid_cells(over: Mapping[str, Sequence[str | int | float]]) -> list[dict[str, Any]]:
    """Return every cell of a grid: factor → value."""
    return [dict(zip(over, values, strict=True)) for values in product(*over.values())]


def slug(cell: Mapping[str, Any]) -> str:
    """Return a cell as a part of an id: ``level-1_network-slots``."""
    return "_".join(f"{factor}-{re.sub('[^0-9a-z.]+', '-', str(value).lower())}" for factor, value in cell.items())
