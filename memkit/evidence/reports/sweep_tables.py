"""Sweeps as tables: a row for each setting of the first factors, a column for each value of the last one.

A sweep over one factor has a row for each value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.adjusted import adjusted
from memkit.evidence.verdict import Verdict

FALSE_DISCOVERIES = 0.05
LEGEND = (
    "Cells: verdict and effect of the weakest contrast; * is kept by Benjamini–Hochberg within the sweep, with at most "
    f"{words.percent(FALSE_DISCOVERIES)} false discoveries expected."
)


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """A claim of a sweep; ``effect`` is that of its weakest contrast.

    Attributes:
        discovery: among those that Benjamini-Hochberg keeps, with 5 % false ones expected at most.
    """

    claim: str
    verdict: Verdict
    effect: str
    t: str
    seeds: int
    discovery: bool

    @property
    def text(self) -> str:
        """``✓ +0.45*``."""
        return f"{words.MARKS[self.verdict]} {self.effect}{'*' if self.discovery else ''}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A sweep; ``cells`` holds None where a cell was not run."""

    sweep: str
    contrast: str
    metric: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[GridCell | None, ...], ...]


def grids(claims: Sequence[ClaimEvidence]) -> list[Grid]:
    """One a sweep, in the order of the claims."""
    qs = {entry.claim.id: found for entry, found in zip(claims, adjusted(claims), strict=True)}
    made = []
    for sweep in dict.fromkeys(entry.claim.sweep for entry in claims if entry.claim.sweep):
        family = [entry for entry in claims if entry.claim.sweep == sweep]
        places = {words.place(entry.claim.cell): entry for entry in family}
        rows = tuple(dict.fromkeys(row for row, _ in places))
        columns = tuple(dict.fromkeys(column for _, column in places))
        cells = tuple(
            tuple(
                _cell(places[row, column], qs[places[row, column].claim.id].adjusted)
                if (row, column) in places
                else None
                for column in columns
            )
            for row in rows
        )
        first = family[0].claim.contrasts
        label = words.cells_label([contrast.label for contrast in entry.claim.contrasts] for entry in family)
        label += f" (the weakest of {len(first)})" if len(first) > 1 else ""
        made.append(Grid(sweep=sweep, contrast=label, metric=first[0].metric, rows=rows, columns=columns, cells=cells))
    return made


def _cell(entry: ClaimEvidence, q: float) -> GridCell:
    weakest = words.weakest(words.own_findings(entry))
    places = words.decimals(weakest) if weakest is not None else 2
    return GridCell(
        claim=entry.claim.id,
        verdict=entry.verdict,
        effect="n/a" if weakest is None else words.fixed(weakest.t.estimate, _places(weakest.contrast.assume)),
        t="n/a" if weakest is None else words.span(weakest.t.low, weakest.t.high, places),
        seeds=entry.judgement.n,
        discovery=q <= FALSE_DISCOVERIES,
    )


def _places(assume: str) -> int:
    """Digits after the point: effects that are left to normal theory are small."""
    return 3 if assume == "normal" else 2


def grid_lines(grid: Grid, *, width: int) -> list[str]:
    """A sweep as lines of text, for the terminal: its columns side by side as far as they fit, the rest below."""
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
    """A sweep as a table of GitHub Markdown."""
    head = [grid.sweep, *grid.columns]
    rows = [[name, *("–" if cell is None else cell.text for cell in row)] for name, row in _named_rows(grid)]
    lines = [head, ["---", *["---:"] * len(grid.columns)], *rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _named_rows(grid: Grid) -> list[tuple[str, tuple[GridCell | None, ...]]]:
    return list(zip(grid.rows, grid.cells, strict=True))


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
