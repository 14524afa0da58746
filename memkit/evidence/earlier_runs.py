"""Earlier runs of a claim's present attempt: what they found, and whether the values of a run are theirs.

A run leaves a record of each claim that it judges in the store (:mod:`memkit.store.claim_records`). The lock records
an outcome only when somebody accepts it, so the records show what was seen before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from memkit.evidence.attempt import Outcome
from memkit.evidence.claim import Claim
from memkit.evidence.observation import Observation
from memkit.evidence.registration import Registration
from memkit.evidence.trace import Trace
from memkit.evidence.verdict import Judgement, Verdict

TOLERANCE = 1e-6
"""How far a value may differ, relative to 1 or to itself, to count as the same on another platform."""
Row = tuple[int, str, str, float | None]
"""The seed, the arm, the metric and the value of an observation; None for a value that is not finite."""


def values_of(claim: Claim, observations: Iterable[Observation], n: int | None = None) -> list[list[Any]]:
    """Return the values that contrasts compare, in plain types and in the order of the observations.

    Args:
        n: the number of seeds, in the order of the observations; None for all of them.
    """
    rows = [
        [o.seed, o.arm, o.metric, o.value if math.isfinite(o.value) else None]
        for o in observations
        if o.metric in claim.metrics_of.get(o.arm, ())
    ]
    used = set(list(dict.fromkeys(row[0] for row in rows))[:n])
    return [row for row in rows if row[0] in used]


def same_values(one: Iterable[Sequence[Any]], other: Iterable[Sequence[Any]], *, exactly: bool) -> bool:
    """Return whether two sets of values agree on the seeds that both hold, and whether there are such seeds.

    >>> same_values([(0, "a", "accuracy", 0.5)], [(0, "a", "accuracy", 0.5 + 1e-9)], exactly=False)
    True

    Args:
        one, other: rows as :func:`values_of` returns them.
        exactly: whether values must be equal to the last bit; otherwise they may differ by ``TOLERANCE``.
    """
    first, second = ({tuple(row[:3]): row[3] for row in rows} for rows in (one, other))
    seeds = {key[0] for key in first} & {key[0] for key in second}
    keys = {key for key in (*first, *second) if key[0] in seeds}
    return bool(keys) and all(
        key in first and key in second and _is_same(first[key], second[key], exactly=exactly) for key in keys
    )


def _is_same(a: float | None, b: float | None, *, exactly: bool) -> bool:
    if a is None or b is None or exactly:
        return a == b
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def record_of(
    claim: Claim,
    judgement: Judgement,
    observations: Iterable[Observation],
    *,
    registration: Registration,
    code: str,
    platform: Mapping[str, Any],
    failures: Mapping[int, str],
) -> dict[str, Any]:
    """Return the record of a claim on deciding seeds, in plain types, for the store."""
    return {
        "claim": claim.id,
        "digest": claim.digest,
        "first_seed": registration.first_seed,
        "code": code,
        "platform": dict(platform),
        "verdict": judgement.verdict.value,
        "decided": judgement.decided_at is not None,
        "n": judgement.n,
        "values": values_of(claim, observations),
        "harness_errors": len(failures) if not any(map(_depends_on_values, failures.values())) else 0,
    }


def _depends_on_values(failure: str) -> bool:
    """Return whether a test failed because of what it measured: a bound, or an assertion of its own."""
    return "outside the declared bounds" in failure or failure.startswith(("assert", "AssertionError"))


class EarlierRuns:
    """The records of a claim's present attempt.

    Args:
        digest: the digest of the claim in the attempt.
        first_seed: the first seed of the attempt.
        records: the records of the claim in the store, the oldest first.
        is_mutant: whether the claim is a mutant, which has to fail.
    """

    def __init__(
        self, digest: str, first_seed: int, records: Iterable[Mapping[str, Any]], *, is_mutant: bool = False
    ) -> None:
        self._is_mutant = is_mutant
        self._runs = [r for r in records if _is_valid(r) and (r["digest"], r["first_seed"]) == (digest, first_seed)]
        self._measured = [run for run in self._runs if run["values"]]

    def trace(self, registration: Registration, code: str) -> Trace:
        """Return what the records say of the attempt, if the code behind the claim is ``code`` now."""
        first, needs_attempt = self._first, False
        if first is not None and not self._decides(first) and not _has_verdict(registration):
            runs = [run for run in self._measured if run["code"] == code]
            needs_attempt = bool(runs) and self._differs(runs[-1]["values"], code, runs[-1]["platform"])
        return Trace(
            measured=first is not None,
            failed_only=first is None and bool(self._runs) and all(run["harness_errors"] for run in self._runs),
            needs_attempt=needs_attempt,
        )

    def outcome(self, values: Sequence[Sequence[Any]], code: str, platform: Mapping[str, Any]) -> Outcome | None:
        """Return what was found first, if a run's values differ from it, with what is behind them; else None.

        On another platform, the same code may give other values, and only the values of other code are compared.
        """
        first = self._first
        if first is None or not self._differs(values, code, platform):
            return None
        undecided = Verdict.INCOMPLETE if self._is_mutant else Verdict.INCONCLUSIVE
        return Outcome(verdict=first["verdict"] if self._decides(first) else undecided.value, n=first["n"])

    def has_values(self, values: Sequence[Sequence[Any]], platform: Mapping[str, Any]) -> bool:
        """Return whether a run's values are those that were found first."""
        return self._first is not None and self._are_same(self._first, values, platform)

    @cached_property
    def _first(self) -> Mapping[str, Any] | None:
        """The first record with values, or a later one that continues it on further seeds."""
        if not self._measured:
            return None
        first = self._measured[0]
        for run in self._measured[1:]:
            is_alike = (run["code"], run["platform"]) == (first["code"], first["platform"])
            if is_alike and self._are_same(first, run["values"], first["platform"]):
                first = run if len(run["values"]) >= len(first["values"]) else first
        return first

    def _differs(self, values: Sequence[Sequence[Any]], code: str, platform: Mapping[str, Any]) -> bool:
        assert self._first is not None
        is_comparable = code != self._first["code"] or self._first["platform"] == dict(platform)
        return is_comparable and not self._are_same(self._first, values, platform)

    def _decides(self, run: Mapping[str, Any]) -> bool:
        """Return whether a run reached a verdict that later code may confirm; a mutant has to fail."""
        return bool(run["decided"]) and not (self._is_mutant and run["verdict"] == Verdict.SUPPORTED)

    def _are_same(self, run: Mapping[str, Any], values: Sequence[Sequence[Any]], platform: Mapping[str, Any]) -> bool:
        return same_values(run["values"], values, exactly=run["platform"] == dict(platform))


def _has_verdict(registration: Registration) -> bool:
    return registration.recorded is not None and registration.recorded.decides


def _is_valid(record: Mapping[str, Any]) -> bool:
    """Return whether a record has the form that :func:`record_of` writes; a store may come from another machine."""
    kinds = {
        "digest": str,
        "first_seed": int,
        "code": str,
        "platform": dict,
        "verdict": str,
        "decided": bool,
        "n": int,
        "values": list,
        "harness_errors": int,
    }
    return (
        all(isinstance(record.get(name), kind) for name, kind in kinds.items())
        and record["verdict"] in set(Verdict)
        and all(isinstance(row, list) and len(row) == 4 for row in record["values"])
        and all(isinstance(row[3], (int, float, type(None))) for row in record["values"])
    )
