"""Pages of a study: prose by its authors, with blocks that ``memkit page`` writes from the accepted verdicts.

    <!-- memkit: summary binding -->            the verdicts of the study's claims, and its sweeps
    <!-- memkit: claims/binding/test_x.py -->   the claims of a file: what the source says, and what was measured
    <!-- memkit: replications binding -->       claims beside their replications on another backend
    <!-- memkit: comparisons lab/xor -->        a sweep's cells against each of their controls
    <!-- memkit: screening lab/xor.promoted.json -->    how a staged study's configurations were promoted
    <!-- memkit: end -->

``memkit page`` replaces the text between such a mark and the next ``end``. It takes the text from ``accepted.json``, or
from the file that the mark names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memkit.errors import MemkitError, count_of
from memkit.evidence.attempt import attempt_from
from memkit.evidence.decision_rule import CLIPPED
from memkit.evidence.derived.replication import backend_name, describe_counts, where_it_holds
from memkit.evidence.reports import words
from memkit.evidence.verdict import Verdict

_BLOCK = re.compile(r"<!-- memkit: (?!end)(?P<content>[^>]+?) -->\n.*?<!-- memkit: end -->", re.DOTALL)
_MARK = re.compile(r"<!-- memkit: (?P<content>[^>]+?) -->")

Accepted = Mapping[str, Any]
"""A claim of ``accepted.json``."""


def rewrite_blocks(
    page: str, accepted: Mapping[str, Accepted], more: Mapping[str, Callable[[str], str]] | None = None
) -> str:
    """Return the page with the text of every block replaced.

    Args:
        page: the page, in Markdown.
        accepted: the accepted claims: id → claim.
        more: further kinds of blocks: the first word of a block's mark → a function that takes the rest of the mark
            and returns the block's text.

    Raises:
        MemkitError: a block has no end or names no accepted claims, or a claim of a study that the page summarises
            is in no block.
    """
    marks = [mark["content"] for mark in _MARK.finditer(page)]
    for opening, closing in zip(marks[::2], marks[1::2] + [""] * (len(marks) % 2), strict=True):
        if opening == "end" or closing != "end":
            raise MemkitError(f"the block «{opening}» has no end; close it with <!-- memkit: end -->")
    if len(_BLOCK.findall(page)) != len(marks) // 2:
        raise MemkitError("a block begins and ends on the same line; put each of its two marks on a line of its own")
    listed: set[str] = set()
    summarised: set[str] = set()

    def rewritten(block: re.Match[str]) -> str:
        content = block["content"]
        kind, _, subject = content.partition(" ")
        if more and kind in more and subject:
            text = more[kind](subject)
        elif kind == "replications" and subject:
            text = _replications(subject, accepted)
        elif kind == "comparisons" and subject:
            text = _comparisons(subject, {name: c for name, c in accepted.items() if c["sweep"] == subject})
        elif kind == "summary" and subject:
            summarised.add(subject)
            text = _summary(subject, {name: c for name, c in accepted.items() if name.split("/", 1)[0] == subject})
        else:
            claims = {
                n: c for n, c in accepted.items() if c["nodeid"].partition("::")[0] == content and not _is_derived(c)
            }
            if not claims:
                raise MemkitError(f"no claim of {content} has been accepted; name a file of claims, or «summary STUDY»")
            listed.update(claims)
            text = _claims(claims)
        return f"<!-- memkit: {content} -->\n{text}\n<!-- memkit: end -->"

    result = _BLOCK.sub(rewritten, page)
    for name, claim in sorted(accepted.items()):
        if name.split("/", 1)[0] in summarised and name not in listed and not _is_derived(claim):
            raise MemkitError(f"{name} is in no block; add <!-- memkit: {claim['nodeid'].partition('::')[0]} -->")
    return result


def _is_derived(claim: Accepted) -> bool:
    """Return whether a claim is a cell of a sweep, a mutant or a replication."""
    return bool(claim["sweep"] or claim["mutant_of"] or claim.get("replicates"))


def _summary(study: str, claims: Mapping[str, Accepted]) -> str:
    if not claims:
        raise MemkitError(f"no claim of the study {study!r} has been accepted")
    originals = [claim for claim in claims.values() if not _is_derived(claim)]
    mutants = [claim for claim in claims.values() if claim["mutant_of"]]
    verdicts = [Verdict(claim["judgement"]["verdict"]) for claim in originals]
    counts = ", ".join(f"{verdicts.count(v)} {v.value}" for v in Verdict if v in verdicts)
    seconds = sum(claim["cost"].get("trained", 0.0) + claim["cost"].get("measured", 0.0) for claim in originals)
    lines = ["No claims other than the cells of sweeps."]
    if originals:
        lines = [
            f"{count_of(len(originals), 'claim')}: {counts}. Training and measuring took {words.duration(seconds)} of "
            "CPU time; a model that several claims share is counted once for each of them.",
        ]
    if mutants:
        broken = len({claim["mutant_of"] for claim in mutants})
        should = "it should" if len(mutants) == 1 else "they should"
        of_claims = f"{count_of(len(mutants), 'mutant')} of {count_of(broken, 'claim')}"
        lines += ["", f"{of_claims}, with an arm broken on purpose, failed as {should}."]
    for sweep in dict.fromkeys(claim["sweep"] for claim in claims.values() if claim["sweep"]):
        lines += ["", *_sweep(sweep, [claim for claim in claims.values() if claim["sweep"] == sweep])]
    return "\n".join(lines)


def _replications(study: str, accepted: Mapping[str, Accepted]) -> str:
    """Return a table of each claim and its replication, and of where the finding holds."""
    replications = {n: c for n, c in accepted.items() if c.get("replicates") and n.split("/", 1)[0] == study}
    if not replications:
        raise MemkitError(f"no replication of a claim of the study {study!r} has been accepted")
    rows, counts = [["Claim", "torch", "Replication", "The finding holds"], ["---"] * 4], Counter[str]()
    for name, claim in replications.items():
        original, backend = accepted.get(claim["replicates"]), name.rsplit("/", 1)[-1]
        if original is None:
            raise MemkitError(f"{name} was accepted, but not the claim that it replicates, {claim['replicates']}")
        verdicts = [Verdict(entry["judgement"]["verdict"]) for entry in (original, claim)]
        where = where_it_holds(*verdicts, expect=original["expect"], backend=backend)
        counts[where] += 1
        results = [f"{_verdict(entry['judgement'])}<br>{_effect(_weakest(entry))}" for entry in (original, claim)]
        attempt = f", attempt {claim['attempt']}" if claim["attempt"] > 1 else ""
        results[1] += f"<br>{backend_name(backend)}, n = {claim['judgement']['n']}{attempt}"
        rows.append([f"`{claim['replicates'].split('/', 1)[1]}`", *results, where])
    were = "claim was" if len(replications) == 1 else "claims were"
    return f"{len(replications)} {were} replicated on another backend: {describe_counts(counts)}.\n\n{_table(rows)}"


def _weakest(claim: Accepted) -> Mapping[str, Any]:
    """Return the finding that supports a claim least."""
    findings: list[Mapping[str, Any]] = [f for f in claim["judgement"]["findings"] if f["role"] == "contrast"]
    (weakest, *_) = [f for f in findings if f["contrast"] == claim["weakest"]] or findings
    return weakest


def _claims(claims: Mapping[str, Accepted]) -> str:
    """Return two tables: the claims, with what their sources say and what was measured, and their arms."""
    results = [["Claim", "Source", "Measured", "Effect, interval", "Verdict"], ["---"] * 5]
    arms = [["Arm", "Claim", "Parameters", "State", "Steps", "CPU s per seed", "Tuning"], ["---"] * 7]
    listed: set[str] = set()
    for name, claim in claims.items():
        judgement = claim["judgement"]
        attempt = f", attempt {claim['attempt']}" if claim["attempt"] > 1 else ""
        attempt += f", code revised {claim['revision']} ×" if claim.get("revision") else ""
        results.append(
            [
                f"{_text(claim['statement'])}<br>`{name}`",
                _source(claim),
                _measured(claim["means"], judgement["findings"]),
                "<br>".join(_effect(f) for f in judgement["findings"] if f["role"] == "contrast"),
                f"{_verdict(judgement)}<br>{_expected(claim)}n = {judgement['n']}{attempt}",
            ]
        )
        for arm, facts in claim["arms"].items():
            if facts["recipe"] in listed:  # already listed, for another claim or for another arm
                continue
            listed.add(facts["recipe"])
            arms.append(
                [
                    _text(arm),
                    f"`{name.split('/', 1)[1]}`",
                    *(_count(facts.get(key)) for key in ("parameters", "state_size", "steps")),
                    f"{facts['cpu_seconds']:.2g}" if facts.get("cpu_seconds") else "",
                    _text(facts.get("tuning", "")),
                ]
            )
    table = _table(results)
    if len(arms) > 2:
        # Python-Markdown needs the attribute to render a table inside HTML; others ignore it.
        opening_tag = '<details markdown="1"><summary>The arms</summary>'
        table += f"\n\n{opening_tag}\n\n{_table(arms)}\n\n</details>"
    return table


def _source(claim: Accepted) -> str:
    """Return the source of a claim, and below it the outcomes of its earlier attempts."""
    source = _text(claim["source"]) or "none given"
    attempts = [attempt_from(attempt, "an earlier attempt") for attempt in claim.get("earlier", ())]
    earlier = words.earlier_attempts(attempts)
    return f"{source}<br>Earlier attempts: {_text(earlier)}" if earlier else source


def _expected(claim: Accepted) -> str:
    expected = claim["expect"].replace("_", " ")
    return "" if expected == claim["judgement"]["verdict"].lower() else f"expected {expected}, "


def _verdict(judgement: Mapping[str, Any]) -> str:
    """Return the verdict, with a note if Student's t decides, and with ±sesoi if it is EQUIVALENT."""
    verdict = Verdict(judgement["verdict"])
    findings = [finding for finding in judgement["findings"] if finding["role"] == "contrast"]
    notes = [words.NORMAL_THEORY] if any(f["assume"] == "normal" for f in findings) else []
    notes += ["clipped metric"] if any(n.startswith(CLIPPED) for f in findings for n in f.get("notes", ())) else []
    sizes = sorted({f["sesoi"] for f in findings if f["sesoi"]})
    notes += ["inside " + " and ".join(f"±{size:g}" for size in sizes)] if verdict is Verdict.EQUIVALENT else []
    return f"{words.MARKS[verdict]} {verdict.value}" + (f" ({'; '.join(notes)})" if notes else "")


def _measured(means: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """Return the mean of each arm on the metrics that are compared."""
    metrics = list(dict.fromkeys(metric for row in means.values() for metric in row))
    compared = [metric for metric in metrics if len(metrics) == 1 or any(f["metric"] == metric for f in findings)]
    lines = []
    for metric in compared:
        places = max((_places(f) for f in findings if f["metric"] == metric), default=2)
        values = [f"{_text(arm)} {_number(row[metric][0], places)}" for arm, row in means.items() if metric in row]
        lines.append(f"{_text(metric)}: {', '.join(values)}")
    return "<br>".join(lines)


def _effect(finding: Mapping[str, Any]) -> str:
    """Return the label, estimate and interval of a contrast: ``a over b: +0.80, [+0.03, +0.98]``."""
    label = finding["contrast"]
    if finding["direction"] == "lower":  # then the effect is positive if the treatment is below the control
        label = label.replace(" over ", " below ", 1)
    return f"{_text(label)}: {_signed(finding['estimate'], _places(finding))}, {_interval(finding)}"


def _interval(finding: Mapping[str, Any]) -> str:
    low, high, places = finding["interval"]["low"], finding["interval"]["high"], _places(finding)
    return f"[{_limit(low, '−∞', places)}, {_limit(high, '+∞', places)}]"


def _places(finding: Mapping[str, Any]) -> int:
    """Return the number of decimals of an effect: more for normal theory, which is used for small effects."""
    return 3 if finding["assume"] == "normal" else 2


def _sweep(sweep: str, claims: Sequence[Accepted]) -> list[str]:
    """Return the lines of a sweep's table, with rows and columns as :func:`words.row_and_column` assigns them."""
    cells: dict[tuple[str, str], str] = {}
    for claim in claims:
        judgement = claim["judgement"]
        weakest = _weakest(claim)
        mark = words.MARKS[Verdict(judgement["verdict"])]
        effect = _signed(weakest["estimate"], _places(weakest))
        cells[words.row_and_column(claim["cell"])] = f"{mark} {effect}"
    rows = sorted({row for row, _ in cells}, key=_by_number)
    columns = sorted({column for _, column in cells}, key=_by_number)
    table = [[f"`{sweep}`", *map(_text, columns)], ["---", *["---:"] * len(columns)]]
    table += [[_text(row), *(cells.get((row, column), "–") for column in columns)] for row in rows]
    compared = [f for f in claims[0]["judgement"]["findings"] if f["role"] == "contrast"]
    labels = ([f["contrast"] for f in c["judgement"]["findings"] if f["role"] == "contrast"] for c in claims)
    title = f"{words.cells_label(labels)}, {compared[0]['metric']}"
    title += f", the weakest of {len(compared)} contrasts" if len(compared) > 1 else ""
    return [f"Sweep: {_text(title)}.", "", _table(table)]


def _comparisons(sweep: str, claims: Mapping[str, Accepted]) -> str:
    """Return a table of cells × controls, with the verdict, effect and interval of each contrast by itself."""
    if not claims:
        raise MemkitError(f"no cell of a sweep {sweep!r} has been accepted")
    cells: dict[tuple[str, str], str] = {}
    for claim in claims.values():
        row = ", ".join(part for part in words.row_and_column(claim["cell"]) if part != "effect")
        for finding in claim["judgement"]["findings"]:
            if finding["role"] == "contrast":
                control = finding["contrast"].partition(" over ")[2]
                cells[row, control] = f"{words.MARKS[Verdict(finding['verdict'])]} {_effect_and_interval(finding)}"
    rows = sorted({row for row, _ in cells}, key=_by_number)
    columns = list(dict.fromkeys(column for _, column in cells))
    table = [[f"`{sweep}`", *(f"over {_text(column)}" for column in columns)], ["---", *["---:"] * len(columns)]]
    table += [[_text(row), *(cells.get((row, column), "–") for column in columns)] for row in rows]
    findings = [f for claim in claims.values() for f in claim["judgement"]["findings"] if f["role"] == "contrast"]
    metric = ", ".join(dict.fromkeys(f["metric"] for f in findings))
    lower = " Lower is better, so positive effects are in the cell’s favour." if _all_lower(findings) else ""
    return f"Effects in {_text(metric)}, with their intervals.{lower}\n\n{_table(table)}"


def _effect_and_interval(finding: Mapping[str, Any]) -> str:
    return f"{_signed(finding['estimate'], _places(finding))} {_text(_interval(finding))}"


def _all_lower(findings: Sequence[Mapping[str, Any]]) -> bool:
    return all(finding["direction"] == "lower" for finding in findings)


def _by_number(name: str) -> list[tuple[float, str]]:
    """Return a key that sorts names by the numbers in them: k 8 before k 16."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(float(part), "") if number % 2 else (0.0, part) for number, part in enumerate(parts)]


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _text(text: str) -> str:
    """Escape a text, so that a cell of a Markdown table shows it literally."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*_\[\]])", r"\\\1", plain)


def _number(value: float | None, places: int) -> str:
    return "not finite" if value is None else f"{value:.{places}f}"


def _limit(value: float | None, infinite: str, places: int) -> str:
    """Format a limit of an interval, as :func:`words.limit` does; ``infinite`` for None."""
    return infinite if value is None else words.limit(value, places).replace("-", "−")


def _signed(value: float | None, places: int = 2) -> str:
    return "∞" if value is None else words.format_number(value, places).replace("-", "−")


def _count(value: Any) -> str:
    return f"{value:,.0f}".replace(",", " ") if isinstance(value, (int, float)) else ""
