"""A hand-made claim and observations of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memkit.evidence import Arm, Claim, Contrast, Observation

FIRST = 10_000
OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
CHANCE = Contrast("a", over=0.2, metric="accuracy", bounds=(0, 1))


def make(*contrasts: Contrast, **options: Any) -> Claim:
    """Return a claim whose values may repeat, as hand-made ones do, unless ``deterministic=False``."""
    contrasts = contrasts or (OVER,)
    options.setdefault("deterministic", True)
    named = {name: Arm() for c in (*contrasts, *options.get("requires", ())) for name in c.names}
    if control := options.get("positive_control"):
        named |= {name: Arm() for name in control.names}
    return Claim(id="study/name", statement="A beats B.", arms=named, contrasts=contrasts, **options)


def observations_of(
    values: Mapping[str, Sequence[float]], *, first: int = FIRST, metric: str = "accuracy"
) -> list[Observation]:
    return [
        Observation(claim="study/name", seed=first + i, arm=arm, metric=metric, value=value)
        for arm, column in values.items()
        for i, value in enumerate(column)
    ]


def planned(n: int, first: int = FIRST) -> range:
    return range(first, first + n)


def constant(difference: float, n: int) -> dict[str, list[float]]:
    """Return values of two arms that differ by the same amount on n seeds."""
    return {"a": [0.5 + difference / 2] * n, "b": [0.5 - difference / 2] * n}


def around(mean: float, n: int, spread: float = 0.01) -> list[float]:
    """Return n values that alternate around a mean."""
    return [mean + spread * (-1) ** i for i in range(n)]
