"""Other ways to say how sure one can be of a mean: what they would say, beside what decides.

None of them decides anything. A bootstrap is too narrow with few seeds: at a nominal 95 % the percentile interval
covers the mean in 84 % of samples of five. Wilcoxon's test is of another quantity, and errs for means where seeds
collapse rarely. That they agree makes a finding no surer; where they do not, one wants to know.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # which loads `scipy.special` and `scipy.stats` when they are used
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import single
from memkit.statistics.intervals import Interval, student_t, wilson

RESAMPLES = 1000
SEED = 0
"""The seed of the resamples, fixed so that a report is the same whenever it is rendered."""
_EXACT = 200
"""The most seeds for which the distribution of signed ranks is computed exactly."""


class Sensitivity(NamedTuple):
    """Other answers about the mean of paired differences.

    Attributes:
        intervals: by method: Student's t at a plain 95 %, as for one look; the bootstrap's BCa interval at 95 %, which
            is missing where the differences are all one number, of which a bootstrap knows nothing.
        above: Wilson's 95 % interval of the share of seeds that lie above ``null``.
        wilcoxon: two-sided p of Wilcoxon's signed ranks against ``null``; nan where every difference is ``null``.
        trimmed: the mean without the highest and the lowest tenth, rounded up to a seed at each end.
    """

    intervals: tuple[Interval, ...]
    above: Interval
    wilcoxon: float
    trimmed: float


def sensitivity(x: ArrayLike, *, null: float = 0.0) -> Sensitivity:
    """Ask the other methods.

    Args:
        x: paired differences, one per seed [n], n ≥ 2; finite.
        null: the difference that matters, the margin.

    Raises:
        MemkitError: fewer than two differences, or one that is not finite.
    """
    values = single(x)
    if len(values) < 2:
        raise MemkitError("sensitivity takes at least two differences; one says nothing of spread")
    cut = math.ceil(len(values) / 10)
    inner = np.sort(values)[cut:-cut] if len(values) > 2 * cut else values
    return Sensitivity(
        intervals=(student_t(values), *_bootstrapped(values)),
        above=wilson(int((values > null).sum()), len(values)),
        wilcoxon=_wilcoxon(values - null),
        trimmed=float(inner.mean()),
    )


def _bootstrapped(x: NDArray[np.float64]) -> tuple[Interval, ...]:
    """Return the bootstrap's BCa interval of the mean (Efron 1987, section 4 and equation 6.6), if it has one."""
    n, mean = len(x), float(x.mean())
    if float(np.ptp(x)) <= 1e-12 * float(np.abs(x).max()):
        return ()
    means = x[_resamples(n)].mean(axis=1)
    with np.errstate(all="ignore"):  # where the cubes underflow, the interval is not finite
        bias = scipy.special.ndtri(((means < mean).mean() + (means <= mean).mean()) / 2)
        influence = x - mean  # of each seed, up to a factor that does not change the acceleration
        acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
        z = bias + scipy.special.ndtri([0.025, 0.975])
        levels = scipy.special.ndtr(bias + z / (1 - acceleration * z))
    if not np.isfinite(levels).all():
        return ()
    low, high = np.quantile(means, levels)
    # With skewed data, the interval can end short of the mean itself.
    low, high = min(float(low), mean), max(float(high), mean)
    return (Interval(estimate=mean, low=low, high=high, level=0.95, method="bootstrap, BCa", n=n),)


@lru_cache(maxsize=8)
def _resamples(n: int) -> NDArray[np.int64]:
    """Return which of n seeds each resample is made of [RESAMPLES, n]."""
    return np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))


def _wilcoxon(x: NDArray[np.float64]) -> float:
    """Return the two-sided p of the signed ranks, without the zeros; exact, with ties too, up to 200 seeds."""
    moved = x[x != 0]
    if not len(moved):
        return math.nan
    if len(moved) > _EXACT:
        return float(scipy.stats.wilcoxon(moved).pvalue)
    _, place, counts = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    doubled = (2 * counts.cumsum() - counts + 1)[place]  # twice the rank, the mean one where there are ties
    # The number of ways to give each rank a sign, by the sum of the positive ones; every way is as likely.
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    seen = int(doubled[moved > 0].sum())
    return min(1.0, 2 * float(min(chances[: seen + 1].sum(), chances[seen:].sum())))
