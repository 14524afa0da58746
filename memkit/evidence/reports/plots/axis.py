"""The axis of a plot: its scale from data to pixels, its ticks and their labels, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from memkit.evidence.reports.numbers import grouped, minus, power
from memkit.evidence.reports.plots import svg

_FLAT = 1e-6
"""The relative difference below which numbers are drawn as one, because labels could not distinguish them."""
_PLAIN = (1e-4, 1e6)
"""The range of absolute values that are written out; others are written as multiples of powers of ten."""
_TICK_WIDTH, _TICK_HEIGHT = 54.0, 32.0
"""The room for a tick and its label, in pixels: on an axis that runs to the right, and on one that runs up."""


@dataclass(frozen=True)
class Axis:
    """A scale from data to pixels: from ``low``, drawn at ``start``, to ``high``, drawn at ``end``.

    An axis runs to the right (``start`` < ``end``) or up the page (``start`` > ``end``), and has as many ticks as there
    is room for.

    Attributes:
        low, high: ends of the axis; of a logarithmic one, their logarithms to base 10.
        start, end: where these are drawn, in pixels.
        ticks: pairs of a number and its label; empty for a scale that is not drawn.
        log: whether the axis is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...] = ()
    log: bool = False

    @classmethod
    def linear(
        cls,
        shown: Collection[float],
        start: float,
        end: float,
        *,
        counts: bool = False,
        whole: bool = False,
        pad: float = 0.0,
    ) -> Axis:
        """Return an axis that shows all numbers of ``shown``, with round numbers as ticks.

        Args:
            shown: the numbers to show.
            start, end: where the axis starts and ends, in pixels.
            counts: use whole numbers as ticks if all numbers are whole.
            whole: start and end the axis at a tick, unless that would leave most of a step empty.
            pad: the room to add at either end, as a share of the axis.
        """
        low, high = _widened(*_ends(shown))
        step = _round_step(low, high, _max_ticks(start, end))
        if counts and all(float(value).is_integer() for value in shown):
            step = max(step, 1.0)
        if whole:
            low, high = _outward(low, -1, step, 0.03 * (high - low)), _outward(high, 1, step, 0.03 * (high - low))
        low, high = low - pad * (high - low), high + pad * (high - low)
        ticks = _multiples(low, high, step)
        return cls(low, high, start, end, tuple(zip(ticks, _labels(ticks, step), strict=True)))

    @classmethod
    def logarithmic(cls, shown: Collection[float], start: float, end: float, *, pad: float = 0.0) -> Axis:
        """Return a logarithmic axis that shows all numbers of ``shown``, which are positive.

        If they are few and far enough apart, the numbers themselves are the ticks, otherwise round numbers.
        """
        low, high = map(math.log10, _ends(shown))
        if high - low < 0.01:
            low, high = low - 0.3, high + 0.3
        low, high = low - pad * (high - low), high + pad * (high - low)
        ticks = _log_ticks(sorted(set(shown)), low, high, _max_ticks(start, end))
        return cls(low, high, start, end, tuple(zip(ticks, _log_labels(ticks), strict=True)), log=True)

    def at(self, value: float) -> float:
        """Return where ``value`` is drawn, in pixels; values beyond the axis are drawn at its end."""
        share = ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    @property
    def label_width(self) -> float:
        """The width of the longest label in pixels, estimated generously."""
        return max((svg.width_of(label) for _, label in self.ticks), default=0.0)

    def below(self, y: float, *, edge: float = 0.0, grid: float | None = None) -> list[str]:
        """Draw an axis that runs to the right: a line at ``y``, with the ticks and their labels below.

        Labels that would touch the label before them are left out.

        Args:
            y: the y of the axis.
            edge: the left edge of the drawing; labels that would cross it are left out.
            grid: the y up to which a faint line is drawn from each tick; None: no lines.
        """
        parts = []
        if grid is not None:
            parts += [svg.vertical(self.at(value), grid, y, opacity=0.07) for value, _ in self.ticks]
        marks = "".join(f"M{self.at(value):.1f} {y:.1f}v4" for value, _ in self.ticks)
        parts.append(svg.horizontal(y, self.start, self.end, opacity=0.45))
        parts.append(f'<path d="{marks}" stroke="currentColor" stroke-opacity="0.45"/>')
        shown = []
        for value, label in self.ticks:
            x, half = self.at(value), 0.5 * svg.width_of(label)
            if x - half > edge:  # labels of multiples of powers of ten are wide
                shown.append((x, y + 16, label))
                edge = x + half + 4
        return [*parts, svg.labels(shown, size=11, opacity=0.75)]

    def beside(self, left: float, right: float) -> list[str]:
        """Draw an axis that runs up: at each tick a label, and a faint line from ``left`` to ``right``."""
        shown = [(left - 6, self.at(value) + 4, label) for value, label in self.ticks]
        lines = [svg.horizontal(self.at(value), left, right, opacity=0.15) for value, _ in self.ticks]
        return [*lines, svg.labels(shown, size=11, opacity=0.75, anchor="end")]


def _max_ticks(start: float, end: float) -> int:
    """Return how many ticks an axis has room for."""
    if end > start:
        return max(2, min(7, int((end - start) / _TICK_WIDTH)))
    return max(2, min(5, int((start - end) / _TICK_HEIGHT)))


def _round_step(low: float, high: float, max_steps: int) -> float:
    """Return the smallest step, 1, 2 or 5 times a power of ten, of which the axis has at most ``max_steps``."""
    rough = (high - low) / max_steps
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * (1 - 1e-9))


def _multiples(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of ``step`` from ``low`` to ``high``."""
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _labels(ticks: Sequence[float], step: float) -> list[str]:
    """Return the labels of ticks that are ``step`` apart, all with as many decimals as the step needs."""
    size = max(map(abs, ticks), default=0.0)
    if not _PLAIN[0] <= size < _PLAIN[1]:
        exponent = math.floor(math.log10(size)) if size else 0
        unit = float(f"1e{exponent}")
        places = _places(step / unit)
        labels = [f"{minus(f'{value / unit:.{places}f}')} × {power(exponent)}" for value in ticks]
    else:
        labels = [minus(grouped(value, _places(step))) for value in ticks]
    return ["0" if abs(value) < step / 2 else label for value, label in zip(ticks, labels, strict=True)]


def _places(step: float) -> int:
    """Return how many decimals a step needs."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _outward(end: float, sign: int, step: float, pad: float) -> float:
    """Return an end of an axis moved outwards to the next tick, or by ``pad`` if the tick is far away.

    ``sign`` is 1 for the high end, which moves up, and −1 for the low end.
    """
    tick = sign * step * math.ceil(sign * end / step - 1e-9)
    return tick if abs(tick - end) <= 0.6 * step else end + sign * pad


def _ends(shown: Iterable[float]) -> tuple[float, float]:
    values = list(shown)
    return min(values), max(values)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis, moved apart if they are practically equal."""
    size = max(abs(low), abs(high))
    if size < 1e-290:
        return 0.0, 1.0
    return (low, high) if high - low > _FLAT * size else (low - 0.1 * size, high + 0.1 * size)


def _log_ticks(shown: Sequence[float], low: float, high: float, max_ticks: int) -> list[float]:
    """Return the ticks of a logarithmic axis; ``shown`` is sorted, ``low`` and ``high`` are decimal logarithms."""
    logs = [math.log10(value) for value in shown]
    gaps = [after - before for before, after in pairwise(logs)]
    if len(shown) <= max_ticks + 2 and min(gaps, default=math.inf) > 0.7 * (high - low) / max_ticks:
        return list(shown)
    exponents = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(exponents) > max(2, max_ticks // 2):
        stride = math.ceil(len(exponents) / max_ticks)
        return [float(f"1e{exponent}") for exponent in exponents[::stride]]
    lowest = math.floor(low)
    fine = [float(f"{k}e{e}") for e in range(lowest, math.floor(high) + 1) for k in (1, 2, 5)]
    fine = [value for value in fine if value > 0 and low - 1e-9 <= math.log10(value) <= high + 1e-9]
    # On an axis that spans only a few percent, there are no such ticks; equally spaced ones look almost linear there.
    return fine if len(fine) > 1 else _multiples(10**low, 10**high, _round_step(10**low, 10**high, max_ticks))


def _log_labels(ticks: Sequence[float]) -> list[str]:
    if all(_PLAIN[0] <= value < _PLAIN[1] for value in ticks):
        return [grouped(value) if value >= 10_000 else f"{value:.4g}" for value in ticks]
    labels = []
    for value in ticks:
        mantissa, exponent = f"{value:.2e}".split("e")
        short = f"{float(mantissa):g}"
        labels.append(power(int(exponent)) if short == "1" else f"{short} × {power(int(exponent))}")
    return labels
