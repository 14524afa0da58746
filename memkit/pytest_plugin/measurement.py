"""The measurement of one item, as it travels to the controller and as the store keeps it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from memkit.errors import MemkitError, MemkitWarning
from memkit.evidence.claim import Claim
from memkit.evidence.figures import Figure, figure_from_json
from memkit.evidence.observation import Observation, observe
from memkit.store.measurements import forget_measurement, load_measurements
from memkit.store.store import Store
from memkit.store.verified_files import curve, finite, number, part, seconds, whole, why

PROPERTY = "memkit.measurement"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurement of one item; it travels to the controller as JSON in the report's user properties.

    Attributes:
        returned: what the test returned, in plain numbers: all that is stored of it, since bounds, divergence and
            contrasts may change without a need to measure again.
        arms: arm → digest of the trained run, its metrics, and its learning curve.
        figures: what the claim's figure functions made of the first seed.
        drawn_by: digest of these functions; "" where there are none, or it is another seed.
        cpu_seconds: what the test itself took.
        reused: it came from the store.
        changed: the file whose change made an earlier measurement useless, or "".
        again: observations of a second measurement under the same key, where it differs from this one, the first.
    """

    claim: str
    seed: int
    returned: Mapping[str, Any]
    observations: tuple[Observation, ...]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    drawn_by: str = ""
    cpu_seconds: float = 0.0
    reused: bool = False
    changed: str = ""
    again: tuple[Observation, ...] = ()

    @classmethod
    def of(
        cls,
        claim: Claim,
        seed: int,
        returned: Mapping[str, Any],
        *,
        arms: Mapping[str, Mapping[str, Any]],
        figures: tuple[Figure, ...] = (),
        drawn_by: str = "",
        cpu_seconds: float = 0.0,
        reused: bool = False,
    ) -> Measurement:
        """Make a measurement of what a test returned.

        Raises:
            MemkitError: it is not what the claim needs.
        """
        diverged = {name: str(arm["diverged"]) for name, arm in arms.items() if arm["diverged"]}
        return cls(
            claim=claim.id,
            seed=seed,
            returned=returned,
            observations=observe(claim, seed, returned, diverged=diverged),
            arms=arms,
            figures=figures,
            drawn_by=drawn_by,
            cpu_seconds=cpu_seconds,
            reused=reused,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain types, as a run hands them on."""
        return {
            "claim": self.claim,
            "seed": self.seed,
            "observations": [observation.to_json() for observation in self.observations],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "cpu_seconds": self.cpu_seconds,
            "reused": self.reused,
            "changed": self.changed,
            "again": [observation.to_json() for observation in self.again],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what :meth:`to_json` wrote."""
        claim = str(data["claim"])
        return cls(
            claim=claim,
            seed=int(data["seed"]),
            returned={},
            observations=tuple(Observation.from_json(claim, row) for row in data["observations"]),
            arms=data["arms"],
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            cpu_seconds=float(data["cpu_seconds"]),
            reused=bool(data["reused"]),
            changed=str(data["changed"]),
            again=tuple(Observation.from_json(claim, row) for row in data["again"]),
        )

    def to_stored(self) -> dict[str, Any]:
        """Return plain types, as the store keeps them under a key that says of which test and seed they are."""
        return {
            # In pairs, which keep their order: by it the observations stand in the evidence, whose digest covers them.
            "returned": [
                [name, list(map(list, value.items())) if isinstance(value, Mapping) else value]
                for name, value in self.returned.items()
            ],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "drawn_by": self.drawn_by,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_stored(cls, data: Mapping[str, Any], claim: Claim, seed: int) -> Measurement:
        """Read what :meth:`to_stored` wrote, as a measurement of a claim.

        Raises:
            MemkitError: the claim needs something else by now.
            Exception: it has another form; a store is data from elsewhere.
        """
        arms = {str(name): _checked(arm) for name, arm in data["arms"].items()}
        for name in arms:
            if name not in claim.arms or claim.arms[name].recipe is None:
                raise ValueError(f"{name!r} is no arm that is trained")
        return cls.of(
            claim,
            seed,
            {name: _number_or_numbers(value) for name, value in _pairs(part(data, "returned", list))},
            arms=arms,
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            drawn_by=part(data, "drawn_by", str),
            cpu_seconds=seconds(data["cpu_seconds"]),
            reused=True,
        )

    def to_property(self) -> tuple[str, str]:
        """Return the user property of the report."""
        return PROPERTY, json.dumps(self.to_json())


def _number_or_numbers(value: Any) -> float | dict[str, float]:
    """Read what a test returned under a name from the form that the store keeps: a number, or one per metric.

    Raises:
        ValueError: it has another form.
    """
    return {metric: number(one) for metric, one in _pairs(value)} if isinstance(value, list) else number(value)


def _pairs(rows: list[Any]) -> list[tuple[str, Any]]:
    """Return names, each once, with their values.

    Raises:
        ValueError: it has another form.
    """
    found = [(name, value) for name, value in rows if isinstance(name, str)]
    if len(dict(found)) < len(rows):
        raise ValueError("what a test returned has two values of one name, or a name that is no text")
    return found


def _checked(arm: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the stored record of an arm, which may come from elsewhere, and return it.

    Raises:
        ValueError: it has another form.
    """
    for name in ("parameters", "steps"):
        whole(arm[name])
    whole(arm.get("state_size", 0))
    seconds(arm["cpu_seconds"])
    for name in ("digest", "diverged"):
        part(arm, name, str)
    for name in {"tuning", "trained_on"} & arm.keys():
        part(arm, name, str)
    curve(arm.get("curve", []), lambda loss: None if loss is None else finite(loss))
    return dict(arm)


def stored_measurement(
    key: str, claim: Claim, seed: int, store: Store, *, drawn_by: str | None = None
) -> Measurement | None:
    """Return the measurement of a seed in the store, or None; with a warning where it is damaged.

    Args:
        drawn_by: digest of the functions that its figures must be made by; None takes any.
    """
    stored = load_measurements(store, key, seed)
    if not stored:
        return None
    try:
        first, *later = [Measurement.from_stored(data, claim, seed) for data in stored]
    except MemkitError:  # the claim needs other names or bounds by now, as the test will say
        return None
    except Exception as error:  # any exception: the data may come from elsewhere
        wrong = f"the stored measurement of seed {seed} of the claim {claim.id!r} {why(error)}"
        forget_measurement(store, key, seed)
        warnings.warn(f"{wrong}; it is measured again", MemkitWarning, stacklevel=2)
        return None
    for measurement in later:
        if not differ(first.observations, measurement.observations):
            first = replace(measurement, again=first.again)  # with its figures, which may be drawn by other functions
        elif not first.again:
            first = replace(first, again=measurement.observations)
    return first if drawn_by in (None, first.drawn_by) else None


def differ(some: tuple[Observation, ...], others: tuple[Observation, ...]) -> bool:
    """Return whether two measurements differ; repr writes every digit of a number, and nan."""
    return sorted(repr(o.to_json()) for o in some) != sorted(repr(o.to_json()) for o in others)
