"""Sensitivity analysis: other intervals and tests for a mean of paired differences, reported beside the verdict.

None of them decides anything. A bootstrap interval is too short for few seeds: at a nominal level of 95 %, the
percentile interval covers the mean in only 84 % of samples of five. Wilcoxon's test is not a test of the mean, and is
misleading about it if a few seeds collapse. Agreement between the methods does not make a finding more certain;
disagreement deserves attention.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # it loads `scipy.special` and `scipy.stats` on first use
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import single
from memkit.statistics.intervals import Interval, student_t, wilson

RESAMPLES = 1000
SEED = 0
"""The seed of the resamples, fixed so that a report is the same whenever it is rendered."""
_MOST_SEEDS_EXACT = 200
"""The largest number of seeds for which the distribution of the signed-rank statistic is computed exactly."""


class Sensitivity(NamedTuple):
    """The results of the other methods for paired differences.

    Attributes:
        intervals: Student's t interval at 95 %, not divided among looks, and the BCa bootstrap interval at 95 %. The
            bootstrap interval is missing if all differences are equal.
        share_above: Wilson's 95 % interval for the proportion of seeds that lie above ``null``.
        wilcoxon_p: two-sided p-value of Wilcoxon's signed-rank test against ``null``; nan if every difference equals
            ``null``.
        trimmed_mean: the trimmed mean: a tenth of the seeds, rounded up, is removed at each end.
    """

    intervals: tuple[Interval, ...]
    share_above: Interval
    wilcoxon_p: float
    trimmed_mean: float


def sensitivity(x: ArrayLike, *, null: float = 0.0) -> Sensitivity:
    """Return what the other methods say about the mean of ``x``.

    Args:
        x: paired differences, one per seed, (n,), n ≥ 2; finite.
        null: the difference to test against: the contrast's margin.

    Raises:
        MemkitError: fewer than two differences, or one that is not finite.
    """
    values = single(x)
    if len(values) < 2:
        raise MemkitError("x must hold at least two differences; a single one says nothing about the spread")
    trim = math.ceil(len(values) / 10)
    trimmed = np.sort(values)[trim:-trim] if len(values) > 2 * trim else values
    return Sensitivity(
        intervals=(student_t(values), *_bootstrap_interval(values)),
        share_above=wilson(int((values > null).sum()), len(values)),
        wilcoxon_p=_signed_rank_p(values - null),
        trimmed_mean=float(trimmed.mean()),
    )


def _bootstrap_interval(x: NDArray[np.float64]) -> tuple[Interval, ...]:
    """Return the BCa bootstrap interval of the mean (Efron 1987, section 4, equation 6.6), or () if it is undefined."""
    n, mean = len(x), float(x.mean())
    if float(np.ptp(x)) <= 1e-12 * float(np.abs(x).max()):
        return ()
    means = x[_resamples(n)].mean(axis=1)
    with np.errstate(all="ignore"):  # if the cubes underflow, `levels` are not finite
        bias = scipy.special.ndtri(((means < mean).mean() + (means <= mean).mean()) / 2)
        influence = x - mean  # of each seed, up to a factor that cancels in the acceleration
        acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
        z = bias + scipy.special.ndtri([0.025, 0.975])
        levels = scipy.special.ndtr(bias + z / (1 - acceleration * z))
    if not np.isfinite(levels).all():
        return ()
    low, high = np.quantile(means, levels)
    # With skewed data the interval may not reach the mean itself.
    low, high = min(float(low), mean), max(float(high), mean)
    return (Interval(estimate=mean, low=low, high=high, level=0.95, method="bootstrap, BCa", n=n),)


@lru_cache(maxsize=8)
def _resamples(n: int) -> NDArray[np.int64]:
    """Return the indices of the seeds in each resample, (RESAMPLES, n)."""
    return np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))


def _signed_rank_p(x: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test, without zeros; exact for up to 200 seeds."""
    nonzero = x[x != 0]
    if not len(nonzero):
        return math.nan
    if len(nonzero) > _MOST_SEEDS_EXACT:
        return float(scipy.stats.wilcoxon(nonzero).pvalue)
    _, index, counts = np.unique(np.abs(nonzero), return_inverse=True, return_counts=True)
    # Doubled, the mean ranks of tied values are whole numbers.
    doubled_ranks = (2 * counts.cumsum() - counts + 1)[index]
    # The null distribution of the sum of the positive ranks: each rank is positive with probability 1/2.
    probabilities = np.zeros(int(doubled_ranks.sum()) + 1)
    probabilities[0] = 1.0
    for rank in doubled_ranks:
        probabilities[rank:] = (probabilities[rank:] + probabilities[:-rank]) / 2
        probabilities[:rank] /= 2
    observed = int(doubled_ranks[nonzero > 0].sum())
    return min(1.0, 2 * float(min(probabilities[: observed + 1].sum(), probabilities[observed:].sum())))
