"""The parts that simulations share: their arguments, the looks replayed over many experiments at once, and tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memkit.statistics import LOOKS, Look, replay

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]
Judge = Callable[[Floats, Look], Strings]
"""Experiments (repetitions, look.n) and the look give the outcomes (repetitions,)."""

Table = tuple[list[str], list[list[str]]]
"""The head, and the rows."""

BOUNDS = (-1.0, 1.0)
"""Of the paired differences: arms of an accuracy."""
SEEDS = LOOKS[-1].n


def arguments(
    description: str, each: str, *, default: int = 4000, smoke: int = 200, quotes: bool = False
) -> tuple[int, int]:
    """The repetitions, of ``each`` row or cell, and the seed that the command line asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repetitions", type=int, default=default, help=f"experiments a {each} (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random generator (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help=f"{smoke} repetitions, to see that it runs")
    if quotes:
        parser.add_argument("--quote", action="store_true", help="put the tables into docs/verdicts.md")
    options = parser.parse_args()
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    return (smoke if options.smoke else options.repetitions), options.seed


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the repetitions of one experiment.

    Attributes:
        outcome: the verdict that stood, (repetitions,).
        seeds: how many seeds it took, (repetitions,).
    """

    outcome: Strings
    seeds: NDArray[np.int64]

    def rate(self, outcome: str) -> float:
        """The share of repetitions that came to ``outcome``."""
        return float((self.outcome == outcome).mean())


@dataclass(frozen=True)
class _Judged:
    """A look at all experiments; no further one is needed once each is decided."""

    decisive: bool


def run(x: Floats, judge: Judge) -> Outcomes:
    """Replay the looks over all experiments ``x``, (repetitions, seeds), at once; each stops at its own."""
    outcome = np.full(len(x), "inconclusive")
    seeds = np.zeros(len(x), dtype=np.int64)

    def look_at(rows: Floats, look: Look) -> _Judged:
        undecided = np.flatnonzero(outcome == "inconclusive")
        outcome[undecided] = judge(rows.T[undecided], look)
        seeds[undecided] = look.n
        return _Judged(decisive=bool((outcome != "inconclusive").all()))

    replay(x.T, look_at)
    return Outcomes(outcome, seeds)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same for GitHub."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(rate: float) -> str:
    """``2.27 %``."""
    return f"{100 * rate:.2f} %"
