"""Learning curves: the training loss of every seed, thinned to what can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memkit.errors import MemkitError

POINTS = 24
"""The most points of a seed: enough to see where it falls, few enough for hundreds of seeds in a file."""
MOST = 1000
"""Points of a seed that a file from elsewhere may have."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The curves of one recipe.

    Attributes:
        arms: the arms that are trained by it: ``study/claim: arm``.
        seeds: seed → (step, loss), in the order of the steps; the loss is None where it was not finite.
    """

    arms: tuple[str, ...]
    seeds: Mapping[int, tuple[tuple[int, float | None], ...]]

    def to_json(self) -> dict[str, Any]:
        """Plain types; the steps of a seed, then its losses."""
        return {
            "arms": list(self.arms),
            "seeds": {
                str(seed): [[s for s, _ in points], [y for _, y in points]] for seed, points in self.seeds.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Curves:
        """What :meth:`to_json` wrote.

        Raises:
            MemkitError: a curve is too long, or its steps do not rise.
        """
        seeds = {}
        for seed, (steps, losses) in data["seeds"].items():
            if len(steps) > MOST:
                raise MemkitError(f"the curve of seed {seed} has {len(steps)} points; {MOST} is the most")
            points = tuple(zip(map(int, steps), (None if y is None else float(y) for y in losses), strict=True))
            if any(after <= before for (before, _), (after, _) in pairwise(points)):
                raise MemkitError(f"the steps of the curve of seed {seed} do not rise")
            if not all(y is None or math.isfinite(y) for _, y in points):
                raise MemkitError(f"the curve of seed {seed} has a loss that is not finite; write null for it")
            seeds[int(seed)] = points
        return cls(arms=tuple(map(str, data["arms"])), seeds=seeds)


def thinned(history: Sequence[tuple[int, float]], most: int = POINTS) -> list[list[float | None]]:
    """A few points of (step, loss) pairs: the first, the last, and others evenly between, as ``[[step, loss], …]``.

    Losses are rounded to four digits; one that is not finite is None.
    """
    if len(history) > most:
        history = [history[round(i * (len(history) - 1) / (most - 1))] for i in range(most)]
    return [[int(step), float(f"{loss:.4g}") if math.isfinite(loss) else None] for step, loss in history]


def gathered(
    measured: Iterable[tuple[str, int, Mapping[str, Mapping[str, Any]]]],
) -> dict[str, Curves]:
    """The curves of a run, each recipe once.

    Args:
        measured: claim, seed, and of each arm its ``digest`` and its ``curve``, if that was recorded.

    Returns:
        Digest of the recipe → its curves.
    """
    arms: dict[str, dict[str, None]] = {}
    seeds: dict[str, dict[int, tuple[tuple[int, float | None], ...]]] = {}
    for claim, seed, runs in measured:
        for name, run in runs.items():
            if run.get("curve"):
                arms.setdefault(run["digest"], {})[f"{claim}: {name}"] = None
                points = tuple((int(step), loss) for step, loss in run["curve"])
                seeds.setdefault(run["digest"], {})[seed] = points
    return {
        digest: Curves(arms=tuple(arms[digest]), seeds=dict(sorted(of_recipe.items())))
        for digest, of_recipe in seeds.items()
    }
