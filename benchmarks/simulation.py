"""Code shared by the simulations: arguments, the decisions of many experiments at once, and tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memkit.statistics import LOOKS, Look, first_decisions, look_sizes

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Strings = NDArray[np.str_]
Judge = Callable[[Floats, Look], Strings]
"""A function of experiments (repetitions, look.n) and a look of Student's t that returns outcomes (repetitions,)."""

Table = tuple[list[str], list[list[str]]]
"""The header and the rows."""

BOUNDS = (-1.0, 1.0)
"""The bounds of paired differences of accuracies."""
SEEDS = 32
"""The most seeds that a claim uses by default."""
_CHUNK = 500
"""How many experiments are decided at a time, to bound the memory."""


def arguments(
    description: str, each: str, *, default: int = 4000, smoke: int = 200, quotes: bool = False
) -> argparse.Namespace:
    """Parse the command line: ``repetitions`` per ``each``, ``seed``, ``smoke`` and, with ``quotes``, ``quote``."""
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
    if options.smoke:
        options.repetitions = smoke
    return options


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the repetitions of one experiment.

    Attributes:
        outcome: the final verdicts, (repetitions,).
        seeds: the number of seeds that the verdict uses, (repetitions,); all seeds if there is none.
    """

    outcome: Strings
    seeds: Counts

    def rate(self, outcome: str) -> float:
        """Return the share of repetitions with this outcome."""
        return float((self.outcome == outcome).mean())

    @property
    def mean_trained(self) -> float:
        """The mean number of seeds that are trained, with a look every four seeds up to ``SEEDS``."""
        return float(trained(self.seeds, SEEDS).mean())


def trained(seeds: Counts, most: int) -> Counts:
    """Return the size of the first look that includes ``seeds``, if at most ``most`` seeds are trained."""
    sizes = np.array(look_sizes(most))
    return sizes[np.searchsorted(sizes, seeds)]


def by_capital(
    x: Floats, *, bounds: tuple[float, float] = BOUNDS, margin: float = 0.0, sesoi: float | None = None
) -> Outcomes:
    """Apply the decision rule to experiments ``x``, (repetitions, seeds)."""
    chunks = [x[start : start + _CHUNK] for start in range(0, len(x), _CHUNK)]
    decided = [first_decisions(chunk, bounds=bounds, margin=margin, sesoi=sesoi) for chunk in chunks]
    outcomes, seeds = zip(*decided, strict=True)
    return Outcomes(np.concatenate(outcomes), np.concatenate(seeds))


def at_looks(x: Floats, judge: Judge) -> Outcomes:
    """Apply another rule to experiments ``x``, (repetitions, seeds), at the looks of Student's t until it decides."""
    outcome = np.full(len(x), "inconclusive")
    seeds = np.zeros(len(x), dtype=np.int64)
    for look in LOOKS:
        undecided = np.flatnonzero(outcome == "inconclusive")
        if look.n <= x.shape[1] and len(undecided):
            outcome[undecided] = judge(x[undecided, : look.n], look)
            seeds[undecided] = look.n
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
