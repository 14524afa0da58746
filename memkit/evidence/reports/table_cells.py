"""The cells of a claim's own tables as text: four significant digits, with equal decimals in a column if possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from memkit.errors import count_of
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.figures import MOST_COLUMNS, MOST_ROWS, Table
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import grouped, minus, power

_DIGITS = 4
_EMPTY = "–"


@dataclass(frozen=True)
class Cells:
    """A table as a page shows it.

    Attributes:
        columns: the name of each column, and whether it holds numbers, which are aligned on the right.
        rows: the name of each row, and one text per column.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def table_cells(figure: Table) -> Cells:
    """Format the cells of a table."""
    columns = list(zip(*(row[1:] for row in figure.rows), strict=True))
    texts = zip(*(_column(column) for column in columns), strict=True)
    is_numeric = [not all(isinstance(cell, str) or cell is None for cell in column) for column in columns]
    return Cells(
        columns=tuple(zip(map(_printable, figure.columns), is_numeric, strict=True)),
        rows=tuple((_printable(str(row[0])), cells) for row, cells in zip(figure.rows, texts, strict=True)),
    )


def other_measurements(entry: ClaimEvidence) -> list[Table]:
    """Return a table of the metrics that no contrast compares: means over used seeds, one row per arm.

    Metrics that an arm lacks, or that are not finite on some seed, are left out.

    Returns:
        One table, or none if no metric is left, or if there are more arms than a table may have rows.
    """
    compared = {contrast.metric for contrast in entry.claim.all_contrasts}
    used = set(words.used_seeds(entry))
    values: dict[str, dict[str, list[float]]] = {}
    for o in entry.observations:
        if o.metric not in compared and o.seed in used:
            values.setdefault(o.metric, {}).setdefault(o.arm, []).append(o.value)
    arms = list(dict.fromkeys(arm for by_arm in values.values() for arm in by_arm))
    means = {
        metric: [fmean(by_arm[arm]) for arm in arms]
        for metric, by_arm in values.items()
        if by_arm.keys() >= set(arms) and all(map(math.isfinite, chain(*by_arm.values())))
    }
    metrics = list(means)[:MOST_COLUMNS]
    if not metrics or len(arms) > MOST_ROWS:
        return []
    rows: list[list[str | float | None]] = [
        [arm, *(means[metric][index] for metric in metrics)] for index, arm in enumerate(arms)
    ]
    return [Table(f"Other measurements, means of {count_of(len(used), 'seed')}", tuple(metrics), rows)]


def significant(value: float) -> str:
    """Format a number with four significant digits, as ``0.9500`` or ``1.235 × 10⁷``; whole numbers with all digits."""
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
            texts.append(_EMPTY)
        elif isinstance(cell, str):
            texts.append(_printable(cell))
        elif isinstance(cell, float) and places is not None:
            texts.append(minus(grouped(cell, places)))
        else:
            texts.append(significant(cell))
    return texts


def _shared_places(sizes: Sequence[float]) -> int | None:
    """Return the decimals that give the largest number four digits; None if small ones need more, or if there are none.

    A largest number of exactly 1 gets as many decimals as 0.9999, so that a column of shares has four.
    """
    if not sizes:
        return None
    places = _DIGITS - math.ceil(math.log10(max(sizes)) - 1e-12)
    return places if 0 <= places <= 6 and min(sizes) >= 10.0 ** (1 - places) else None


def _exponent(value: float) -> int:
    """Return the decimal exponent of the rounded number: 9.99996 has that of 10."""
    return int(f"{value:.{_DIGITS - 1}e}".split("e")[1])


def _printable(text: str) -> str:
    """Replace the characters of ``text`` that cannot be printed."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
