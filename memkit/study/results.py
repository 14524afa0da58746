"""The results of both stages of a study as files: ``consolidated.csv``, ``comparisons.csv`` and ``policy.json``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from memkit.evidence.e_values import LARGEST
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.verdict import Finding, Verdict
from memkit.files import write_whole
from memkit.statistics import e_bh_levels
from memkit.study.artefacts import Run
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A configuration over one of its controls, with the seeds that its claim used; a row of comparisons.csv.

    Attributes:
        direction: "higher" or "lower", as registered for the treatment; the effect is positive in this direction.
        effect: mean paired difference over the seeds.
        low, high: limits of the interval; None if a limit is infinite.
        method: "betting", or "student-t" under normal theory.
        capital: what was won by betting, beside what the verdict needs, as in "83 of 40"; or "normal theory".
        n: number of seeds.
        p: two-sided p-value against the margin, or that of the verdict if it is EQUIVALENT.
        level: the least rate of false discoveries at which e-BH over all comparisons of the study declares that the
            configuration is better; None on development seeds and under normal theory.
        verdict: the verdict on this contrast.
        claim_verdict: the verdict on the claim, which depends on all its contrasts.
        negligible: whether it is supported although the interval lies inside ±sesoi.
        seeds_needed: how many seeds like these decide the comparison, if it is undecided and the number is known.
    """

    configuration: str
    control: str
    metric: str
    direction: str
    effect: float | None
    low: float | None
    high: float | None
    method: str
    capital: str
    n: int
    p: float
    level: float | None
    verdict: str
    claim_verdict: str
    negligible: bool
    seeds_needed: float | None


def evidence_by_configuration(matrix: Matrix, evidence: Evidence | None) -> dict[str, ClaimEvidence]:
    """Return promoted configuration → the evidence of its claim, in the order of the matrix."""
    evidence_by_id = {entry.claim.id: entry for entry in evidence.claims} if evidence else {}
    ids = {name: f"{matrix.study}/{name}" for name in matrix.configurations}
    return {name: evidence_by_id[id] for name, id in ids.items() if id in evidence_by_id}


def comparisons(claims: Mapping[str, ClaimEvidence]) -> list[Comparison]:
    """Return a comparison for every contrast of every claim."""
    findings = [(name, entry, finding) for name, entry in claims.items() for finding in words.contrast_findings(entry)]
    capitals = [finding.capital if entry.decided else None for _, entry, finding in findings]
    levels = e_bh_levels([min(capital.above, LARGEST) if capital else 0.0 for capital in capitals])
    return [
        _comparison(name, entry, finding, float(level) if capital else None)
        for (name, entry, finding), level, capital in zip(findings, levels, capitals, strict=True)
    ]


def _comparison(name: str, entry: ClaimEvidence, finding: Finding, level: float | None) -> Comparison:
    interval = finding.interval
    seeds_needed = finding.planning.get("seeds_needed")
    return Comparison(
        configuration=name,
        control=str(finding.contrast.over),
        metric=finding.contrast.metric,
        direction=finding.contrast.direction,
        effect=finite_or_none(interval.estimate),
        low=finite_or_none(interval.low),
        high=finite_or_none(interval.high),
        method=interval.method,
        capital=words.closest_capital(finding),
        n=finding.n,
        p=finding.p,
        level=level,
        verdict=finding.verdict.value,
        claim_verdict=entry.verdict.value,
        negligible=finding.negligible,
        seeds_needed=None if seeds_needed is None or math.isinf(seeds_needed) else seeds_needed,
    )


def confirmed_mean(entry: ClaimEvidence, arm: str, metric: str) -> float:
    """Return the mean of an arm's metric over the seeds used for the verdict; nan if it was not measured."""
    used_seeds = set(words.used_seeds(entry))
    values = [o.value for o in entry.observations if (o.arm, o.metric) == (arm, metric) and o.seed in used_seeds]
    return math.fsum(values) / len(values) if values else math.nan


def write_tables(
    matrix: Matrix, promotion: Promotion, evidence: Evidence | None, runs: Sequence[Run], output: Path
) -> None:
    """Write the three files; comparisons.csv only after stage B."""
    _write_csv(output / "consolidated.csv", ("stage", "configuration", "seed", "metric", "value"), _tidy_rows(runs))
    policy = json.dumps(policy_of_study(matrix, promotion), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(output / "policy.json", policy + "\n")
    if evidence is not None:
        columns = tuple(field.name for field in fields(Comparison))
        rows = (tuple(asdict(row).values()) for row in comparisons(evidence_by_configuration(matrix, evidence)))
        _write_csv(output / "comparisons.csv", columns, rows)


def policy_of_study(matrix: Matrix, promotion: Promotion) -> dict[str, Any]:
    """Return how configurations were promoted, and which controls each promoted one is compared with."""
    controls = {
        name: {"controls": {control: matrix.controls[control] for control in matrix.configurations[name].controls}}
        for name in promotion.promoted
    }
    return {**promotion.to_json(), "file": matrix.path.name, "held_against": controls}


def _tidy_rows(runs: Iterable[Run]) -> Iterable[tuple[Any, ...]]:
    """Yield stage, configuration, seed, metric and value for every number of every run."""
    for run in runs:
        content = run.content
        values = {**content["scores"], **{f"memory: {k}": v for k, v in content.get("memory", {}).items()}}
        values |= {k: content["training"][k] for k in ("parameters", "cpu_seconds") if k in content["training"]}
        for metric, value in values.items():
            yield run.stage, run.name, run.seed, metric, "" if value is None else value


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    write_whole(path, text.getvalue())


def finite_or_none(value: float) -> float | None:
    """Return a number, or None if it is not finite."""
    return value if math.isfinite(value) else None


def undecided(rows: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparisons whose verdict is INCONCLUSIVE or INCOMPLETE."""
    return [row for row in rows if row.verdict in (Verdict.INCONCLUSIVE.value, Verdict.INCOMPLETE.value)]
