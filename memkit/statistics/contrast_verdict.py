"""The verdict on one contrast at one look: a pure function of the paired differences.

A difference is positive if the treatment is better. At a look with level α the first of these that holds is
the outcome:

    SUPPORTED     both intervals lie above ``margin``
    REFUTED       both intervals lie below ``margin``
    EQUIVALENT    two one-sided t tests at α each, and the betting interval, place the mean inside ±``sesoi``
    INCONCLUSIVE  otherwise; provisional, if Student's t alone would have decided

The two intervals are Student's t interval and the betting interval. Student's t has more power if the seeds are
similar; the betting interval stays valid if a few seeds collapse. Both have to agree, unless ``assume="normal"`` was
declared beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import (
    Floats,
    bounds_pair,
    count,
    finite,
    positive,
    sample,
    single,
    within_bounds,
)
from memkit.statistics.betting import betting_limits, interval_of
from memkit.statistics.equivalence import tost_pvalues
from memkit.statistics.intervals import Interval, student_t, t_limits
from memkit.statistics.looks import LOOKS, Look

Outcome = Literal["supported", "refuted", "equivalent", "inconclusive"]
Assumption = Literal["bounded", "normal"]

Bools = NDArray[np.bool_]

BETTING_ALPHA = 0.05
"""Two-sided error probability of the betting interval over all looks together: a capital of 40 rules a value out."""

NORMAL_THEORY = "normal theory: the betting interval was waived beforehand and does not decide"
NO_SPREAD = "the differences do not vary, and normal theory cannot judge differences without spread"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision on one contrast at one look.

    Attributes:
        outcome: "supported", "refuted", "equivalent" or "inconclusive".
        look: the look at which the contrast was judged.
        t: Student's t interval at level 1 − α/share, with the α of the look.
        betting: the betting interval at level 1 − 0.05/share; ``None`` if no bounds are declared.
        tost_p: p-value of the two one-sided t tests within ±sesoi; ``None`` if there is no sesoi.
        provisional: what Student's t alone would have decided, if the betting interval does not agree.
        negligible: whether it is supported although the t interval lies inside ±sesoi.
        assume: "bounded", or "normal" if the betting interval was waived beforehand.
        notes: what a report has to state beside the outcome, one sentence each.

    >>> differences = [0.18, 0.22, 0.20, 0.19, 0.21, 0.20, 0.20, 0.20]
    >>> decision = decide(differences, look=LOOKS[0], bounds=(-1, 1))
    >>> isinstance(decision, Decision), decision.outcome, decision.provisional, decision.decisive
    (True, 'inconclusive', 'supported', False)
    """

    outcome: Outcome
    look: Look
    t: Interval
    betting: Interval | None
    tost_p: float | None
    provisional: Outcome | None
    negligible: bool
    assume: Assumption
    notes: tuple[str, ...]

    @property
    def decisive(self) -> bool:
        """True if the contrast is decided, so that no later look is taken."""
        return self.outcome != "inconclusive"


def decide(
    differences: ArrayLike,
    *,
    look: Look,
    bounds: tuple[float, float] | None,
    margin: float = 0.0,
    sesoi: float | None = None,
    assume: Assumption = "bounded",
    share: int = 1,
    equivalence_from: int = LOOKS[1].n,
) -> Decision:
    """Decide on one contrast at one look.

    >>> differences = [0.80, 0.82, 0.84, 0.85, 0.85, 0.86, 0.88, 0.90]  # accuracy over that of the control
    >>> decision = decide(differences, look=LOOKS[0], bounds=(-1, 1))
    >>> print(decision.outcome, f"t above {decision.t.low:.2f}, betting above {decision.betting.low:.2f}")
    supported t above 0.81, betting above 0.06

    Args:
        differences: treatment minus control, positive if the treatment is better; one per seed, (look.n,).
        look: the number of seeds and the level of Student's t.
        bounds: the least and the greatest difference that can occur; ``None`` only with ``assume="normal"``.
        margin: the value that the mean difference has to exceed; inside ``bounds``.
        sesoi: the smallest effect size of interest, above 0; without it nothing is equivalent or negligible.
        assume: "normal" lets Student's t decide alone; the betting interval is still reported if bounds are given.
        share: the number by which every error probability is divided: the number of contrasts, if any one of them
            could refute the claim.
        equivalence_from: the smallest number of seeds at which equivalence is declared.

    Raises:
        MemkitError: ``differences`` are not look.n finite values within ``bounds``, or an option is
            out of its range.
    """
    rule = _Rule(look, bounds, margin, sesoi, assume, share, equivalence_from)
    x = rule.checked(single(differences, name="differences"))
    result = rule.apply(x)
    outcome = cast(Outcome, str(result.outcome))
    outcome_by_t = cast(Outcome, str(result.outcome_by_t))
    t = student_t(x, level=1 - look.alpha / share)
    limits = rule.betting_limits(x) if result.betting_limits is None and bounds is not None else result.betting_limits
    notes: tuple[str, ...] = ()
    if assume == "normal":
        notes = (NORMAL_THEORY,) if result.varies else (NORMAL_THEORY, NO_SPREAD)
    return Decision(
        outcome=outcome,
        look=look,
        t=t,
        betting=None if limits is None else interval_of(x, limits, alpha=BETTING_ALPHA / share),
        tost_p=None if result.tost_p is None else float(result.tost_p),
        provisional=outcome_by_t if outcome == "inconclusive" and outcome_by_t != "inconclusive" else None,
        negligible=outcome == "supported" and sesoi is not None and t.inside(-sesoi, sesoi),
        assume=assume,
        notes=notes,
    )


def decide_many(
    differences: ArrayLike,
    *,
    look: Look,
    bounds: tuple[float, float] | None,
    margin: float = 0.0,
    sesoi: float | None = None,
    assume: Assumption = "bounded",
    share: int = 1,
    equivalence_from: int = LOOKS[1].n,
) -> NDArray[np.str_]:
    """Return the outcomes of :func:`decide` for many experiments at once: (..., look.n) gives (...).

    It runs the same code as :func:`decide`, for calibration by simulation. The arguments and errors are the same too.

    >>> outcomes = decide_many([[0.9] * 8, [-0.9] * 8, [0.1] * 8], look=LOOKS[0], bounds=(-1, 1))
    >>> print(outcomes)
    ['supported' 'refuted' 'inconclusive']
    """
    rule = _Rule(look, bounds, margin, sesoi, assume, share, equivalence_from)
    return rule.apply(rule.checked(sample(differences, name="differences"))).outcome


class _Location(NamedTuple):
    """The location of the mean according to one method, or to both together; each field has the shape (...)."""

    above_margin: Bools
    below_margin: Bools
    within_sesoi: Bools

    def outcome(self) -> NDArray[np.str_]:
        # np.select takes the first condition that holds, which gives the order of the verdicts.
        return np.select(list(self), ["supported", "refuted", "equivalent"], default="inconclusive")


class _Result(NamedTuple):
    """The results of the rule; each array has the shape (...)."""

    outcome: NDArray[np.str_]
    outcome_by_t: NDArray[np.str_]
    tost_p: Floats | None
    varies: Bools
    betting_limits: tuple[Floats, Floats] | None


@dataclass(frozen=True)
class _Rule:
    """The checked options of :func:`decide`, and the decision rule, elementwise over experiments."""

    look: Look
    bounds: tuple[float, float] | None
    margin: float
    sesoi: float | None
    assume: Assumption
    share: int
    equivalence_from: int

    def __post_init__(self) -> None:
        if self.assume not in ("bounded", "normal"):
            raise MemkitError(f'assume must be "bounded" or "normal"; it is {self.assume!r}')
        count(self.share, name="share")
        count(self.equivalence_from, name="equivalence_from")
        finite(self.margin, name="margin")
        if self.sesoi is not None:
            positive(self.sesoi, name="sesoi")
        if self.bounds is not None:
            low, high = bounds_pair(self.bounds)
            if not low < self.margin < high:
                raise MemkitError(f"margin must lie strictly inside bounds ({low:g}, {high:g}); it is {self.margin!r}")
        elif self.assume == "bounded":
            raise MemkitError(
                'bounds must be the least and greatest difference that can occur, unless assume is "normal"'
            )

    def checked(self, x: Floats) -> Floats:
        """Return ``x``, (..., n), or raise if it does not have the seeds of the look or leaves the bounds."""
        if x.shape[-1] != self.look.n:
            raise MemkitError(f"differences must be the {self.look.n} seeds of the look; {x.shape[-1]} were given")
        return x if self.bounds is None else within_bounds(x, self.bounds, name="differences")

    def apply(self, x: Floats) -> _Result:
        """Return the results for ``x``, (..., n)."""
        by_t, tost_p = self._locate_by_t(x)
        varies, limits = self._varies(x), None
        if self.assume == "normal":
            by_t = _Location(*(holds & varies for holds in by_t))
            decisive = by_t
        else:
            limits = self.betting_limits(x)
            by_betting = self._locate_by_betting(*limits)
            decisive = _Location(*(one & other for one, other in zip(by_t, by_betting, strict=True)))
        return _Result(
            outcome=decisive.outcome(),
            outcome_by_t=by_t.outcome(),
            tost_p=tost_p,
            varies=varies,
            betting_limits=limits,
        )

    def _locate_by_t(self, x: Floats) -> tuple[_Location, Floats | None]:
        alpha = self.look.alpha / self.share
        low, high = t_limits(x, level=1 - alpha)
        within = np.zeros(x.shape[:-1], dtype=np.bool_)
        tost_p = None
        if self.sesoi is not None:
            tost_p = np.maximum(*tost_pvalues(x, low=-self.sesoi, high=self.sesoi))
            if self.look.n >= self.equivalence_from:
                within = tost_p < alpha
        return _Location(low > self.margin, high < self.margin, within), tost_p

    def betting_limits(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the limits of the betting interval."""
        assert self.bounds is not None  # __post_init__ has checked this
        return betting_limits(x, bounds=self.bounds, alpha=BETTING_ALPHA / self.share)

    def _locate_by_betting(self, low: Floats, high: Floats) -> _Location:
        within = np.zeros(np.shape(low), dtype=np.bool_)
        if self.sesoi is not None:
            within = (low > -self.sesoi) & (high < self.sesoi)
        return _Location(low > self.margin, high < self.margin, within)

    def _varies(self, x: Floats) -> Bools:
        """Return whether the seeds differ by more than rounding; 0.9 − 0.8 and 0.4 − 0.3 are not exactly equal."""
        scale = np.abs(x).max(axis=-1) if self.bounds is None else self.bounds[1] - self.bounds[0]
        return np.asarray(np.ptp(x, axis=-1) > 1e-12 * scale)
