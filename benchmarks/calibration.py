"""Measure how often the verdicts are wrong, by simulation through memkit's own code.

    python benchmarks/calibration.py [--repetitions 4000] [--seed 0] [--smoke] [--quote]

An experiment is 32 paired differences on [−1, 1]. Four rules are applied to the same experiments: the decision rule,
which decides at the first n at which a capital is large enough; Student's t at its looks after 8, 16 and 32 seeds (a
claim with ``assume="normal"``); the percentile bootstrap at 95 % at these looks; and Student's t at 95 % after every
seed from the second, until it excludes 0. «Best of 5» is the best of five independent metrics. ``--quote`` writes the
tables into docs/verdicts.md.

The mean of each distribution is known, so that it is known which verdicts are false: SUPPORTED and REFUTED at mean 0,
and EQUIVALENT at mean −sesoi. The rule promises at most 2.5 % false SUPPORTED, 2.5 % false REFUTED and 5 % false
EQUIVALENT, whatever the distribution. Because a simulation cannot show that, the distributions with two values and a
mean of exactly the margin, or −sesoi, are searched for the worst one, and its rate is computed exactly.

The last table is about somebody who tries again until the desired verdict comes: by revising the code on the same
seeds, or by new attempts on fresh seeds, whose thresholds double. All attempts together promise at most 5 % false
SUPPORTED, 5 % false REFUTED and 10 % false EQUIVALENT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from simulation import (
    BOUNDS,
    SEEDS,
    Floats,
    Outcomes,
    Strings,
    Table,
    arguments,
    at_looks,
    by_capital,
    markdown,
    percent,
    table,
)

from memkit.statistics import Look, Thresholds, decide_many_by_t, first_decisions, reached, t_limits

Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Draw = Callable[[np.random.Generator, tuple[int, int], float], Floats]

SESOI = 0.15
EFFECT = 0.3
MOST = 100
"""The most seeds that a claim may use, if it is continued."""
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


def by_t(x: Floats, look: Look, sesoi: float | None = None) -> Strings:
    """Return the outcomes of Student's t, as for a claim with ``assume="normal"``."""
    return decide_many_by_t(x, alpha=look.alpha, sesoi=sesoi)


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
        rule, only_t = by_capital(null), at_looks(null, by_t)
        rows.append(
            [
                draw.__name__.replace("_", " "),
                percent(rule.rate("supported")),
                percent(rule.rate("refuted")),
                percent(only_t.rate("supported")),
                percent(at_looks(null, partial(bootstrap, rng=rng)).rate("supported")),
                percent(peeking(null)),
                percent(best_of_five(rule)),
                percent(best_of_five(only_t)),
            ]
        )
    header = ["mean 0: SUPPORTED", "this rule", "REFUTED", "t, looks", "bootstrap, looks", "t, peeking"]
    return [*header, "best of 5, this rule", "best of 5, t"], rows


def power(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of power at mean ``EFFECT``, with a row per distribution."""
    rows = []
    for draw in DISTRIBUTIONS:
        planted = draw(rng, (repetitions, SEEDS), EFFECT)
        rule, only_t = by_capital(planted), at_looks(planted, by_t)
        rates = [percent(outcomes.rate("supported")) for outcomes in (rule, only_t)]
        means = [f"{rule.mean_trained:.1f}", f"{only_t.seeds.mean():.1f}"]
        rows.append([draw.__name__.replace("_", " "), *rates, *means])
    return [f"mean {EFFECT:g}: SUPPORTED", "this rule", "t, looks", "mean seeds, this rule", "mean seeds, t"], rows


def false_equivalent(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of false EQUIVALENT at mean −sesoi, with a row per distribution."""
    rows = []
    for draw in (*DISTRIBUTIONS, hidden):
        x = draw(rng, (repetitions, SEEDS), -SESOI)
        rates = (
            by_capital(x, sesoi=SESOI).rate("equivalent"),
            at_looks(x, partial(by_t, sesoi=SESOI)).rate("equivalent"),
        )
        rows.append([draw.__name__.replace("_", " "), *map(percent, rates)])
    return [f"mean −{SESOI:g}: EQUIVALENT", "this rule", "t, looks"], rows


SHARES = (0.01, *(share / 100 for share in range(3, 98, 3)), 0.99)
"""The shares of seeds with the higher value that the search considers."""
DISTANCES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""How far below the mean the lower value lies, as shares of the distance to the lower bound."""


def worst_cases(most: int) -> Table:
    """Return the table of the distributions with two values that deceive the rule most often, in up to ``most`` seeds.

    The differences have a margin of 0, and lie in [−1, 1], or in [−0.1, 0.9] as for an accuracy over chance of 0.1.
    """
    over_chance = (-0.1, 0.9)
    cases = [
        ("SUPPORTED, [−1, 1]", BOUNDS, 0.0, None),
        ("SUPPORTED, accuracy over 0.1", over_chance, 0.0, None),
        ("REFUTED, accuracy over 0.1", over_chance, 0.0, None),
        (f"EQUIVALENT, [−1, 1], mean −{SESOI:g}", BOUNDS, -SESOI, SESOI),
    ]
    rows = []
    for name, bounds, mean, sesoi in cases:
        verdict = name.split(",")[0].lower()
        found = [
            (two_valued(*pair, verdict, most, bounds=bounds, sesoi=sesoi), pair) for pair in two_values(mean, bounds)
        ]
        rates, (low, high, share) = max(found, key=lambda result: result[0][-1])
        values = f"{high:.3g} in {100 * share:g} %, else {low:.3g}".replace("-", "−")
        rows.append([name, values, percent(rates[min(SEEDS, most) - 1]), percent(rates[-1])])
    return ["two values: false", "the worst of them", f"by {SEEDS} seeds", f"by {most} seeds"], rows


def two_values(mean: float, bounds: tuple[float, float]) -> Iterator[tuple[float, float, float]]:
    """Yield the lower value, the higher one and its share for the distributions with this mean within the bounds."""
    for share in SHARES:
        for distance in DISTANCES:
            below = distance * (mean - bounds[0])
            above = below * (1 - share) / share
            if mean + above <= bounds[1]:
                yield mean - below, mean + above, share


def two_valued(
    low: float, high: float, share: float, verdict: str, most: int, *, bounds: tuple[float, float], sesoi: float | None
) -> Floats:
    """Return the probability that ``verdict`` has been given after each seed, (most,), exactly.

    A seed has the value ``high`` with probability ``share``, and otherwise ``low``. The verdicts after n seeds depend
    on how many of them are high, so that the probabilities of these numbers are enough.
    """
    # Row k has k high values first, so that after n >= k seeds k of them are high; the order does not matter.
    x = np.where(np.arange(most) < np.arange(most + 1)[:, None], high, low)
    verdicts = reached(x, bounds=bounds, sesoi=sesoi)._asdict()
    undecided, given, total = np.ones(1), np.zeros(most), 0.0  # undecided: by the number of high seeds, (n + 1,)
    for n in range(1, most + 1):
        undecided = np.append(undecided * (1 - share), 0) + np.append(0, undecided * share)
        for name, holds in verdicts.items():  # in order of precedence
            decided = holds[: n + 1, n - 1]
            total += undecided[decided].sum() if name == verdict else 0.0
            undecided = np.where(decided, 0, undecided)
        given[n - 1] = total
    return given


REPEATS = (5, 10)
"""How often somebody tries again."""
KEPT = 0.5
"""The share of seeds whose value a revision of the code leaves as it was."""


def many_attempts(rng: np.random.Generator, repetitions: int) -> Table:
    """Return the table of false verdicts of somebody who tries again until the verdict is the desired one.

    A claim that is not decided in that way is revised on the same seeds, with thresholds that stay as they are; or it
    is attempted again on fresh seeds, with thresholds that stay as they are, or, as the rule has it, double.
    """
    cases = [
        ("SUPPORTED, two values", partial(two, low=-0.9, high=0.529, share=0.63), 0.0, 0.05),
        ("SUPPORTED, collapsing", collapsing, 0.0, 0.05),
        ("REFUTED, two values", partial(two, low=-0.529, high=0.9, share=0.37), 0.0, 0.05),
        ("EQUIVALENT, two values", partial(two, low=-1.0, high=-0.0227, share=0.87), -SESOI, 0.1),
        ("EQUIVALENT, hidden", hidden, -SESOI, 0.1),
    ]
    rows = []
    for name, draw, mean, guarantee in cases:
        verdict, sesoi = name.split(",")[0].lower(), SESOI if mean else None

        def reached_by(x: Floats, attempt: int = 1, verdict: str = verdict, sesoi: float | None = sesoi) -> Bools:
            thresholds = Thresholds(attempt=attempt)
            return first_decisions(x, bounds=BOUNDS, sesoi=sesoi, thresholds=thresholds)[0] == verdict

        def drawn(draw: Draw = draw, mean: float = mean) -> Floats:
            return draw(rng, (repetitions, SEEDS), mean)

        revised = values = drawn()
        by_revision, kept, doubled = [reached_by(values)], [reached_by(values)], [reached_by(values)]
        for attempt in range(2, max(REPEATS) + 2):
            revised = np.where(rng.random(revised.shape) < KEPT, revised, drawn())
            by_revision.append(by_revision[-1] | reached_by(revised))
            values = drawn()
            kept.append(kept[-1] | reached_by(values))
            doubled.append(doubled[-1] | reached_by(values, attempt))
        columns = [by_revision[0], *(way[n] for way in (by_revision, kept, doubled) for n in REPEATS)]
        rows.append([name, *(percent(float(column.mean())) for column in columns), f"{100 * guarantee:g} %"])
    ways = ("same seeds", "fresh seeds", "this rule")
    headings = [f"{way}, {n} ×" for way in ways for n in REPEATS]
    return ["false after all", "first attempt", *headings, "promised"], rows


def two(
    rng: np.random.Generator, shape: tuple[int, int], mean: float, *, low: float, high: float, share: float
) -> Floats:
    """Draw ``high`` with probability ``share`` and otherwise ``low``; ``mean`` is what this amounts to."""
    assert abs(share * high + (1 - share) * low - mean) < 1e-3
    return np.where(rng.random(shape) < share, high, low)


def quote(page: Path, tables: Sequence[Table], summary: str) -> None:
    """Write the tables between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    start, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    block = "\n\n".join(markdown(*rows) for rows in tables)
    page.write_text(f"{text[:start]}\n{block}\n\n{summary}\n{text[end:]}", encoding="utf-8")


def main() -> None:
    options = arguments(__doc__.splitlines()[0], each="cell", quotes=True)
    start = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    tables = [make(rng, options.repetitions) for make in (false_supported, power, false_equivalent)]
    tables.append(worst_cases(SEEDS if options.smoke else MOST))
    tables.append(many_attempts(rng, options.repetitions))
    summary = (
        f"{options.repetitions} repetitions per cell, up to {SEEDS} seeds on [−1, 1], sesoi {SESOI:g}, seed "
        f"{options.seed}. The rates of two values are exact."
    )
    print(summary, end="\n\n")
    for rows in tables:
        print(table(*rows), end="\n\n")
    error = 0.5 / np.sqrt(options.repetitions)
    print(f"Monte Carlo standard error of a rate: at most {percent(error)}; {time.perf_counter() - start:.0f} s")
    if options.quote:
        quote(PAGE, tables, summary)


if __name__ == "__main__":
    main()
