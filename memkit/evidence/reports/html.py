"""The evidence as one HTML page that needs nothing but itself: no script, no font, no network.

This module says things in words and puts them in order; the template lays them out, and escapes every text
that comes from a claim or from the machine.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from memkit.evidence.contrast import Contrast
from memkit.evidence.evidence import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.reports.forest import decided, forest_svg, strip_svg
from memkit.evidence.reports.tables import VerdictRow, gate_sentence, verdict_row
from memkit.evidence.verdict import Finding, Verdict, differences
from memkit.statistics import holm

Facts = list[tuple[str, str]]


def render_html(evidence: Evidence) -> str:
    """The report of a run, as a whole HTML document."""
    adjusted = _adjusted(evidence.claims)
    claims = [
        _claim(entry, p, q, len(evidence.claims)) for entry, (p, q) in zip(evidence.claims, adjusted, strict=True)
    ]
    counts = [(verdict, sum(claim.row.verdict is verdict for claim in claims)) for verdict in Verdict]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            created=_moment(evidence.created),
            gate=gate_sentence(evidence.claims),
            failed=[claim for claim in claims if claim.row.outcome == "failed"],
            counts=[count for count in counts if count[1]],
            provenance=_provenance(evidence.provenance),
            forest=Markup(forest_svg(evidence.claims, width=1020)) if claims else "",
            forest_narrow=Markup(forest_svg(evidence.claims, width=350)) if claims else "",
            claims=claims,
            lists=_lists(claims),
            words_of=list(Verdict),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("memkit.evidence.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(mark=words.MARKS.__getitem__, outcomes=words.OUTCOMES)
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["minus"] = lambda text: text.replace("-", "−")
    return environment


# One claim ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _ContrastView:
    """A contrast as the page shows it; ``verdict`` is None on seeds that decide nothing."""

    label: str
    role: str
    verdict: Verdict | None
    facts: Facts
    notes: tuple[str, ...]
    strip: Markup


@dataclass(frozen=True, kw_only=True)
class _ClaimView:
    """A claim as the page shows it; ``table`` has one row a seed, a cell a measured value."""

    row: VerdictRow
    statement: str
    source: str
    study: str
    expect: str
    falsifier: words.Falsifier
    decides: bool
    course: str
    contrasts: list[_ContrastView]
    seeds: str
    columns: list[str]
    table: list[tuple[int, str, list[str]]]
    arms: list[str]
    arm_facts: list[tuple[str, list[str]]]
    shared: Facts
    record: Facts
    commands: list[str]
    p: str
    holm: str


def _claim(entry: ClaimEvidence, p: float, adjusted: float, family: int) -> _ClaimView:
    claim = entry.claim
    first = entry.planned[0] if entry.planned else entry.registration.first_seed
    columns, table = _seed_table(entry)
    arm_facts, shared = _arms(entry)
    return _ClaimView(
        row=verdict_row(entry),
        statement=claim.statement,
        source=claim.source,
        study=claim.study,
        expect=claim.expect,
        falsifier=words.falsifier(claim),
        decides=not entry.registration.development,
        course=_course(entry),
        contrasts=[_contrast(entry, finding) for finding in entry.judgement.findings],
        seeds=_seeds(entry),
        columns=columns,
        table=table,
        arms=list(claim.arms),
        arm_facts=arm_facts,
        shared=shared,
        record=_record(entry, p, adjusted, family),
        commands=[
            f"pytest {shlex.quote(entry.nodeid)}",
            f"memkit reproduce {shlex.quote(claim.id)} --seed {first}",
        ],
        p=words.p_value(p),
        holm=words.p_value(adjusted),
    )


def _course(entry: ClaimEvidence) -> str:
    """How the looks went, in a sentence."""
    judgement = entry.judgement
    if judgement.look is not None:
        return f"Decided at the look at {judgement.look} seeds."
    if judgement.indication is not None:
        return "No look was taken: these seeds decide nothing."
    if entry.verdict is Verdict.INCOMPLETE:
        return "Not judged: observations or preconditions are lacking."
    return f"Undecided after the last look, at {judgement.n} seeds."


def _contrast(entry: ClaimEvidence, finding: Finding) -> _ContrastView:
    contrast = finding.contrast
    places = words.decimals(finding)
    facts = [("Estimate", f"{words.fixed(finding.t.estimate, places)} in {contrast.metric}")]
    names = {"student-t": "Student’s t interval", "betting": "Betting interval"}
    for interval in finding.intervals:
        low_high = words.span(interval.low, interval.high, places)
        level = f"{100 * interval.level:.4g} %"
        facts.append((names.get(interval.method, "Student’s t interval"), f"{low_high} at {level}, n = {interval.n}"))
    if finding.betting is None:
        facts.append(("Betting interval", "none: no bounds are declared"))
    facts.append(
        (
            "p of the t test",
            words.p_value(finding.p) + (f", against a difference of {contrast.margin:g}" if contrast.margin else ""),
        )
    )
    if finding.tost_p is not None:
        facts.append((f"p of equivalence, ±{contrast.sesoi:g}", words.p_value(finding.tost_p)))
    facts.append(("Declared", _declared(contrast)))
    plan = finding.planning
    if "mde" in plan:
        facts.append(("Minimum detectable effect", f"{words.compact(plan['mde'])} at power 0.8"))
    if "seeds_needed" in plan:
        facts.append(("Seeds needed", f"{words.compact_count(plan['seeds_needed'])} for the effect that was seen"))
    if "betting_minimum" in plan:
        minimum = words.compact(plan["betting_minimum"])
        facts.append(("Betting minimum", f"{minimum}, the least constant difference that {finding.n} seeds can show"))
    return _ContrastView(
        label=contrast.label,
        role=finding.role,
        verdict=finding.verdict if decided(entry) else None,
        facts=facts,
        notes=_contrast_notes(entry, finding),
        strip=Markup(strip_svg(entry, contrast)),
    )


def _contrast_notes(entry: ClaimEvidence, finding: Finding) -> tuple[str, ...]:
    contrast = finding.contrast
    notes = []
    if contrast.assume == "normal":
        notes.append("Normal theory: the betting interval was waived beforehand; Student’s t decides alone.")
    if finding.provisional:
        notes.append("Provisional: Student’s t alone would have decided; the betting interval does not agree yet.")
    if finding.negligible:
        notes.append(f"Negligible: the effect is there, and smaller than the ±{contrast.sesoi:g} that would matter.")
    several = len(entry.claim.contrasts)
    if finding.verdict is Verdict.REFUTED and entry.verdict is Verdict.INCONCLUSIVE and several > 1:
        notes.append(
            f"Refuted by itself; the claim, with {several} contrasts, is refuted at 1/{several} of the error "
            "probability, which is not reached."
        )
    said = " ".join(notes).lower()
    return (*notes, *(note for note in finding.notes if note.lower()[:13] not in said))


def _declared(contrast: Contrast) -> str:
    parts = [f"{contrast.direction} is better"]
    if contrast.bounds is not None:
        parts.append(f"values from {contrast.bounds[0]:g} to {contrast.bounds[1]:g}")
    parts.append(f"margin {contrast.margin:g}")
    if contrast.sesoi is not None:
        parts.append(f"smallest effect of interest {contrast.sesoi:g}")
    return ", ".join(parts)


def _seeds(entry: ClaimEvidence) -> str:
    used = words.used_seeds(entry)
    text = f"{len(entry.planned)} planned, {len(entry.seen)} seen, {len(used)} used"
    text += f" ({words.ranges(used)})." if used else "."
    if missing := entry.judgement.missing:
        text += f" Missing: {words.ranges(missing)}."
    rate = verdict_row(entry).unruled
    if rate is not None:
        share = words.percent(rate)
        text += f" Where none of {len(used)} collapses, a collapse in up to {share} of seeds cannot be ruled out."
    return text


def _seed_table(entry: ClaimEvidence) -> tuple[list[str], list[tuple[int, str, list[str]]]]:
    """Columns: arms and metrics, then differences. Rows: every seed that was seen, failed or is missing."""
    keys = list(dict.fromkeys((o.arm, o.metric) for o in entry.observations))
    cells = {(o.seed, o.arm, o.metric): o for o in entry.observations}
    gaps = [
        (finding.contrast.label, differences(entry.claim, finding.contrast, entry.observations))
        for finding in entry.judgement.findings
    ]
    used = set(words.used_seeds(entry))
    several = len({metric for _, metric in keys}) > 1
    columns = [f"{arm}, {metric}" if several else arm for arm, metric in keys]
    columns += [f"difference, {label}" for label, _ in gaps]
    rows = []
    seen = {o.seed for o in entry.observations}
    for seed in sorted(seen | set(entry.failures) | set(entry.judgement.missing)):
        if seed not in seen:
            reason = entry.failures.get(seed)
            rows.append((seed, f"failed: {reason}" if reason is not None else "not run", ["–"] * len(columns)))
            continue
        row = []
        for arm, metric in keys:
            o = cells.get((seed, arm, metric))
            row.append("–" if o is None else f"{o.value:.6g}" if math.isfinite(o.value) else f"not finite: {o.reason}")
        row += [f"{gap[seed]:+.6g}" if math.isfinite(gap[seed]) else "not scored" for _, gap in gaps]
        rows.append((seed, "used" if seed in used else "seen, not used", row))
    return columns, rows


def _arms(entry: ClaimEvidence) -> tuple[list[tuple[str, list[str]]], Facts]:
    """What differs between the arms, one row a field, and what all of them share."""
    described = []
    for name, arm in entry.claim.to_json()["arms"].items():
        fields = dict(_flat(arm["recipe"])) if arm["recipe"] is not None else {"recipe": "fitted by the test itself"}
        if arm["intervention"]:
            fields["intervention"] = str(arm["intervention"])
        fields |= {f"trained {key}": value for key, value in _flat(entry.arms.get(name, {}))}
        described.append(fields)
    names = list(dict.fromkeys(key for fields in described for key in fields))
    differing, shared = [], []
    for key in names:
        values = [fields.get(key, "–") for fields in described]
        if key.startswith("trained ") or len(set(values)) > 1:
            differing.append((key.removeprefix("trained ").replace("digest", "trained digest"), values))
        else:
            shared.append((key, values[0]))
    return differing, shared


def _flat(data: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    """The leaves of nested JSON, as ``optimiser.lr`` and a text."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield (
            prefix or "recipe",
            data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str),
        )


def _record(entry: ClaimEvidence, p: float, adjusted: float, family: int) -> Facts:
    registration = entry.registration
    attempt = f"attempt {registration.attempt}, " if registration.attempt else ""
    facts = [
        ("Registration", f"{registration.status}, {attempt}first seed {registration.first_seed}"),
        ("Expected", words.expectation(entry.claim) + ("" if entry.claim.gates else ", gates nothing")),
        ("Digest of the claim", entry.claim.digest),
        ("p of the claim", _both(p, adjusted, family)),
    ]
    labels = {"trained": "Training", "measured": "Measuring", "reused": "Observations reused"}
    for name, value in entry.cost.items():
        shown = words.percent(value) if name == "reused" else f"{words.duration(value)} of CPU time"
        facts.append((labels.get(name, name.replace("_", " ")), shown))
    return facts


def _both(p: float, adjusted: float, family: int) -> str:
    if math.isnan(p):
        return "none: these seeds decide nothing"
    return f"{words.p_value(p)}; {words.p_value(adjusted)} by Holm over {family} claims"


# The whole ----------------------------------------------------------------------------------------


def _adjusted(claims: Sequence[ClaimEvidence]) -> list[tuple[float, float]]:
    """For each claim its p, and Holm's p over all of them; nan where a claim's seeds decide nothing.

    Such claims count, with p = 1. Which p stands for a claim is fixed by what was registered, not by what was
    found: all contrasts have to hold, so their largest; one refutes, so k times their smallest; for
    equivalence, the largest of its tests.
    """
    ps = [_claim_p(entry) if decided(entry) else math.nan for entry in claims]
    if not ps:
        return []
    adjusted = holm([1.0 if math.isnan(p) else p for p in ps])
    return [(p, math.nan if math.isnan(p) else float(q)) for p, q in zip(ps, adjusted, strict=True)]


def _claim_p(entry: ClaimEvidence) -> float:
    own = words.own_findings(entry)
    if entry.claim.expect == "equivalent":
        return max(1.0 if finding.tost_p is None else finding.tost_p for finding in own)
    if entry.claim.expect == "refuted":
        return min(1.0, len(own) * min(finding.p for finding in own))
    return max(finding.p for finding in own)


def _lists(claims: Sequence[_ClaimView]) -> list[tuple[str, str, list[_ClaimView]]]:
    """The findings that a reader looking for successes would miss: a title, a sentence, the claims."""
    kinds = {
        "Refuted": ("Both intervals lie on the wrong side of the margin.", (Verdict.REFUTED,)),
        "Equivalent": ("Shown to be smaller than the smallest effect of interest.", (Verdict.EQUIVALENT,)),
        "Undecided": (
            "Neither shown nor excluded by these seeds. The absence of a verdict is no evidence of absence.",
            (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE),
        ),
    }
    lists = [
        (
            title,
            sentence,
            [claim for claim in claims if claim.row.verdict in verdicts and claim.expect != "open"],
        )
        for title, (sentence, verdicts) in kinds.items()
    ]
    lists.append(
        (
            "Open questions",
            "Reported, whatever they say; they gate nothing.",
            [c for c in claims if c.expect == "open"],
        )
    )
    return [entry for entry in lists if entry[2]]


_LABELS = {
    "memkit": "memkit",
    "python": "Python",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "torch": "PyTorch",
    "mlx": "MLX",
    "lock": "Digest of the lock",
}


def _provenance(provenance: Mapping[str, Any]) -> Facts:
    facts = []
    for key, value in provenance.items():
        if key == "dirty" and "commit" in provenance:
            continue
        text = (
            ", ".join(f"{name} {part}" for name, part in _flat(value)) if isinstance(value, Mapping) else _said(value)
        )
        if key == "commit" and value is None:
            text = "none: not a git repository"
        elif key == "commit" and "dirty" in provenance:
            text += ", with uncommitted changes" if provenance["dirty"] else ", clean"
        facts.append((_LABELS.get(key, key.replace("_", " ").capitalize()), text))
    return facts


def _moment(created: str) -> str:
    """``22 November 2026, 18:30 UTC``, or the text itself where it is no time."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = f" {moment.tzname()}" if moment.tzinfo is not None else ""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}{zone}"


# Not by strftime, which speaks the language of the machine.
_MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip


def _said(value: Any) -> str:
    if value is None or value == "":
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
