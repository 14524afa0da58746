"""The measurement of one item: its JSON form for the controller, and its form in the store."""

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
from memkit.store.measurements import load_measurements, revoke_measurement
from memkit.store.store import Store
from memkit.store.verified_files import (
    checked_count,
    checked_finite,
    checked_seconds,
    describe_damage,
    parse_curve,
    parse_number,
    typed_entry,
)

PROPERTY = "memkit.measurement"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurement of one item, which is sent to the controller as JSON in the user properties of a report.

    Attributes:
        claim: the id of the claim.
        seed: the seed of the item.
        returned: the values that the test returned, as plain numbers. The store keeps these and not the observations,
            since bounds, divergence and contrasts may change without a need to measure again.
        observations: the observations that follow from these values.
        arms: arm → the digest of its trained run, its metrics and its learning curve.
        figures: the figures of the claim's first seed.
        figures_digest: the digest of the functions that drew them; "" if there are none, or for another seed.
        cpu_seconds: the CPU seconds of the test itself.
        reused: whether the measurement comes from the store.
        changed_file: the file whose change invalidated an earlier measurement, or "".
        second_observations: the observations of a second measurement under the same key, if they differ from these.
    """

    claim: str
    seed: int
    returned: Mapping[str, Any]
    observations: tuple[Observation, ...]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    figures_digest: str = ""
    cpu_seconds: float = 0.0
    reused: bool = False
    changed_file: str = ""
    second_observations: tuple[Observation, ...] = ()

    @classmethod
    def of(
        cls,
        claim: Claim,
        seed: int,
        returned: Mapping[str, Any],
        *,
        arms: Mapping[str, Mapping[str, Any]],
        figures: tuple[Figure, ...] = (),
        figures_digest: str = "",
        cpu_seconds: float = 0.0,
        reused: bool = False,
    ) -> Measurement:
        """Make a measurement from the values that a test returned.

        Raises:
            MemkitError: the values are not those that the claim needs.
        """
        diverged = {name: str(arm["diverged"]) for name, arm in arms.items() if arm["diverged"]}
        return cls(
            claim=claim.id,
            seed=seed,
            returned=returned,
            observations=observe(claim, seed, returned, diverged=diverged),
            arms=arms,
            figures=figures,
            figures_digest=figures_digest,
            cpu_seconds=cpu_seconds,
            reused=reused,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of plain types, in the form that is sent to the controller."""
        return {
            "claim": self.claim,
            "seed": self.seed,
            "observations": [observation.to_json() for observation in self.observations],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "cpu_seconds": self.cpu_seconds,
            "reused": self.reused,
            "changed": self.changed_file,
            "again": [observation.to_json() for observation in self.second_observations],
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
            changed_file=str(data["changed"]),
            second_observations=tuple(Observation.from_json(claim, row) for row in data["again"]),
        )

    def to_stored(self) -> dict[str, Any]:
        """Return a JSON object of plain types, in the form of the store; the key there names the test and the seed."""
        return {
            # Pairs, because their order is kept; it determines the order in the evidence, and hence its digest.
            "returned": [
                [name, list(map(list, value.items())) if isinstance(value, Mapping) else value]
                for name, value in self.returned.items()
            ],
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "drawn_by": self.figures_digest,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_stored(cls, data: Mapping[str, Any], claim: Claim, seed: int) -> Measurement:
        """Read what :meth:`to_stored` wrote, as a measurement of a claim.

        Raises:
            MemkitError: the claim now needs other values.
            Exception: the data have another form; a store may come from another machine.
        """
        arms = {str(name): _checked_arm(arm) for name, arm in data["arms"].items()}
        for name in arms:
            if name not in claim.arms or claim.arms[name].recipe is None:
                raise ValueError(f"{name!r} is not an arm with a recipe")
        return cls.of(
            claim,
            seed,
            {name: _number_or_numbers(value) for name, value in _pairs(typed_entry(data, "returned", list))},
            arms=arms,
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            figures_digest=typed_entry(data, "drawn_by", str),
            cpu_seconds=checked_seconds(data["cpu_seconds"]),
            reused=True,
        )

    def to_property(self) -> tuple[str, str]:
        """Return the (name, value) of the report's user property."""
        return PROPERTY, json.dumps(self.to_json())


def _number_or_numbers(value: Any) -> float | dict[str, float]:
    """Read one value that a test returned from its form in the store: a number, or metric → number.

    Raises:
        ValueError: the value has another form.
    """
    if isinstance(value, list):
        return {metric: parse_number(item) for metric, item in _pairs(value)}
    return parse_number(value)


def _pairs(rows: list[Any]) -> list[tuple[str, Any]]:
    """Return the (name, value) pairs of a stored list, after a check that the names are distinct strings.

    Raises:
        ValueError: the list has another form.
    """
    pairs = [(name, value) for name, value in rows if isinstance(name, str)]
    if len(dict(pairs)) < len(rows):
        raise ValueError("the values that a test returned have two equal names, or a name that is not a string")
    return pairs


def _checked_arm(arm: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stored record of an arm after a check of its form, since a store may come from another machine.

    Raises:
        ValueError: the record has another form.
    """
    for name in ("parameters", "steps"):
        checked_count(arm[name])
    checked_count(arm.get("state_size", 0))
    checked_seconds(arm["cpu_seconds"])
    for name in ("digest", "diverged"):
        typed_entry(arm, name, str)
    for name in {"tuning", "trained_on"} & arm.keys():
        typed_entry(arm, name, str)
    parse_curve(arm.get("curve", []), lambda loss: None if loss is None else checked_finite(loss))
    return dict(arm)


def stored_measurement(
    key: str, claim: Claim, seed: int, store: Store, *, figures_digest: str | None = None
) -> Measurement | None:
    """Return the measurement of a seed from the store; None if there is none or, with a warning, if it is damaged.

    Args:
        figures_digest: the digest of the functions that must have drawn the figures; None accepts any.
    """
    stored = load_measurements(store, key, seed)
    if not stored:
        return None
    try:
        first, *later = [Measurement.from_stored(data, claim, seed) for data in stored]
    except MemkitError:  # the claim now has other names or bounds, which the test will report
        return None
    except Exception as error:  # any exception: the data may come from another machine
        problem = f"the stored measurement of seed {seed} of the claim {claim.id!r} {describe_damage(error)}"
        revoke_measurement(store, key, seed)
        warnings.warn(f"{problem}; it is measured again", MemkitWarning, stacklevel=2)
        return None
    for measurement in later:
        if not differ(first.observations, measurement.observations):
            # The later measurement may have figures by newer functions.
            first = replace(measurement, second_observations=first.second_observations)
        elif not first.second_observations:
            first = replace(first, second_observations=measurement.observations)
    return first if figures_digest in (None, first.figures_digest) else None


def differ(first: tuple[Observation, ...], second: tuple[Observation, ...]) -> bool:
    """Return whether two measurements differ in any observation."""
    # repr() writes every digit of a number, and makes nan equal to nan.
    return sorted(repr(o.to_json()) for o in first) != sorted(repr(o.to_json()) for o in second)
