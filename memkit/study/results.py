"""The results of both stages of a study, as tables: ``consolidated.csv``, ``comparisons.csv`` and ``policy.json``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.verdict import Finding, Verdict
from memkit.files import write_whole
from memkit.statistics import benjamini_hochberg
from memkit.study.artefacts import Run
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A configuration over one of its controls, at the look where its claim ended; the columns of comparisons.csv.

    Attributes:
        direction: "higher" or "lower": what the treatment is asked to be; the effect is positive where it is.
        effect: mean paired difference over the seeds.
        t_low, t_high, betting_low, betting_high: the two intervals; None where one has no end, or there is none.
        n: seeds.
        p: two-sided, of the t test against the margin.
        p_adjusted: by Benjamini–Hochberg over all comparisons of the study; None where the seeds decide nothing.
        verdict: of this contrast.
        claim_verdict: of the claim, for which all its contrasts count.
        provisional: what the t interval alone would say, where the betting interval leaves it undecided.
        negligible: supported, yet within ±sesoi.
        seeds_needed: for both intervals to show the effect that was seen, where undecided and known.
    """

    configuration: str
    control: str
    metric: str
    direction: str
    effect: float | None
    t_low: float | None
    t_high: float | None
    betting_low: float | None
    betting_high: float | None
    n: int
    p: float
    p_adjusted: float | None
    verdict: str
    claim_verdict: str
    provisional: str
    negligible: bool
    seeds_needed: float | None


def entries(matrix: Matrix, evidence: Evidence | None) -> dict[str, ClaimEvidence]:
    """Return promoted configuration → the evidence of its claim, in the order of the matrix."""
    found = {entry.claim.id: entry for entry in evidence.claims} if evidence else {}
    ids = {name: f"{matrix.study}/{name}" for name in matrix.configurations}
    return {name: found[claim] for name, claim in ids.items() if claim in found}


def comparisons(claims: Mapping[str, ClaimEvidence]) -> list[Comparison]:
    """Return every contrast of every claim."""
    found = [(name, entry, finding) for name, entry in claims.items() for finding in words.own_findings(entry)]
    valid = [entry.decided for _, entry, _ in found]
    ps = [row[2].p if fine and math.isfinite(row[2].p) else 1.0 for row, fine in zip(found, valid, strict=True)]
    adjusted = list(benjamini_hochberg(ps)) if ps else []
    return [
        _comparison(name, entry, finding, float(q) if fine else None)
        for (name, entry, finding), q, fine in zip(found, adjusted, valid, strict=True)
    ]


def _comparison(name: str, entry: ClaimEvidence, finding: Finding, adjusted: float | None) -> Comparison:
    t, betting = finding.t, finding.betting
    needed = finding.planning.get("seeds_needed")
    return Comparison(
        configuration=name,
        control=str(finding.contrast.over),
        metric=finding.contrast.metric,
        direction=finding.contrast.direction,
        effect=finite(t.estimate),
        t_low=finite(t.low),
        t_high=finite(t.high),
        betting_low=finite(betting.low) if betting else None,
        betting_high=finite(betting.high) if betting else None,
        n=finding.n,
        p=finding.p,
        p_adjusted=adjusted,
        verdict=finding.verdict.value,
        claim_verdict=entry.verdict.value,
        provisional=finding.provisional.value if finding.provisional else "",
        negligible=finding.negligible,
        seeds_needed=None if needed is None or math.isinf(needed) else needed,
    )


def confirmed_mean(entry: ClaimEvidence, arm: str, metric: str) -> float:
    """Return the mean of an arm's metric over the seeds that the verdict rests on; nan where it was not measured."""
    used = set(words.used_seeds(entry))
    values = [o.value for o in entry.observations if (o.arm, o.metric) == (arm, metric) and o.seed in used]
    return math.fsum(values) / len(values) if values else math.nan


def write_tables(
    matrix: Matrix, promotion: Promotion, evidence: Evidence | None, runs: Sequence[Run], output: Path
) -> None:
    """Write the three files; comparisons.csv only after stage B."""
    _write_csv(output / "consolidated.csv", ("stage", "configuration", "seed", "metric", "value"), _tidy(runs))
    policy = json.dumps(policy_of_study(matrix, promotion), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(output / "policy.json", policy + "\n")
    if evidence is not None:
        columns = tuple(field.name for field in fields(Comparison))
        rows = (tuple(asdict(row).values()) for row in comparisons(entries(matrix, evidence)))
        _write_csv(output / "comparisons.csv", columns, rows)


def policy_of_study(matrix: Matrix, promotion: Promotion) -> dict[str, Any]:
    """Return how configurations were promoted, and what each promoted one is held against."""
    held = {
        name: {"controls": {control: matrix.controls[control] for control in matrix.configurations[name].controls}}
        for name in promotion.promoted
    }
    return {**promotion.to_json(), "file": matrix.path.name, "held_against": held}


def _tidy(runs: Iterable[Run]) -> Iterable[tuple[Any, ...]]:
    for run in runs:
        content = run.content
        measured = {**content["scores"], **{f"memory: {k}": v for k, v in content.get("memory", {}).items()}}
        measured |= {k: content["training"][k] for k in ("parameters", "cpu_seconds") if k in content["training"]}
        for metric, value in measured.items():
            yield run.stage, run.place, run.seed, metric, "" if value is None else value


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    write_whole(path, text.getvalue())


def finite(value: float) -> float | None:
    """Return a number, or None if it is not finite."""
    return value if math.isfinite(value) else None


def undecided(rows: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparisons that their seeds do not decide."""
    return [row for row in rows if row.verdict in (Verdict.INCONCLUSIVE.value, Verdict.INCOMPLETE.value)]
