"""Figures that a claim shows beside its verdict: data, not pictures, so that a file from elsewhere holds no markup.

A figure shows one seed, the first that the claim planned. It decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memkit.errors import MemkitError

MOST = 64
"""Rows, and columns, of a heat map."""


@dataclass(frozen=True)
class Heatmap:
    """Numbers over rows and columns: an address over tokens and slots, an attention over answers and words.

    Attributes:
        title: what is shown, with its unit.
        rows, columns: their names; a name may occur twice, as a word in a command does.
        values: one row of numbers a name of a row.
        span: the values of the palest and of the fullest colour; beyond them the colour stays.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    span: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            labels = getattr(self, name)
            if isinstance(labels, str) or not 1 <= len(labels) <= MOST or not all(isinstance(x, str) for x in labels):
                raise MemkitError(f"Heatmap {self.title!r}: {name} must be 1 to {MOST} names, not {labels!r}")
            object.__setattr__(self, name, tuple(labels))
        values = tuple(tuple(float(value) for value in row) for row in self.values)
        if len(values) != len(self.rows) or any(len(row) != len(self.columns) for row in values):
            raise MemkitError(
                f"Heatmap {self.title!r}: values must be {len(self.rows)} rows of {len(self.columns)} numbers"
            )
        if not all(math.isfinite(value) for row in values for value in row):
            raise MemkitError(f"Heatmap {self.title!r}: a value is not finite")
        low, high = map(float, self.span)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise MemkitError(f"Heatmap {self.title!r}: span={self.span!r} must be two numbers, the smaller one first")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "span", (low, high))

    def to_json(self) -> dict[str, Any]:
        """Plain types, values to four digits."""
        return {
            "title": self.title,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "values": [[float(f"{value:.4g}") for value in row] for row in self.values],
            "span": list(self.span),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Heatmap:
        """What :meth:`to_json` wrote."""
        low, high = data["span"]
        return cls(str(data["title"]), tuple(data["rows"]), tuple(data["columns"]), data["values"], (low, high))


def drawn(figures: Sequence[Any], where: str, **given: Any) -> tuple[Heatmap, ...]:
    """What a claim's figure functions make of a seed's models.

    Raises:
        MemkitError: one of them made no :class:`Heatmap`.
    """
    found = []
    for figure in figures:
        made = figure(**given)
        for one in made if isinstance(made, (list, tuple)) else [made]:
            if not isinstance(one, Heatmap):
                raise MemkitError(f"{where}: the figure {figure.__name__}() made a {type(one).__name__}, not a Heatmap")
            found.append(one)
    return tuple(found)
