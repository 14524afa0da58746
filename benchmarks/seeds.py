"""Measure how many seeds a decision takes, by simulation through memkit's own code.

    python benchmarks/seeds.py [--repetitions 4000] [--seed 0] [--smoke]

Adaptive looks judge at 8, 16 and 32 seeds by both intervals, and stop at the first look that is decisive.
They are held against running a fixed number of seeds and judging once, by the same two intervals, Student's t
at 95 % then: against 16 and 32 seeds always; and against the least number that decides as often, or in 80 %
of experiments, which somebody could plan who knew the distribution beforehand. All rules see the same seeds,
the fixed ones the first n.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from simulation import BOUNDS, SEEDS, Floats, Outcomes, Strings, arguments, percent, run, table

from memkit.statistics import Assumption, Look, decide_many

ALPHA = 0.05
POWER = 0.8
MOST = 2 * SEEDS
"""The largest fixed number of seeds that is tried."""


@dataclass(frozen=True)
class Case:
    """A distribution of paired differences, and the verdict that is true of it.

    Attributes:
        name: the distribution, in the words of the table.
        draw: ``draw(rng, shape)`` gives differences within the bounds.
        right: the verdict that is true; None where every verdict but inconclusive would be false.
        sesoi, assume: as the contrast declares them.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    right: str | None = "supported"
    sesoi: float | None = None
    assume: Assumption = "bounded"

    def judge(self, x: Floats, look: Look, **options: Any) -> Strings:
        """The outcomes of experiments ``x``, (repetitions, look.n)."""
        return decide_many(x, look=look, bounds=BOUNDS, sesoi=self.sesoi, assume=self.assume, **options)

    def decided(self, outcome: Strings) -> float:
        """The share of outcomes, (repetitions,), that are the true verdict, or any verdict where none is true."""
        return float((outcome == self.right if self.right else outcome != "inconclusive").mean())

    def power(self, x: Floats, n: int) -> float:
        """The share of experiments that the first ``n`` seeds decide, judged once."""
        # A single look has no earlier one at which equivalence would be hasty.
        return self.decided(self.judge(x[:, :n], Look(n, ALPHA), equivalence_from=1))

    def fixed(self, x: Floats, power: float) -> int | None:
        """The least number of seeds that decides so many experiments when judged once; None beyond ``MOST``."""
        return next((n for n in range(2, MOST + 1) if self.power(x, n) >= power), None)


def normal(mean: float, sd: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    """Normal differences, cut off at the bounds."""
    return lambda rng, shape: np.clip(rng.normal(mean, sd, shape), *BOUNDS)


CASES = (
    Case("1.0 against 0.2, in every seed", lambda rng, shape: np.full(shape, 0.8)),
    Case("1.0 against 0.2, in 85 % of seeds", lambda rng, shape: np.where(rng.random(shape) < 0.85, 0.8, 0.0)),
    Case("0.5 ± 0.25", normal(0.5, 0.25)),
    Case("0.3 ± 0.1", normal(0.3, 0.1)),
    Case("0.3 ± 0.4", normal(0.3, 0.4)),
    Case("0.02 ± 0.02, normal theory", normal(0.02, 0.02), assume="normal"),
    Case("0 ± 0.05, equivalent within ±0.3", normal(0.0, 0.05), right="equivalent", sesoi=0.3),
    Case("0 ± 0.1, no effect", normal(0.0, 0.1), right=None),
)


@dataclass(frozen=True)
class Measured:
    """A case, its experiments ``x``, (repetitions, MOST), and what the adaptive looks made of them."""

    case: Case
    x: Floats
    adaptive: Outcomes

    @classmethod
    def of(cls, case: Case, rng: np.random.Generator, repetitions: int) -> Measured:
        """Draw and judge."""
        x = case.draw(rng, (repetitions, MOST))
        return cls(case, x, run(x[:, :SEEDS], case.judge))

    @property
    def power(self) -> float:
        """The share of experiments that adaptive looks decide."""
        return self.case.decided(self.adaptive.outcome)

    @property
    def mean(self) -> float:
        """Seeds, on average over the experiments."""
        return float(self.adaptive.seeds.mean())


def adaptive_against_always(measured: list[Measured]) -> str:
    """Adaptive looks, and what always running 16 or 32 seeds takes and decides."""
    rows = []
    for m in measured:
        row = [m.case.name, percent(m.power), f"{m.mean:.1f}", f"{np.percentile(m.adaptive.seeds, 95):.0f}"]
        for n in (16, SEEDS):
            row += [f"{m.mean / n:.2f}", percent(m.case.power(m.x, n))]
        rows.append(row)
    head = ["difference", "decided", "mean seeds", "95th percentile"]
    return table([*head, "mean/16", "16 decide", f"mean/{SEEDS}", f"{SEEDS} decide"], rows)


def adaptive_against_planned(measured: list[Measured]) -> str:
    """Adaptive looks against the number of seeds that could be planned if the distribution were known."""
    rows = []
    for m in measured:
        if m.case.right is None:
            continue  # no number of seeds has power where there is nothing to show
        row = [m.case.name, f"{m.mean:.1f}"]
        for power in (m.power, POWER):
            n = m.case.fixed(m.x, power)
            row += [f"> {MOST}", ""] if n is None else [str(n), f"{m.mean / n:.2f}"]
        rows.append(row)
    return table(["difference", "mean seeds", "equal power", "ratio", f"power {POWER:g}", "ratio"], rows)


def main() -> None:
    repetitions, seed = arguments(__doc__.splitlines()[0], each="case")
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    print(f"{repetitions} repetitions, looks at 8, 16 and {SEEDS} seeds on [-1, 1], seed {seed}\n")
    measured = [Measured.of(case, rng, repetitions) for case in CASES]
    print(adaptive_against_always(measured), end="\n\n")
    print("a fixed number of seeds, planned by who knows the distribution")
    print(adaptive_against_planned(measured), end="\n\n")
    error = 0.5 / np.sqrt(repetitions)
    print(f"Monte Carlo standard error of a rate: at most {percent(error)}; {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
