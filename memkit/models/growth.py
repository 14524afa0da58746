"""Settings of growth: the initial size, and the number, times and kind of events; see memkit/models/growing.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, suggestion

CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": ("epochs", "steps", "plateau", "performance"),
    "how": ("preserving", "fresh"),
}


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth from some initial widths to the widths of the network, in a number of events.

    Every event takes an equal share of the growth, rounded to whole units. Events happen when the validation examples
    are evaluated: at most one event per evaluation, and none after the last step.

    Attributes:
        start: the initial widths of the hidden layers; fewer layers than the final network has, for growth in depth.
        events: the number of growth events.
        schedule: when an event is due:
            "epochs"       ``every`` epochs after the last event, or after the start
            "steps"        ``every`` steps after the last event, or after the start
            "plateau"      when the validation loss has not fallen by ``improvement`` for ``patience`` evaluations
            "performance"  when the validation accuracy is below ``target``, ``patience`` evaluations or more after
                           the last event
        every: epochs or steps between events, for "epochs" and "steps".
        patience, improvement: a number of evaluations, and nats.
        target: the accuracy that is sufficient, 0 to 1.
        how: "preserving": the network computes the same function just after growth as just before; "fresh": new
            weights are drawn as for a new network, which changes the function.
        noise: the standard deviation of the noise that makes a unit's two halves differ in the next layer, in units
            of that layer's root mean square weight; it cancels in the sum of the two halves.
    """

    start: tuple[int, ...]
    events: int = 1
    schedule: str = "epochs"
    every: float = 1.0
    patience: int = 2
    improvement: float = 0.0
    target: float = 1.0
    how: str = "preserving"
    noise: float = 0.1

    def __post_init__(self) -> None:
        def check(condition: bool, message: str) -> None:
            if not condition:
                raise MemkitError(f"Growth: {message}")

        for name, known in CHOICES.items():
            value = getattr(self, name)
            check(value in known, f"{name}={value!r} is unknown{suggestion(str(value), known)}")
        check(
            isinstance(self.start, (tuple, list)) and bool(self.start) and all(is_whole(n, 1) for n in self.start),
            f"start={self.start!r} must name the initial widths of the hidden layers, as in (64, 32)",
        )
        object.__setattr__(self, "start", tuple(self.start))
        for name in ("events", "patience"):
            check(is_whole(getattr(self, name), 1), f"{name}={getattr(self, name)!r} must be a positive whole number")
        check(is_real(self.every) and self.every > 0, f"every={self.every!r} must be a positive number")
        for name in ("improvement", "noise"):
            value = getattr(self, name)
            check(is_real(value) and value >= 0, f"{name}={value!r} must be a number, 0 or more")
        check(is_real(self.target) and 0 <= self.target <= 1, f"target={self.target!r} must lie between 0 and 1")

    @classmethod
    def of(cls, settings: Mapping[str, Any], widths: Sequence[int]) -> Growth:
        """Return the growth that some settings describe, for a network with these final widths.

        Raises:
            MemkitError: a setting is misspelt, or the final widths cannot be reached by growth.
        """
        known = {f.name for f in fields(cls)}
        for name in settings:
            if name not in known:
                raise MemkitError(f"Growth has no setting {name!r}{suggestion(name, known)}")
        if "start" not in settings:
            raise MemkitError("Growth: start is missing: the initial widths of the hidden layers, as in (64, 32)")
        growth = cls(**settings)
        start, last_start = growth.start, len(growth.start) - 1
        prefix = f"Growth: from start={tuple(start)} to widths={tuple(widths)}"
        if len(start) > len(widths) or any(n > m for n, m in zip(start, widths, strict=False)):
            raise MemkitError(f"{prefix} the network would shrink; start must be no deeper and no wider")
        if tuple(start) == tuple(widths):
            raise MemkitError(f"{prefix} nothing grows; start must be smaller")
        if any(width != widths[last_start] for width in widths[last_start:]):
            raise MemkitError(f"{prefix}: a new layer copies the one below it, so both must have the same final width")
        return growth

    def widths_after(self, events: int, widths: Sequence[int]) -> tuple[int, ...]:
        """Return the widths after a number of events, given the final widths."""
        progress = min(1.0, events / self.events)
        layers = len(self.start) + _nearest_whole(progress * (len(widths) - len(self.start)))
        starts = (*self.start, *[self.start[-1]] * (layers - len(self.start)))
        return tuple(n + _nearest_whole(progress * (m - n)) for n, m in zip(starts, widths, strict=False))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain types, for the options of a recipe; default values are left out."""
        defaults = {f.name: f.default for f in fields(self)}
        settings = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {**settings, "start": list(self.start)}


def _nearest_whole(number: float) -> int:
    """Round to the nearest whole number; halves are rounded up."""
    return math.floor(number + 0.5)
