"""One claim as the page shows it: its contrasts, seeds, arms and record, as text that the template lays out."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import fmean
from typing import Any

from markupsafe import Markup

from memkit.errors import count_of
from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences, judgements_at_looks
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.figures import Figure, Lines, Table
from memkit.evidence.reports import words
from memkit.evidence.reports.gallery import Gallery
from memkit.evidence.reports.levels import Level
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots.capital import capital_svg
from memkit.evidence.reports.plots.heatmap import heatmap_svg
from memkit.evidence.reports.plots.lines import lines_svg
from memkit.evidence.reports.plots.slopes import slopes_svg
from memkit.evidence.reports.plots.strip import strip_svg
from memkit.evidence.reports.robustness import Look, Row, looks_at, other_methods
from memkit.evidence.reports.table_cells import Cells, other_measurements, table_cells
from memkit.evidence.reports.tables import VerdictRow, verdict_row
from memkit.evidence.verdict import Finding, Judgement, Verdict
from memkit.statistics import collapse_bound

Facts = list[tuple[str, str]]
"""Pairs of a name and a text, in order."""


@dataclass(frozen=True, kw_only=True)
class ContrastView:
    """A contrast as the page shows it.

    Attributes:
        label: what is compared.
        role: "contrast", "requires" or "positive control".
        verdict: its verdict; None on seeds that decide nothing.
        facts: its numbers.
        notes: sentences that qualify them.
        strip: the picture of the differences of all seeds.
        slopes: the picture of both arms on all seeds; "" if there is none.
        growth: the picture of how capital grew, for the weakest contrast; "" if there is none.
        looks: the interval and the capital at every look.
        capitals: the names of the looks' capitals: on which side of the margin they bet.
        other_methods: the results of methods that decide nothing.
    """

    label: str
    role: str
    verdict: Verdict | None
    facts: Facts
    notes: tuple[str, ...]
    strip: Markup
    slopes: Markup
    growth: Markup
    looks: list[Look]
    capitals: list[str]
    other_methods: list[Row]


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure with its title: either a picture or the cells of a table."""

    title: str
    picture: Markup | None = None
    cells: Cells | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """A claim as the page shows it.

    Attributes:
        row: its row in the table of verdicts.
        arm_means: the means of its arms, in a sentence.
        metrics: pairs of a metric and what it is.
        on_deciding_seeds: whether its seeds are not development seeds.
        stopping: with how many seeds it was decided, or why it was not, in a sentence.
        seeds: how many seeds were used, and which, in a sentence.
        columns: the columns of ``seed_table``, without seed and status.
        seed_table: one row per seed: the seed, its status, and one cell per measured value or difference.
        arm_facts: what differs between the arms: pairs of a name and one text per arm.
        shared_facts: what is the same for all arms.
        record: registration, digest and cost.
        commands: shell commands that run the claim again.
        mutant_of: the claim that it is a mutant of, or "".
        replicates: the claim that it replicates, or "".
        level: the level at which it would be declared among all claims, by e-BH.
        earlier: its earlier attempts, or "".
        changes: what changed since the accepted run, or "".
        curves: the learning curves that the page shows: pairs of an arm and a recipe's digest.
        keys: what the page's script sorts and searches by.
    """

    row: VerdictRow
    statement: str
    source: str
    arm_means: str
    metrics: list[tuple[str, str]]
    study: str
    expect: str
    falsifier: words.Falsifier
    on_deciding_seeds: bool
    stopping: str
    contrasts: list[ContrastView]
    figures: list[FigureView]
    seeds: str
    columns: list[str]
    seed_table: list[tuple[int, str, list[str]]]
    arms: list[str]
    arm_facts: list[tuple[str, list[str]]]
    shared_facts: Facts
    record: Facts
    commands: list[str]
    sweep: str
    mutant_of: str
    replicates: str
    is_standalone: bool
    headline: bool
    level: str
    earlier: str
    changes: str
    curves: list[tuple[str, str]]
    keys: Mapping[str, str]

    @property
    def some_unused(self) -> bool:
        """True if the verdict leaves out some seed of the table."""
        return any(status != "used" for _, status, _ in self.seed_table)


def claim_view(
    entry: ClaimEvidence,
    level: Level,
    curves: Collection[str] = (),
    gallery: Gallery | None = None,
    *,
    brief: bool = False,
    metrics: Mapping[str, str] | None = None,
) -> ClaimView:
    """Return one claim as the page shows it.

    Args:
        entry: the claim and its evidence.
        level: the level of the claim.
        curves: digests of the recipes whose learning curves the page shows.
        gallery: the collector of the pictures of the claim's figures; None: all pictures are in the page.
        brief: leave out tooltips that repeat a table, as on a page of many claims.
        metrics: metric → what it is, as the study describes it.
    """
    claim = entry.claim
    first = entry.planned[0] if entry.planned else entry.registration.first_seed
    columns, seed_table = _seed_table(entry)
    arm_facts, shared_facts = _arms(entry)
    return ClaimView(
        row=verdict_row(entry),
        statement=words.statement(claim),
        source=claim.source,
        arm_means=_arm_means(entry),
        metrics=[(name, (metrics or {})[name]) for name in claim.metrics if name in (metrics or {})],
        study=claim.study,
        expect=claim.expect,
        falsifier=words.falsifier(claim, entry.registration.thresholds),
        on_deciding_seeds=not entry.registration.development,
        stopping=words.stopping_sentence(entry),
        contrasts=_contrasts(entry, brief),
        figures=_figures(entry, gallery or Gallery()),
        seeds=_seeds(entry),
        columns=columns,
        seed_table=seed_table,
        arms=list(claim.arms),
        arm_facts=arm_facts,
        shared_facts=shared_facts,
        record=_record(entry, level),
        commands=_commands(entry, first),
        sweep=claim.sweep,
        mutant_of=claim.parent_id if claim.is_mutant else "",
        replicates=claim.parent_id if claim.is_replication else "",
        is_standalone=claim.is_standalone,
        headline=claim.headline,
        level=words.p_value(level.level),
        earlier=words.earlier_attempts(entry.registration.earlier),
        changes="; ".join((*entry.drift, *entry.changes)),
        curves=_curves(entry, curves),
        keys=_keys(entry, level),
    )


def _arm_means(entry: ClaimEvidence) -> str:
    """Return the mean of every arm over the used seeds: ``accuracy: dynamic: 0.97; static: 0.18 (means of 8 seeds)``.

    Values that are not finite are left out.
    """
    used, values = set(words.used_seeds(entry)), dict[str, dict[str, list[float]]]()
    for o in entry.observations:
        if o.seed in used and math.isfinite(o.value):
            values.setdefault(o.metric, {}).setdefault(o.arm, []).append(o.value)
    compared = list(dict.fromkeys(contrast.metric for contrast in entry.claim.all_contrasts))
    by_metric = []
    for metric in compared:
        means = [f"{arm}: {minus(f'{fmean(of_arm):.3g}')}" for arm, of_arm in values.get(metric, {}).items()]
        by_metric += [f"{metric}: {'; '.join(means)}"] if means else []
    return ". ".join(by_metric) + (f" (means of {count_of(len(used), 'seed')})" if by_metric else "")


def _curves(entry: ClaimEvidence, curves: Collection[str]) -> list[tuple[str, str]]:
    """Return the recipes whose curves are shown, as pairs of an arm and a digest; each recipe with its first arm."""
    digests: dict[str, str] = {}
    for name, facts in entry.arms.items():
        digests.setdefault(str(facts.get("digest", "")), name)
    return [(name, digest) for digest, name in digests.items() if digest in curves]


def _keys(entry: ClaimEvidence, level: Level) -> Mapping[str, str]:
    """Return the keys by which the page's script sorts and searches the table of verdicts."""
    finding = words.weakest(words.contrast_findings(entry))
    order = list(Verdict).index(entry.verdict)
    return {
        "verdict": str(order),
        "effect": f"{finding.interval.estimate:.9g}" if finding is not None else "",
        "level": f"{level.level:.9g}" if math.isfinite(level.level) else "2",
        "text": " ".join((entry.claim.id, entry.claim.statement, entry.claim.source)).lower(),
    }


def _commands(entry: ClaimEvidence, first: int) -> list[str]:
    """Return commands that are safe to copy to a shell, although the evidence may come from anybody.

    There is no pytest command if pytest would take the node id for an option, or if it leads out of the project.
    """
    claim, nodeid = entry.claim, entry.nodeid
    commands = [f"memkit reproduce {shlex.quote(claim.id)} --seed {first}"]
    path = PurePosixPath(nodeid.partition("::")[0])
    if nodeid.isprintable() and not nodeid.startswith(("-", "@")) and ".." not in path.parts and not path.is_absolute():
        commands.insert(0, f"pytest {shlex.quote(nodeid)}" + (" --memkit-sweeps" if claim.needs_sweeps else ""))
    return commands


def _figures(entry: ClaimEvidence, gallery: Gallery) -> list[FigureView]:
    """Return the measurements that no contrast compares, then the claim's own figures, which show its first seed."""
    seed = entry.observed_seeds[0] if entry.observed_seeds else None
    name = entry.claim.id
    views = [_figure(figure, figure.title, name, gallery) for figure in other_measurements(entry)]
    return views + [_figure(figure, f"{figure.title}; seed {seed}", name, gallery) for figure in entry.figures]


def _figure(figure: Figure, title: str, name: str, gallery: Gallery) -> FigureView:
    if isinstance(figure, Table):
        return FigureView(title=title, cells=table_cells(figure))
    picture = lines_svg(figure) if isinstance(figure, Lines) else heatmap_svg(figure)
    return FigureView(title=title, picture=gallery.add(name, picture))


def _contrasts(entry: ClaimEvidence, brief: bool) -> list[ContrastView]:
    looks = judgements_at_looks(
        entry.claim, entry.observations, planned=entry.planned, thresholds=entry.registration.thresholds
    )
    weakest = words.weakest(words.contrast_findings(entry))
    return [_contrast(entry, finding, looks, brief, weakest) for finding in entry.judgement.findings]


def _contrast(
    entry: ClaimEvidence, finding: Finding, looks: Sequence[Judgement], brief: bool, weakest: Finding | None
) -> ContrastView:
    contrast, interval = finding.contrast, finding.interval
    places = words.decimals(finding)
    limits = minus(words.format_interval(interval.low, interval.high, places))
    normal = "Student’s t, " if finding.capital is None else ""
    facts = [
        ("Estimate", f"{minus(words.format_number(interval.estimate, places))} in {contrast.metric}"),
        ("Interval", f"{limits}, {normal}{words.limit_levels(interval)}, n = {finding.n}"),
    ]
    capitals = words.capitals(finding)
    facts += [(f"Capital for {verdict}", words.capital_of(*pair)) for verdict, pair in capitals.items()]
    against = f"against a difference of {words.margin(contrast)}"
    if finding.verdict is Verdict.EQUIVALENT:
        against = f"of equivalence inside ±{contrast.sesoi:g}"
    facts.append(("p", f"{words.p_value(finding.p)}, {against}"))
    facts.append(("Declared", _declared(contrast)))
    plan = finding.planning
    if "mde" in plan:
        spread = "with this spread would have shown"
        spread += " in four of five runs" if finding.capital is None else ""
        facts.append(("Least effect", f"{words.compact(plan['mde'])}, which {finding.n} seeds {spread}"))
    if "least_constant" in plan:
        least = words.compact(plan["least_constant"])
        facts.append(("Least effect without spread", f"{least}, which {finding.n} seeds would have shown"))
    if "seeds_needed" in plan:
        facts.append(("Seeds needed", f"{words.compact_count(plan['seeds_needed'])}, if they are like these"))
    names = {
        Verdict.SUPPORTED: "Above",
        Verdict.REFUTED: "Below",
        Verdict.EQUIVALENT: f"Within ±{contrast.sesoi or 0:g}",
    }
    return ContrastView(
        label=words.label(contrast),
        role=finding.role,
        verdict=finding.verdict if entry.decided else None,
        facts=facts,
        notes=_contrast_notes(entry, finding),
        strip=Markup(strip_svg(entry, contrast, named=not brief)),
        slopes=Markup(slopes_svg(entry, contrast)),
        growth=Markup(capital_svg(entry, finding) if finding is weakest else ""),
        looks=looks_at(looks, contrast),
        capitals=[names[verdict] for verdict in capitals],
        other_methods=other_methods(entry, contrast),
    )


def _contrast_notes(entry: ClaimEvidence, finding: Finding) -> tuple[str, ...]:
    contrast = finding.contrast
    notes = []
    if contrast.assume == "normal":
        notes.append("Normal theory: Student’s t decides, as was declared in advance; it assumes roughly normal seeds.")
    if finding.negligible:
        notes.append(
            f"Negligible: there is an effect, but it is smaller than ±{contrast.sesoi:g}, the smallest of interest."
        )
    if finding.verdict is Verdict.EQUIVALENT and not finding.interval.low <= 0 <= finding.interval.high:
        notes.append(f"There is a difference, since the interval excludes 0, but it lies inside ±{contrast.sesoi:g}.")
    if count := _not_finite(entry, contrast):
        notes.append(
            f"{count_of(count, 'seed')} with a value that is not finite: it may be anything within the bounds, and "
            "each bet uses the value that is worst for it. The estimate is the middle of what is possible."
        )
    notes += _at_bounds(entry, contrast)
    # A finding may have a shorter note on the same matter, which begins with the same words.
    text = " ".join(notes).lower()
    others = [note for note in finding.notes if note.lower()[:13] not in text]
    return (*notes, *(f"{note[:1].upper()}{note[1:]}." for note in others))


def _not_finite(entry: ClaimEvidence, contrast: Contrast) -> int:
    """Count the used seeds with a value of the contrast that is not finite; 0 if no bounds are declared."""
    by_seed = differences(entry.claim, contrast, entry.observations)
    return sum(math.isnan(by_seed[seed]) for seed in words.used_seeds(entry)) if contrast.bounds is not None else 0


def _at_bounds(entry: ClaimEvidence, contrast: Contrast) -> list[str]:
    """Return a note for each arm whose values are all at one declared bound, where the metric may be saturated."""
    notes, used = [], set(words.used_seeds(entry))
    for arm in contrast.names if contrast.bounds is not None else ():
        values = {
            o.value for o in entry.observations if o.arm == arm and o.metric == contrast.metric and o.seed in used
        }
        if len(used) > 1 and len(values) == 1 and (value := values.pop()) in (contrast.bounds or ()):
            notes.append(f"Every seed of {arm} is at the bound {value:g}, so the metric may be saturated there.")
    return notes


def _declared(contrast: Contrast) -> str:
    parts = [f"positive where {contrast.treatment} is {contrast.direction}"]
    if contrast.bounds is not None:
        parts.append(f"values from {contrast.bounds[0]:g} to {contrast.bounds[1]:g}")
    parts.append(f"margin {words.margin(contrast)}")
    if contrast.sesoi is not None:
        parts.append(f"smallest effect of interest {contrast.sesoi:g}")
    return ", ".join(parts)


def _seeds(entry: ClaimEvidence) -> str:
    text = words.seed_counts(entry)
    if entry.judgement.n:
        share = words.percent(collapse_bound(entry.judgement.n))
        text += f" Even if none of them failed, the rate of failing seeds may be up to {share}."
    return text


def _seed_table(entry: ClaimEvidence) -> tuple[list[str], list[tuple[int, str, list[str]]]]:
    """Return the table of the seeds of a claim.

    Returns:
        The columns, first those of arms and metrics and then those of differences; and one row for each seed that was
        observed, failed or is missing, with the seed, its status and its cells.
    """
    keys = list(dict.fromkeys((o.arm, o.metric) for o in entry.observations))
    cells = {(o.seed, o.arm, o.metric): o for o in entry.observations}
    labelled_differences = [
        (finding.contrast.label, differences(entry.claim, finding.contrast, entry.observations))
        for finding in entry.judgement.findings
    ]
    used = set(words.used_seeds(entry))
    several_metrics = len({metric for _, metric in keys}) > 1
    columns = [f"{arm}, {metric}" if several_metrics else arm for arm, metric in keys]
    labels = [label for label, _ in labelled_differences]
    metrics = [finding.contrast.metric for finding in entry.judgement.findings]
    columns += [
        f"difference, {label}" + (f", {metric}" if labels.count(label) > 1 else "")
        for label, metric in zip(labels, metrics, strict=True)
    ]
    rows = []
    observed = {o.seed for o in entry.observations}
    for seed in sorted(observed | set(entry.failures) | set(entry.judgement.missing)):
        if seed not in observed:
            reason = entry.failures.get(seed)
            rows.append((seed, f"failed: {reason}" if reason is not None else "not run", ["–"] * len(columns)))
            continue
        row = []
        for arm, metric in keys:
            o = cells.get((seed, arm, metric))
            row.append("–" if o is None else f"{o.value:.6g}" if math.isfinite(o.value) else f"not finite: {o.reason}")
        row += [
            f"{by_seed[seed]:+.6g}" if math.isfinite(by_seed[seed]) else "not finite"
            for _, by_seed in labelled_differences
        ]
        rows.append((seed, "used" if seed in used else "measured, not used", row))
    return columns, rows


def _arms(entry: ClaimEvidence) -> tuple[list[tuple[str, list[str]]], Facts]:
    """Return what differs between the arms, with all facts of their training, and what is the same for all arms."""
    described = []
    for name, arm in entry.claim.to_json()["arms"].items():
        fields = dict(flat(arm["recipe"])) if arm["recipe"] is not None else {"recipe": "fitted by the test itself"}
        if arm["intervention"]:
            fields["intervention"] = str(arm["intervention"])
        trained = dict(entry.arms.get(name, {}))
        if isinstance(seconds := trained.pop("cpu_seconds", None), (int, float)):
            trained["CPU time per seed"] = words.duration(seconds)
        fields |= {f"trained {_TRAINED.get(key, key)}": value for key, value in flat(trained)}
        described.append(fields)
    names = list(dict.fromkeys(key for fields in described for key in fields))
    differing, shared = [], []
    for key in names:
        values = [fields.get(key, "–") for fields in described]
        if key.startswith("trained ") or len(set(values)) > 1:
            differing.append((key.removeprefix("trained "), values))
        else:
            shared.append((key, values[0]))
    return differing, shared


_TRAINED = {
    "digest": "digest of the recipe",
    "state_size": "state size",
    "steps": "steps taken (first seed)",
    "trained_on": "trained on",
}
"""Keys of the facts of a trained arm → their names in the table of arms."""


def _record(entry: ClaimEvidence, level: Level) -> Facts:
    registration = entry.registration
    attempt = f"attempt {registration.attempt}, " if registration.attempt else ""
    edited = f" ({registration.edited})" if registration.edited else ""
    facts = [
        ("Registration", f"{registration.status}{edited}, {attempt}first seed {registration.first_seed}"),
        *([("Laboratory", registration.laboratory)] if registration.laboratory else []),
        ("Code behind it", words.revisions(registration) or "unchanged since registration, as far as is known"),
        *([("Earlier attempts", earlier)] if (earlier := words.earlier_attempts(registration.earlier)) else []),
        ("Expected", words.expectation(entry.claim) + ("" if entry.claim.gates else ", gates nothing")),
        ("Digest of the claim", entry.claim.digest),
        ("e-value of the claim", _e_value(level, registration.attempt)),
    ]
    if entry.claim.deterministic:
        facts.append(("Deterministic", "declared: all seeds may give the same values"))
    dependencies = [
        f"{name}: {', '.join(names)}" for name in ("data", "environment") if (names := getattr(entry.claim, name))
    ]
    if dependencies:
        facts.append(("Depends on", "; ".join(dependencies)))
    if entry.drift or entry.changes:
        facts.append(("Since the accepted run", "; ".join((*entry.drift, *entry.changes))))
    if entry.remeasured:
        facts.append(("Measured again", "; ".join(entry.remeasured)))
    labels = {"trained": "Training", "measured": "Measuring", "reused": "Measurements from the store"}
    for name, value in entry.cost.items():
        shown = words.percent(value) if name == "reused" else f"{words.duration(value)} of CPU time"
        facts.append((labels.get(name, name.replace("_", " ")), shown))
    return facts


def _e_value(level: Level, attempt: int) -> str:
    if math.isnan(level.e_value):
        return "none"
    over_attempts = f", {level.over_attempts:.3g} over all attempts" if attempt > 1 else ""
    return (
        f"{level.e_value:.3g}{over_attempts}; e-BH over {count_of(level.total, 'claim')} would declare the claim at "
        f"a rate of false discoveries of {words.p_value(level.level)}"
    )


def flat(data: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield the leaves of nested JSON, as pairs of a path, such as ``optimiser.lr``, and a text."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield (
            prefix or "recipe",
            data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str),
        )
