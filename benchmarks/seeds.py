"""Measure how many seeds a decision takes, by simulation through memkit's own code.

    python benchmarks/seeds.py [--repetitions 4000] [--seed 0] [--smoke]

The rule is looked at every four seeds, up to 64. It is compared with the best single bet: one that stakes the same
share λ of its capital on every seed, with the λ in [0, 1] that takes the fewest seeds on average. Only somebody who
knows the distribution can choose it. Both need a capital of 40, and both see the same seeds. Seeds are counted as
trained: a verdict at the ninth seed costs the twelve of the look. Experiments that are not decided count as 64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from simulation import BOUNDS, SEEDS, Counts, Floats, arguments, by_capital, percent, table, trained

from memkit.statistics import LEAST_SEEDS, Thresholds, smallest_constant

MOST = 64
THRESHOLD = Thresholds().support
SHARES = np.linspace(0, 1, 101)
"""The shares of its capital among which the best single bet is chosen."""

Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


@dataclass(frozen=True)
class Case:
    """A distribution that lies above its margin.

    Attributes:
        name: the name in the table.
        draw: ``draw(rng, shape)`` returns values within the bounds.
        goal: the greatest ratio to the seeds of the best single bet that is aimed at.
        bounds, margin: as for a contrast.
    """

    name: str
    draw: Draw
    goal: float
    bounds: tuple[float, float] = BOUNDS
    margin: float = 0.0

    def of_best_bet(self, x: Floats) -> tuple[float, float]:
        """Return the share that takes the fewest seeds on average, and this number, for ``x`` (repetitions, seeds)."""
        relative = (x - self.margin) / (self.margin - self.bounds[0])
        means = [float(trained(_first_above(share * relative), MOST).mean()) for share in SHARES]
        best = int(np.argmin(means))
        return float(SHARES[best]), means[best]


def _first_above(returns: Floats) -> Counts:
    """Return the number of seeds at which a capital that earns ``returns``, (repetitions, seeds), reaches 40."""
    with np.errstate(divide="ignore"):  # a bet of everything may lose everything
        capital = np.log1p(returns).cumsum(axis=1)
    capital[:, : LEAST_SEEDS - 1] = -np.inf
    reached = capital >= np.log(THRESHOLD)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, returns.shape[1])


def normal(mean: float, sd: float, bounds: tuple[float, float] = BOUNDS) -> Draw:
    """Return a function that draws normal values, clipped at the bounds."""
    return lambda rng, shape: np.clip(rng.normal(mean, sd, shape), *bounds)


def with_failures(draw: Draw, rate: float) -> Draw:
    """Return a function that draws as ``draw`` does, but −1 with probability ``rate``."""
    return lambda rng, shape: np.where(rng.random(shape) < rate, -1.0, draw(rng, shape))


def successes(rate: float) -> Draw:
    """Return a function that draws 1 with probability ``rate``, and otherwise 0."""
    return lambda rng, shape: (rng.random(shape) < rate).astype(np.float64)


UNIT = (0.0, 1.0)
NORMAL, OTHER = 1.2, 1.35
"""The goals for normal spread and for all other distributions."""
SMALL = Case("0.3 ± 0.1", normal(0.3, 0.1), NORMAL)
CASES = (
    Case("0.8 ± 0.1", normal(0.8, 0.1), NORMAL),
    Case("0.5 ± 0.25", normal(0.5, 0.25), NORMAL),
    SMALL,
    Case("0.3 ± 0.3", normal(0.3, 0.3), NORMAL),
    Case("0.15 ± 0.05", normal(0.15, 0.05), NORMAL),
    Case("0.6 ± 0.1, 5 % of seeds at -1", with_failures(normal(0.6, 0.1), 0.05), OTHER),
    Case("accuracy of 0.2 ± 0.3 over 0.1", normal(0.2, 0.3, UNIT), OTHER, UNIT, 0.1),
    Case("0 or 1, 85 % over 0.5", successes(0.85), OTHER, UNIT, 0.5),
    Case("0 or 1, 40 % over 0.1", successes(0.4), OTHER, UNIT, 0.1),
)


def row(case: Case, x: Floats) -> list[str]:
    """Return the row of a case, with its values (repetitions, ``MOST``)."""
    share, best = case.of_best_bet(x)
    outcomes = by_capital(x, bounds=case.bounds, margin=case.margin)
    mean = float(trained(outcomes.seeds, MOST).mean())
    decided = float(((outcomes.outcome == "supported") & (outcomes.seeds <= SEEDS)).mean())
    return [
        case.name,
        f"{share:.2f}",
        f"{best:.1f}",
        f"{mean:.1f}",
        f"{mean / best:.2f}",
        f"{case.goal:g}",
        percent(decided),
        percent(outcomes.rate("supported")),
    ]


def main() -> None:
    options = arguments(__doc__.splitlines()[0], each="case")
    start = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    print(f"{options.repetitions} repetitions, a look every 4 seeds up to {MOST}, seed {options.seed}\n")
    drawn = {case: case.draw(rng, (options.repetitions, MOST)) for case in CASES}
    header = ["value", "λ", "best bet", "this rule", "ratio", "goal", f"by {SEEDS} seeds", f"by {MOST} seeds"]
    print(table(header, [row(case, x) for case, x in drawn.items()]), end="\n\n")
    capped = by_capital(drawn[SMALL][:, :SEEDS])
    print(f"{SMALL.name} with at most {SEEDS} seeds: {capped.mean_trained:.1f} seeds on average\n")
    numbers = (8, 16, SEEDS, MOST, 100)
    rows = [[str(n), f"{smallest_constant(n, bounds=BOUNDS):.3f}", f"{THRESHOLD ** (1 / n) - 1:.3f}"] for n in numbers]
    print(table(["smallest constant on [-1, 1], seeds", "this rule", "any rule"], rows), end="\n\n")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
