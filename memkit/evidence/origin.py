"""The origin of a derived claim: it is a cell of a sweep, a mutant of a claim, or a replication of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memkit.checks import is_whole
from memkit.errors import MemkitError
from memkit.plain_values import plain_fields


@dataclass(frozen=True)
class SweepCell:
    """A cell of a sweep or multiverse (:func:`memkit.sweep`, :func:`memkit.multiverse`).

    Attributes:
        sweep: the sweep's id.
        cell: the place in the sweep: factor → value.
        cells: how many cells the sweep has, run or not; 0 where an older file does not say.
    """

    sweep: str
    cell: Mapping[str, str | int | float]
    cells: int = 0

    def __post_init__(self) -> None:
        plain_fields(self, "cell", "cells")
        _check_id(self, self.sweep)
        if not isinstance(self.cell, Mapping) or not self.cell:
            raise MemkitError(f'SweepCell: cell={self.cell!r} must be a dict of factors, cell={{"width": 32}}')
        if not is_whole(self.cells, 0):
            raise MemkitError(f"SweepCell: cells={self.cells!r} must be the number of cells in the sweep")


@dataclass(frozen=True)
class Mutant:
    """A claim with an arm broken on purpose (:func:`memkit.mutant`).

    Attributes:
        of: the id of the claim that it breaks.
    """

    of: str

    def __post_init__(self) -> None:
        _check_id(self, self.of)


@dataclass(frozen=True)
class Replication:
    """A claim that is asked again on another backend (:func:`memkit.replicated`).

    Attributes:
        of: the id of the claim that it asks.
    """

    of: str

    def __post_init__(self) -> None:
        _check_id(self, self.of)


Origin = SweepCell | Mutant | Replication

KEYS = ("sweep", "cell", "cells", "mutant_of", "replicates")
"""Keys of a claim's JSON that say where it comes from."""


def origin_to_json(origin: Origin | None) -> dict[str, Any]:
    """Return plain types for the :data:`KEYS`; what does not apply is empty."""
    cell = origin if isinstance(origin, SweepCell) else None
    return {
        "sweep": cell.sweep if cell else "",
        "cell": dict(cell.cell) if cell else {},
        "cells": cell.cells if cell else 0,
        "mutant_of": origin.of if isinstance(origin, Mutant) else "",
        "replicates": origin.of if isinstance(origin, Replication) else "",
    }


def origin_from_json(data: Mapping[str, Any]) -> Origin | None:
    """Return the origin that :func:`origin_to_json` wrote, from a claim's JSON; older files lack some of the keys.

    Raises:
        MemkitError: the data names two origins, or a cell without its sweep.
    """
    found: list[Origin] = []
    if data.get("sweep"):
        found.append(SweepCell(data["sweep"], data.get("cell", {}), data.get("cells", 0)))
    elif data.get("cell"):
        raise MemkitError("there is a cell, and no sweep that it is of; give both")
    if data.get("mutant_of"):
        found.append(Mutant(data["mutant_of"]))
    if data.get("replicates"):
        found.append(Replication(data["replicates"]))
    if len(found) > 1:
        raise MemkitError("a claim is a cell of a sweep, a mutant or a replication; give one of these")
    return found[0] if found else None


def _check_id(origin: Origin, id: str) -> None:
    if not isinstance(id, str) or not id:
        raise MemkitError(f"{type(origin).__name__}: {id!r} is no id; write study/name")
