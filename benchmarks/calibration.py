"""Measure how often the verdicts are wrong, by simulation through memkit's own code.

    python benchmarks/calibration.py [--repetitions 4000] [--seed 0] [--smoke] [--quote]

An experiment is 32 paired differences on [−1, 1], judged at 8, 16 and 32 seeds until a look is decisive. Four rules
are applied to the same experiments: both intervals (the verdict); Student's t alone at the same looks (a claim with
``assume="normal"``); the percentile bootstrap at 95 % at these looks; and Student's t at 95 % after every seed from the
second, until it excludes 0. «Best of 5» is the best of five independent metrics. ``--quote`` writes the tables into
docs/verdicts.md.

The mean of each distribution is known, so that it is known which verdicts are false: SUPPORTED at mean 0, and
EQUIVALENT at mean −sesoi. A valid two-sided rule at 5 % gives 2.5 % false SUPPORTED, because it errs in both
directions; a valid test of equivalence gives up to 5 % false EQUIVALENT.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from simulation import BOUNDS, SEEDS, Floats, Outcomes, Strings, Table, arguments, markdown, percent, run, table

from memkit.statistics import Look, decide_many, t_limits

SESOI = 0.15
EFFECT = 0.3
PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdicts.md"
MARKS = ("<!-- benchmarks/calibration.py --quote -->", "<!-- end -->")


def normal(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw from a normal distribution with standard deviation 0.2, clipped symmetrically at the bounds."""
    reach = 1 - abs(mean)
    return mean + np.clip(rng.normal(0, 0.2, shape), -reach, reach)


def skewed(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw from a mirrored Beta(1, 6) of range 0.7: a long tail of bad seeds, for which Student's t is not valid."""
    return mean + 0.7 * (1 / 7 - rng.beta(1, 6, shape))


def tied(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw mostly equal values, one in ten off by 0.1 in either direction: small test sets, saturated metrics."""
    return mean + rng.choice([-0.1, 0.0, 0.1], p=[0.05, 0.9, 0.05], size=shape)


def collapsing(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw seeds of which three in ten collapse by 0.7; the others agree up to noise of 0.01."""
    return _collapse(rng, shape, mean, rate=0.3, depth=0.7)


def rarely_collapsing(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw seeds of which one in ten collapses by 0.7; the others agree up to noise of 0.01."""
    return _collapse(rng, shape, mean, rate=0.1, depth=0.7)


def _collapse(rng: np.random.Generator, shape: tuple[int, int], mean: float, *, rate: float, depth: float) -> Floats:
    """Draw seeds with the given mean, of which a share ``rate`` lies ``depth`` below the others."""
    collapsed = rng.random(shape) < rate
    noise = rng.uniform(-0.01, 0.01, shape)
    return mean + np.where(collapsed, -(1 - rate) * depth, rate * depth) + noise


def hidden(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> Floats:
    """Draw seeds of which three in twenty cause almost all of a negative mean; the others are close to 0."""
    return _collapse(rng, shape, mean, rate=0.15, depth=-mean / 0.15 * 0.98)


DISTRIBUTIONS = (normal, skewed, tied, collapsing, rarely_collapsing)


def both_intervals(x: Floats, look: Look, sesoi: float | None = None) -> Strings:
    """Return the outcomes of both intervals, as for a claim."""
    return decide_many(x, look=look, bounds=BOUNDS, sesoi=sesoi)


def t_alone(x: Floats, look: Look, sesoi: float | None = None) -> Strings:
    """Return the outcomes of Student's t alone, as for a claim with ``assume="normal"``."""
    return decide_many(x, look=look, bounds=None, sesoi=sesoi, assume="normal")


def peeking(x: Floats) -> float:
    """Return the share of experiments in which t at 95 %, applied after every seed, first excludes 0 from above."""
    supported = np.zeros(len(x), dtype=bool)
    undecided = np.ones(len(x), dtype=bool)
    for n in range(2, SEEDS + 1):
        low, high = t_limits(x[:, :n])
        supported |= undecided & (low > 0)
        undecided &= (low <= 0) & (high >= 0)
    return float(supported.mean())


def bootstrap(x: Floats, look: Look, *, rng: np.random.Generator) -> Strings:
    """Return the outcomes of the percentile bootstrap of the mean at 95 %, with 1,000 resamples."""
    n = x.shape[1]
    shares = rng.multinomial(n, np.full(n, 1 / n), size=1000) / n
    low, high = np.quantile(shares @ x.T, [0.025, 0.975], axis=0)
    return np.where(low > 0, "supported", np.where(high < 0, "refuted", "inconclusive"))


def best_of_five(outcomes: Outcomes) -> float:
    """Return the share of groups of five experiments (five metrics, say) of which the best is supported."""
    groups = (outcomes.outcome == "supported")[: len(outcomes.outcome) // 5 * 5].reshape(-1, 5)
    return float(groups.any(1).mean())


def false_supported(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of false SUPPORTED at mean 0, with a row per distribution."""
    rows = []
    for draw in DISTRIBUTIONS:
        null = draw(rng, (repetitions, SEEDS), 0.0)
        both, only_t = run(null, both_intervals), run(null, t_alone)
        rows.append(
            [
                draw.__name__.replace("_", " "),
                percent(both.rate("supported")),
                percent(both.rate("refuted")),
                percent(only_t.rate("supported")),
                percent(run(null, partial(bootstrap, rng=rng)).rate("supported")),
                percent(peeking(null)),
                percent(best_of_five(both)),
                percent(best_of_five(only_t)),
            ]
        )
    header = ["mean 0: SUPPORTED", "both intervals", "REFUTED", "t, looks", "bootstrap, looks", "t, peeking"]
    return [*header, "best of 5, both", "best of 5, t"], rows


def power(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of power at mean ``EFFECT``, with a row per distribution."""
    rows = []
    for draw in DISTRIBUTIONS:
        planted = draw(rng, (repetitions, SEEDS), EFFECT)
        both, only_t = run(planted, both_intervals), run(planted, t_alone)
        rates = [percent(outcomes.rate("supported")) for outcomes in (both, only_t)]
        rows.append([draw.__name__.replace("_", " "), *rates, f"{both.seeds.mean():.1f}", f"{only_t.seeds.mean():.1f}"])
    return [f"mean {EFFECT:g}: SUPPORTED", "both intervals", "t, looks", "mean seeds, both", "mean seeds, t"], rows


def false_equivalent(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of false EQUIVALENT at mean −sesoi, with a row per distribution."""
    rows = []
    for draw in (*DISTRIBUTIONS, hidden):
        x = draw(rng, (repetitions, SEEDS), -SESOI)
        rates = (run(x, partial(judge, sesoi=SESOI)).rate("equivalent") for judge in (both_intervals, t_alone))
        rows.append([draw.__name__.replace("_", " "), *map(percent, rates)])
    return [f"mean −{SESOI:g}: EQUIVALENT", "both intervals", "t, looks"], rows


def quote(page: Path, tables: Sequence[Table], summary: str) -> None:
    """Write the tables between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    start, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    block = "\n\n".join(markdown(*rows) for rows in tables)
    page.write_text(f"{text[:start]}\n{block}\n\n{summary}\n{text[end:]}", encoding="utf-8")


def main() -> None:
    repetitions, seed = arguments(__doc__.splitlines()[0], each="cell", quotes=True)
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    tables = [make(rng, repetitions) for make in (false_supported, power, false_equivalent)]
    summary = f"{repetitions} repetitions per cell, up to {SEEDS} seeds on [−1, 1], sesoi {SESOI:g}, seed {seed}."
    print(summary, end="\n\n")
    for rows in tables:
        print(table(*rows), end="\n\n")
    error = 0.5 / np.sqrt(repetitions)
    print(f"Monte Carlo standard error of a rate: at most {percent(error)}; {time.perf_counter() - start:.0f} s")
    if "--quote" in sys.argv:
        quote(PAGE, tables, summary)


if __name__ == "__main__":
    main()
