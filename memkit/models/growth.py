"""Settings of growth: the initial size, and the number, times and kind of events; see memkit/models/growing.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, nearest

CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": ("epochs", "steps", "plateau", "performance"),
    "how": ("preserving", "fresh"),
}


@dataclass(frozen=True, kw_only=True)
class Growth:
    """From some widths to those of the network, in events.

    Every event takes an equal share of the way, rounded to whole units. Events happen at looks at the validation
    examples, at most one a look, and never after the last step.

    Attributes:
        start: the widths of the hidden layers at first; fewer than the network has in the end, for growth in depth.
        events: in how many events it grows.
        schedule: when an event is due:
            "epochs"       ``every`` epochs after the last one, or after the beginning
            "steps"        likewise, in steps
            "plateau"      the validation loss has not fallen by ``improvement`` for ``patience`` looks
            "performance"  the validation accuracy is below ``target``, ``patience`` looks after the last event
        every: for "epochs" and "steps".
        patience, improvement: looks, and nats.
        target: accuracy that is enough, 0 to 1.
        how: "preserving", the network computes the same just after as just before; or "fresh", what is new is drawn as
            if the network began, which is what growth without care does.
        noise: standard deviation of what tells the two halves of a unit apart in the next layer, in units of that
            layer's root mean square weight; it cancels in what they say together.
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
        def check(ok: bool, message: str) -> None:
            if not ok:
                raise MemkitError(f"Growth: {message}")

        for name, known in CHOICES.items():
            value = getattr(self, name)
            check(value in known, f"{name}={value!r} is unknown{nearest(str(value), known)}")
        check(
            isinstance(self.start, (tuple, list)) and bool(self.start) and all(is_whole(n, 1) for n in self.start),
            f"start={self.start!r} must name the widths of the hidden layers at first, as in (64, 32)",
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
        """The growth that some settings describe, of a network that has these widths in the end.

        Raises:
            MemkitError: a setting is misspelt, or there is no way from the one size to the other.
        """
        known = {f.name for f in fields(cls)}
        for name in settings:
            if name not in known:
                raise MemkitError(f"Growth has no setting {name!r}{nearest(name, known)}")
        if "start" not in settings:
            raise MemkitError("Growth: start is missing: the widths of the hidden layers at first, as in (64, 32)")
        made = cls(**settings)
        start, last = made.start, len(made.start) - 1
        said = f"Growth: from start={tuple(start)} to widths={tuple(widths)}"
        if len(start) > len(widths) or any(n > m for n, m in zip(start, widths, strict=False)):
            raise MemkitError(f"{said} something would shrink")
        if tuple(start) == tuple(widths):
            raise MemkitError(f"{said} nothing grows; begin smaller")
        if any(width != widths[last] for width in widths[last:]):
            raise MemkitError(f"{said}: a layer that is added copies the one below it, so it must end as wide as that")
        return made

    def widths_after(self, events: int, widths: Sequence[int]) -> tuple[int, ...]:
        """The widths after so many events, on the way to those of the end."""
        share = min(1.0, events / self.events)
        layers = len(self.start) + _nearest_whole(share * (len(widths) - len(self.start)))
        starts = (*self.start, *[self.start[-1]] * (layers - len(self.start)))
        return tuple(n + _nearest_whole(share * (m - n)) for n, m in zip(starts, widths, strict=False))

    def to_json(self) -> dict[str, Any]:
        """Plain types, for a recipe's options; settings at their default are left out."""
        defaults = {f.name: f.default for f in fields(self)}
        found = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {**found, "start": list(self.start)}


def _nearest_whole(number: float) -> int:
    """Halves go up."""
    return math.floor(number + 0.5)
