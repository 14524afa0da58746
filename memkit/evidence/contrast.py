"""Contrasts: a treatment over a control on a metric, with everything that its intervals depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any, Literal

from memkit.checks import is_real
from memkit.errors import MemkitError, check_fields, short_repr
from memkit.plain_values import plain_fields

NEGLIGIBLE = 0.1
"""The smallest effect of interest for contrasts without ``sesoi=``, in units of the metric."""


@dataclass(frozen=True)
class Contrast:
    """Treatment over control on a metric, paired by seed; a positive difference favours the treatment.

    Attributes:
        treatment: the arm, or derived quantity, that should be better (the only positional argument).
        over: the control: an arm, or a number, such as a chance level.
        metric: what is measured, as reports name it: "accuracy".
        bounds: the least and the greatest value that the metric can take; ``None`` is allowed only with
            ``assume="normal"``.
        direction: "higher" if larger values of the metric are better, "lower" for a loss.
        margin: the difference that the treatment has to exceed, in units of the metric.
        sesoi: the smallest effect size of interest, in units of the metric; EQUIVALENT needs it.
        assume: "bounded": the capital of bets decides, whatever the distribution. "normal": Student's t decides, and
            the verdict says so.
        clip: whether values beyond the bounds are clipped to them. The contrast is then about the means of the clipped
            metric, and says so. Without it, such a value is an error.

    Raises:
        MemkitError: a field is not valid; the message names the field and what would be right.

    >>> from memkit import Contrast
    >>> contrast = Contrast("dynamic", over="static", metric="loss", bounds=(0, 5), direction="lower")
    >>> contrast.label, contrast.difference_bounds
    ('dynamic over static', (-5.0, 5.0))
    >>> contrast.difference(1.5, 2.25)
    0.75
    """

    treatment: str
    _: KW_ONLY
    over: str | float
    metric: str
    bounds: tuple[float, float] | None = None
    direction: Literal["higher", "lower"] = "higher"
    margin: float = 0.0
    sesoi: float | None = None
    assume: Literal["bounded", "normal"] = "bounded"
    clip: bool = False

    def __new__(cls, *given: Any, **named: Any) -> Contrast:
        check_fields(cls, named)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        plain_fields(self, *(f.name for f in fields(self)))
        over = repr(self.over) if isinstance(self.over, str) else short_repr(self.over)
        where = f"Contrast({self.treatment!r}, over={over})"

        def check(ok: bool, message: str) -> None:
            if not ok:
                raise MemkitError(f"{where}: {message}")

        check(
            isinstance(self.treatment, str) and bool(self.treatment),
            "the treatment must be the name of an arm",
        )
        is_constant = not isinstance(self.over, str)
        check(
            is_real(self.over) if is_constant else bool(self.over),
            "over= must be the name of an arm or a finite number, such as a chance level",
        )
        check(self.over != self.treatment, "treatment and control are the same arm; name two different ones")
        check(
            isinstance(self.metric, str) and bool(self.metric.strip()),
            'metric= must name what is measured: "accuracy"',
        )
        check(self.direction in ("higher", "lower"), f'direction={self.direction!r} must be "higher" or "lower"')
        check(self.assume in ("bounded", "normal"), f'assume={self.assume!r} must be "bounded" or "normal"')
        check(is_real(self.margin), f"margin={short_repr(self.margin)} must be a finite number")
        check(
            self.sesoi is None or (is_real(self.sesoi) and self.sesoi > 0),
            f"sesoi={short_repr(self.sesoi)} must be a positive number, in units of the metric",
        )
        for name in ("over", "margin", "sesoi"):  # 0 and 0.0 must give the same digest
            if is_real(value := getattr(self, name)):
                object.__setattr__(self, name, float(value))
        check(isinstance(self.clip, bool), f"clip={short_repr(self.clip)} must be True or False")
        if self.bounds is None:
            check(not self.clip, "clip=True needs the bounds to clip at, as in bounds=(0, 5)")
            check(
                self.assume == "normal",
                'declare the range of the metric, as in bounds=(0, 1), or let Student\'s t decide with assume="normal"',
            )
            return
        check(
            isinstance(self.bounds, (tuple, list))
            and len(self.bounds) == 2
            and all(is_real(b) for b in self.bounds)
            and self.bounds[0] < self.bounds[1],
            f"bounds={short_repr(self.bounds)} must be two finite numbers, the lower first",
        )
        object.__setattr__(self, "bounds", (float(self.bounds[0]), float(self.bounds[1])))
        low, high = self.bounds
        if is_constant:
            check(
                low <= float(self.over) <= high,
                f"the control {self.over!r} lies outside bounds={self.bounds!r}",
            )
        low, high = self.difference_bounds or (-math.inf, math.inf)
        check(
            math.isfinite(high - low),
            f"bounds={self.bounds!r} are so wide that a difference may exceed the largest float; scale the metric",
        )
        check(
            low < self.margin < high,
            f"margin={self.margin!r} must lie inside the bounds of the difference, ({low}, {high})",
        )
        check(
            self.sesoi is None or self.sesoi < max(-low, high),
            f"sesoi={self.sesoi!r} must be smaller than the largest possible difference, {max(-low, high)}",
        )

    @property
    def label(self) -> str:
        """The contrast as tables print it: ``dynamic over static``."""
        return (
            f"{self.treatment} over {self.over:.3g}"
            if not isinstance(self.over, str)
            else f"{self.treatment} over {self.over}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The arms or derived quantities that a test must measure for this contrast."""
        return (self.treatment, self.over) if isinstance(self.over, str) else (self.treatment,)

    @property
    def difference_bounds(self) -> tuple[float, float] | None:
        """The least and the greatest value that the signed difference can take; None without bounds."""
        if self.bounds is None:
            return None
        low, high = self.bounds
        if isinstance(self.over, str):
            return (low - high, high - low)
        ends = (low - float(self.over), high - float(self.over))
        return ends if self.direction == "higher" else (-ends[1], -ends[0])

    @property
    def least_relevant(self) -> float:
        """The smallest effect of interest: ``sesoi``, or ``NEGLIGIBLE`` if none is declared."""
        return NEGLIGIBLE if self.sesoi is None else self.sesoi

    def clipped(self, value: float) -> float:
        """Return a value of the metric, clipped at the bounds if the contrast says so; nan stays nan."""
        if not self.clip or self.bounds is None or not math.isfinite(value):
            return value
        return min(max(value, self.bounds[0]), self.bounds[1])

    def difference(self, treatment: float, control: float) -> float:
        """Return the signed difference of one seed, in units of the metric.

        Returns:
            The difference, positive in the treatment's favour; nan if a value is not finite.
        """
        treatment, control = self.clipped(treatment), self.clipped(control)
        difference = treatment - control if self.direction == "higher" else control - treatment
        return difference if math.isfinite(difference) else math.nan

    def difference_range(self, treatment: float, control: float) -> tuple[float, float]:
        """Return the least and the greatest signed difference of one seed that its values allow.

        A value that is not finite may be anything that the bounds allow. For two finite values, both differences are
        :meth:`difference`.

        Returns:
            The two differences; nan and nan if a value is not finite and no bounds are declared.

        >>> Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1)).difference_range(float("nan"), 0.5)
        (-0.5, 0.5)
        """
        if math.isfinite(treatment) and math.isfinite(control):
            return (self.difference(treatment, control),) * 2
        if self.bounds is None:
            return math.nan, math.nan
        worst, best = self.bounds if self.direction == "higher" else self.bounds[::-1]
        least, greatest = (
            self.difference(
                treatment if math.isfinite(treatment) else for_treatment,
                control if math.isfinite(control) else for_control,
            )
            for for_treatment, for_control in ((worst, best), (best, worst))
        )
        return least, greatest

    def to_json(self) -> dict[str, Any]:
        """Return every field as plain types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contrast:
        """Return the contrast that :meth:`to_json` wrote."""
        options = dict(data)
        if options.get("bounds") is not None:
            options["bounds"] = tuple(options["bounds"])
        return cls(options.pop("treatment"), **options)
