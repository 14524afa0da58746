"""The settings of a memory that changes a hidden state; for their meaning see memkit/models/intervened.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, suggestion
from memkit.memories.eviction import POLICIES
from memkit.memories.neighbours import WHICH
from memkit.memories.retrieval import METRICS, WEIGHTS

CHOICES: Mapping[str, tuple[str, ...]] = {
    "query": ("full", "untouched", "projection"),
    "chosen": ("first", "random"),
    "target": ("current", "gradient", "centroid"),
    "value": ("delta", "absolute"),
    "mode": ("gated", "residual", "overwrite"),
    "gate": ("constant", "warmup", "uncertainty", "learnt"),
    "use": ("training", "inference", "both", "never"),
    "which": WHICH,
    "metric": METRICS,
    "weights": WEIGHTS,
    "insertion": ("always", "hard"),
    "eviction": tuple(POLICIES),
}


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """The settings of an intervention: where, with which values, how strongly and when; and what the memory stores.

    Attributes:
        placement: a hidden layer: "early", "middle", "late", "penultimate", or its name ("hidden1").
        query, projection: which part of the state is the key of an entry, and the width of a projection.
        affected, chosen: how many dimensions of the state change (None for all), and whether these are the first or
            random ones.
        target, value, mode, gate, use: see :mod:`memkit.models.intervened`.
        alpha: α.
        warmup: the number of examples over which the gate grows.
        step_size, steps: η, the size of a gradient step on an example's own loss, and the number of steps.
        centroid_momentum: μ of the centroids.
        which, metric, normalise, k, weights, temperature: see :class:`memkit.memories.neighbours.NeighbourMemory`.
        capacity: the maximum number of entries.
        insertion: "always"; or "hard" for only those examples whose loss is above the mean of their batch.
        eviction, ttl, age_weight: see :mod:`memkit.memories.eviction`.
        refresh, refresh_within, refresh_momentum: see :mod:`memkit.memories.neighbours`.
    """

    placement: str = "penultimate"
    query: str = "full"
    projection: int = 32
    affected: int | None = 64
    chosen: str = "first"
    target: str = "gradient"
    value: str = "delta"
    mode: str = "gated"
    gate: str = "constant"
    alpha: float = 0.4
    warmup: int = 0
    use: str = "both"
    step_size: float = 1.0
    steps: int = 1
    centroid_momentum: float = 0.95
    which: str = "nearest"
    metric: str = "l2"
    normalise: bool = False
    k: int = 8
    weights: str = "inverse"
    temperature: float = 1.0
    capacity: int = 1000
    insertion: str = "always"
    eviction: str = "fifo"
    ttl: int = 0
    age_weight: float = 0.5
    refresh: float = 0.0
    refresh_within: float = 0.0
    refresh_momentum: float = 0.9

    def __post_init__(self) -> None:
        def check(condition: bool, message: str) -> None:
            if not condition:
                raise MemkitError(f"Intervention: {message}")

        for name, known in CHOICES.items():
            value = getattr(self, name)
            check(value in known, f"{name}={value!r} is unknown{suggestion(str(value), known)}")
        for name in ("projection", "k", "capacity", "steps"):
            value = getattr(self, name)
            check(is_whole(value, 1), f"{name}={value!r} must be a positive whole number")
        check(
            self.affected is None or (is_whole(self.affected, 1)),
            f"affected={self.affected!r} must be a positive whole number, or None for all dimensions",
        )
        for name in ("warmup", "ttl"):
            value = getattr(self, name)
            check(is_whole(value, 0), f"{name}={value!r} must be a whole number of examples, 0 or more")
        for name in ("alpha", "centroid_momentum", "age_weight", "refresh", "refresh_momentum"):
            value = getattr(self, name)
            check(is_real(value) and 0 <= value <= 1, f"{name}={value!r} must lie between 0 and 1")
        for name in ("step_size", "temperature"):
            value = getattr(self, name)
            check(is_real(value) and value > 0, f"{name}={value!r} must be a positive number")
        check(
            is_real(self.refresh_within) and self.refresh_within >= 0,
            f"refresh_within={self.refresh_within!r} must be a distance, 0 or more",
        )
        check(self.k <= self.capacity, f"k={self.k} neighbours must not be more than capacity={self.capacity} entries")
        check(
            not (self.target == "current" and self.value == "delta"),
            "the delta of a state to itself is 0; with target='current' use value='absolute'",
        )
        check(
            self.gate == "constant" or self.mode == "gated",
            f"mode={self.mode!r} has no gate; with gate={self.gate!r} use mode='gated'",
        )
        check(
            self.gate != "warmup" or self.warmup > 0,
            "gate='warmup' needs warmup, the number of examples until the gate is open",
        )
        check(
            self.eviction != "ttl" or self.ttl > 0,
            "eviction='ttl' needs ttl, the age in examples at which entries leave",
        )
        check(
            self.query != "untouched" or self.affected is not None,
            "query='untouched' needs dimensions that are not affected; set affected below the width of the layer",
        )
        check(
            self.gate != "learnt" or 0 < self.alpha < 1,
            f"gate='learnt' starts at alpha, which must lie between 0 and 1, not be {self.alpha}",
        )
        check(
            self.gate != "learnt" or self.use in ("training", "both"),
            f"gate='learnt' needs a memory that is applied in training, which it is not with use={self.use!r}",
        )

    def with_(self, **changes: Any) -> Intervention:
        """Return a copy with other settings.

        Raises:
            MemkitError: there is no such setting.
        """
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise MemkitError(f"Intervention has no setting {name!r}{suggestion(name, known)}")
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain types, for the options of a recipe; default values are left out."""
        defaults = {f.name: f.default for f in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}
