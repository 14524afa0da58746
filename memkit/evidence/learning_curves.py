"""Learning curves: the training loss of every seed, thinned to what can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence import strict_json

POINTS = 24
"""The most points of a seed: enough to see where it falls, few enough for hundreds of seeds in a file."""
MOST = 1000
"""The most points of a seed that a file from elsewhere may have."""


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
        """Return plain types; for each seed its steps, then its losses."""
        return {
            "arms": list(self.arms),
            "seeds": {
                str(seed): [[s for s, _ in points], [y for _, y in points]] for seed, points in self.seeds.items()
            },
        }

    @classmethod
    def from_json(cls, data: Any) -> Curves:
        """Return the curves that :meth:`to_json` wrote.

        Raises:
            MemkitError: a curve is too long, or its steps do not rise.
        """
        data = strict_json.fields(data, "a recipe's curves", {}, "arms", "seeds")
        if not (arms := strict_json.texts(data["arms"], "the arms of curves")):
            raise MemkitError("the arms of curves must be named")
        seeds = {}
        for name, curve in strict_json.mapping(data["seeds"], "the curves of a recipe").items():
            seed, where = strict_json.seed_of(name, "a key of curves"), f"the curve of seed {name:.20}"
            steps, losses = (strict_json.listed(part, where) for part in strict_json.listed(curve, where))
            if len(steps) > MOST:
                raise MemkitError(f"{where} has {len(steps)} points; {MOST} is the most")
            points = tuple(
                (strict_json.whole(step, where), strict_json.optional(loss, where, strict_json.number))
                for step, loss in zip(steps, losses, strict=True)
            )
            if any(after <= before for (before, _), (after, _) in pairwise(points)):
                raise MemkitError(f"the steps of the curve of seed {seed} do not rise")
            seeds[seed] = points
        return cls(arms=arms, seeds=seeds)


def thinned(history: Sequence[tuple[int, float]], most: int = POINTS) -> list[list[float | None]]:
    """Return a few of the (step, loss) pairs, the first, the last and others evenly between: ``[[step, loss], …]``.

    Losses are rounded to four digits; one that is not finite is None.
    """
    if len(history) > most:
        history = [history[round(i * (len(history) - 1) / (most - 1))] for i in range(most)]
    return [[int(step), float(f"{loss:.4g}") if math.isfinite(loss) else None] for step, loss in history]


def gathered(
    measured: Iterable[tuple[str, int, Mapping[str, Mapping[str, Any]]]],
) -> dict[str, Curves]:
    """Return the curves of a run, each recipe once.

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
