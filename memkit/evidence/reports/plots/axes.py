"""Axes of plots: which numbers they show, where, and how these are written."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from memkit.evidence.reports.plots import svg

_FLAT = 1e-6
"""What differs by less than this share of its size is drawn as constant: its ticks could not be told apart."""
_PLAIN = (1e-4, 1e6)
"""Sizes of numbers that are written out; others are multiples of powers of ten."""


@dataclass(frozen=True)
class Axis:
    """An axis from ``low``, drawn at ``start``, to ``high``, drawn at ``end``; its ``ticks`` are numbers and labels."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    @classmethod
    def linear(
        cls,
        shown: Collection[float],
        start: float,
        end: float,
        *,
        most: int,
        counts: bool = False,
        whole: bool = False,
        pad: float = 0.0,
    ) -> Axis:
        """An axis that shows all numbers of ``shown``, with ``most`` ticks or so.

        Args:
            counts: where all numbers are whole, so are the ticks.
            whole: it begins and ends at a tick, unless that would leave most of a step empty.
            pad: room at either end, as a share of the axis.
        """
        low, high = _apart(*_ends(shown))
        step = round_step(low, high, most)
        if counts and all(float(value).is_integer() for value in shown):
            step = max(step, 1.0)
        if whole:
            low, high = _outward(low, -1, step, 0.03 * (high - low)), _outward(high, 1, step, 0.03 * (high - low))
        low, high = low - pad * (high - low), high + pad * (high - low)
        ticks = multiples(low, high, step)
        return cls(low, high, start, end, tuple(zip(ticks, written(ticks, step), strict=True)))

    @classmethod
    def logarithmic(cls, shown: Collection[float], start: float, end: float, *, most: int, pad: float = 0.0) -> Axis:
        """A logarithmic axis that shows the positive numbers of ``shown``; few of them are its ticks themselves."""
        low, high = map(math.log10, _ends(shown))
        if high - low < 0.01:
            low, high = low - 0.3, high + 0.3
        low, high = low - pad * (high - low), high + pad * (high - low)
        found = _log_ticks(sorted(set(shown)), low, high, most)
        return cls(low, high, start, end, tuple(zip(found, _log_labels(found), strict=True)), log=True)

    def at(self, value: float) -> float:
        """Where ``value`` is drawn."""
        share = ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def round_step(low: float, high: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, ``most`` of which fill the axis."""
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * (1 - 1e-9))


def multiples(low: float, high: float, step: float) -> list[float]:
    """The multiples of ``step`` from ``low`` to ``high``."""
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def written(ticks: Sequence[float], step: float) -> list[str]:
    """Labels of ticks that lie ``step`` apart, all with the decimals that this takes."""
    size = max(map(abs, ticks), default=0.0)
    if not _PLAIN[0] <= size < _PLAIN[1]:
        exponent = math.floor(math.log10(size)) if size else 0
        unit = float(f"1e{exponent}")
        places = _places(step / unit)
        labels = [f"{svg.minus(f'{value / unit:.{places}f}')} × {power(exponent)}" for value in ticks]
    else:
        labels = [svg.minus(grouped(value, _places(step))) for value in ticks]
    return ["0" if abs(value) < step / 2 else label for value, label in zip(ticks, labels, strict=True)]


def grouped(value: float, places: int = 0) -> str:
    """``12 345``: thousands apart, from five digits on."""
    text = f"{value:.{places}f}"
    return f"{value:,.{places}f}".replace(",", " ") if abs(value) >= 10_000 else text


def power(exponent: int) -> str:
    """``10⁻³``."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _places(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _outward(end: float, way: int, step: float, pad: float) -> float:
    """``end``, moved to the next tick outside (``way`` −1: downwards), or a little where that is far."""
    tick = way * step * math.ceil(way * end / step - 1e-9)
    return tick if abs(tick - end) <= 0.6 * step else end + way * pad


def _ends(shown: Iterable[float]) -> tuple[float, float]:
    values = list(shown)
    return min(values), max(values)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis, moved apart where all that it shows is one number."""
    size = max(abs(low), abs(high))
    if size < 1e-290:
        return 0.0, 1.0
    return (low, high) if high - low > _FLAT * size else (low - 0.1 * size, high + 0.1 * size)


def _log_ticks(shown: Sequence[float], low: float, high: float, most: int) -> list[float]:
    places = [math.log10(value) for value in shown]
    gaps = [after - before for before, after in pairwise(places)]
    if len(shown) <= most + 2 and min(gaps, default=math.inf) > 0.7 * (high - low) / most:
        return list(shown)
    exponents = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(exponents) > max(2, most // 2):
        every = math.ceil(len(exponents) / most)
        return [float(f"1e{exponent}") for exponent in exponents[::every]]
    lowest = math.floor(low)
    fine = [float(f"{k}e{e}") for e in range(lowest, math.floor(high) + 1) for k in (1, 2, 5)]
    fine = [value for value in fine if value > 0 and low - 1e-9 <= math.log10(value) <= high + 1e-9]
    # Within a few percent of one another: round numbers, though they lie no round share apart.
    return fine if len(fine) > 1 else multiples(10**low, 10**high, round_step(10**low, 10**high, most))


def _log_labels(ticks: Sequence[float]) -> list[str]:
    if all(_PLAIN[0] <= value < _PLAIN[1] for value in ticks):
        return [grouped(value) if value >= 10_000 else f"{value:.4g}" for value in ticks]
    labels = []
    for value in ticks:
        mantissa, exponent = f"{value:.2e}".split("e")
        short = f"{float(mantissa):g}"
        labels.append(power(int(exponent)) if short == "1" else f"{short} × {power(int(exponent))}")
    return labels
