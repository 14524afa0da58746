"""Other ways to say how sure one can be of a mean: what they would say, beside what decides.

None of them decides anything. A bootstrap is too narrow with few seeds: at a nominal 95 % the percentile interval
covers the mean in 84 % of samples of five. Wilcoxon's test is of another quantity, and errs for means where seeds
collapse rarely. That they agree makes a finding no surer; where they do not, one wants to know.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import scipy  # which loads `scipy.stats` when it is used
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError
from memkit.statistics.checks import single
from memkit.statistics.intervals import Interval, student_t, wilson

RESAMPLES = 1000
_ENUMERATED = 13
"""Seeds up to which scipy, too, goes through all signs where there are ties; one by one, in 50 ms for eight seeds."""
SEED = 0
"""Of the resamples, so that a report is the same whenever it is rendered."""


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
        x: paired differences, one a seed [n], n ≥ 2; finite.
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
    if float(np.ptp(x)) <= 1e-12 * float(np.abs(x).max()):
        return ()
    # BCa of data that are almost one number, or whose cubes underflow, has no interval, and warns.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        rng = np.random.default_rng(SEED)
        found = scipy.stats.bootstrap((x,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=rng).confidence_interval
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return ()
    # Of skewed data it can end short of the mean itself.
    mean = float(x.mean())
    low, high = min(float(found.low), mean), max(float(found.high), mean)
    return (Interval(estimate=mean, low=low, high=high, level=0.95, method="bootstrap, BCa", n=len(x)),)


def _wilcoxon(x: NDArray[np.float64]) -> float:
    moved = x[x != 0]
    if not len(moved):
        return math.nan
    if len(x) <= _ENUMERATED and len(np.unique(np.abs(moved))) < len(x):
        return _enumerated(moved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ties and zeros, for which it takes the normal approximation
        return float(scipy.stats.wilcoxon(x).pvalue)


def _enumerated(moved: NDArray[np.float64]) -> float:
    """The exact p of signed ranks with ties, over all signs that the differences could have had."""
    ranks = scipy.stats.rankdata(np.abs(moved))
    signs = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
    sums, seen = signs @ ranks, ranks[moved > 0].sum()
    near = 1e-9  # ranks are halves at the least
    return min(1.0, 2 * float(min((sums >= seen - near).mean(), (sums <= seen + near).mean())))
