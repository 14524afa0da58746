"""Observations of a seed: numbers that a test measured, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from memkit.errors import MemkitError, nearest, shown
from memkit.evidence.claim import Claim
from memkit.evidence.strict_json import listed, number

_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One number.

    Attributes:
        claim: the claim's id.
        seed: the seed.
        arm: an arm, or a derived quantity.
        metric: what was measured.
        value: nan where the arm's training diverged, or the test returned a value that is not finite, or is masked.
        reason: why the value is not finite, else "".
    """

    claim: str
    seed: int
    arm: str
    metric: str
    value: float
    reason: str = ""

    def to_json(self) -> list[Any]:
        """Return ``[seed, arm, metric, value or None, reason]``; the claim is known from the context."""
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
    """Return the observations that :meth:`Observation.to_json` wrote, of a file that anybody may have written.

    There may be a million of them, so names and seeds are kept once.

    Raises:
        MemkitError: a row is of another form, of a seed that was not planned or an arm that the claim has not, or there
            are two of one arm, metric and seed.
    """
    where = f"claim {claim.id!r}"
    arms = frozenset(claim.measured)
    names = {name: name for name in arms}
    seeds = {seed: seed for seed in planned}
    seen: set[tuple[int, str, str]] = set()
    found = []
    for row in listed(rows, f"{where}: observations"):
        if type(row) is not list or len(row) != 5:
            raise MemkitError(f"{where}: an observation must be [seed, arm, metric, value, reason], not {shown(row)}")
        seed, arm, metric, value, reason = row
        if not (type(seed) is int and type(arm) is type(metric) is type(reason) is str):
            raise MemkitError(f"{where}: an observation must be [seed, arm, metric, value, reason], not {shown(row)}")
        if seed not in seeds:
            raise MemkitError(f"{where} has observations of seed {shown(seed)}, which was not planned")
        if arm not in arms:
            raise MemkitError(f"{where} has no arm {shown(arm)}, of which there are observations")
        key = seeds[seed], names[arm], names.setdefault(metric, metric)
        if key in seen:
            raise MemkitError(f"{where} has two observations of one arm and seed")
        seen.add(key)
        if type(value) is not float:
            value = math.nan if value is None else number(value, f"{where}: the value of {arm:.80}")
        found.append(
            Observation(
                claim=claim.id,
                seed=key[0],
                arm=key[1],
                metric=key[2],
                value=value,
                reason=names.setdefault(reason, reason) if reason else "",
            )
        )
    return tuple(found)


def observe(
    claim: Claim, seed: int, returned: Any, *, diverged: Mapping[str, str] | None = None
) -> tuple[Observation, ...]:
    """Turn what a test returned into observations, one for each arm and metric.

    Args:
        claim: the claim whose test it was.
        returned: ``{name: number}``, or ``{name: {metric: number}}``.
        diverged: arm → reason, for arms whose training went non-finite: they count as nan whatever the test
            measured on what was left of them, and so does every derived quantity.

    Raises:
        MemkitError: a name or a metric is missing or unknown, a value is no number or lies outside its
            bounds.
    """
    where = f"claim {claim.id!r}, seed {seed}"
    expected = f"a dict with a number for each of {', '.join(map(repr, claim.measured))}"
    if not isinstance(returned, Mapping):
        raise MemkitError(f"{where}: the test returned {type(returned).__name__}; it should return {expected}")
    if unknown := [name for name in returned if name not in claim.measured]:
        raise MemkitError(
            f"{where}: the test returned {unknown[0]!r}, which is neither an arm nor derived"
            f"{nearest(str(unknown[0]), claim.measured)}"
        )
    if missing := [name for name in claim.measured if name not in returned]:
        raise MemkitError(f"{where}: the test returned nothing for {missing[0]!r}; it should return {expected}")
    diverged = diverged or {}
    spread = next(iter(diverged.values()), "")
    rows = []
    for name in claim.measured:
        for metric, value in _metrics(claim, name, returned[name], where).items():
            number = _number(value, where, metric, name)
            reason = diverged.get(name, "") or (spread if name in claim.derived else "")
            if reason:
                number = math.nan
            elif not math.isfinite(number):
                reason = f"the test returned {number}"
                number = math.nan
            else:
                number = _within_bounds(claim, name, metric, number, where)
            rows.append(Observation(claim=claim.id, seed=seed, arm=name, metric=metric, value=number, reason=reason))
    return tuple(rows)


def plain(claim: Claim, seed: int, returned: Any) -> Any:
    """Return what a test returned with every number as a float, so that it can be kept.

    A masked value is nan. What is no dict, and what belongs to no arm, stays for :func:`observe` to refuse.

    Raises:
        MemkitError: a value is no number.
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
            numbers[name] = {metric: _number(one, where, metric, name) for metric, one in value.items()}
        else:
            numbers[name] = value if len(metrics) > 1 else _number(value, where, metrics[0], name)
    return numbers


def _metrics(claim: Claim, name: str, value: Any, where: str) -> Mapping[str, Any]:
    needed = claim.metrics_of[name]
    if isinstance(value, Mapping):
        if lacking := [metric for metric in needed if metric not in value]:
            raise MemkitError(f"{where}: {name!r} has no {lacking[0]!r}{nearest(lacking[0], map(str, value))}")
        for metric in value:
            if not isinstance(metric, str) or metric.encode("utf-8", "replace").decode() != metric:
                raise MemkitError(f"{where}: {name!r} has a metric {metric!r}, which is no text; name it by letters")
        return value
    metrics = needed or claim.metrics[:1]
    if len(metrics) > 1:
        raise MemkitError(
            f"{where}: contrasts on {name!r} name the metrics {', '.join(metrics)}; return "
            f"{{{name!r}: {{{metrics[0]!r}: ..., {metrics[1]!r}: ...}}}}"
        )
    return {metrics[0]: value}


def _is_masked(value: Any) -> bool:
    """Return whether a number is a masked value of NumPy's; what it holds beneath the mask is no measurement."""
    return hasattr(value, "mask") and hasattr(value, "filled") and getattr(value, "ndim", 1) == 0 and bool(value.mask)


def _number(value: Any, where: str, metric: str, name: str) -> float:
    if type(value) is float:
        return value
    if _is_masked(value):
        return math.nan
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a zero-dimensional array or tensor
    if isinstance(value, bool) or not isinstance(value, Real):
        raise MemkitError(
            f"{where}: {metric} of {name!r} is {shown(value)}, a {type(value).__name__}; it should be one number"
        )
    try:
        made = float(value)
        too_large = math.isinf(made) and bool(made != value)  # a longer type of NumPy's becomes inf in silence
    except OverflowError:
        too_large = True
    if too_large:
        raise MemkitError(
            f"{where}: {metric} of {name!r}, of the type {type(value).__name__}, is beyond the numbers that a float "
            "can hold, about 1.8e308; return its logarithm, say, or float('inf') for a measurement that failed"
        )
    return made


def _within_bounds(claim: Claim, name: str, metric: str, value: float, where: str) -> float:
    """Return the value without what single precision adds to a bound, as to a loss clipped to log V."""
    for contrast in claim.all_contrasts:
        if contrast.metric == metric and name in contrast.names and contrast.bounds is not None:
            low, high = contrast.bounds
            rounding = _ROUNDING * max(abs(low), abs(high))
            if not low - rounding <= value <= high + rounding:
                raise MemkitError(
                    f"{where}: {metric} of {name!r} is {value:g}, outside the declared bounds ({low:g}, "
                    f"{high:g}); clip it to bounds that were registered, or declare the true ones"
                )
            value = min(max(value, low), high)
    return value
