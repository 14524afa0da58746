"""Pages of a study: prose by its authors, and between two marks what the accepted verdicts say.

    <!-- memkit: summary binding -->            how the study's claims came out, and the sweeps
    <!-- memkit: claims/binding/test_x.py -->   the claims of a file: the source beside what was found here
    <!-- memkit: replications binding -->       claims beside their replications on another backend
    <!-- memkit: comparisons lab/xor -->        a sweep's cells against each of their controls
    <!-- memkit: screening lab/xor.promoted.json -->    how a staged study's configurations were promoted
    <!-- memkit: end -->

What stands between such a mark and the next ``end`` is written anew by ``memkit page``, from ``accepted.json``, and
from the file that a block of another kind names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memkit.errors import MemkitError, many
from memkit.evidence.derived.replication import counted, holds, in_words
from memkit.evidence.reports import words
from memkit.evidence.verdict import Verdict

_BLOCK = re.compile(r"<!-- memkit: (?!end)(?P<what>[^>]+?) -->\n.*?<!-- memkit: end -->", re.DOTALL)
_MARK = re.compile(r"<!-- memkit: (?P<what>[^>]+?) -->")

Accepted = Mapping[str, Any]


def rewrite(page: str, accepted: Mapping[str, Accepted], more: Mapping[str, Callable[[str], str]] | None = None) -> str:
    """Return the page with every block written anew.

    Args:
        more: further kinds of blocks: the word that begins a block's mark → a function that turns the rest of the
            mark into the block's text.

    Raises:
        MemkitError: a block has no end, names no accepted claims, or claims of a study that the page summarises
            stand in no block.
    """
    opened = [mark["what"] for mark in _MARK.finditer(page)]
    for one, following in zip(opened[::2], opened[1::2] + [""] * (len(opened) % 2), strict=True):
        if one == "end" or following != "end":
            raise MemkitError(f"the block «{one}» has no end; close it with <!-- memkit: end -->")
    if len(_BLOCK.findall(page)) != len(opened) // 2:
        raise MemkitError("a mark of a block and its end stand on one line; put each on a line of its own")
    told: set[str] = set()
    studies: set[str] = set()

    def block(found: re.Match[str]) -> str:
        what = found["what"]
        kind, _, study = what.partition(" ")
        if more and kind in more and study:
            text = more[kind](study)
        elif kind == "replications" and study:
            text = _replications(study, accepted)
        elif kind == "comparisons" and study:
            text = _comparisons(study, {name: c for name, c in accepted.items() if c["sweep"] == study})
        elif kind == "summary" and study:
            studies.add(study)
            text = _summary(study, {name: c for name, c in accepted.items() if name.split("/", 1)[0] == study})
        else:
            claims = {n: c for n, c in accepted.items() if c["nodeid"].partition("::")[0] == what and _own(c)}
            if not claims:
                raise MemkitError(f"no claim of {what} has been accepted; name a file of claims, or «summary STUDY»")
            told.update(claims)
            text = _claims(claims)
        return f"<!-- memkit: {what} -->\n{text}\n<!-- memkit: end -->"

    written = _BLOCK.sub(block, page)
    for name, claim in sorted(accepted.items()):
        if name.split("/", 1)[0] in studies and name not in told and _own(claim):
            raise MemkitError(f"{name} stands in no block; add <!-- memkit: {claim['nodeid'].partition('::')[0]} -->")
    return written


def _own(claim: Accepted) -> bool:
    """Return whether it is a claim by itself: neither a cell of a sweep nor a mutant nor a replication."""
    return not claim["sweep"] and not claim["mutant_of"] and not claim.get("replicates")


def _summary(study: str, claims: Mapping[str, Accepted]) -> str:
    if not claims:
        raise MemkitError(f"no claim of the study {study!r} has been accepted")
    own = [claim for claim in claims.values() if _own(claim)]
    mutants = [claim for claim in claims.values() if claim["mutant_of"]]
    verdicts = [Verdict(claim["judgement"]["verdict"]) for claim in own]
    counts = ", ".join(f"{verdicts.count(v)} {v.value}" for v in Verdict if v in verdicts)
    seconds = sum(claim["cost"].get("trained", 0.0) + claim["cost"].get("measured", 0.0) for claim in own)
    lines = ["No claims but the cells of sweeps."]
    if own:
        lines = [
            f"{many(len(own), 'claim')}: {counts}. Training and measuring took {words.duration(seconds)} of CPU time, "
            "models that claims share counted once for each.",
        ]
    if mutants:
        broken = len({claim["mutant_of"] for claim in mutants})
        said = f"{broken} of the claims have mutants, {len(mutants)} in all: with an arm broken on purpose. All fell."
        lines += ["", said]
    for sweep in dict.fromkeys(claim["sweep"] for claim in claims.values() if claim["sweep"]):
        lines += ["", *_sweep(sweep, [claim for claim in claims.values() if claim["sweep"] == sweep])]
    return "\n".join(lines)


def _replications(study: str, accepted: Mapping[str, Accepted]) -> str:
    """Write a table of each claim and its replication, and where the finding holds."""
    again = {n: c for n, c in accepted.items() if c.get("replicates") and n.split("/", 1)[0] == study}
    if not again:
        raise MemkitError(f"no replication of a claim of the study {study!r} has been accepted")
    rows, counts = [["Claim", "Here", "Replication", "The finding holds"], ["---"] * 4], Counter[str]()
    for name, claim in again.items():
        first, backend = accepted.get(claim["replicates"]), name.rsplit("/", 1)[-1]
        if first is None:
            raise MemkitError(f"{name} was accepted, but not the claim that it replicates, {claim['replicates']}")
        verdicts = [Verdict(entry["judgement"]["verdict"]) for entry in (first, claim)]
        where = holds(*verdicts, expect=first["expect"], backend=backend)
        counts[where] += 1
        told = [f"{_verdict(entry['judgement'])}<br>{_effect(_weakest(entry))}" for entry in (first, claim)]
        attempt = f", attempt {claim['attempt']}" if claim["attempt"] > 1 else ""
        told[1] += f"<br>{in_words(backend)}, n = {claim['judgement']['n']}{attempt}"
        rows.append([f"`{claim['replicates'].split('/', 1)[1]}`", *told, where])
    total = f"{len(again)} claim{' was' if len(again) == 1 else 's were'} asked again on another backend: "
    return f"{total}{counted(counts)}.\n\n{_table(rows)}"


def _weakest(claim: Accepted) -> Mapping[str, Any]:
    """Return the finding on which a claim stands or falls."""
    own: list[Mapping[str, Any]] = [f for f in claim["judgement"]["findings"] if f["role"] == "contrast"]
    (weakest, *_) = [f for f in own if f["contrast"] == claim["weakest"]] or own
    return weakest


def _claims(claims: Mapping[str, Accepted]) -> str:
    """Write two tables: what the sources said beside what was found, and what the arms are."""
    found = [["Claim", "Source", "Here", "Effect, t interval, betting interval", "Verdict"], ["---"] * 5]
    arms = [["Arm", "of claim", "Parameters", "State", "Steps", "CPU s per seed", "Tuning"], ["---"] * 7]
    listed: set[str] = set()
    for name, claim in claims.items():
        judgement = claim["judgement"]
        attempt = f", attempt {claim['attempt']}" if claim["attempt"] > 1 else ""
        attempt += f", code revised {claim['revision']} ×" if claim.get("revision") else ""
        found.append(
            [
                f"{_text(claim['statement'])}<br>`{name}`",
                _text(claim["source"]) or "none given",
                _measured(claim["means"], judgement["findings"]),
                "<br>".join(_effect(f) for f in judgement["findings"] if f["role"] == "contrast"),
                f"{_verdict(judgement)}<br>{_expected(claim)}n = {judgement['n']}{attempt}",
            ]
        )
        for arm, facts in claim["arms"].items():
            if facts["recipe"] in listed:  # an intervention on it, or the arm of another claim
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
    table = _table(found)
    if len(arms) > 2:
        # The attribute is for Python-Markdown, which would leave a table in HTML as it is; others do without.
        folded = '<details markdown="1"><summary>What the arms are</summary>'
        table += f"\n\n{folded}\n\n{_table(arms)}\n\n</details>"
    return table


def _expected(claim: Accepted) -> str:
    expected = claim["expect"].replace("_", " ")
    return "" if expected == claim["judgement"]["verdict"].lower() else f"expected {expected}, "


def _verdict(judgement: Mapping[str, Any]) -> str:
    """Return the verdict, with a note where Student's t decides alone, and with ±sesoi where it is EQUIVALENT."""
    verdict = Verdict(judgement["verdict"])
    own = [finding for finding in judgement["findings"] if finding["role"] == "contrast"]
    said = ["normal theory: t alone decides"] if any(f["assume"] == "normal" for f in own) else []
    sizes = sorted({f["sesoi"] for f in own if f["sesoi"]})
    said += ["inside " + " and ".join(f"±{size:g}" for size in sizes)] if verdict is Verdict.EQUIVALENT else []
    return f"{words.MARKS[verdict]} {verdict.value}" + (f" ({'; '.join(said)})" if said else "")


def _measured(means: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """Return each arm's mean on the metrics that are compared."""
    metrics = list(dict.fromkeys(metric for row in means.values() for metric in row))
    compared = [metric for metric in metrics if len(metrics) == 1 or any(f["metric"] == metric for f in findings)]
    lines = []
    for metric in compared:
        places = max((_places(f) for f in findings if f["metric"] == metric), default=2)
        values = [f"{_text(arm)} {_number(row[metric][0], places)}" for arm, row in means.items() if metric in row]
        lines.append(f"{_text(metric)}: {', '.join(values)}")
    return "<br>".join(lines)


def _effect(finding: Mapping[str, Any]) -> str:
    places = _places(finding)
    intervals = {
        i["method"]: f"[{_limit(i['low'], places)}, {_limit(i['high'], places)}]" for i in finding["intervals"]
    }
    betting = intervals.get("betting", "no bounds")
    t = next((text for method, text in intervals.items() if method != "betting"), "")
    label = finding["contrast"]
    if finding["direction"] == "lower":  # positive where the treatment is lower, as it should be
        label = label.replace(" over ", " below ", 1)
    return f"{_text(label)}: {_signed(finding['estimate'], places)}, {t}, {betting}"


def _places(finding: Mapping[str, Any]) -> int:
    """Return the digits after the point: more for normal theory, whose effects are small."""
    return 3 if finding["assume"] == "normal" else 2


def _sweep(sweep: str, claims: Sequence[Accepted]) -> list[str]:
    """Write the table of a sweep, with the rows and columns of :func:`words.place`."""
    places: dict[tuple[str, str], str] = {}
    for claim in claims:
        judgement = claim["judgement"]
        weakest = _weakest(claim)
        mark = words.MARKS[Verdict(judgement["verdict"])]
        effect = _signed(weakest["estimate"], _places(weakest))
        places[words.place(claim["cell"])] = f"{mark} {effect}"
    rows = sorted({row for row, _ in places}, key=_by_number)
    columns = sorted({column for _, column in places}, key=_by_number)
    table = [[f"`{sweep}`", *map(_text, columns)], ["---", *["---:"] * len(columns)]]
    table += [[_text(row), *(places.get((row, column), "–") for column in columns)] for row in rows]
    compared = [f for f in claims[0]["judgement"]["findings"] if f["role"] == "contrast"]
    labels = ([f["contrast"] for f in c["judgement"]["findings"] if f["role"] == "contrast"] for c in claims)
    said = words.cells_label(labels)
    said += f", {compared[0]['metric']}" + (f", the weakest of {len(compared)} contrasts" if len(compared) > 1 else "")
    return [f"Sweep: {_text(said)}.", "", _table(table)]


def _comparisons(sweep: str, claims: Mapping[str, Accepted]) -> str:
    """Write a table of cells × controls: the verdict of each contrast by itself, its effect and its t interval."""
    if not claims:
        raise MemkitError(f"no cell of a sweep {sweep!r} has been accepted")
    places: dict[tuple[str, str], str] = {}
    for claim in claims.values():
        row = ", ".join(part for part in words.place(claim["cell"]) if part != "effect")
        for finding in claim["judgement"]["findings"]:
            if finding["role"] == "contrast":
                control = finding["contrast"].partition(" over ")[2]
                places[row, control] = f"{words.MARKS[Verdict(finding['verdict'])]} {_with_t(finding)}"
    rows = sorted({row for row, _ in places}, key=_by_number)
    columns = list(dict.fromkeys(column for _, column in places))
    table = [[f"`{sweep}`", *(f"over {_text(column)}" for column in columns)], ["---", *["---:"] * len(columns)]]
    table += [[_text(row), *(places.get((row, column), "–") for column in columns)] for row in rows]
    findings = [f for claim in claims.values() for f in claim["judgement"]["findings"] if f["role"] == "contrast"]
    metric = ", ".join(dict.fromkeys(f["metric"] for f in findings))
    lower = " Positive effects are in favour of the cell, which is to be lower." if _all_lower(findings) else ""
    return f"Effects in {_text(metric)}, and t intervals.{lower}\n\n{_table(table)}"


def _with_t(finding: Mapping[str, Any]) -> str:
    places = _places(finding)
    t = next((i for i in finding["intervals"] if i["method"] != "betting"), None)
    span = f" \\[{_limit(t['low'], places)}, {_limit(t['high'], places)}\\]" if t else ""
    return f"{_signed(finding['estimate'], places)}{span}"


def _all_lower(findings: Sequence[Mapping[str, Any]]) -> bool:
    return all(finding["direction"] == "lower" for finding in findings)


def _by_number(name: str) -> list[tuple[float, str]]:
    """Return a key that sorts texts by the numbers in them: k 8 before k 16."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(float(part), "") if number % 2 else (0.0, part) for number, part in enumerate(parts)]


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _text(text: str) -> str:
    """Escape a text, so that a cell of a Markdown table shows it as it is."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*_\[\]])", r"\\\1", plain)


def _number(value: float | None, places: int) -> str:
    return "not finite" if value is None else f"{value:.{places}f}"


def _limit(value: float | None, places: int) -> str:
    """Format a limit of an interval so that it does not read as 0 where it is not: readers look for that."""
    return "∞" if value is None else words.off_zero(value, places).replace("-", "−")


def _signed(value: float | None, places: int = 2) -> str:
    return "∞" if value is None else words.fixed(value, places).replace("-", "−")


def _count(value: Any) -> str:
    return f"{value:,.0f}".replace(",", " ") if isinstance(value, (int, float)) else ""
