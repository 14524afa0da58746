"""Sweeps as tables: one row per setting of the first factors, one column per value of the last factor.

A sweep over a single factor has one row per value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.verdict import Verdict

LEGEND = "Cells: verdict and effect of the weakest contrast."


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """A cell of a sweep, which is a claim.

    Attributes:
        claim: the claim's id.
        verdict: its verdict.
        effect: the effect of its weakest contrast.
        interval: the interval of that contrast.
        seeds: the number of seeds that were used.
    """

    claim: str
    verdict: Verdict
    effect: str
    interval: str
    seeds: int

    @property
    def text(self) -> str:
        """The text of the cell: ``✓ +0.45``."""
        return f"{words.MARKS[self.verdict]} {self.effect}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A sweep as a table.

    Attributes:
        sweep: the sweep's id.
        contrast: what its cells compare.
        metric: the metric that they compare.
        rows: the names of the rows.
        columns: the names of the columns.
        cells: one tuple per row; None where a cell was not run.
    """

    sweep: str
    contrast: str
    metric: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[GridCell | None, ...], ...]


def grids(claims: Sequence[ClaimEvidence]) -> list[Grid]:
    """Return one table per sweep, in the order of the claims."""
    result = []
    for sweep in dict.fromkeys(entry.claim.sweep for entry in claims if entry.claim.sweep):
        family = [entry for entry in claims if entry.claim.sweep == sweep]
        entries = {words.row_and_column(entry.claim.cell): entry for entry in family}
        rows = tuple(dict.fromkeys(row for row, _ in entries))
        columns = tuple(dict.fromkeys(column for _, column in entries))
        cells = tuple(
            tuple(_cell(entries[row, column]) if (row, column) in entries else None for column in columns)
            for row in rows
        )
        first = family[0].claim.contrasts
        label = words.cells_label([contrast.label for contrast in entry.claim.contrasts] for entry in family)
        label += f" (the weakest of {len(first)})" if len(first) > 1 else ""
        metric = first[0].metric
        result.append(Grid(sweep=sweep, contrast=label, metric=metric, rows=rows, columns=columns, cells=cells))
    return result


def _cell(entry: ClaimEvidence) -> GridCell:
    weakest = words.weakest(words.contrast_findings(entry))
    effect = interval = "n/a"
    if weakest is not None:
        shown = weakest.interval
        effect = words.format_number(shown.estimate, _places(weakest.contrast.assume))
        interval = words.format_interval(shown.low, shown.high, words.decimals(weakest))
    return GridCell(
        claim=entry.claim.id,
        verdict=entry.verdict,
        effect=effect,
        interval=interval,
        seeds=entry.judgement.n,
    )


def _places(assume: str) -> int:
    """Return the number of decimals of an effect: more for normal theory, which is used for small effects."""
    return 3 if assume == "normal" else 2


def grid_lines(grid: Grid, *, width: int) -> list[str]:
    """Return a sweep as lines of text for a terminal; columns that do not fit beside the others follow below."""
    texts = [["–" if cell is None else cell.text for cell in row] for row in grid.cells]
    head = max(map(len, grid.rows))
    widths = [max(len(name), *(len(row[i]) for row in texts)) for i, name in enumerate(grid.columns)]
    lines = [f"{grid.sweep}: {grid.contrast}, {grid.metric}"]
    first = 0
    while first < len(widths):
        last = first + 1
        while last < len(widths) and head + sum(w + 2 for w in widths[first : last + 1]) <= width - 2:
            last += 1
        for name, row in [("", list(grid.columns)), *zip(grid.rows, texts, strict=True)]:
            cells = "".join(f"  {row[i]:>{widths[i]}}" for i in range(first, last))
            lines.append(f"  {name:<{head}}{cells}"[:width].rstrip())
        first = last
    return lines


def grid_markdown(grid: Grid) -> str:
    """Return a sweep as a table in GitHub Markdown."""
    head = [grid.sweep, *grid.columns]
    named_rows = zip(grid.rows, grid.cells, strict=True)
    rows = [[name, *("–" if cell is None else cell.text for cell in row)] for name, row in named_rows]
    lines = [head, ["---", *["---:"] * len(grid.columns)], *rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
