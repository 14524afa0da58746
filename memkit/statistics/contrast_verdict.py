"""The verdict on one contrast at one look: a pure function of the paired differences.

At a look with level α, over differences that are positive where the treatment is better:

    SUPPORTED     both intervals lie above ``margin``
    REFUTED       both intervals lie below ``margin``
    EQUIVALENT    two one-sided t tests at α each, and the betting interval, place the mean inside ±``sesoi``
    INCONCLUSIVE  otherwise; provisional, where Student's t alone would have decided

in this order. Student's t brings the power that seeds of a similar kind allow, the betting interval the
honesty that the rare collapsed seed demands; neither is asked alone, unless ``assume="normal"`` was declared
beforehand.
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
"""Two-sided error probability of the betting interval over all looks together; a capital of 40 excludes."""

NORMAL_THEORY = "normal theory: the betting interval was waived beforehand and does not decide"
NO_SPREAD = "the differences do not vary, and normal theory cannot judge what it has no spread for"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision on one contrast at one look.

    Attributes:
        outcome: "supported", "refuted", "equivalent" or "inconclusive".
        look: the look at which it was judged.
        t: Student's t interval at level 1 − α of the look (1 − α/share).
        betting: the betting interval at 0.95 (1 − 0.05/share); ``None`` where no bounds are declared.
        tost_p: p-value of the two one-sided t tests within ±sesoi; ``None`` where there is no sesoi.
        provisional: what Student's t alone would have decided, where the betting interval withheld it.
        negligible: supported, and yet the t interval lies inside ±sesoi.
        assume: "bounded", or "normal" where the betting interval was waived beforehand.
        notes: what a reader must be told beside the outcome, one sentence each.
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
        """Return whether the outcome is anything but inconclusive; no later look is taken then."""
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

    Args:
        differences: treatment minus control, positive where the treatment is better; one per seed, (look.n,).
        look: the number of seeds and the level of Student's t.
        bounds: the least and the greatest difference that can occur; ``None`` only with ``assume="normal"``.
        margin: what the mean difference must exceed, inside ``bounds``.
        sesoi: the smallest effect size of interest, above 0; without it nothing is equivalent or negligible.
        assume: "normal" lets Student's t decide alone; the betting interval is still shown, given bounds.
        share: divides every error probability: the number of contrasts, where any one of them could refute.
        equivalence_from: the least number of seeds at which equivalence is declared.

    Raises:
        MemkitError: ``differences`` are not look.n finite values within ``bounds``, or an option is
            out of its range.
    """
    rule = _Rule(look, bounds, margin, sesoi, assume, share, equivalence_from)
    x = rule.admit(single(differences, name="differences"))
    reading = rule.read(x)
    outcome = cast(Outcome, str(reading.outcome))
    by_t = cast(Outcome, str(reading.by_t))
    t = student_t(x, level=1 - look.alpha / share)
    limits = rule.limits(x) if reading.limits is None and bounds is not None else reading.limits
    notes: tuple[str, ...] = ()
    if assume == "normal":
        notes = (NORMAL_THEORY,) if reading.varies else (NORMAL_THEORY, NO_SPREAD)
    return Decision(
        outcome=outcome,
        look=look,
        t=t,
        betting=None if limits is None else interval_of(x, limits, alpha=BETTING_ALPHA / share),
        tost_p=None if reading.tost_p is None else float(reading.tost_p),
        provisional=by_t if outcome == "inconclusive" and by_t != "inconclusive" else None,
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

    It is the same rule by the same code, for calibration by simulation; arguments and errors as there.
    """
    rule = _Rule(look, bounds, margin, sesoi, assume, share, equivalence_from)
    return rule.read(rule.admit(sample(differences, name="differences"))).outcome


class _Placed(NamedTuple):
    """The place of the mean by one method alone, or by both together; each entry of shape (...)."""

    above_margin: Bools
    below_margin: Bools
    within_sesoi: Bools

    def outcome(self) -> NDArray[np.str_]:
        # np.select takes the first condition that holds: this is the order of the verdicts.
        return np.select(list(self), ["supported", "refuted", "equivalent"], default="inconclusive")


class _Reading(NamedTuple):
    """The results of the rule, each entry of shape (...)."""

    outcome: NDArray[np.str_]
    by_t: NDArray[np.str_]
    tost_p: Floats | None
    varies: Bools
    limits: tuple[Floats, Floats] | None


@dataclass(frozen=True)
class _Rule:
    """The options of :func:`decide`, checked, and the rule they make, elementwise over experiments."""

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

    def admit(self, x: Floats) -> Floats:
        """Return ``x``, (..., n), if it has the look's seeds and keeps to the bounds; else refuse it."""
        if x.shape[-1] != self.look.n:
            raise MemkitError(f"differences must be the {self.look.n} seeds of the look; {x.shape[-1]} were given")
        return x if self.bounds is None else within_bounds(x, self.bounds, name="differences")

    def read(self, x: Floats) -> _Reading:
        """Return the outcomes for ``x``, (..., n)."""
        t, tost_p = self._place_by_t(x)
        varies, limits = self._varies(x), None
        if self.assume == "normal":
            t = _Placed(*(place & varies for place in t))
            both = t
        else:
            limits = self.limits(x)
            both = _Placed(*(one & other for one, other in zip(t, self._place_by_betting(*limits), strict=True)))
        return _Reading(outcome=both.outcome(), by_t=t.outcome(), tost_p=tost_p, varies=varies, limits=limits)

    def _place_by_t(self, x: Floats) -> tuple[_Placed, Floats | None]:
        alpha = self.look.alpha / self.share
        low, high = t_limits(x, level=1 - alpha)
        within = np.zeros(x.shape[:-1], dtype=np.bool_)
        tost_p = None
        if self.sesoi is not None:
            tost_p = np.maximum(*tost_pvalues(x, low=-self.sesoi, high=self.sesoi))
            if self.look.n >= self.equivalence_from:
                within = tost_p < alpha
        return _Placed(low > self.margin, high < self.margin, within), tost_p

    def limits(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the limits of the betting interval."""
        assert self.bounds is not None  # __post_init__ has checked it
        return betting_limits(x, bounds=self.bounds, alpha=BETTING_ALPHA / self.share)

    def _place_by_betting(self, low: Floats, high: Floats) -> _Placed:
        within = np.zeros(np.shape(low), dtype=np.bool_)
        if self.sesoi is not None:
            within = (low > -self.sesoi) & (high < self.sesoi)
        return _Placed(low > self.margin, high < self.margin, within)

    def _varies(self, x: Floats) -> Bools:
        """Return whether the seeds differ by more than rounding does: 0.9 − 0.8 is not quite 0.4 − 0.3."""
        scale = np.abs(x).max(axis=-1) if self.bounds is None else self.bounds[1] - self.bounds[0]
        return np.asarray(np.ptp(x, axis=-1) > 1e-12 * scale)
