"""The evidence as one self-contained HTML page: it loads nothing, and can be read without its script.

This module assembles the page from one view per claim. The template lays the page out, and escapes every text that
comes from a claim or from the machine. The page's only script sorts and filters; the page's content security policy
names it by its digest, so that no other script can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from memkit.errors import count_of
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import account, words
from memkit.evidence.reports.claim_view import ClaimView, Facts, claim_view, flat
from memkit.evidence.reports.gallery import Gallery
from memkit.evidence.reports.levels import levels
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots.forest import forest_svg
from memkit.evidence.reports.plots.learning_curves import curves_svg
from memkit.evidence.reports.replications import pairs, replications_sentence
from memkit.evidence.reports.sweep_tables import LEGEND, grids
from memkit.evidence.reports.tables import gate_sentence
from memkit.evidence.verdict import Verdict

MANY = 30
"""The number of claims above which a page is brief: its forest plot has one row per claim, not one per contrast."""


MOST = 1000
"""The largest number of claims that a page shows, since browsers are slow with more; failed claims come first."""


def render_html(evidence: Evidence, gallery: Gallery | None = None, *, most: int = MOST) -> str:
    """Render the report of a run as a complete HTML document.

    >>> from memkit.evidence import Evidence
    >>> from memkit.evidence.reports import render_html
    >>> page = render_html(Evidence(created="2026-11-22T18:30:00+00:00", provenance={"device": "cpu"}, claims=()))
    >>> page[:15], "22 November 2026, 18:30 UTC" in page
    ('<!doctype html>', True)

    Args:
        evidence: the evidence of the run.
        gallery: the collector of the pictures of figures and learning curves, which may write some of them beside the
            page; None: all pictures are in the page, however large it becomes.
        most: the largest number of claims to show; counts and levels are over all claims.
    """
    gallery = gallery or Gallery()
    full_evidence, all_claims = evidence, evidence.claims
    level_by_id = {entry.claim.id: level for entry, level in zip(all_claims, levels(evidence), strict=True)}
    if len(all_claims) > most:
        failed_first = sorted(all_claims, key=lambda entry: entry.gate.outcome != "failed")
        evidence = evidence.of_claims(failed_first[:most])
    levels_shown = [level_by_id[entry.claim.id] for entry in evidence.claims]
    pictures = {digest: picture for digest, curves in evidence.curves.items() if (picture := curves_svg(curves))}
    originals = [entry for entry in evidence.claims if entry.claim.is_standalone]
    brief = len(evidence.claims) > MANY
    claims = [
        claim_view(entry, level, pictures, gallery, brief=brief, metrics=evidence.metrics.get(entry.claim.study))
        for entry, level in zip(evidence.claims, levels_shown, strict=True)
    ]
    # Verdicts are counted without mutants, replications and cells of sweeps, unless there is nothing else.
    counted = [entry for entry in all_claims if entry.claim.is_standalone] or all_claims
    counts = [(verdict, sum(entry.verdict is verdict for entry in counted)) for verdict in Verdict]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            created=_date(evidence.created),
            gate=gate_sentence(all_claims),
            total=len(all_claims),
            failed=[claim for claim in claims if claim.row.outcome == "failed"],
            counts=[count for count in counts if count[1]],
            provenance=_provenance(full_evidence),
            controls=_controls(claims),
            repeated_controls=account.repeated_controls(all_claims),
            left_out=_left_out(all_claims),
            compact=brief,
            forest=Markup(forest_svg(originals, width=1020, compact=brief)) if originals else "",
            forest_narrow=Markup(forest_svg(originals, width=350, compact=brief)) if originals else "",
            claims=[claim for claim in claims if not claim.sweep],
            cells=[claim for claim in claims if claim.sweep],
            grids=grids(evidence.claims),
            legend=LEGEND,
            conclusions=_conclusions([claim for claim in claims if claim.is_standalone]),
            replications=pairs(evidence.claims),
            replications_sentence=replications_sentence(all_claims),
            effects={c.row.claim: _effect(c) for c in claims},
            interpretations=[
                (study, [part for part in text.split("\n\n") if part.strip()])
                for study, text in evidence.studies.items()
            ],
            trainings=_trainings(evidence, pictures, gallery),
            failures=account.failures(evidence.claims),
            reused=account.reused(evidence.claims),
            methods=account.methods(evidence),
            threats=account.threats(evidence, levels_shown),
            script=Markup(script := _script()),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            verdicts=list(Verdict),
        )
    )
    return gallery.fill(page)


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
    environment.filters["minus"] = minus
    environment.filters["capital"] = lambda text: text if text == words.NORMAL_THEORY else f"capital {text}"
    return environment


def _left_out(entries: Sequence[ClaimEvidence]) -> str:
    """Say what the counts by verdict leave out, unlike the gate: mutants, replications and cells of sweeps."""
    claims = [entry.claim for entry in entries]
    mutants, cells = sum(claim.is_mutant for claim in claims), sum(bool(claim.sweep) for claim in claims)
    replications = sum(claim.is_replication for claim in claims)
    if mutants + replications + cells == len(claims):
        return ""
    numbers = (
        (mutants, "mutant", "mutants"),
        (replications, "replication", "replications"),
        (cells, "cell of a sweep", "cells of sweeps"),
    )
    parts = [f"{n} {one if n == 1 else several}" for n, one, several in numbers if n]
    sentences = []
    if parts:
        joined = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
        sentences.append(f"These counts leave out {joined}.")
    known_false = [e for e in entries if e.claim.is_standalone and e.claim.expect == "not_supported"]
    if inconclusive := sum(entry.verdict is Verdict.INCONCLUSIVE for entry in known_false):
        are = "is" if inconclusive == 1 else "are"
        sentences.append(f"{count_of(inconclusive, 'control')} {are} INCONCLUSIVE, as expected.")
    return " ".join(sentences)


def _controls(claims: Sequence[ClaimView]) -> list[tuple[ClaimView | None, list[ClaimView]]]:
    """Return each claim with its mutants, including headline claims without any; then None with the other controls."""
    rows: list[tuple[ClaimView | None, list[ClaimView]]] = []
    for claim in claims:
        mutants = [other for other in claims if other.mutant_of == claim.row.claim]
        if mutants or (claim.headline and claim.expect == "supported" and not claim.replicates):
            rows.append((claim, mutants))
    listed = {mutant.row.claim for _, mutants in rows for mutant in mutants}
    other_controls = [c for c in claims if c.expect == "not_supported" and c.row.claim not in listed]
    return [*rows, (None, other_controls)] if other_controls else rows


Group = tuple[str, str, list[ClaimView]]
"""Claims of one kind: a title, a sentence and the claims."""


def _conclusions(claims: Sequence[ClaimView]) -> tuple[list[Group], list[Group]]:
    """Return what the evidence shows, including negative and null findings, and what it leaves open."""
    claims = [claim for claim in claims if claim.expect != "not_supported"]
    kinds = {
        "Supported": ("Shown, at the declared margin.", Verdict.SUPPORTED),
        "Refuted": (
            "Negative findings: the opposite was shown. A refutation that was registered in advance passes the gate.",
            Verdict.REFUTED,
        ),
        "Equivalent": (
            "Null findings: the effect was shown to be smaller than the smallest effect of interest.",
            Verdict.EQUIVALENT,
        ),
    }
    shown = [
        (title, sentence, [claim for claim in claims if claim.row.verdict is verdict and claim.on_deciding_seeds])
        for title, (sentence, verdict) in kinds.items()
    ]
    undecided = (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE)
    left_open = [
        (
            "Undecided",
            "Neither shown nor excluded by these seeds. Absence of evidence is not evidence of absence.",
            [claim for claim in claims if claim.row.verdict in undecided or not claim.on_deciding_seeds],
        ),
        (
            "Asked without a prediction",
            "Registered as open questions, which gate nothing. Those that were decided are also listed above.",
            [claim for claim in claims if claim.expect == "open"],
        ),
    ]
    return [group for group in shown if group[2]], [group for group in left_open if group[2]]


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """The training of a recipe.

    Attributes:
        digest: the recipe's digest.
        arms: pairs of a claim's id and the names of its arms that use the recipe.
        seeds: the number of trained seeds.
        picture: the learning curves.
    """

    digest: str
    arms: list[tuple[str, list[str]]]
    seeds: int
    picture: Markup


def _trainings(evidence: Evidence, pictures: Mapping[str, str], gallery: Gallery) -> list[TrainingView]:
    """Return the recipes that have a picture of their curves, with the claims of the page that use them."""
    shown = {entry.claim.id for entry in evidence.claims}
    views = []
    for digest, svg in pictures.items():
        curves, by_claim = evidence.curves[digest], dict[str, list[str]]()
        for arm in curves.arms:
            claim, _, name = arm.partition(": ")
            if claim in shown:
                by_claim.setdefault(claim, []).append(name)
        picture = gallery.add(f"training {digest}", svg)
        views.append(TrainingView(digest=digest, arms=list(by_claim.items()), seeds=len(curves.seeds), picture=picture))
    return views


def _effect(claim: ClaimView) -> str:
    """Return the weakest effect and its interval, with its label if there are several effects."""
    weakest = claim.row.weakest
    if weakest is None:
        return "n/a"
    numbers = minus(f"{weakest.estimate} {weakest.interval}")
    return f"{weakest.label}: {numbers}" if len(claim.row.effects) > 1 else numbers


@cache
def _script() -> str:
    return files("memkit.evidence.reports").joinpath("report.js").read_text(encoding="utf-8")


_LABELS = {
    "memkit": "memkit",
    "python": "Python",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "torch": "PyTorch",
    "mlx": "MLX",
    "lock": "Digest of the lock",
}


def _provenance(evidence: Evidence) -> Facts:
    provenance, facts = evidence.provenance, []
    for key, value in provenance.items():
        if key == "dirty" and "commit" in provenance:
            continue
        text = ", ".join(f"{name} {part}" for name, part in flat(value)) if isinstance(value, Mapping) else _text(value)
        if key == "commit":
            text = words.commit(provenance)
        elif key == "seeds":
            text = _text(words.seeds_option(value))
        facts.append((_LABELS.get(key, key.replace("_", " ").capitalize()), text))
    facts.append(("Digest of the observations", evidence.digest))
    total, share = account.share_reused(evidence.claims)
    if total:
        facts.append(("From the store", f"{words.percent(share)} of {total} measurements"))
    if saved := words.savings(evidence.claims):
        facts.append(("Seeds saved", f"{saved}, because their claims were decided earlier"))
    return facts


def _date(created: str) -> str:
    """Format an ISO 8601 time as ``22 November 2026, 18:30 UTC``; any other text is returned as it is."""
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = f" {time.tzname()}" if time.tzinfo is not None else ""
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M}{zone}"


# strftime would use the machine's language.
_MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip


def _text(value: Any) -> str:
    """Return a value of the provenance as text."""
    if value is None or value == "":
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
