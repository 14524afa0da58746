"""Stage A's table: every configuration, what it scored, and whether it was promoted; for terminals and pages."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from memkit.errors import MemkitError
from memkit.study.promotion import Promotion, load_promotion

_SHOWN_SEEDS = 8


def screening_rows(promotion: Promotion) -> list[tuple[str, ...]]:
    """Return rows of texts, the names of the columns first; with a column for every seed where there are few."""
    by, seeds = promotion.policy.by, promotion.seeds
    single = seeds if 1 < len(seeds) <= _SHOWN_SEEDS else ()
    families = any(entrant.family for entrant in promotion.entrants)
    reported = any(entrant.reported for entrant in promotion.entrants)
    head = ["configuration", *(["family"] if families else []), *(["reported"] if reported else [])]
    head += [*(f"seed {seed}" for seed in single)]
    rows = [(*head, by if len(seeds) == 1 else f"mean {by}", "promoted", "why")]
    for entrant, outcome in zip(promotion.entrants, promotion.outcomes, strict=True):
        row = [entrant.name, *([entrant.family or "–"] if families else [])]
        row += [entrant.reported or "–"] if reported else []
        row += [number(entrant.scores[seed][by]) for seed in single]
        rows.append((*row, number(outcome.mean), "yes" if outcome.promoted else "no", outcome.why))
    return rows


def screening_block(path: str) -> str:
    """Return what a page shows of stage A: the rule and the table, from the file ``*.promoted.json``.

    Raises:
        MemkitError: it is no such file of this project, it is not there, or it is damaged.
    """
    if not path.endswith(".promoted.json") or Path(path).is_absolute() or ".." in Path(path).parts:
        raise MemkitError(f"«screening {path}» names no file of this project that ends in .promoted.json")
    found = load_promotion(Path(path))
    if found is None:
        raise MemkitError(f"there is no {path}; `memkit study` writes it beside its matrix")
    count = f"{len(found.seeds)} development seed{'' if len(found.seeds) == 1 else 's'}"
    head = f"{len(found.entrants)} configurations on {count}. {text(found.policy.sentence)}"
    return f"{head}\n\n{markdown_table(screening_rows(found))}"


def number(value: float) -> str:
    """``0.9500``; ``not finite``."""
    return f"{value:.4f}" if math.isfinite(value) else "not finite"


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of text, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table of Markdown."""
    head, *rest = [[text(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rest])


def text(plain: str) -> str:
    """Return a text as it is, on one line of Markdown."""
    return re.sub(r"([\\|*_])", r"\\\1", " ".join(plain.split()).replace("&", "&amp;").replace("<", "&lt;"))
