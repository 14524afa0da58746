"""Learning curves: the training loss of every seed, thinned to as many points as a plot needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence import strict_json

POINTS = 24
"""The most points per seed: enough to see where the loss falls, and few enough for a file of hundreds of seeds."""
MOST = 1000
"""The most points per seed that are accepted in a file."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The curves of one recipe.

    Attributes:
        arms: the arms that the recipe trains: ``study/claim: arm``.
        seeds: seed → pairs (step, loss) in the order of the steps; the loss is None if it was not finite.
    """

    arms: tuple[str, ...]
    seeds: Mapping[int, tuple[tuple[int, float | None], ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain types; for each seed, a list of steps and a list of losses."""
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
            MemkitError: a field is not valid, a curve has too many points, or its steps do not increase.
        """
        data = strict_json.fields(data, "a recipe's curves", {}, "arms", "seeds")
        if not (arms := strict_json.texts(data["arms"], "the arms of curves")):
            raise MemkitError("the curves of a recipe must name their arms")
        seeds = {}
        for name, curve in strict_json.mapping(data["seeds"], "the curves of a recipe").items():
            seed, where = strict_json.seed_of(name, "a key of curves"), f"the curve of seed {name:.20}"
            steps, losses = (strict_json.listed(part, where) for part in strict_json.listed(curve, where))
            if len(steps) > MOST:
                raise MemkitError(f"{where} must have at most {MOST} points, not {len(steps)}")
            points = tuple(
                (strict_json.whole(step, where), strict_json.optional(loss, where, strict_json.number))
                for step, loss in zip(steps, losses, strict=True)
            )
            if any(after <= before for (before, _), (after, _) in pairwise(points)):
                raise MemkitError(f"the steps of the curve of seed {seed} must increase")
            seeds[seed] = points
        return cls(arms=arms, seeds=seeds)


def thin_curve(history: Sequence[tuple[int, float]], most: int = POINTS) -> list[list[float | None]]:
    """Return at most ``most`` of the (step, loss) pairs, evenly spaced from the first to the last.

    Returns:
        ``[[step, loss], …]``, with losses rounded to four digits; a loss that is not finite becomes None.
    """
    if len(history) > most:
        history = [history[round(i * (len(history) - 1) / (most - 1))] for i in range(most)]
    return [[int(step), float(f"{loss:.4g}") if math.isfinite(loss) else None] for step, loss in history]


def curves_by_recipe(
    measured: Iterable[tuple[str, int, Mapping[str, Mapping[str, Any]]]],
) -> dict[str, Curves]:
    """Return the learning curves of a run by recipe.

    Args:
        measured: for each measurement: the claim's id, the seed, and arm → its ``digest`` and, if it was recorded, its
            ``curve``.

    Returns:
        Digest of a recipe → its curves.
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
        digest: Curves(arms=tuple(arms[digest]), seeds=dict(sorted(points_by_seed.items())))
        for digest, points_by_seed in seeds.items()
    }
