"""Measure how many seeds a decision takes, by simulation through memkit's own code.

    python benchmarks/seeds.py [--repetitions 4000] [--seed 0] [--smoke]

Adaptive looks judge at 8, 16 and 32 seeds by both intervals, and stop at the first decisive look. They are compared
with a fixed number of seeds that are judged once by the same two intervals, with Student's t at 95 %: always 16, always
32, and the smallest numbers that decide as often as adaptive looks or in 80 % of experiments. The last two can only be
planned by somebody who knows the distribution. All rules use the same seeds; a fixed number n means the first n.
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
"""The largest fixed number of seeds that is considered."""


@dataclass(frozen=True)
class Case:
    """A distribution of paired differences and its true verdict.

    Attributes:
        name: the name in the tables.
        draw: ``draw(rng, shape)`` returns differences within the bounds.
        true_verdict: the true verdict; None where every verdict except inconclusive would be false.
        sesoi, assume: as for a contrast.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    true_verdict: str | None = "supported"
    sesoi: float | None = None
    assume: Assumption = "bounded"

    def judge(self, x: Floats, look: Look, **options: Any) -> Strings:
        """Return the outcomes of experiments ``x``, (repetitions, look.n)."""
        return decide_many(x, look=look, bounds=BOUNDS, sesoi=self.sesoi, assume=self.assume, **options)

    def decided(self, outcome: Strings) -> float:
        """Return the share of outcomes, (repetitions,), that are the true verdict (any verdict where none is true)."""
        return float((outcome == self.true_verdict if self.true_verdict else outcome != "inconclusive").mean())

    def power(self, x: Floats, n: int) -> float:
        """Return the share of experiments that are decided by the first ``n`` seeds, judged once."""
        # With a single look there is no need to delay equivalence to a second one.
        return self.decided(self.judge(x[:, :n], Look(n, ALPHA), equivalence_from=1))

    def fixed(self, x: Floats, power: float) -> int | None:
        """Return the smallest fixed number of seeds with at least this power, or None if it exceeds ``MOST``."""
        return next((n for n in range(2, MOST + 1) if self.power(x, n) >= power), None)


def normal(mean: float, sd: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    """Return a function that draws normal differences, clipped at the bounds."""
    return lambda rng, shape: np.clip(rng.normal(mean, sd, shape), *BOUNDS)


CASES = (
    Case("1.0 against 0.2, in every seed", lambda rng, shape: np.full(shape, 0.8)),
    Case("1.0 against 0.2, in 85 % of seeds", lambda rng, shape: np.where(rng.random(shape) < 0.85, 0.8, 0.0)),
    Case("0.5 ± 0.25", normal(0.5, 0.25)),
    Case("0.3 ± 0.1", normal(0.3, 0.1)),
    Case("0.3 ± 0.4", normal(0.3, 0.4)),
    Case("0.02 ± 0.02, normal theory", normal(0.02, 0.02), assume="normal"),
    Case("0 ± 0.05, equivalent within ±0.3", normal(0.0, 0.05), true_verdict="equivalent", sesoi=0.3),
    Case("0 ± 0.1, no effect", normal(0.0, 0.1), true_verdict=None),
)


@dataclass(frozen=True)
class Result:
    """A case, its experiments ``x``, (repetitions, MOST), and the outcomes of adaptive looks."""

    case: Case
    x: Floats
    adaptive: Outcomes

    @classmethod
    def of(cls, case: Case, rng: np.random.Generator, repetitions: int) -> Result:
        """Draw experiments and apply adaptive looks to them."""
        x = case.draw(rng, (repetitions, MOST))
        return cls(case, x, run(x[:, :SEEDS], case.judge))

    @property
    def power(self) -> float:
        """The share of experiments that adaptive looks decide correctly."""
        return self.case.decided(self.adaptive.outcome)

    @property
    def mean(self) -> float:
        """The mean number of seeds that adaptive looks use."""
        return float(self.adaptive.seeds.mean())


def adaptive_against_always(results: list[Result]) -> str:
    """Return the table of adaptive looks against 16 and 32 seeds in every experiment."""
    rows = []
    for r in results:
        row = [r.case.name, percent(r.power), f"{r.mean:.1f}", f"{np.percentile(r.adaptive.seeds, 95):.0f}"]
        for n in (16, SEEDS):
            row += [f"{r.mean / n:.2f}", percent(r.case.power(r.x, n))]
        rows.append(row)
    header = ["difference", "decided", "mean seeds", "95th percentile"]
    return table([*header, "mean/16", "16 decide", f"mean/{SEEDS}", f"{SEEDS} decide"], rows)


def adaptive_against_planned(results: list[Result]) -> str:
    """Return the table of adaptive looks against numbers of seeds planned with a known distribution."""
    rows = []
    for r in results:
        if r.case.true_verdict is None:
            continue  # without an effect there is no power
        row = [r.case.name, f"{r.mean:.1f}"]
        for power in (r.power, POWER):
            n = r.case.fixed(r.x, power)
            row += [f"> {MOST}", ""] if n is None else [str(n), f"{r.mean / n:.2f}"]
        rows.append(row)
    return table(["difference", "mean seeds", "equal power", "ratio", f"power {POWER:g}", "ratio"], rows)


def main() -> None:
    repetitions, seed = arguments(__doc__.splitlines()[0], each="case")
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    print(f"{repetitions} repetitions, looks at 8, 16 and {SEEDS} seeds on [-1, 1], seed {seed}\n")
    results = [Result.of(case, rng, repetitions) for case in CASES]
    print(adaptive_against_always(results), end="\n\n")
    print("a fixed number of seeds, planned with a known distribution")
    print(adaptive_against_planned(results), end="\n\n")
    error = 0.5 / np.sqrt(repetitions)
    print(f"Monte Carlo standard error of a rate: at most {percent(error)}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
