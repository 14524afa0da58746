"""A comparison: treatment over control on a metric, with all that its intervals need to know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any, Literal

from memkit.checks import is_real
from memkit.errors import MemkitError, check_fields, shown
from memkit.plain_values import plain_fields


@dataclass(frozen=True)
class Contrast:
    """Treatment over control on a metric, paired by seed; a positive difference favours the treatment.

    Attributes:
        treatment: the arm, or derived quantity, that should be better (the only positional argument).
        over: the control: an arm, or a number (a chance level).
        metric: what is measured, in the words of the report: "accuracy".
        bounds: the least and the greatest value that the metric can take. The betting interval stands on
            them; ``None`` only with ``assume="normal"``.
        direction: "higher" where more of the metric is better, "lower" for a loss.
        margin: the difference that has to be exceeded, in units of the metric.
        sesoi: the smallest effect size of interest, in units of the metric; EQUIVALENT needs it.
        assume: "bounded": both intervals decide. "normal": Student's t decides alone, and the verdict says
            so.
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

    def __new__(cls, *given: Any, **named: Any) -> Contrast:
        check_fields(cls, named)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        plain_fields(self, *(f.name for f in fields(self)))
        over = repr(self.over) if isinstance(self.over, str) else shown(self.over)
        where = f"Contrast({self.treatment!r}, over={over})"

        def check(ok: bool, message: str) -> None:
            if not ok:
                raise MemkitError(f"{where}: {message}")

        check(
            isinstance(self.treatment, str) and bool(self.treatment),
            "the treatment must be the name of an arm",
        )
        number = not isinstance(self.over, str)
        check(
            is_real(self.over) if number else bool(self.over),
            "over= must be the name of an arm or a finite number, such as a chance level",
        )
        check(self.over != self.treatment, "treatment and control are the same arm; name two different ones")
        check(
            isinstance(self.metric, str) and bool(self.metric.strip()),
            'metric= must name what is measured: "accuracy"',
        )
        check(self.direction in ("higher", "lower"), f'direction={self.direction!r} must be "higher" or "lower"')
        check(self.assume in ("bounded", "normal"), f'assume={self.assume!r} must be "bounded" or "normal"')
        check(is_real(self.margin), f"margin={shown(self.margin)} must be a finite number")
        check(
            self.sesoi is None or (is_real(self.sesoi) and self.sesoi > 0),
            f"sesoi={shown(self.sesoi)} must be a positive number, in units of the metric",
        )
        for name in ("over", "margin", "sesoi"):  # 0 and 0.0 are one claim, with one digest
            if is_real(value := getattr(self, name)):
                object.__setattr__(self, name, float(value))
        if self.bounds is None:
            check(
                self.assume == "normal",
                "declare the values the metric can take, bounds=(0, 1), or waive the betting interval with "
                'assume="normal"',
            )
            return
        check(
            isinstance(self.bounds, (tuple, list))
            and len(self.bounds) == 2
            and all(is_real(b) for b in self.bounds)
            and self.bounds[0] < self.bounds[1],
            f"bounds={shown(self.bounds)} must be two finite numbers, the lower first",
        )
        object.__setattr__(self, "bounds", (float(self.bounds[0]), float(self.bounds[1])))
        low, high = self.bounds
        if number:
            check(
                low <= float(self.over) <= high,
                f"the control {self.over!r} lies outside bounds={self.bounds!r}",
            )
        low, high = self.difference_bounds or (-math.inf, math.inf)
        check(
            low < self.margin < high,
            f"margin={self.margin!r} must lie inside the differences' bounds ({low}, {high})",
        )
        check(
            self.sesoi is None or self.sesoi < max(-low, high),
            f"sesoi={self.sesoi!r} must be smaller than the largest possible difference, {max(-low, high)}",
        )

    @property
    def label(self) -> str:
        """``dynamic over static``, as tables print it."""
        return (
            f"{self.treatment} over {self.over:.3g}"
            if not isinstance(self.over, str)
            else f"{self.treatment} over {self.over}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The arms or derived quantities that a test has to measure for this contrast."""
        return (self.treatment, self.over) if isinstance(self.over, str) else (self.treatment,)

    @property
    def difference_bounds(self) -> tuple[float, float] | None:
        """The least and the greatest value that the signed difference can take."""
        if self.bounds is None:
            return None
        low, high = self.bounds
        if isinstance(self.over, str):
            return (low - high, high - low)
        ends = (low - float(self.over), high - float(self.over))
        return ends if self.direction == "higher" else (-ends[1], -ends[0])

    def difference(self, treatment: float, control: float) -> float:
        """Return the signed difference of one seed. A value that is not finite counts as the worst that bounds allow.

        Returns:
            The difference, positive in the treatment's favour; nan where a value is not finite and no bounds
            are declared.
        """
        if math.isfinite(treatment) and math.isfinite(control):
            difference = treatment - control if self.direction == "higher" else control - treatment
            return difference if math.isfinite(difference) else math.nan  # beyond the largest number
        if self.bounds is None:
            return math.nan
        worst, best = self.bounds if self.direction == "higher" else self.bounds[::-1]
        treatment = treatment if math.isfinite(treatment) else worst
        control = control if math.isfinite(control) else best
        return treatment - control if self.direction == "higher" else control - treatment

    def to_json(self) -> dict[str, Any]:
        """Return plain types, every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contrast:
        """Return the contrast that :meth:`to_json` wrote."""
        options = dict(data)
        if options.get("bounds") is not None:
            options["bounds"] = tuple(options["bounds"])
        return cls(options.pop("treatment"), **options)
