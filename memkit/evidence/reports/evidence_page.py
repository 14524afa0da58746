"""The evidence as one HTML page that needs nothing but itself: no font, no network, and no script to be read.

This module puts the page together, from one view a claim; the template lays it out, and escapes every text that comes
from a claim or from the machine. The page's one script, which sorts and filters, is named by its digest in the page's
policy, so that no other can run.
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

from memkit.errors import many
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import account, words
from memkit.evidence.reports.adjusted import adjusted
from memkit.evidence.reports.claim_view import ClaimView, Facts, claim_view, flat
from memkit.evidence.reports.gallery import Gallery
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots.forest import forest_svg
from memkit.evidence.reports.plots.learning_curves import curves_svg
from memkit.evidence.reports.replications import pairs, replicated
from memkit.evidence.reports.sweep_tables import LEGEND, grids
from memkit.evidence.reports.tables import gate_sentence
from memkit.evidence.verdict import Verdict

MANY = 30
"""Claims beyond which a page is brief: the forest plot has a row for each, and not for each of their contrasts."""


MOST = 1000
"""Claims that a page shows; a browser has trouble with more. Those that failed come first."""


def render_html(evidence: Evidence, gallery: Gallery | None = None, *, most: int = MOST) -> str:
    """Render the report of a run as a whole HTML document.

    Args:
        gallery: takes the pictures of studies and of learning; None: all are in the page, however large it gets.
        most: the number of claims that are shown; counts and adjustments are over all of them.
    """
    gallery = gallery or Gallery()
    whole, every = evidence, evidence.claims
    adjusted_of = {entry.claim.id: p for entry, p in zip(every, adjusted(every), strict=True)}
    if len(every) > most:
        failed_first = sorted(every, key=lambda entry: entry.gate.outcome != "failed")
        evidence = evidence.of_claims(failed_first[:most])
    found = [adjusted_of[entry.claim.id] for entry in evidence.claims]
    drawn = {digest: picture for digest, curves in evidence.curves.items() if (picture := curves_svg(curves))}
    own = [entry for entry in evidence.claims if entry.claim.of_its_own]
    crowded = len(evidence.claims) > MANY
    views = zip(evidence.claims, found, strict=True)
    claims = [
        claim_view(entry, p, drawn, gallery, brief=crowded, metrics=evidence.metrics.get(entry.claim.study))
        for entry, p in views
    ]
    # The findings of a study: no mutants, replications or cells of sweeps, unless there is nothing else.
    counted = [entry for entry in every if entry.claim.of_its_own] or every
    counts = [(verdict, sum(entry.verdict is verdict for entry in counted)) for verdict in Verdict]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            created=_moment(evidence.created),
            gate=gate_sentence(every),
            total=len(every),
            failed=[claim for claim in claims if claim.row.outcome == "failed"],
            counts=[count for count in counts if count[1]],
            provenance=_provenance(whole),
            controls=_controls(claims),
            controls_again=account.controls_again(every),
            controls_told=_apart(every),
            compact=crowded,
            forest=Markup(forest_svg(own, width=1020, compact=crowded)) if own else "",
            forest_narrow=Markup(forest_svg(own, width=350, compact=crowded)) if own else "",
            claims=[claim for claim in claims if not claim.sweep],
            cells=[claim for claim in claims if claim.sweep],
            grids=grids(evidence.claims),
            legend=LEGEND,
            conclusions=_conclusions([claim for claim in claims if claim.of_its_own]),
            replications=pairs(evidence.claims),
            replicated=replicated(every),
            effects={c.row.claim: _effect(c) for c in claims},
            interpretations=[
                (study, [part for part in text.split("\n\n") if part.strip()])
                for study, text in evidence.studies.items()
            ],
            trainings=_trainings(evidence, drawn, gallery),
            failures=account.failures(evidence.claims),
            reused=account.reused(evidence.claims),
            methods=account.methods(evidence),
            threats=account.threats(evidence, found),
            script=Markup(script := _script()),
            policy=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            words_of=list(Verdict),
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
    return environment


def _apart(entries: Sequence[ClaimEvidence]) -> str:
    """Say what the counts by verdict leave out, and the gate's do not: mutants, replications and cells of sweeps."""
    claims = [entry.claim for entry in entries]
    mutants, cells = sum(claim.is_mutant for claim in claims), sum(bool(claim.sweep) for claim in claims)
    again = sum(claim.is_replication for claim in claims)
    if mutants + again + cells == len(claims):
        return ""
    counted = (
        (mutants, "mutant", "mutants"),
        (again, "replication", "replications"),
        (cells, "cell of a sweep", "cells of sweeps"),
    )
    parts = [f"{n} {one if n == 1 else several}" for n, one, several in counted if n]
    said = []
    if parts:
        listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
        said.append(f"By verdict: without {listed}.")
    false = [e for e in entries if e.claim.of_its_own and e.claim.expect == "not_supported"]
    if unsupported := sum(entry.verdict is Verdict.INCONCLUSIVE for entry in false):
        said.append(f"{many(unsupported, 'control')} among the INCONCLUSIVE, of which nothing else is expected.")
    return " ".join(said)


def _controls(claims: Sequence[ClaimView]) -> list[tuple[ClaimView | None, list[ClaimView]]]:
    """Return claims with their mutants, which must fall, and headline claims without any; then the other controls."""
    rows: list[tuple[ClaimView | None, list[ClaimView]]] = []
    for claim in claims:
        mutants = [other for other in claims if other.mutant_of == claim.row.claim]
        if mutants or (claim.headline and claim.expect == "supported" and not claim.replicates):
            rows.append((claim, mutants))
    told = {mutant.row.claim for _, mutants in rows for mutant in mutants}
    others = [c for c in claims if c.expect == "not_supported" and c.row.claim not in told]
    return [*rows, (None, others)] if others else rows


Listed = list[tuple[str, str, list[ClaimView]]]
"""A title, a sentence, and claims."""


def _conclusions(claims: Sequence[ClaimView]) -> tuple[Listed, Listed]:
    """Return what the evidence backs, negative and null findings as fully as the others; and what it leaves open."""
    claims = [claim for claim in claims if claim.expect != "not_supported"]
    kinds = {
        "Supported": ("Shown, at the margin that was declared.", Verdict.SUPPORTED),
        "Refuted": (
            "Negative findings: the opposite was shown. A refutation that was registered beforehand passes the gate.",
            Verdict.REFUTED,
        ),
        "Equivalent": ("Null findings: shown to be smaller than the smallest effect of interest.", Verdict.EQUIVALENT),
    }
    backed = [
        (title, sentence, [claim for claim in claims if claim.row.verdict is verdict and claim.decides])
        for title, (sentence, verdict) in kinds.items()
    ]
    undecided = (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE)
    left = [
        (
            "Undecided",
            "Neither shown nor excluded by these seeds. The absence of a verdict is no evidence of absence.",
            [claim for claim in claims if claim.row.verdict in undecided or not claim.decides],
        ),
        (
            "Asked without a prediction",
            "Registered as open questions: they gate nothing, and whatever was found stands above too.",
            [claim for claim in claims if claim.expect == "open"],
        ),
    ]
    return [entry for entry in backed if entry[2]], [entry for entry in left if entry[2]]


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """The training of a recipe: the arms that use it, by claim, and the curves of its seeds."""

    digest: str
    arms: list[tuple[str, list[str]]]
    seeds: int
    picture: Markup


def _trainings(evidence: Evidence, drawn: Mapping[str, str], gallery: Gallery) -> list[TrainingView]:
    """Return the recipes whose curves were drawn, with those claims of the page that use them."""
    here = {entry.claim.id for entry in evidence.claims}
    views = []
    for digest, picture in drawn.items():
        curves, by_claim = evidence.curves[digest], dict[str, list[str]]()
        for arm in curves.arms:
            claim, _, name = arm.partition(": ")
            if claim in here:
                by_claim.setdefault(claim, []).append(name)
        place = gallery.hang(f"training {digest}", picture)
        views.append(TrainingView(digest=digest, arms=list(by_claim.items()), seeds=len(curves.seeds), picture=place))
    return views


def _effect(claim: ClaimView) -> str:
    """Return the weakest effect and its t interval, with its label where there are several effects."""
    weakest = claim.row.weakest
    if weakest is None:
        return "n/a"
    numbers = minus(f"{weakest.estimate} {weakest.t}")
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
        text = ", ".join(f"{name} {part}" for name, part in flat(value)) if isinstance(value, Mapping) else _said(value)
        if key == "commit":
            text = words.commit(provenance)
        elif key == "seeds":
            text = _said(words.seeds_asked(value))
        facts.append((_LABELS.get(key, key.replace("_", " ").capitalize()), text))
    facts.append(("Digest of the observations", evidence.digest))
    total, share = account.share_reused(evidence.claims)
    if total:
        facts.append(("From the store", f"{words.percent(share)} of {total} measurements"))
    if saved := words.savings(evidence.claims):
        facts.append(("Seeds saved", f"{saved}: their claims were decided before"))
    return facts


def _moment(created: str) -> str:
    """Return ``22 November 2026, 18:30 UTC``, or the text itself where it is no time."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = f" {moment.tzname()}" if moment.tzinfo is not None else ""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}{zone}"


# strftime would use the language of the machine.
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
