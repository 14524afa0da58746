"""Merging of the evidence of several runs: jobs of a CI matrix, machines, backends.

A claim that only one file holds is copied and gated again. If several files hold the same claim, their seeds are
combined and judged again. Merging fails if two files contradict one another: if a claim's form, wording or registration
differs, or if an observation has different values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from memkit.errors import MemkitError
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.gate import Mode
from memkit.evidence.learning_curves import Curves
from memkit.evidence.observation import Observation
from memkit.evidence.registered_judgement import judge_registered

TOLERANCE = 1e-6
"""Two values of one observation count as equal if they differ by no more than this times the largest of 1 and their
absolute values, because machines round differently."""


def merge(files: Mapping[str, Evidence]) -> Evidence:
    """Merge several pieces of evidence into one.

    Args:
        files: name of a file, for messages → its evidence; at least one.

    Returns:
        The claims of all files, in the order of the files, with the latest date of creation. If the files differ in an
        entry of the provenance, the result lists all of its values. Every claim is gated in the mode that all runs
        used, or by its verdict if they differ, and strictly if any run was strict.

    Raises:
        MemkitError: two files contradict one another; the message names them, the claim and what differs.
    """
    by_claim: dict[str, list[tuple[str, ClaimEvidence]]] = {}
    for name, evidence in files.items():
        for entry in evidence.claims:
            by_claim.setdefault(entry.claim.id, []).append((name, entry))
    common_mode = _common([evidence.provenance.get("gate") for evidence in files.values()])
    mode: Mode = common_mode if common_mode in get_args(Mode) else "verdict"
    strict = any(evidence.provenance.get("strict") for evidence in files.values())
    claims = tuple(_merge_claim(entries, mode, strict=strict) for entries in by_claim.values())
    if len(files) == 1:
        return replace(next(iter(files.values())), claims=claims)
    created = max(evidence.created for evidence in files.values())
    studies = {study: text for evidence in files.values() for study, text in evidence.studies.items()}
    return Evidence(
        created=created,
        provenance=_provenance(list(files.values())),
        claims=claims,
        studies=studies,
        metrics={study: metrics for evidence in files.values() for study, metrics in evidence.metrics.items()},
        curves=_curves([evidence.curves for evidence in files.values()]),
        registered={name: value for evidence in files.values() for name, value in evidence.registered.items()},
    )


def _merge_claim(entries: Sequence[tuple[str, ClaimEvidence]], mode: Mode, *, strict: bool) -> ClaimEvidence:
    """Merge the evidence that several files hold for one claim."""
    first_name, first = entries[0]
    if len(entries) == 1:
        return _gated(first, mode, strict=strict)
    for name, entry in entries[1:]:
        where = f"{first_name} and {name} contradict one another: claim {first.claim.id!r}"
        if entry.claim.digest != first.claim.digest:
            raise MemkitError(f"{where} has two forms, with the digests {first.claim.digest} and {entry.claim.digest}")
        if entry.claim.annotations != first.claim.annotations:
            names = {**entry.claim.annotations, **first.claim.annotations}
            differing = [n for n in names if entry.claim.annotations.get(n) != first.claim.annotations.get(n)]
            raise MemkitError(
                f"{where} differs in {', '.join(differing)}; merge only runs of the same version of a claim"
            )
        # `recoded` is left out: whether the code differs from what was registered can depend on the machine.
        if replace(entry.registration, recoded=False) != replace(first.registration, recoded=False):
            raise MemkitError(
                f"{where} is {_registration_in_words(first)} in one, and {_registration_in_words(entry)} in the other; "
                "merge only runs under the same registration"
            )
    observations = _observations(entries)
    planned = max((entry.planned for _, entry in entries), key=len)
    observed_seeds = {o.seed for o in observations}
    # A seed that failed in one run counts as failed, even if another run measured it.
    failures = {seed: reason for _, entry in entries for seed, reason in entry.failures.items()}
    recoded = any(entry.registration.recoded for _, entry in entries)
    registration = replace(first.registration, recoded=recoded)
    judgement = judge_registered(first.claim, observations, planned=planned, registration=registration)
    drift = tuple(dict.fromkeys(sentence for _, entry in entries for sentence in entry.drift))
    longest = max((entry for _, entry in entries), key=lambda entry: len(entry.observed_seeds))
    merged = replace(
        longest,
        registration=registration,
        planned=planned,
        observations=tuple(sorted(observations, key=lambda o: planned.index(o.seed))),
        judgement=judgement,
        failures=failures,
        drift=drift,
        changes=tuple(dict.fromkeys(sentence for _, entry in entries for sentence in entry.changes)),
        remeasured=tuple(dict.fromkeys(sentence for _, entry in entries for sentence in entry.remeasured)),
        cost=_cost([entry for _, entry in entries], len(observed_seeds)),
    )
    return replace(merged, gate=merged.gate_by(mode, strict=strict))


def _gated(entry: ClaimEvidence, mode: Mode, *, strict: bool) -> ClaimEvidence:
    """Return a claim gated again. If the outcome is the same, the stored reason is kept, as it may be more detailed."""
    result = entry.gate_by(mode, strict=strict)
    return entry if result.outcome == entry.gate.outcome else replace(entry, gate=result)


def _observations(entries: Sequence[tuple[str, ClaimEvidence]]) -> list[Observation]:
    """Return the observations of all files, without duplicates.

    Raises:
        MemkitError: two files hold different values of one observation.
    """
    first_seen: dict[tuple[int, str, str], tuple[str, Observation]] = {}
    for name, entry in entries:
        for o in entry.observations:
            other_name, other = first_seen.setdefault((o.seed, o.arm, o.metric), (name, o))
            if not _are_equal(o.value, other.value):
                raise MemkitError(
                    f"{other_name} and {name} contradict one another: claim {entry.claim.id!r}, seed {o.seed}, arm "
                    f"{o.arm!r}, {o.metric} is {other.value:g} in one, and {o.value:g} in the other"
                )
    return [observation for _, observation in first_seen.values()]


def _are_equal(one: float, other: float) -> bool:
    """Return whether two values are equal up to rounding; values that are not finite are equal to one another."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return not math.isfinite(one) and not math.isfinite(other)
    return abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other))


def _registration_in_words(entry: ClaimEvidence) -> str:
    registration = entry.registration
    words = [
        registration.status,
        f"attempt {registration.attempt}",
        f"revision {registration.revision}",
        *([f"laboratory {registration.laboratory}"] if registration.laboratory else []),
        f"seeds from {registration.first_seed}",
        *(["edited"] if registration.edited else []),
        *(["on development seeds"] if registration.development else []),
    ]
    return ", ".join(words)


def _cost(entries: Sequence[ClaimEvidence], seeds: int) -> dict[str, float]:
    """Return the cost of all entries together.

    CPU seconds are summed, and scaled down in proportion if several entries hold the same seeds. "reused", the share of
    seeds whose measurement came from the store, is averaged over the seeds.

    Args:
        seeds: the number of distinct seeds in all entries.
    """
    cost: dict[str, float] = {}
    total = sum(len(entry.observed_seeds) for entry in entries) or 1
    for entry in entries:
        for name, value in entry.cost.items():
            weight = len(entry.observed_seeds) / total if name == "reused" else seeds / total
            cost[name] = cost.get(name, 0.0) + weight * value
    return cost


def _provenance(files: Sequence[Evidence]) -> dict[str, Any]:
    """Return the merged provenance: each entry's common value, or all of its values if they differ: ``cpu; cuda``."""
    merged: dict[str, Any] = {"merged": f"{len(files)} files"}
    for key in dict.fromkeys(key for evidence in files for key in evidence.provenance):
        values = [evidence.provenance.get(key) for evidence in files]
        if (common := _common(values)) is not None or all(value is None for value in values):
            merged[key] = common
        elif key == "dirty":
            merged[key] = _dirty(values)
        else:
            merged[key] = "; ".join(dict.fromkeys("not known" if v is None else str(v) for v in values))
    return merged


def _dirty(values: Sequence[Any]) -> bool | str:
    """Return True if a run had uncommitted changes; else the reason why this is not known, if any; else False."""
    return any(value is True for value in values) or next((value for value in values if isinstance(value, str)), False)


def _curves(files: Sequence[Mapping[str, Curves]]) -> dict[str, Curves]:
    """Return the curves of all files by recipe; if several files hold a seed, the first one's curve is used."""
    merged: dict[str, Curves] = {}
    for digest, curves in (item for file in files for item in file.items()):
        before = merged.get(digest, Curves(arms=(), seeds={}))
        seeds = {**curves.seeds, **before.seeds}
        merged[digest] = Curves(
            arms=tuple(dict.fromkeys((*before.arms, *curves.arms))), seeds=dict(sorted(seeds.items()))
        )
    return merged


def _common(values: Sequence[Any]) -> Any:
    """Return the value if all values are equal, else None."""
    return values[0] if all(value == values[0] for value in values) else None
