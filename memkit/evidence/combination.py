"""Combination of runs: the e-values of one claim in several laboratories, as one number.

A product of e-values on disjoint seeds is an e-value for the hypothesis that the claim is false in every one of the
runs (Vovk & Wang 2021). Runs on the same seeds add no evidence, so their e-values are averaged.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from memkit.errors import MemkitError
from memkit.evidence.e_values import LARGEST
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.lock_file import Lock

PROJECT = "the project"


@dataclass(frozen=True)
class Combination:
    """The runs of one claim, and their e-values together.

    Attributes:
        claim: the claim's id.
        runs: name of the file → the claim's evidence.
        e_value: the product over disjoint sets of seeds of the mean over runs on the same set.
        repeated: whether several runs have the same seeds.
    """

    claim: str
    runs: Mapping[str, ClaimEvidence]
    e_value: float
    repeated: bool


def combine(files: Mapping[str, Evidence], lock: Lock | None) -> tuple[list[Combination], list[str]]:
    """Combine the runs of every claim that has an e-value in all files.

    Args:
        files: name of the file → its evidence; at least two.
        lock: the project's lock, which knows which runs were recorded; None if there is none.

    Returns:
        The combinations, and the ids of the claims that are left out because a file has no e-value of theirs.

    Raises:
        MemkitError: the runs of a claim cannot be combined; the message says which claim, and why.
    """
    if len(files) < 2:
        raise MemkitError("give at least two evidence files, one per laboratory")
    by_file = {name: {entry.claim.id: entry for entry in evidence.claims} for name, evidence in files.items()}
    names = list(dict.fromkeys(id for entries in by_file.values() for id in entries))
    combinations, left_out = [], []
    for id in names:
        runs = {name: entries[id] for name, entries in by_file.items() if id in entries}
        if len(runs) < len(files) or any(run.e_value is None for run in runs.values()):
            left_out.append(id)
            continue
        _check_forms(id, runs)
        if lock is not None:
            _check_completeness(id, runs, lock)
        groups = _groups(id, runs)
        e_value = math.prod(fmean(run.e_value or 0.0 for run in group) for group in groups)
        repeated = any(len(group) > 1 for group in groups)
        combinations.append(Combination(id, runs, min(e_value, LARGEST), repeated))
    return combinations, left_out


def _check_forms(id: str, runs: Mapping[str, ClaimEvidence]) -> None:
    """Refuse runs of different forms or attempts."""
    (first_name, first), *others = runs.items()
    for name, run in others:
        if run.claim.digest != first.claim.digest:
            raise MemkitError(
                f"claim {id!r} has the digest {first.claim.digest} in {first_name} and {run.claim.digest} in {name}; "
                "only runs of one form can be combined"
            )
        if run.registration.attempt != first.registration.attempt:
            raise MemkitError(
                f"claim {id!r} is at attempt {first.registration.attempt} in {first_name} and at attempt "
                f"{run.registration.attempt} in {name}; attempts are never combined"
            )


def _check_completeness(id: str, runs: Mapping[str, ClaimEvidence], lock: Lock) -> None:
    """Refuse a choice among the runs that the lock has recorded for the present attempt."""
    entry = lock.claims.get(id)
    if entry is None or any(entry.digest != run.claim.digest for run in runs.values()):
        raise MemkitError(f"claim {id!r} is not registered in the lock in the form of these files")
    attempt = entry.attempts[-1]
    recorded = {**attempt.laboratories, **({"": attempt.outcome} if attempt.outcome is not None else {})}
    given = {run.registration.laboratory: (name, run) for name, run in runs.items()}
    for laboratory, outcome in recorded.items():
        whose = f"laboratory {laboratory!r}" if laboratory else PROJECT
        if laboratory not in given:
            raise MemkitError(
                f"claim {id!r}: the lock records a run of {whose}, which is not among the files; give all recorded "
                "runs or none"
            )
        name, run = given[laboratory]
        if outcome.observations and outcome.observations != run.observed:
            raise MemkitError(
                f"claim {id!r}: the observations in {name} are not those that the lock records for {whose}; give the "
                "run that was accepted"
            )


def _groups(id: str, runs: Mapping[str, ClaimEvidence]) -> list[list[ClaimEvidence]]:
    """Return the runs, grouped by their seeds; sets of seeds must be equal or disjoint."""
    groups: dict[frozenset[int], list[tuple[str, ClaimEvidence]]] = {}
    for name, run in runs.items():
        seeds = frozenset(run.observed_seeds[: run.judgement.n])
        for other, members in groups.items():
            if seeds != other and seeds & other:
                raise MemkitError(
                    f"claim {id!r}: {members[0][0]} and {name} share {len(seeds & other)} of their seeds; runs must "
                    "have the same seeds, or none in common"
                )
        groups.setdefault(seeds, []).append((name, run))
    return [[run for _, run in members] for members in groups.values()]


def combination_lines(combinations: Sequence[Combination], left_out: Sequence[str]) -> list[str]:
    """Return the combinations as lines of text, with what they say."""
    lines = []
    for combination in combinations:
        lines.append(combination.claim)
        for name, run in combination.runs.items():
            whose = f" ({run.registration.laboratory})" if run.registration.laboratory else ""
            lines.append(f"    {run.verdict:<12}  n = {run.judgement.n:<3}  e = {run.e_value:.3g}  {name}{whose}")
        how = "averaged over runs on the same seeds" if combination.repeated else "the product"
        lines.append(f"    e = {combination.e_value:.3g}, {how}")
    if combinations:
        lines += textwrap.wrap(
            "If a claim is false in every one of its runs, its combined e-value has a mean of at most 1. So a large "
            "one means that the claim is true in at least one of them. It is not a verdict, and decides nothing.",
            width=100,
        )
    if left_out:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        lines.append(f"not combined, since not every file has an e-value: {left_out[0]}{more}")
    return lines
