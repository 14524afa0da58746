"""``report.md``, in three separate parts: what the evidence says, what follows from it, and what is open."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from memkit.evidence.claim import DEFAULT_SEEDS
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Verdict
from memkit.statistics import LOOKS
from memkit.study.artefacts import Run
from memkit.study.listing import settings_text
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion, join_names
from memkit.study.results import Comparison, comparisons, confirmed_mean, evidence_by_configuration, undecided
from memkit.study.screening_table import markdown_table, number, screening_rows, text
from memkit.training.protocols import Task

_NEGATIVE = (Verdict.REFUTED.value, Verdict.EQUIVALENT.value, Verdict.INCONCLUSIVE.value, Verdict.INCOMPLETE.value)


def report(matrix: Matrix, promotion: Promotion, evidence: Evidence | None, runs: Sequence[Run]) -> str:
    """Return the report of a study in Markdown."""
    claims = evidence_by_configuration(matrix, evidence)
    rows = comparisons(claims)
    parts = [
        f"# {text(matrix.title or matrix.study)}",
        _about(matrix, evidence),
        "## What was run",
        _what_was_run(matrix),
        "## 1. What the evidence says",
        *_screening(matrix, promotion),
        *(_confirmation(matrix, claims, rows) if claims else [_NOT_CONFIRMED]),
        "## 2. What follows",
        *_interpretation(matrix, promotion, claims, rows, runs),
        "## 3. What is open",
        *_open_questions(matrix, promotion, claims, rows),
    ]
    return "\n\n".join(parts) + "\n"


_NOT_CONFIRMED = (
    "### Stage B, confirmation\n\nIt has not been run, so nothing here is confirmed. `memkit study` without `--screen` "
    "runs it."
)


def _about(matrix: Matrix, evidence: Evidence | None) -> str:
    """Return a paragraph on the study, its source, and the versions that stage B ran on."""
    sentences = [f"The study `{matrix.study}`, by `memkit study {matrix.path.name}`."]
    if matrix.source:
        sentences.append(f"Source: {text(matrix.source)}.".replace("..", "."))
    if evidence:
        provenance = evidence.provenance
        packages = ("memkit", "torch", "python")
        versions = ", ".join(f"{name} {provenance[name]}" for name in packages if provenance.get(name))
        commit = f"; commit: {words.commit(provenance, digits=12)}" if provenance.get("commit") else ""
        sentences.append(f"Stage B ran on {versions}{commit}; {evidence.created[:10]}.")
    return " ".join(sentences)


# --- what was run ------------------------------------------------------------------------------------


def _what_was_run(matrix: Matrix) -> str:
    """Return a list of what all configurations share, how they are scored, and how stage B decides."""
    confirm = matrix.confirm
    score = f"{matrix.score.__module__}:{matrix.score.__qualname__}"
    scoring = f"Scored by `{score}`, on validation examples in stage A and on test examples in stage B"
    if any(not isinstance(c.recipe.task, Task) for c in matrix.configurations.values()):
        scoring += f", {matrix.examples} drawn for each"
    other_task = [name for name, given in matrix.controls.items() if not isinstance(given, str) and "task" in given]
    if other_task:
        names = join_names(f"«{name}»" for name in other_task)
        scoring += f"; {names} {'is' if len(other_task) == 1 else 'are'} scored on examples of another task"
    options = [] if confirm.bounds is None else [f"bounds [{confirm.bounds[0]:g}, {confirm.bounds[1]:g}]"]
    options += ["normal theory"] if confirm.assume == "normal" else []
    options += [f"margin {confirm.margin:g}"] if confirm.margin else []
    options += [f"smallest effect of interest {confirm.sesoi:g}"] if confirm.sesoi else []
    in_brackets = f" ({', '.join(options)})" if options else ""
    most = confirm.seeds or DEFAULT_SEEDS
    stopping = f"Each claim stops as soon as its seeds decide it, and uses at most {most}."
    if confirm.assume == "normal":
        looks = join_names(str(look.n) for look in LOOKS if look.n <= most)
        stopping = f"Its looks are after {looks} seeds, and each claim stops at the first look that decides it."
    return "\n".join(
        [
            f"- Shared by all: {text(settings_text(matrix.shared))}.",
            f"- {scoring}.",
            f"- Stage B compares the {text(confirm.metric)}{in_brackets}, paired by seed. {stopping}",
        ]
    )


# --- 1 -------------------------------------------------------------------------------------------


def _screening(matrix: Matrix, promotion: Promotion) -> list[str]:
    """Return the section on stage A."""
    seeds = promotion.seeds
    rows = screening_rows(promotion)
    differences = [settings_text(matrix.configurations[entrant.name].differs) or "–" for entrant in promotion.entrants]
    on_seeds = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seed_ranges(seeds)}"
    return [
        "### Stage A, screening",
        f"{_count(len(promotion.entrants), 'configuration')}, each trained on development {on_seeds} and scored on "
        f"validation examples. {promotion.policy.sentence} These scores chose what was confirmed, so they are not "
        "evidence for it.",
        markdown_table([(*row, cell) for row, cell in zip(rows, ("what differs", *differences), strict=True)]),
    ]


def _confirmation(matrix: Matrix, claims: Mapping[str, ClaimEvidence], rows: Sequence[Comparison]) -> list[str]:
    """Return the section on stage B."""
    verdicts = [entry.verdict for entry in claims.values()]
    counts = ", ".join(f"{verdicts.count(v)} {v.value}" for v in Verdict if v in verdicts)
    on_development = any(entry.registration.development for entry in claims.values())
    seeds = (
        "development seeds, which decide nothing" if on_development else "registered seeds, by which nothing was chosen"
    )
    metric, better = text(matrix.confirm.metric), "higher" if matrix.confirm.higher else "lower"
    rule = "The capital that bets on a verdict won, of the capital that the verdict needs, decides."
    if matrix.confirm.assume == "normal":
        rule = "Student’s t decides (normal theory)."
    header = ("configuration", "control", "effect", "interval", "capital", "n", "p", "level", "verdict")
    parts = [
        "### Stage B, confirmation",
        f"{_count(len(claims), 'claim')} on {seeds}, scored on test examples: {counts}{_attempts(claims)}. A claim is "
        "supported if the "
        f"{metric} of its configuration is {better} than that of each of its controls. Effects are mean differences, "
        f"paired by seed, positive if the configuration is better. {rule} The level is the rate of false "
        f"discoveries at which e-BH over {_count(len(rows), 'comparison')} declares that the configuration is better. "
        "It decides nothing.",
        f"Controls: {_controls(matrix)}.",
        markdown_table([header, *(_row(row) for row in rows)]),
        "\n".join(f"- {_sentence(matrix, name, entry, rows)}" for name, entry in claims.items()),
        "#### Null and negative findings",
    ]
    negative = [row for row in rows if row.verdict in _NEGATIVE]
    findings = "\n".join(f"- {_negative(matrix, row)}" for row in negative)
    findings += "".join(
        f"\n- The {metric} of «{row.configuration}» over «{row.control}»: supported, but smaller than the smallest "
        f"effect of interest, {matrix.confirm.sesoi:g}."
        for row in rows
        if row.negligible
    )
    no_findings = "None: every comparison that was made is supported." if rows else "No comparison could be made."
    reattempted = [f"«{name}»" for name, entry in claims.items() if entry.registration.attempt > 1]
    earlier_attempts = (
        f"\n\n{join_names(reattempted)} {'was' if len(reattempted) == 1 else 'were'} registered before in another "
        "form, with other words, controls or settings, on other seeds. Those results are not shown here."
    )
    no_findings = no_findings.replace("that was made", "of this attempt") if reattempted else no_findings
    return [*parts, (findings.strip() or no_findings) + (earlier_attempts if reattempted else "")]


def _attempts(claims: Mapping[str, ClaimEvidence]) -> str:
    """Return a phrase on claims with earlier attempts, such as ``, 2 of them not at the first attempt``; or ""."""
    later = sum(entry.registration.attempt > 1 for entry in claims.values())
    return f", {later} of them not at the first attempt" if later else ""


def _controls(matrix: Matrix) -> str:
    """Return a description of each control."""
    descriptions = []
    for name, given in matrix.controls.items():
        description = f"the promoted one with {settings_text(given)}" if not isinstance(given, str) else "as screened"
        if isinstance(given, str) and given != name:
            description = f"the configuration «{given}»"
        descriptions.append(f"«{name}», {text(description)}")
    return "; ".join(descriptions)


def _row(row: Comparison) -> tuple[str, ...]:
    """Return a comparison as a row of the table of stage B."""
    return (
        row.configuration,
        row.control,
        signed(row.effect),
        _interval(row),
        row.capital,
        str(row.n),
        words.p_value(row.p),
        words.p_value(row.level),
        f"{words.MARKS[Verdict(row.verdict)]} {row.verdict}",
    )


def _sentence(matrix: Matrix, name: str, entry: ClaimEvidence, rows: Sequence[Comparison]) -> str:
    """Return the verdict on a claim, its statement and its weakest comparison."""
    comparisons_of_claim = sorted((row for row in rows if row.configuration == name), key=_strength)
    weakest = ""
    if comparisons_of_claim:
        weakest = f"Weakest over {comparisons_of_claim[0].control}: {_effect(comparisons_of_claim[0])}."
    verdict = f"**{entry.verdict.value}**"
    expected = "" if entry.claim.expect == "open" else f", registered as {words.expectation(entry.claim)}"
    if entry.judgement.indication is not None:
        verdict = f"**undecided** ({'; '.join(entry.judgement.notes)})"
    attempt = f", attempt {entry.registration.attempt}" if entry.registration.attempt > 1 else ""
    attempt += f", {revisions}" if (revisions := words.revisions(entry.registration)) else ""
    failed = f" {_count(len(entry.failures), 'seed')} failed: {seed_ranges(entry.failures)}." if entry.failures else ""
    n = f", n = {entry.judgement.n}"
    return f"{verdict}{expected}{n}{attempt}: {text(entry.claim.statement)} {text(weakest)}{failed}"


def _strength(row: Comparison) -> float:
    """Return the effect as a sort key; an effect that could not be computed sorts as the weakest."""
    return -math.inf if row.effect is None or math.isnan(row.effect) else row.effect


def _negative(matrix: Matrix, row: Comparison) -> str:
    """Return a sentence on a comparison that is not supported."""
    pair = f"«{row.configuration}» and «{row.control}»"
    metric = text(row.metric)
    if row.verdict == Verdict.REFUTED.value:
        worse = "lower" if row.direction == "higher" else "higher"
        if matrix.confirm.margin:
            worse = f"not {row.direction} by {matrix.confirm.margin:g}"
        return f"The {metric} of «{row.configuration}» is {worse} than that of «{row.control}»: {_effect(row)}."
    if row.verdict == Verdict.EQUIVALENT.value:
        return f"The {metric} of {pair} differs by less than {matrix.confirm.sesoi:g}: {_effect(row)}."
    if row.verdict == Verdict.INCOMPLETE.value:
        return f"The {metric} of {pair} could not be compared: seeds are missing or not finite."
    return f"No difference in {metric} between {pair} was shown: {_effect(row)}."


# --- 2 -------------------------------------------------------------------------------------------


def _interpretation(
    matrix: Matrix,
    promotion: Promotion,
    claims: Mapping[str, ClaimEvidence],
    rows: Sequence[Comparison],
    runs: Sequence[Run],
) -> list[str]:
    """Return the part on what follows: sentences made by rule, and the author's own."""
    promoted_runs = [run for run in runs if run.name in claims]
    sentences = [*_regression(promotion, claims), *_separated(rows), *_memories(promoted_runs)]
    parts = ["### By rule"]
    if table := _means_table(promotion, claims, runs):
        parts.append(table)
    parts.append("\n".join(f"- {sentence}" for sentence in sentences) or "Nothing follows before stage B has run.")
    if words_of_author := matrix.notes["interpretation"]:
        parts += ["### In the author’s words", "\n".join(f"> - {text(sentence)}" for sentence in words_of_author)]
    return parts


def _means_table(promotion: Promotion, claims: Mapping[str, ClaimEvidence], runs: Sequence[Run]) -> str:
    """Return a table of screened and confirmed means, parameters and CPU seconds; "" before stage B has run."""
    if not claims:
        return ""
    by = promotion.policy.by
    other_metrics = dict.fromkeys(m for entry in claims.values() for m in entry.claim.metrics if m != by)
    metrics = [by, *other_metrics]
    header = ("configuration", f"{by}, screened", *(f"{m}, confirmed" for m in metrics), "parameters", "CPU s per seed")
    rows: list[tuple[str, ...]] = [header]
    for outcome in promotion.outcomes:
        if outcome.name in claims:
            means = [confirmed_mean(claims[outcome.name], outcome.name, metric) for metric in metrics]
            trainings = [run.content["training"] for run in runs if run.name == outcome.name]
            parameters = sorted({int(row["parameters"]) for row in trainings if row.get("parameters") is not None})
            seconds = [row["cpu_seconds"] for row in trainings if row.get("cpu_seconds") is not None]
            rows.append(
                (
                    outcome.name,
                    number(outcome.mean),
                    *("–" if math.isnan(mean) else number(mean) for mean in means),
                    "–".join(str(n) for n in dict.fromkeys((parameters[0], parameters[-1]))) if parameters else "–",
                    f"{fmean(seconds):.2g}" if seconds else "–",
                )
            )
    return markdown_table(rows)


def _regression(promotion: Promotion, claims: Mapping[str, ClaimEvidence]) -> list[str]:
    """Return a sentence on regression to the mean: how far the scores moved from screening to confirmation."""
    by, higher = promotion.policy.by, promotion.policy.higher
    changes = {}
    for outcome in promotion.outcomes:
        if outcome.name in claims and outcome.rank is not None:
            change = confirmed_mean(claims[outcome.name], outcome.name, by) - outcome.mean
            if math.isfinite(change):
                changes[outcome.name] = change
    if not changes:
        return []
    mean_change = fmean(changes.values())
    worse = sum(change < 0 if higher else change > 0 for change in changes.values())
    families = {entrant.name: entrant.family for entrant in promotion.entrants if promotion.policy.within}
    sizes = [
        sum(o.rank is not None and families.get(o.name) == families.get(name) for o in promotion.outcomes)
        for name in changes
    ]
    promoted = f"{_count(len(changes), 'configuration')} that the scores promoted and stage B measured"
    sentence = f"From screening to confirmation the mean {by} of the {promoted} moved by {signed(mean_change)}"
    if len(changes) > 1:
        sentence += f"; it got worse for {worse} of them."
    else:
        sentence += f", for the {'worse' if worse else 'better'}."
    numbers = join_names(map(str, sizes)) + " in their families" if families else str(sizes[0])
    if max(sizes) > 1 and (families or sizes[0] > len(changes)):
        sentence += (
            f" {'They were' if len(changes) > 1 else 'It was'} the best of {numbers}, and the best of many by a noisy "
            "score look better than they are: quote the confirmed means."
        )
    return [sentence]


def _separated(rows: Sequence[Comparison]) -> list[str]:
    """Return a sentence per configuration on the controls that it is better or worse than."""
    sentences = []
    for name in dict.fromkeys(row.configuration for row in rows):
        own_rows = [row for row in rows if row.configuration == name]
        supported = [f"«{row.control}»" for row in own_rows if row.verdict == Verdict.SUPPORTED.value]
        open_controls = [f"«{row.control}»" for row in undecided(own_rows)]
        refuted = [f"«{row.control}»" for row in own_rows if row.verdict == Verdict.REFUTED.value]
        equivalent = [f"«{row.control}»" for row in own_rows if row.verdict == Verdict.EQUIVALENT.value]
        parts = [f"is better than {join_names(supported)}"] if supported else []
        parts += [f"is worse than {join_names(refuted)}"] if refuted else []
        parts += [f"is equivalent to {join_names(equivalent)}"] if equivalent else []
        parts += [f"was not separated from {join_names(open_controls)}"] if open_controls else []
        sentences.append(f"«{name}» {', and '.join(parts)}.")
    return sentences


def _memories(runs: Sequence[Run]) -> list[str]:
    """Return a sentence per configuration with a memory: its accuracy with the memory on, and off."""
    confirmed = [run for run in runs if run.stage == "confirm" and run.content.get("memory", {}).get("magnitude")]
    sentences = []
    for name in dict.fromkeys(run.name for run in confirmed):
        memories = [run.content["memory"] for run in confirmed if run.name == name]
        on, off, flipped = (
            fmean(float(row[key]) for row in memories) for key in ("accuracy on", "accuracy off", "flipped")
        )
        sentences.append(
            f"With its memory on, «{name}» gets {on:.4f} of the test examples right; the same weights without it, "
            f"{off:.4f} ({_count(len(memories), 'seed')}); {words.percent(flipped)} of the predictions change."
        )
    return sentences


# --- 3 -------------------------------------------------------------------------------------------


def _open_questions(
    matrix: Matrix, promotion: Promotion, claims: Mapping[str, ClaimEvidence], rows: Sequence[Comparison]
) -> list[str]:
    """Return the part on what is open: sentences made by rule, and the author's own."""
    sentences = []
    if any(" tied with " in outcome.why for outcome in promotion.outcomes if outcome.promoted):
        sentences.append(
            "Which of the configurations with equal scores is the best? They were promoted in the order of the file."
        )
    if len(promotion.seeds) == 1 and claims:
        sentences.append("How much of the order in screening is chance? One development seed cannot tell.")
    for row in undecided(rows):
        answer = "It is not known how many seeds would decide it."
        if row.seeds_needed:
            count = words.compact_count(row.seeds_needed)
            answer = f"About {count} seeds like these, with an effect of {signed(row.effect)}, would decide it."
        sentences.append(f"Is «{row.configuration}» better than «{row.control}»? {answer}")
    unconfirmed = [o.name for o in promotion.outcomes if o.name not in claims and _can_be_promoted(matrix, o.name)]
    if unconfirmed:
        end = "was screened and never confirmed: its score decides nothing"
        if len(unconfirmed) > 1:
            end = "were screened and never confirmed: their scores decide nothing"
        sentences.append(f"{join_names(f'«{name}»' for name in unconfirmed)} {end}.")
    for name, entry in claims.items():
        if entry.verdict is Verdict.INCOMPLETE:
            sentences.append(f"The claim of «{name}» is INCOMPLETE: {entry.gate.reason}.")
    parts = ["\n".join(f"- {sentence}" for sentence in sentences) or "Nothing that this study asked."]
    if questions := matrix.notes["open"]:
        parts += ["### In the author’s words", "\n".join(f"> - {text(sentence)}" for sentence in questions)]
    return parts


def _can_be_promoted(matrix: Matrix, name: str) -> bool:
    return name in matrix.candidates or name in matrix.screen.always


# --- words ---------------------------------------------------------------------------------------


def signed(value: float | None) -> str:
    """Return a number with its sign and three decimals, ``+0.123``; ``n/a`` for None."""
    return "n/a" if value is None else words.format_number(value, 3).replace("-", "−")


def _effect(row: Comparison) -> str:
    """Return the effect and its interval."""
    return f"{signed(row.effect)} {_interval(row)}"


def _interval(row: Comparison) -> str:
    return f"[{'−∞' if row.low is None else signed(row.low)}, {'+∞' if row.high is None else signed(row.high)}]"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
