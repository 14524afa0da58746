"""The cells of a claim's own tables as texts: four digits, and one number of decimals a column where that serves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from memkit.errors import many
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.figures import MOST_COLUMNS, MOST_ROWS, Table
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import grouped, minus, power

_DIGITS = 4
_NONE = "–"


@dataclass(frozen=True)
class Cells:
    """A table as a page shows it.

    Attributes:
        columns: their names, each with whether it holds numbers, which are aligned on the right.
        rows: a name, and one text a column.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def table_cells(figure: Table) -> Cells:
    """Return a table's numbers as texts."""
    columns = list(zip(*(row[1:] for row in figure.rows), strict=True))
    texts = zip(*(_column(column) for column in columns), strict=True)
    numeric = [not all(isinstance(cell, str) or cell is None for cell in column) for column in columns]
    return Cells(
        columns=tuple(zip(map(_shown, figure.columns), numeric, strict=True)),
        rows=tuple((_shown(str(row[0])), cells) for row, cells in zip(figure.rows, texts, strict=True)),
    )


def other_measurements(entry: ClaimEvidence) -> list[Table]:
    """Return a table of metrics that no contrast compares: means over used seeds, arms as rows, metrics as columns."""
    compared = {contrast.metric for contrast in entry.claim.all_contrasts}
    used = set(words.used_seeds(entry))
    found: dict[str, dict[str, list[float]]] = {}
    for o in entry.observations:
        if o.metric not in compared and o.seed in used:
            found.setdefault(o.metric, {}).setdefault(o.arm, []).append(o.value)
    arms = list(dict.fromkeys(arm for of_arm in found.values() for arm in of_arm))
    means = {
        metric: [fmean(of_arm[arm]) for arm in arms]
        for metric, of_arm in found.items()
        if of_arm.keys() >= set(arms) and all(map(math.isfinite, chain(*of_arm.values())))
    }
    metrics = list(means)[:MOST_COLUMNS]
    if not metrics or len(arms) > MOST_ROWS:
        return []
    rows: list[list[str | float | None]] = [[arm, *(means[m][at] for m in metrics)] for at, arm in enumerate(arms)]
    return [Table(f"Measured beside what is compared, means of {many(len(used), 'seed')}", tuple(metrics), rows)]


def significant(value: float) -> str:
    """``0.9500``, ``12.35``, ``1.235 × 10⁷``: four digits, but for whole numbers, which are written to their last."""
    if isinstance(value, int) or value == 0:
        return minus(grouped(value))
    exponent = _exponent(value)
    if -_DIGITS <= exponent < 6:
        return minus(grouped(value, max(0, _DIGITS - 1 - exponent)))
    return minus(f"{value:.{_DIGITS - 1}e}".split("e")[0]) + f" × {power(exponent)}"


def _column(cells: Sequence[str | float | None]) -> list[str]:
    sizes = [abs(cell) for cell in cells if isinstance(cell, float) and cell]
    places = _shared_places(sizes)
    texts = []
    for cell in cells:
        if cell is None:
            texts.append(_NONE)
        elif isinstance(cell, str):
            texts.append(_shown(cell))
        elif isinstance(cell, float) and places is not None:
            texts.append(minus(grouped(cell, places)))
        else:
            texts.append(significant(cell))
    return texts


def _shared_places(sizes: Sequence[float]) -> int | None:
    """Decimals that give the largest number four digits, 1 counting as 0.9999; None where a small one needs more."""
    if not sizes:
        return None
    places = _DIGITS - math.ceil(math.log10(max(sizes)) - 1e-12)
    return places if 0 <= places <= 6 and min(sizes) >= 10.0 ** (1 - places) else None


def _exponent(value: float) -> int:
    """Return the exponent of ten once the number is rounded: 9.99996 has the exponent of 10."""
    return int(f"{value:.{_DIGITS - 1}e}".split("e")[1])


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
