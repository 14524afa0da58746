"""Observations: the numbers that a claim's test measured on a seed, or the reasons why a number is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from memkit.errors import MemkitError, short_repr, suggestion
from memkit.evidence.claim import Claim
from memkit.evidence.strict_json import listed, number

_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One measured number.

    Attributes:
        claim: the claim's id.
        seed: the seed.
        arm: the name of an arm or of a derived quantity.
        metric: what was measured.
        value: the number; nan if the arm's training diverged, or if the test returned a value that is masked or not
            finite.
        reason: why the value is not finite; "" if it is finite.

    >>> from memkit.evidence import Observation
    >>> Observation(claim="recall/memory", seed=10_000, arm="memory", metric="accuracy", value=0.75).to_json()
    [10000, 'memory', 'accuracy', 0.75, '']
    """

    claim: str
    seed: int
    arm: str
    metric: str
    value: float
    reason: str = ""

    def to_json(self) -> list[Any]:
        """Return ``[seed, arm, metric, value or None, reason]``; the claim is left out, as the context names it."""
        return [
            self.seed,
            self.arm,
            self.metric,
            self.value if math.isfinite(self.value) else None,
            self.reason,
        ]

    @classmethod
    def from_json(cls, claim: str, row: list[Any]) -> Observation:
        """Return the observation that :meth:`to_json` wrote."""
        seed, arm, metric, value, reason = row
        number = math.nan if value is None else float(value)
        return cls(claim=claim, seed=int(seed), arm=str(arm), metric=str(metric), value=number, reason=str(reason))


def observations_from(claim: Claim, rows: Any, planned: Sequence[int]) -> tuple[Observation, ...]:
    """Return the observations in the JSON of an evidence file, which may come from an untrusted source.

    There may be a million of them, so equal names and seeds share one object.

    Args:
        claim: the claim that the observations belong to.
        rows: what :meth:`Observation.to_json` wrote, one row per observation.
        planned: the claim's planned seeds.

    Raises:
        MemkitError: a row does not have five fields of the right types, or has a seed that was not planned or an arm
            that the claim does not have, or two rows have the same seed, arm and metric.
    """
    where = f"claim {claim.id!r}"
    arms = frozenset(claim.measured)
    names = {name: name for name in arms}
    seeds = {seed: seed for seed in planned}
    seen: set[tuple[int, str, str]] = set()
    observations = []
    for row in listed(rows, f"{where}: observations"):
        if type(row) is not list or len(row) != 5:
            raise MemkitError(
                f"{where}: an observation must be [seed, arm, metric, value, reason], not {short_repr(row)}"
            )
        seed, arm, metric, value, reason = row
        if not (type(seed) is int and type(arm) is type(metric) is type(reason) is str):
            raise MemkitError(
                f"{where}: an observation must be [seed, arm, metric, value, reason], not {short_repr(row)}"
            )
        if seed not in seeds:
            raise MemkitError(f"{where} has observations of seed {short_repr(seed)}, which was not planned")
        if arm not in arms:
            raise MemkitError(f"{where} has observations of {short_repr(arm)}, which is not one of its arms")
        key = seeds[seed], names[arm], names.setdefault(metric, metric)
        if key in seen:
            raise MemkitError(f"{where} has two observations of the same seed, arm and metric")
        seen.add(key)
        if type(value) is not float:
            value = math.nan if value is None else number(value, f"{where}: the value of {arm:.80}")
        observations.append(
            Observation(
                claim=claim.id,
                seed=key[0],
                arm=key[1],
                metric=key[2],
                value=value,
                reason=names.setdefault(reason, reason) if reason else "",
            )
        )
    return tuple(observations)


def observe(
    claim: Claim, seed: int, returned: Any, *, diverged: Mapping[str, str] | None = None
) -> tuple[Observation, ...]:
    """Turn what a test returned into observations, one per arm and metric.

    Args:
        claim: the claim that the test measures.
        seed: the seed.
        returned: ``{name: number}``, or ``{name: {metric: number}}``.
        diverged: arm → reason, for arms whose training diverged. Their values count as nan, whatever the test measured,
            and so do all derived quantities, unless the claim declares ``divergence="measured"``.

    Raises:
        MemkitError: a name or a metric is missing or unknown, or a value is not a number or lies outside its bounds.

    >>> from memkit.evidence import Arm, Claim, Contrast, observe
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> observe(claim, 10_000, {"memory": 0.75})[0].value
    0.75
    """
    where = f"claim {claim.id!r}, seed {seed}"
    expected = f"a dict with a number for each of {', '.join(map(repr, claim.measured))}"
    if not isinstance(returned, Mapping):
        raise MemkitError(f"{where}: the test returned a {type(returned).__name__}; it should return {expected}")
    if unknown := [name for name in returned if name not in claim.measured]:
        raise MemkitError(
            f"{where}: the test returned {unknown[0]!r}, which is neither an arm nor a derived quantity"
            f"{suggestion(str(unknown[0]), claim.measured)}"
        )
    if missing := [name for name in claim.measured if name not in returned]:
        raise MemkitError(f"{where}: the test returned nothing for {missing[0]!r}; it should return {expected}")
    diverged = diverged or {}
    derived_reason = next(iter(diverged.values()), "")
    rows = []
    for name in claim.measured:
        for metric, value in _metrics(claim, name, returned[name], where).items():
            number = _number(value, where, metric, name)
            reason = diverged.get(name, "") or (derived_reason if name in claim.derived else "")
            if reason and claim.divergence != "measured":
                number = math.nan
            elif not math.isfinite(number):
                reason = f"the test returned {number}"
                number = math.nan
            else:
                number = _within_bounds(claim, name, metric, number, where)
            rows.append(Observation(claim=claim.id, seed=seed, arm=name, metric=metric, value=number, reason=reason))
    return tuple(rows)


def to_floats(claim: Claim, seed: int, returned: Any) -> Any:
    """Return what a test returned with every number as a float, so that it can be stored.

    A masked value becomes nan. Whatever is not a dict, or has an unknown name, is returned as it is; :func:`observe`
    refuses it.

    Raises:
        MemkitError: a value is not a number.
    """
    if not isinstance(returned, Mapping):
        return returned
    where = f"claim {claim.id!r}, seed {seed}"
    numbers: dict[Any, Any] = {}
    for name, value in returned.items():
        if name not in claim.measured:
            numbers[name] = value
            continue
        metrics = claim.metrics_of[name] or claim.metrics[:1]
        if isinstance(value, Mapping):
            numbers[name] = {metric: _number(number, where, metric, name) for metric, number in value.items()}
        else:
            numbers[name] = value if len(metrics) > 1 else _number(value, where, metrics[0], name)
    return numbers


def _metrics(claim: Claim, name: str, value: Any, where: str) -> Mapping[str, Any]:
    """Return metric → value for what a test returned for one arm or derived quantity."""
    needed = claim.metrics_of[name]
    if isinstance(value, Mapping):
        if missing := [metric for metric in needed if metric not in value]:
            raise MemkitError(f"{where}: {name!r} has no {missing[0]!r}{suggestion(missing[0], map(str, value))}")
        for metric in value:
            if not isinstance(metric, str) or metric.encode("utf-8", "replace").decode() != metric:
                raise MemkitError(f"{where}: the name of a metric of {name!r} must be a Unicode string, not {metric!r}")
        return value
    metrics = needed or claim.metrics[:1]
    if len(metrics) > 1:
        raise MemkitError(
            f"{where}: contrasts on {name!r} name the metrics {', '.join(metrics)}; return "
            f"{{{name!r}: {{{metrics[0]!r}: ..., {metrics[1]!r}: ...}}}}"
        )
    return {metrics[0]: value}


def _is_masked(value: Any) -> bool:
    """Return whether a number is a masked value of NumPy; the number under the mask is not a measurement."""
    return hasattr(value, "mask") and hasattr(value, "filled") and getattr(value, "ndim", 1) == 0 and bool(value.mask)


def _number(value: Any, where: str, metric: str, name: str) -> float:
    if type(value) is float:
        return value
    if _is_masked(value):
        return math.nan
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # an array or tensor without dimensions
    if isinstance(value, bool) or not isinstance(value, Real):
        raise MemkitError(
            f"{where}: {metric} of {name!r} is {short_repr(value)}, a {type(value).__name__}; it should be one number"
        )
    try:
        number = float(value)
        too_large = math.isinf(number) and bool(number != value)  # NumPy's longdouble silently becomes inf
    except OverflowError:
        too_large = True
    if too_large:
        raise MemkitError(
            f"{where}: {metric} of {name!r}, of the type {type(value).__name__}, is larger than the largest float, "
            "about 1.8e308; return its logarithm, for example, or float('inf') for a measurement that failed"
        )
    return number


def _within_bounds(claim: Claim, name: str, metric: str, value: float, where: str) -> float:
    """Return the value, clipped to its bounds if it exceeds them by no more than a rounding error of single precision.

    A loss that was clipped to log V, for example, may exceed it by a rounding error.

    Raises:
        MemkitError: the value lies further outside.
    """
    for contrast in claim.all_contrasts:
        if contrast.metric == metric and name in contrast.names and contrast.bounds is not None:
            if contrast.clip:  # the decision rule clips it
                continue
            low, high = contrast.bounds
            rounding = _ROUNDING * max(abs(low), abs(high))
            if not low - rounding <= value <= high + rounding:
                raise MemkitError(
                    f"{where}: {metric} of {name!r} is {value:g}, outside the declared bounds ({low:g}, "
                    f"{high:g}); declare the right bounds, or compare the metric "
                    "clipped at these with clip=True"
                )
            value = min(max(value, low), high)
    return value
