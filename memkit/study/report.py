"""``report.md``: what the evidence says, what follows from it, and what is open; kept apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Verdict
from memkit.statistics import LOOKS
from memkit.study.artefacts import Run
from memkit.study.listing import differences
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion, listed
from memkit.study.results import Comparison, comparisons, confirmed_mean, entries, undecided
from memkit.study.screening_table import markdown_table, number, screening_rows, text
from memkit.training.protocols import Task

_NEGATIVE = (Verdict.REFUTED.value, Verdict.EQUIVALENT.value, Verdict.INCONCLUSIVE.value, Verdict.INCOMPLETE.value)


def report(matrix: Matrix, promotion: Promotion, evidence: Evidence | None, runs: Sequence[Run]) -> str:
    """Return the page, in Markdown."""
    claims = entries(matrix, evidence)
    rows = comparisons(claims)
    parts = [
        f"# {text(matrix.title or matrix.study)}",
        _about(matrix, evidence),
        "## What was run",
        _what(matrix),
        "## 1. What the evidence says",
        *_screening(matrix, promotion),
        *(_confirmation(matrix, claims, rows) if claims else [_NOT_CONFIRMED]),
        "## 2. What follows",
        *_interpretation(matrix, promotion, claims, rows, runs),
        "## 3. What is open",
        *_open(matrix, promotion, claims, rows),
    ]
    return "\n\n".join(parts) + "\n"


_NOT_CONFIRMED = (
    "### Stage B, confirmation\n\nIt has not been run, so nothing here is confirmed. `memkit study` without `--screen` "
    "runs it."
)


def _about(matrix: Matrix, evidence: Evidence | None) -> str:
    said = [f"The study `{matrix.study}`, by `memkit study {matrix.path.name}`."]
    if matrix.source:
        said.append(f"Source: {text(matrix.source)}.".replace("..", "."))
    if evidence:
        made = evidence.provenance
        versions = ", ".join(f"{name} {made[name]}" for name in ("memkit", "torch", "python") if made.get(name))
        commit = f"; commit: {words.commit(made, digits=12)}" if made.get("commit") else ""
        said.append(f"Stage B ran on {versions}{commit}; {evidence.created[:10]}.")
    return " ".join(said)


# --- what was run ------------------------------------------------------------------------------------


def _what(matrix: Matrix) -> str:
    """Describe what all configurations share, how they are scored, and by what stage B decides."""
    confirm = matrix.confirm
    score = f"{matrix.score.__module__}:{matrix.score.__qualname__}"
    scored = f"Scored by `{score}`, on validation examples in stage A and on test examples in stage B"
    if any(not isinstance(c.recipe.task, Task) for c in matrix.configurations.values()):
        scored += f", {matrix.examples} drawn for each"
    own = [name for name, given in matrix.controls.items() if not isinstance(given, str) and "task" in given]
    if own:
        names = listed(f"«{name}»" for name in own)
        scored += f"; {names} {'is' if len(own) == 1 else 'are'} scored on examples of another task"
    limits = [] if confirm.bounds is None else [f"bounds [{confirm.bounds[0]:g}, {confirm.bounds[1]:g}]"]
    limits += ["normal theory"] if confirm.assume == "normal" else []
    limits += [f"margin {confirm.margin:g}"] if confirm.margin else []
    limits += [f"smallest effect of interest {confirm.sesoi:g}"] if confirm.sesoi else []
    by = f" ({', '.join(limits)})" if limits else ""
    looks = listed(str(look.n) for look in LOOKS if look.n <= (confirm.seeds or LOOKS[-1].n))
    return "\n".join(
        [
            f"- Shared by all: {text(differences(matrix.shared))}.",
            f"- {scored}.",
            f"- Stage B compares the {text(confirm.metric)}{by}, paired by seed. It looks after {looks} seeds, and "
            "each claim stops at the first look that decides it.",
        ]
    )


# --- 1 -------------------------------------------------------------------------------------------


def _screening(matrix: Matrix, promotion: Promotion) -> list[str]:
    seeds = promotion.seeds
    rows = screening_rows(promotion)
    what = [differences(matrix.configurations[entrant.name].differs) or "–" for entrant in promotion.entrants]
    on = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seed_ranges(seeds)}"
    return [
        "### Stage A, screening",
        f"{_count(len(promotion.entrants), 'configuration')}, each trained on development {on} and scored on "
        f"validation examples. {promotion.policy.sentence} These scores chose what was confirmed. They are no evidence "
        "for it.",
        markdown_table([(*row, differs) for row, differs in zip(rows, ("what differs", *what), strict=True)]),
    ]


def _confirmation(matrix: Matrix, claims: Mapping[str, ClaimEvidence], rows: Sequence[Comparison]) -> list[str]:
    counted = [entry.verdict for entry in claims.values()]
    counts = ", ".join(f"{counted.count(v)} {v.value}" for v in Verdict if v in counted)
    development = any(entry.registration.development for entry in claims.values())
    seeds = "development seeds, which decide nothing" if development else "registered seeds that nothing was chosen by"
    metric, better = text(matrix.confirm.metric), "higher" if matrix.confirm.higher else "lower"
    rule = (
        "Student’s t decides alone (normal theory)." if matrix.confirm.assume == "normal" else "Both intervals decide."
    )
    head = ("configuration", "control", "effect", "t interval", "betting interval", "n", "p", "adjusted", "verdict")
    parts = [
        "### Stage B, confirmation",
        f"{_count(len(claims), 'claim')} on {seeds}, scored on test examples: {counts}{_attempts(claims)}. A claim is "
        "supported where the "
        f"{metric} of its configuration is {better} than that of each of its controls. Effects are mean differences, "
        f"paired by seed, positive where the configuration is better. {rule} p is adjusted by Benjamini–Hochberg over "
        f"{_count(len(rows), 'comparison')}, and decides nothing.",
        f"Controls: {_controls(matrix)}.",
        markdown_table([head, *(_row(row) for row in rows)]),
        "\n".join(f"- {_sentence(matrix, name, entry, rows)}" for name, entry in claims.items()),
        "#### Null and negative findings",
    ]
    negative = [row for row in rows if row.verdict in _NEGATIVE]
    found = "\n".join(f"- {_negative(matrix, row)}" for row in negative)
    found += "".join(
        f"\n- The {metric} of «{row.configuration}» over «{row.control}»: supported, and smaller than what would "
        f"matter, {matrix.confirm.sesoi:g}."
        for row in rows
        if row.negligible
    )
    nothing = "None: every comparison that was made is supported." if rows else "No comparison could be made."
    again = [f"«{name}»" for name, entry in claims.items() if entry.registration.attempt > 1]
    earlier = (
        f"\n\n{listed(again)} {'was' if len(again) == 1 else 'were'} registered before in another form, with other "
        "words, controls or settings, on other seeds. What came out then is not shown here."
    )
    nothing = nothing.replace("that was made", "of this attempt") if again else nothing
    return [*parts, (found.strip() or nothing) + (earlier if again else "")]


def _attempts(claims: Mapping[str, ClaimEvidence]) -> str:
    """``, 2 of them at the second attempt or later``."""
    again = sum(entry.registration.attempt > 1 for entry in claims.values())
    return f", {again} of them not at the first attempt" if again else ""


def _controls(matrix: Matrix) -> str:
    """Say what the names of controls stand for."""
    said = []
    for name, given in matrix.controls.items():
        what = f"the promoted one with {differences(given)}" if not isinstance(given, str) else "as screened"
        if isinstance(given, str) and given != name:
            what = f"the configuration «{given}»"
        said.append(f"«{name}», {text(what)}")
    return "; ".join(said)


def _row(row: Comparison) -> tuple[str, ...]:
    return (
        row.configuration,
        row.control,
        signed(row.effect),
        _span(row.t_low, row.t_high),
        _betting(row),
        str(row.n),
        words.p_value(row.p),
        words.p_value(row.p_adjusted),
        f"{words.MARKS[Verdict(row.verdict)]} {row.verdict}",
    )


def _sentence(matrix: Matrix, name: str, entry: ClaimEvidence, rows: Sequence[Comparison]) -> str:
    own = sorted((row for row in rows if row.configuration == name), key=_strength)
    weakest = f"Weakest over {own[0].control}: {_effect(own[0])}." if own else ""
    verdict = f"**{entry.verdict.value}**"
    expected = "" if entry.claim.expect == "open" else f", registered as {words.expectation(entry.claim)}"
    if entry.judgement.indication is not None:
        verdict = f"**undecided** ({'; '.join(entry.judgement.notes)})"
    attempt = f", attempt {entry.registration.attempt}" if entry.registration.attempt > 1 else ""
    attempt += f", {said}" if (said := words.revisions(entry.registration)) else ""
    failed = f" {_count(len(entry.failures), 'seed')} failed: {seed_ranges(entry.failures)}." if entry.failures else ""
    n = f", n = {entry.judgement.n}"
    return f"{verdict}{expected}{n}{attempt}: {text(entry.claim.statement)} {text(weakest)}{failed}"


def _strength(row: Comparison) -> float:
    """Return how large an effect is; one that could not be computed is the weakest."""
    return -math.inf if row.effect is None or math.isnan(row.effect) else row.effect


def _negative(matrix: Matrix, row: Comparison) -> str:
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
    alone = f" Student’s t alone would say {row.provisional}." if row.provisional else ""
    return f"No difference in {metric} between {pair} was shown: {_effect(row)}.{alone}"


# --- 2 -------------------------------------------------------------------------------------------


def _interpretation(
    matrix: Matrix,
    promotion: Promotion,
    claims: Mapping[str, ClaimEvidence],
    rows: Sequence[Comparison],
    runs: Sequence[Run],
) -> list[str]:
    own = [run for run in runs if run.place in claims]
    said = [*_regression(promotion, claims), *_separated(rows), *_memories(own)]
    parts = ["### By rule"]
    if means := _means(promotion, claims, runs):
        parts.append(means)
    parts.append("\n".join(f"- {sentence}" for sentence in said) or "Nothing follows before stage B has run.")
    if words_of_author := matrix.notes["interpretation"]:
        parts += ["### In the author’s words", "\n".join(f"> - {text(sentence)}" for sentence in words_of_author)]
    return parts


def _means(promotion: Promotion, claims: Mapping[str, ClaimEvidence], runs: Sequence[Run]) -> str:
    """Return screened and confirmed means, side by side, with what the models cost."""
    if not claims:
        return ""
    by = promotion.policy.by
    others = dict.fromkeys(m for entry in claims.values() for m in entry.claim.metrics if m != by)
    confirmed = [by, *others]
    head = ("configuration", f"{by}, screened", *(f"{m}, confirmed" for m in confirmed), "parameters", "CPU s per seed")
    rows: list[tuple[str, ...]] = [head]
    for outcome in promotion.outcomes:
        if outcome.name in claims:
            means = [confirmed_mean(claims[outcome.name], outcome.name, metric) for metric in confirmed]
            own = [run.content["training"] for run in runs if run.place == outcome.name]
            parameters = sorted({int(row["parameters"]) for row in own if row.get("parameters") is not None})
            seconds = [row["cpu_seconds"] for row in own if row.get("cpu_seconds") is not None]
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
    """Compare the screening scores, which chose the configurations, with the confirmed ones, which chose nothing."""
    by, higher = promotion.policy.by, promotion.policy.higher
    changes = {}
    for outcome in promotion.outcomes:
        if outcome.name in claims and outcome.rank is not None:
            change = confirmed_mean(claims[outcome.name], outcome.name, by) - outcome.mean
            if math.isfinite(change):
                changes[outcome.name] = change
    if not changes:
        return []
    whole = fmean(changes.values())
    worse = sum(change < 0 if higher else change > 0 for change in changes.values())
    families = {entrant.name: entrant.family for entrant in promotion.entrants if promotion.policy.within}
    sizes = [
        sum(o.rank is not None and families.get(o.name) == families.get(name) for o in promotion.outcomes)
        for name in changes
    ]
    promoted = f"{_count(len(changes), 'configuration')} that the scores promoted and stage B measured"
    said = f"From screening to confirmation the mean {by} of the {promoted} moved by {signed(whole)}"
    if len(changes) > 1:
        said += f"; it got worse for {worse} of them."
    else:
        said += f", for the {'worse' if worse else 'better'}."
    best = listed(map(str, sizes)) + " in their families" if families else str(sizes[0])
    if max(sizes) > 1 and (families or sizes[0] > len(changes)):
        said += (
            f" {'They were' if len(changes) > 1 else 'It was'} the best of {best}, and the best of many by a noisy "
            "score look better than they are: the confirmed means are the ones to quote."
        )
    return [said]


def _separated(rows: Sequence[Comparison]) -> list[str]:
    said = []
    for name in dict.fromkeys(row.configuration for row in rows):
        own = [row for row in rows if row.configuration == name]
        shown = [f"«{row.control}»" for row in own if row.verdict == Verdict.SUPPORTED.value]
        missed = [f"«{row.control}»" for row in undecided(own)]
        against = [f"«{row.control}»" for row in own if row.verdict == Verdict.REFUTED.value]
        same = [f"«{row.control}»" for row in own if row.verdict == Verdict.EQUIVALENT.value]
        parts = [f"is better than {listed(shown)}"] if shown else []
        parts += [f"is worse than {listed(against)}"] if against else []
        parts += [f"does as {listed(same)} does"] if same else []
        parts += [f"was not separated from {listed(missed)}"] if missed else []
        said.append(f"«{name}» {', and '.join(parts)}.")
    return said


def _memories(runs: Sequence[Run]) -> list[str]:
    """Say what a memory does to the same weights, where there is one."""
    confirmed = [run for run in runs if run.stage == "confirm" and run.content.get("memory", {}).get("magnitude")]
    places = dict.fromkeys(run.place for run in confirmed)
    said = []
    for place in places:
        own = [run.content["memory"] for run in confirmed if run.place == place]
        on, off, flipped = (
            fmean(float(row[name]) for row in own) for name in ("accuracy on", "accuracy off", "flipped")
        )
        said.append(
            f"With its memory on, «{place}» gets {on:.4f} of the test examples right; the same weights without it, "
            f"{off:.4f} ({_count(len(own), 'seed')}); {words.percent(flipped)} of the predictions change."
        )
    return said


# --- 3 -------------------------------------------------------------------------------------------


def _open(
    matrix: Matrix, promotion: Promotion, claims: Mapping[str, ClaimEvidence], rows: Sequence[Comparison]
) -> list[str]:
    said = []
    if any(" tied with " in outcome.why for outcome in promotion.outcomes if outcome.promoted):
        said.append("Which of those that screened alike is the best: the order of the file chose among them.")
    if len(promotion.seeds) == 1 and claims:
        said.append("How much of the screening's order is chance: one development seed does not tell.")
    for row in undecided(rows):
        answer = "It is not known how many seeds would show it."
        if row.seeds_needed:
            count = words.compact_count(row.seeds_needed)
            answer = f"To show the effect that was seen, {signed(row.effect)}, about {count} seeds would be needed."
        said.append(f"Is «{row.configuration}» better than «{row.control}»? {answer}")
    never = [o.name for o in promotion.outcomes if o.name not in claims and _may_go_on(matrix, o.name)]
    if never:
        end = "was screened and never confirmed: its score decides nothing"
        if len(never) > 1:
            end = "were screened and never confirmed: their scores decide nothing"
        said.append(f"{listed(f'«{name}»' for name in never)} {end}.")
    for name, entry in claims.items():
        if entry.verdict is Verdict.INCOMPLETE:
            said.append(f"The claim of «{name}» is INCOMPLETE: {entry.gate.reason}.")
    parts = ["\n".join(f"- {sentence}" for sentence in said) or "Nothing that this study asked."]
    if questions := matrix.notes["open"]:
        parts += ["### In the author’s words", "\n".join(f"> - {text(sentence)}" for sentence in questions)]
    return parts


def _may_go_on(matrix: Matrix, name: str) -> bool:
    return name in matrix.candidates or name in matrix.screen.always


# --- words ---------------------------------------------------------------------------------------


def signed(value: float | None) -> str:
    """``+0.123``, ``−0.050``; ``n/a``."""
    return "n/a" if value is None else words.fixed(value, 3).replace("-", "−")


def _effect(row: Comparison) -> str:
    betting = "" if row.betting_low is None and row.betting_high is None else f", betting {_betting(row)}"
    return f"{signed(row.effect)}, t {_span(row.t_low, row.t_high)}{betting}"


def _span(low: float | None, high: float | None) -> str:
    return f"[{'−∞' if low is None else signed(low)}, {'+∞' if high is None else signed(high)}]"


def _betting(row: Comparison) -> str:
    if row.betting_low is None and row.betting_high is None:
        return "–"
    return _span(row.betting_low, row.betting_high)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
