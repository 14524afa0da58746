"""The table of stage A, for terminals and pages: every configuration, its scores, and whether it was promoted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from memkit.errors import MemkitError
from memkit.study.promotion import Promotion, load_promotion

_MAX_SEED_COLUMNS = 8


def screening_rows(promotion: Promotion) -> list[tuple[str, ...]]:
    """Return rows of texts, the header first; there is a column per seed if there are 2 to 8 seeds."""
    by, seeds = promotion.policy.by, promotion.seeds
    shown_seeds = seeds if 1 < len(seeds) <= _MAX_SEED_COLUMNS else ()
    has_families = any(entrant.family for entrant in promotion.entrants)
    has_reported = any(entrant.reported for entrant in promotion.entrants)
    header = ["configuration", *(["family"] if has_families else []), *(["reported"] if has_reported else [])]
    header += [*(f"seed {seed}" for seed in shown_seeds)]
    rows = [(*header, by if len(seeds) == 1 else f"mean {by}", "promoted", "why")]
    for entrant, outcome in zip(promotion.entrants, promotion.outcomes, strict=True):
        row = [entrant.name, *([entrant.family or "–"] if has_families else [])]
        row += [entrant.reported or "–"] if has_reported else []
        row += [number(entrant.scores[seed][by]) for seed in shown_seeds]
        rows.append((*row, number(outcome.mean), "yes" if outcome.promoted else "no", outcome.why))
    return rows


def screening_block(path: str) -> str:
    """Return a page's block on stage A, the promotion rule and the table, from the file ``*.promoted.json``.

    Raises:
        MemkitError: the file is outside this project, has another name, does not exist or is damaged.
    """
    if not path.endswith(".promoted.json") or Path(path).is_absolute() or ".." in Path(path).parts:
        raise MemkitError(f"«screening {path}» must name a file of this project that ends in .promoted.json")
    promotion = load_promotion(Path(path))
    if promotion is None:
        raise MemkitError(f"there is no {path}; `memkit study` writes it beside its matrix")
    seeds = f"{len(promotion.seeds)} development seed{'' if len(promotion.seeds) == 1 else 's'}"
    summary = f"{len(promotion.entrants)} configurations on {seeds}. {text(promotion.policy.sentence)}"
    return f"{summary}\n\n{markdown_table(screening_rows(promotion))}"


def number(value: float) -> str:
    """Return a number with four decimals, or ``not finite``."""
    return f"{value:.4f}" if math.isfinite(value) else "not finite"


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table; the first row is the header."""
    header, *body = [[text(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *body])


def text(plain: str) -> str:
    """Return a plain text escaped for Markdown, on one line."""
    return re.sub(r"([\\|*_])", r"\\\1", " ".join(plain.split()).replace("&", "&amp;").replace("<", "&lt;"))
