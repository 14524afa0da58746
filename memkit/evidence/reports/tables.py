"""Verdict tables for the terminal and for Markdown: pure functions of the evidence, without pytest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.reports.replications import replicated
from memkit.evidence.reports.sweep_tables import LEGEND, grid_lines, grid_markdown, grids
from memkit.evidence.verdict import Finding, Verdict
from memkit.statistics import collapse_bound


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """One contrast, its numbers ready to print.

    Attributes:
        label: ``dynamic over static``.
        metric: what was measured.
        verdict: of this contrast alone.
        estimate, t, betting: ``+0.80``, ``[+0.74, +0.86]``; betting is ``n/a`` where no bounds are declared.
        notes: "provisional", "negligible", "normal theory", and what a larger run would need.
    """

    label: str
    metric: str
    verdict: Verdict
    estimate: str
    t: str
    betting: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One claim in a table.

    Attributes:
        claim: its id.
        verdict: what counts.
        indication: what the looks would have said on seeds that decide nothing.
        effects: one per contrast, in the claim's order; empty where nothing was observed.
        weakest: the effect on which the claim stands or falls.
        used, planned: how many seeds the numbers stand on, and how many there might have been at most.
        saved: how many were never run, since the looks had ended before.
        attempt: how many times the claim was registered; 0 if never.
        expected: the verdict that was registered.
        outcome, reason: what the gate made of it.
        cost: CPU time of training and measuring, in words; "" where it was not recorded.
        notes: of the claim as a whole.
        unruled: the rate of collapsing seeds that the used ones cannot rule out; None without seeds.
    """

    claim: str
    verdict: Verdict
    indication: Verdict | None
    effects: tuple[EffectRow, ...]
    weakest: EffectRow | None
    used: int
    planned: int
    saved: int
    attempt: int
    expected: str
    outcome: str
    reason: str
    cost: str
    notes: tuple[str, ...]
    unruled: float | None


def verdict_row(entry: ClaimEvidence) -> VerdictRow:
    """Return the table row of one claim."""
    judgement = entry.judgement
    findings = words.own_findings(entry)
    effects = tuple(_effect(finding) for finding in findings)
    weakest = words.weakest(findings)
    notes = []
    if judgement.indication not in (None, Verdict.INCONCLUSIVE):
        notes.append(f"indicates {judgement.indication}")
    if judgement.missing:
        notes.append(f"missing: {_seeds(len(judgement.missing))}")
    if entry.registration.status != "registered":
        notes.append(entry.registration.status)
    if said := words.revisions(entry.registration):
        notes.append(said)
    notes += judgement.notes
    notes += entry.remeasured
    notes += [f"since the accepted run: {sentence}" for sentence in entry.drift]
    return VerdictRow(
        claim=entry.claim.id,
        verdict=judgement.verdict,
        indication=judgement.indication,
        effects=effects,
        weakest=effects[findings.index(weakest)] if weakest is not None else None,
        used=judgement.n,
        planned=len(entry.planned),
        saved=len(entry.saved),
        attempt=entry.registration.attempt,
        expected=words.expectation(entry.claim),
        outcome=entry.gate.outcome,
        reason=entry.gate.reason,
        cost=words.cpu_time(entry.cost),
        notes=tuple(notes),
        unruled=collapse_bound(judgement.n) if judgement.n else None,
    )


def verdict_rows(evidence: Evidence) -> list[VerdictRow]:
    """Return one row per claim, in the order of the evidence."""
    return [verdict_row(entry) for entry in evidence.claims]


def _effect(finding: Finding) -> EffectRow:
    places = words.decimals(finding)
    betting = finding.betting
    return EffectRow(
        label=words.label(finding.contrast),
        metric=finding.contrast.metric,
        verdict=finding.verdict,
        estimate=words.fixed(finding.t.estimate, places),
        t=words.span(finding.t.low, finding.t.high, places),
        betting=words.span(betting.low, betting.high, places) if betting is not None else "n/a",
        notes=words.short_notes(finding),
    )


# The terminal -------------------------------------------------------------------------------------

_INDENT = 16  # "✓ INCONCLUSIVE" and two blanks: numbers start below the claim's id
_LEAST_WIDTH = 40
_WIDE = 110
_WIDEST = 130  # beyond it, a claim and its expectation at the far end are no longer read as one line
_COLOURS: Mapping[Verdict, str] = {
    Verdict.SUPPORTED: "1;36",
    Verdict.REFUTED: "1;33",
    Verdict.EQUIVALENT: "1;35",
    Verdict.INCONCLUSIVE: "1",
    Verdict.INCOMPLETE: "1",
}
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "≈": "=", "…": "~", "·": "|", "±": "~", "–": "-", "−": "-", "«": '"', "»": '"'}
)
"""Each character becomes one other, so that columns keep their widths."""


def terminal_table(
    claims: Sequence[ClaimEvidence], *, width: int, colour: bool = False, ascii: bool = False
) -> list[str]:
    """Write the verdicts as lines of text.

    Two lines a claim: verdict, id and expectation; then the weakest contrast's estimate with both intervals.
    From 110 columns on, each contrast has a line. What qualifies the numbers follows in words.

    Args:
        claims: in the order to print.
        width: of the terminal; no line is longer (40 at the least).
        colour: add ANSI colours; the text says all that they say.
        ascii: print nothing beyond ASCII, for terminals that cannot.
    """
    rows = [verdict_row(entry) for entry in words.in_tables(claims)]
    width = max(width, _LEAST_WIDTH)
    sweeps = _sweeps(claims, width)
    if ascii:
        rows = [_infinity_in_letters(row) for row in rows]
    if not rows:
        return [line.render(width, colour=colour, ascii=ascii) for line in sweeps]
    table = _Table(rows, width=min(width, _WIDEST), wide=width >= _WIDE)
    lines: list[_Line] = [table.heading()]
    for row in rows:
        lines += table.claim(row)
    lines += [*table.footer(" ".join(filter(None, (words.fallen(claims), replicated(claims))))), *sweeps]
    return [line.render(width, colour=colour, ascii=ascii) for line in lines]


def _sweeps(claims: Sequence[ClaimEvidence], width: int) -> list[_Line]:
    """Each sweep as a grid, and what its marks mean."""
    lines = [line for grid in grids(claims) for line in ("", *grid_lines(grid, width=width))]
    return [_Line(line) for line in [*lines, *(textwrap.wrap(LEGEND, width) if lines else [])]]


def _infinity_in_letters(row: VerdictRow) -> VerdictRow:
    """``-inf`` for ``-∞``, before widths are measured: it is longer."""

    def letters(effect: EffectRow) -> EffectRow:
        return replace(effect, t=effect.t.replace("∞", "inf"), betting=effect.betting.replace("∞", "inf"))

    weakest = letters(row.weakest) if row.weakest is not None else None
    return replace(row, effects=tuple(map(letters, row.effects)), weakest=weakest)


@dataclass(frozen=True)
class _Line:
    """A line, and the stretches of it that may be coloured: (start, end, ANSI code)."""

    text: str
    colours: tuple[tuple[int, int, str], ...] = ()

    def render(self, width: int, *, colour: bool, ascii: bool) -> str:
        text = self.text[:width].rstrip()
        if ascii:
            text = text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        if colour:
            for start, end, code in sorted(self.colours, reverse=True):
                text = f"{text[:start]}\x1b[{code}m{text[start:end]}\x1b[0m{text[end:]}"
        return text


class _Table:
    """Column widths, measured once over all rows, and the lines that they make."""

    def __init__(self, rows: Sequence[VerdictRow], *, width: int, wide: bool) -> None:
        self.rows, self.width, self.wide = rows, width, wide
        effects = [effect for row in rows for effect in self._shown(row)]
        self.estimate = max([6, *(len(effect.estimate) for effect in effects)])
        self.t = max([10, *(len(effect.t) for effect in effects)])
        self.betting = max([7, *(len(effect.betting) for effect in effects)])
        self.seeds = max([5, *(len(f"{row.used}/{row.planned}") for row in rows)])
        numbers = self.estimate + self.t + self.betting + self.seeds + len("attempt") + 4 * 2
        # On a narrow screen the numbers move to the left rather than lose their ends.
        self.indent = min(_INDENT, max(2, width - numbers))
        room = width - self.indent - numbers - 2 - (10 if wide else 0)
        labels = [len(_plain(effect.label)) for effect in effects]
        self.label = min(max([8, *labels]), room) if wide else 0

    def _shown(self, row: VerdictRow) -> Sequence[EffectRow]:
        if self.wide:
            return row.effects
        return (row.weakest,) if row.weakest is not None else ()

    def _numbers(self, label: str, estimate: str, t: str, betting: str, seeds: str, attempt: str, cost: str) -> str:
        columns = [f"{words.elide(label, self.label):<{self.label}}"] if self.wide else []
        columns += [f"{estimate:>{self.estimate}}", f"{t:<{self.t}}", f"{betting:<{self.betting}}"]
        columns += [f"{seeds:>{self.seeds}}", f"{attempt:>7}"]
        if self.wide:
            columns.append(f"{cost:>8}")
        return " " * self.indent + "  ".join(columns)

    def heading(self) -> _Line:
        text = self._numbers("contrast", "effect", "t interval", "betting", "seeds", "attempt", "CPU time")
        if self.indent == _INDENT:
            text = f"{'verdict':<{_INDENT}}{text[_INDENT:]}"
        return _Line(text, ((0, len(text), "2"),))

    def claim(self, row: VerdictRow) -> list[_Line]:
        failed = row.outcome == "failed"
        expected = f"expected {row.expected}" + (": FAILED" if failed else "")
        room = self.width - _INDENT
        beside = len(row.claim) + 2 + len(expected) <= room
        head = f"{words.MARKS[row.verdict]} {row.verdict.value}"
        first = f"{head:<{_INDENT}}{words.elide(_plain(row.claim), room)}"
        colours = [(0, len(head), _COLOURS[row.verdict])]
        if beside:
            first = f"{first:<{self.width - len(expected)}}{expected}"
            if failed:
                colours.append((len(first) - len("FAILED"), len(first), "1;31"))
        lines = [_Line(first, tuple(colours))]
        facts = (f"{row.used}/{row.planned}", str(row.attempt), row.cost)
        for number, effect in enumerate(self._shown(row)):
            rest = facts if number == 0 else ("", "", "")
            lines.append(_Line(self._numbers(_plain(effect.label), effect.estimate, effect.t, effect.betting, *rest)))
            if self.wide and effect.notes:
                lines += self._wrapped(" · ".join(effect.notes), self.indent + 2)
        if not row.effects:
            lines.append(_Line(self._numbers("no observation", "n/a", "n/a", "n/a", *facts)))
        said = [] if beside else [expected]
        if not self.wide and row.weakest is not None:
            if len(row.effects) > 1:
                said.append(f"weakest of {len(row.effects)} contrasts: {_plain(row.weakest.label)}")
            said += row.weakest.notes
        if row.outcome == "skipped" and row.expected != "open":
            said.append("gates nothing")
        said += row.notes
        return lines + (self._wrapped(" · ".join(said), self.indent) if said else [])

    def _wrapped(self, text: str, indent: int) -> list[_Line]:
        blank = " " * indent
        return [
            _Line(line)
            for line in textwrap.wrap(
                _plain(text),
                self.width,
                initial_indent=blank,
                subsequent_indent=blank,
                break_on_hyphens=False,
            )
        ]

    def footer(self, more: str) -> list[_Line]:
        sizes = sorted({row.used for row in self.rows if row.used > 1})
        if not sizes:
            return []
        rates = ", ".join(f"{words.percent(collapse_bound(n))} with {n} seeds" for n in sizes)
        said = f"Seeds that collapse, and of which none was seen, may still be as many as {rates}."
        if any(row.saved for row in self.rows):
            said = f"Seeds: used/at most; no claim takes more than decide it. {said}"
        return self._wrapped(f"{said} {more}", 0)


def _plain(text: str) -> str:
    """One line without control characters, which could move the cursor of the terminal that prints them."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


# Markdown -----------------------------------------------------------------------------------------


def markdown_table(evidence: Evidence) -> str:
    """Write the gate's result and the verdicts as GitHub Markdown, for ``$GITHUB_STEP_SUMMARY``."""
    rows = [verdict_row(entry) for entry in words.in_tables(evidence.claims)]
    sweeps = [text for grid in grids(evidence.claims) for text in ("", grid_markdown(grid))]
    sweeps += ["", _markdown(LEGEND)] if sweeps else []
    lines = [f"**{_markdown(gate_sentence(evidence.claims))}**", ""]
    if not rows:
        return "\n".join([*lines, *sweeps])
    heads = [
        "Verdict",
        "Claim",
        "Contrast",
        "Effect",
        "t interval",
        "Betting",
        "Seeds",
        "Attempt",
        "Expected",
        "Gate",
    ]
    lines += [
        _pipes(heads),
        _pipes(["---", "---", "---", "---:", "---", "---", "---:", "---:", "---", "---"]),
    ]
    for row in rows:
        head = f"{words.MARKS[row.verdict]} **{row.verdict}**"
        tail = [f"{row.used}/{row.planned}", str(row.attempt), row.expected, words.OUTCOMES[row.outcome]]
        if not row.effects:
            lines.append(_pipes([head, _markdown(row.claim), "", "n/a", "n/a", "n/a", *tail]))
        for number, effect in enumerate(row.effects):
            what = _markdown("; ".join([effect.label, *effect.notes]))
            first = number == 0
            lines.append(
                _pipes(
                    [
                        head if first else "",
                        _markdown("; ".join([row.claim, *row.notes])) if first else "",
                        what,
                        effect.estimate,
                        _markdown(effect.t),
                        _markdown(effect.betting),
                        *(tail if first else [""] * 4),
                    ]
                )
            )
    for said in filter(None, (words.fallen(evidence.claims), replicated(evidence.claims))):
        lines += ["", said]
    failed = [row for row in rows if row.outcome == "failed"]
    if failed:
        lines += ["", *(f"- {_markdown(row.claim)}: {_markdown(row.reason)}" for row in failed)]
    return "\n".join([*lines, *sweeps, ""])


def gate_sentence(claims: Sequence[ClaimEvidence]) -> str:
    """``Gate failed: 3 claims passed, 1 failed, 2 gate nothing.``"""
    counts = {name: sum(entry.gate.outcome == name for entry in claims) for name in words.OUTCOMES}
    if not claims:
        return "No claims."
    head = "Gate failed" if counts["failed"] else "Gate passed" if counts["passed"] else "Nothing decided"
    idle = f"{counts['skipped']} gate{'s' if counts['skipped'] == 1 else ''} nothing"
    return f"{head}: {counts['passed']} passed, {counts['failed']} failed, {idle}."


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    """``text`` shown as it is: no markup, no HTML, no cell of its own."""
    plain = _plain(text)
    for character in "\\`*_[]|~":
        plain = plain.replace(character, "\\" + character)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
