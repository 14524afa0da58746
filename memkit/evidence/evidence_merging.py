"""Evidence of several runs in one: shards of a matrix, machines, backends.

What only one file knows is taken over. Of a claim that several files hold, the seeds are put together and judged again.
What contradicts is refused, never chosen from: two forms of one claim, two registrations, two values of one seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from memkit.errors import MemkitError
from memkit.evidence.decision_rule import judge
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.gate import Mode
from memkit.evidence.learning_curves import Curves
from memkit.evidence.observation import Observation

SAME = 1e-6
"""Values of one seed that differ by no more than this, relative to 1 or to the larger, are one value: two machines
rounded it."""


def merge(files: Mapping[str, Evidence]) -> Evidence:
    """Merge several pieces of evidence into one.

    Args:
        files: name, such as a path → evidence; at least one. The names appear where files contradict one another.

    Returns:
        The claims of all files, in the order of the files, with the latest date of creation. Where the provenance
        differs, it lists every value.

    Raises:
        MemkitError: two files contradict one another; the sentence names them, the claim and what differs.
    """
    found: dict[str, list[tuple[str, ClaimEvidence]]] = {}
    for name, evidence in files.items():
        for entry in evidence.claims:
            found.setdefault(entry.claim.id, []).append((name, entry))
    said = _common([evidence.provenance.get("gate") for evidence in files.values()])
    mode: Mode = said if said in get_args(Mode) else "verdict"
    strict = any(evidence.provenance.get("strict") for evidence in files.values())
    claims = tuple(_merged(entries, mode, strict=strict) for entries in found.values())
    if len(files) == 1:
        return replace(next(iter(files.values())), claims=claims)
    created = max(evidence.created for evidence in files.values())
    studies = {study: text for evidence in files.values() for study, text in evidence.studies.items()}
    return Evidence(
        created=created,
        provenance=_provenance(list(files.values())),
        claims=claims,
        studies=studies,
        metrics={study: said for evidence in files.values() for study, said in evidence.metrics.items()},
        curves=_curves([evidence.curves for evidence in files.values()]),
    )


def _merged(entries: Sequence[tuple[str, ClaimEvidence]], mode: Mode, *, strict: bool) -> ClaimEvidence:
    """Merge the evidence that several files hold on one claim."""
    first_name, first = entries[0]
    if len(entries) == 1:
        return _gated(first, mode, strict=strict)
    for name, entry in entries[1:]:
        of = f"{first_name} and {name} contradict one another: claim {first.claim.id!r}"
        if entry.claim.digest != first.claim.digest:
            raise MemkitError(f"{of} has two forms, of digests {first.claim.digest} and {entry.claim.digest}")
        if entry.claim.annotations != first.claim.annotations:
            names = {**entry.claim.annotations, **first.claim.annotations}
            differing = [n for n in names if entry.claim.annotations.get(n) != first.claim.annotations.get(n)]
            raise MemkitError(f"{of} was edited between them: {', '.join(differing)}")
        # Whether the code differs from what was registered depends on the machine, such as on its version of Python.
        if replace(entry.registration, recoded=False) != replace(first.registration, recoded=False):
            raise MemkitError(f"{of} is {_registered(first)} in one, and {_registered(entry)} in the other")
    observations = _observations(entries)
    planned = max((entry.planned for _, entry in entries), key=len)
    seen = {o.seed for o in observations}
    # A seed that failed in one run and was measured in another has failed: nobody knows which run to believe.
    failures = {seed: reason for _, entry in entries for seed, reason in entry.failures.items()}
    recoded = any(entry.registration.recoded for _, entry in entries)
    registration = replace(first.registration, recoded=recoded)
    judgement = judge(first.claim, observations, planned=planned, development=registration.development)
    drift = tuple(dict.fromkeys(sentence for _, entry in entries for sentence in entry.drift))
    longest = max((entry for _, entry in entries), key=lambda entry: len(entry.seen))
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
        cost=_cost([entry for _, entry in entries], len(seen)),
    )
    return replace(merged, gate=merged.gate_by(mode, strict=strict))


def _gated(entry: ClaimEvidence, mode: Mode, *, strict: bool) -> ClaimEvidence:
    """Gate a claim of one file alone. Where the outcome stays, its recorded reason stays too, since it may say more."""
    found = entry.gate_by(mode, strict=strict)
    return entry if found.outcome == entry.gate.outcome else replace(entry, gate=found)


def _observations(entries: Sequence[tuple[str, ClaimEvidence]]) -> list[Observation]:
    """Return the observations of all files, each one once.

    Raises:
        MemkitError: two files hold different values of one observation.
    """
    kept: dict[tuple[int, str, str], tuple[str, Observation]] = {}
    for name, entry in entries:
        for o in entry.observations:
            other_name, other = kept.setdefault((o.seed, o.arm, o.metric), (name, o))
            if not _same(o.value, other.value):
                raise MemkitError(
                    f"{other_name} and {name} contradict one another: claim {entry.claim.id!r}, seed {o.seed}, arm "
                    f"{o.arm!r}, {o.metric} is {other.value:g} in one, and {o.value:g} in the other"
                )
    return [observation for _, observation in kept.values()]


def _same(one: float, other: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return not math.isfinite(one) and not math.isfinite(other)
    return abs(one - other) <= SAME * max(1.0, abs(one), abs(other))


def _registered(entry: ClaimEvidence) -> str:
    registration = entry.registration
    return (
        f"{registration.status}, attempt {registration.attempt}, revision {registration.revision}, "
        f"seeds from {registration.first_seed}"
    )


def _cost(entries: Sequence[ClaimEvidence], seeds: int) -> dict[str, float]:
    """Add up the CPU seconds, as far as they are of different seeds; average the share of seeds that were reused."""
    cost: dict[str, float] = {}
    known = sum(len(entry.seen) for entry in entries) or 1
    for entry in entries:
        for name, value in entry.cost.items():
            weight = len(entry.seen) / known if name == "reused" else seeds / known
            cost[name] = cost.get(name, 0.0) + weight * value
    return cost


def _provenance(all_of: Sequence[Evidence]) -> dict[str, Any]:
    """Return the provenance that all runs share and, where they differ, every value: ``cpu; cuda``."""
    found: dict[str, Any] = {"merged": f"{len(all_of)} files"}
    for key in dict.fromkeys(key for evidence in all_of for key in evidence.provenance):
        values = [evidence.provenance.get(key) for evidence in all_of]
        if (common := _common(values)) is not None or all(value is None for value in values):
            found[key] = common
        elif key == "dirty":
            found[key] = _dirty(values)
        else:
            found[key] = "; ".join(dict.fromkeys("not known" if v is None else str(v) for v in values))
    return found


def _dirty(values: Sequence[Any]) -> bool | str:
    """Return True where a run had uncommitted changes, else the reason why this is not known, if any, else False."""
    return any(value is True for value in values) or next((value for value in values if isinstance(value, str)), False)


def _curves(all_of: Sequence[Mapping[str, Curves]]) -> dict[str, Curves]:
    """Return the curves of all files, each recipe once; of a seed that is in several files, those of the first."""
    found: dict[str, Curves] = {}
    for digest, curves in (pair for of_file in all_of for pair in of_file.items()):
        before = found.get(digest, Curves(arms=(), seeds={}))
        seeds = {**curves.seeds, **before.seeds}
        found[digest] = Curves(
            arms=tuple(dict.fromkeys((*before.arms, *curves.arms))), seeds=dict(sorted(seeds.items()))
        )
    return found


def _common(values: Sequence[Any]) -> Any:
    """Return the value that all have in common, or None."""
    return values[0] if all(value == values[0] for value in values) else None
