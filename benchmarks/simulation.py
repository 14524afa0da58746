"""Code shared by the simulations: arguments, the replay of looks over many experiments at once, and tables."""

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
"""A function of experiments (repetitions, look.n) and a look that returns outcomes (repetitions,)."""

Table = tuple[list[str], list[list[str]]]
"""The header and the rows."""

BOUNDS = (-1.0, 1.0)
"""The bounds of paired differences of accuracies."""
SEEDS = LOOKS[-1].n


def arguments(
    description: str, each: str, *, default: int = 4000, smoke: int = 200, quotes: bool = False
) -> tuple[int, int]:
    """Parse the command line, and return the number of repetitions per ``each`` and the random seed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--repetitions", type=int, default=default, help=f"experiments per {each} (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random generator (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help=f"only {smoke} repetitions, to check that it runs")
    if quotes:
        parser.add_argument("--quote", action="store_true", help="write the tables into docs/verdicts.md")
    options = parser.parse_args()
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    return (smoke if options.smoke else options.repetitions), options.seed


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the repetitions of one experiment.

    Attributes:
        outcome: the final verdicts, (repetitions,).
        seeds: the number of seeds used, (repetitions,).
    """

    outcome: Strings
    seeds: NDArray[np.int64]

    def rate(self, outcome: str) -> float:
        """Return the share of repetitions with this outcome."""
        return float((self.outcome == outcome).mean())


@dataclass(frozen=True)
class _Decision:
    """The decision of a look at all experiments; it is decisive once every experiment is decided."""

    decisive: bool


def run(x: Floats, judge: Judge) -> Outcomes:
    """Replay the looks over all experiments ``x``, (repetitions, seeds); each stops at its first decisive look."""
    outcome = np.full(len(x), "inconclusive")
    seeds = np.zeros(len(x), dtype=np.int64)

    def judge_undecided(rows: Floats, look: Look) -> _Decision:
        undecided = np.flatnonzero(outcome == "inconclusive")
        outcome[undecided] = judge(rows.T[undecided], look)
        seeds[undecided] = look.n
        return _Decision(decisive=bool((outcome != "inconclusive").all()))

    replay(x.T, judge_undecided)
    return Outcomes(outcome, seeds)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a text table with the first column aligned left and the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the same table in Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(rate: float) -> str:
    """Return a rate as a percentage: ``2.27 %``."""
    return f"{100 * rate:.2f} %"
