"""Origins of derived claims: a cell of a sweep, a mutant of a claim, or a replication of a claim."""

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
        cell: the position in the sweep: factor → value.
        cells: the number of cells of the sweep, whether or not they are run; 0 in older files, which do not record it.

    Raises:
        MemkitError: a field is not valid.
    """

    sweep: str
    cell: Mapping[str, str | int | float]
    cells: int = 0

    def __post_init__(self) -> None:
        plain_fields(self, "cell", "cells")
        _check_id(self, self.sweep)
        if not isinstance(self.cell, Mapping) or not self.cell:
            raise MemkitError(f'SweepCell: cell={self.cell!r} must be a dict of factors, such as cell={{"width": 32}}')
        if not is_whole(self.cells, 0):
            raise MemkitError(
                f"SweepCell: cells={self.cells!r} must be a whole number, the number of cells in the sweep"
            )


@dataclass(frozen=True)
class Mutant:
    """A claim with an arm that is broken on purpose (:func:`memkit.mutant`).

    Attributes:
        of: the id of the original claim.
    """

    of: str

    def __post_init__(self) -> None:
        _check_id(self, self.of)


@dataclass(frozen=True)
class Replication:
    """A claim that is measured again on another backend (:func:`memkit.replicated`).

    Attributes:
        of: the id of the original claim.
    """

    of: str

    def __post_init__(self) -> None:
        _check_id(self, self.of)


Origin = SweepCell | Mutant | Replication

KEYS = ("sweep", "cell", "cells", "mutant_of", "replicates")
"""Keys of a claim's JSON that hold its origin."""


def origin_to_json(origin: Origin | None) -> dict[str, Any]:
    """Return the :data:`KEYS` with plain types; keys that do not apply have empty values."""
    cell = origin if isinstance(origin, SweepCell) else None
    return {
        "sweep": cell.sweep if cell else "",
        "cell": dict(cell.cell) if cell else {},
        "cells": cell.cells if cell else 0,
        "mutant_of": origin.of if isinstance(origin, Mutant) else "",
        "replicates": origin.of if isinstance(origin, Replication) else "",
    }


def origin_from_json(data: Mapping[str, Any]) -> Origin | None:
    """Return the origin in a claim's JSON, as :func:`origin_to_json` wrote it; older files lack some of the keys.

    Raises:
        MemkitError: the JSON holds two origins, or a cell without its sweep.
    """
    origins: list[Origin] = []
    if data.get("sweep"):
        origins.append(SweepCell(data["sweep"], data.get("cell", {}), data.get("cells", 0)))
    elif data.get("cell"):
        raise MemkitError("there is a cell, but no sweep to which it belongs; give both")
    if data.get("mutant_of"):
        origins.append(Mutant(data["mutant_of"]))
    if data.get("replicates"):
        origins.append(Replication(data["replicates"]))
    if len(origins) > 1:
        raise MemkitError("a claim must be only one of these: a cell of a sweep, a mutant, or a replication")
    return origins[0] if origins else None


def _check_id(origin: Origin, id: str) -> None:
    if not isinstance(id, str) or not id:
        raise MemkitError(f"{type(origin).__name__}: {id!r} is not an id; write study/name")
