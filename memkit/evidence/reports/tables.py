"""Tables of verdicts for the terminal and for Markdown: pure functions of the evidence, independent of pytest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.reports.replications import replications_sentence
from memkit.evidence.reports.sweep_tables import LEGEND, grid_lines, grid_markdown, grids
from memkit.evidence.verdict import Finding, Verdict
from memkit.statistics import collapse_bound


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """One contrast, with its numbers formatted for printing.

    >>> from memkit.evidence import Verdict
    >>> from memkit.evidence.reports import EffectRow
    >>> row = EffectRow(
    ...     label="new over old",
    ...     metric="accuracy",
    ...     verdict=Verdict.SUPPORTED,
    ...     estimate="+0.80",
    ...     interval="[+0.03, +0.98]",
    ...     capital="66 of 40",
    ...     notes=(),
    ... )
    >>> f"{row.label}: {row.estimate} {row.interval}, capital {row.capital}"
    'new over old: +0.80 [+0.03, +0.98], capital 66 of 40'

    Attributes:
        label: what is compared, as in ``dynamic over static``.
        metric: the metric's name.
        verdict: the verdict of this contrast alone.
        estimate: the mean difference, as in ``+0.80``.
        interval: the interval of the decision rule, as in ``[+0.03, +0.98]``.
        capital: the capital for the verdict, or for the one that is closest, beside the one that is needed, as in
            ``66 of 40``; ``normal theory`` if Student's t decides.
        notes: qualifications such as "negligible", and what a larger run would need.
    """

    label: str
    metric: str
    verdict: Verdict
    estimate: str
    interval: str
    capital: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One claim in a table.

    >>> from memkit.evidence import Verdict
    >>> from memkit.evidence.reports import VerdictRow
    >>> row = VerdictRow(
    ...     claim="lab/new",
    ...     verdict=Verdict.SUPPORTED,
    ...     indication=None,
    ...     effects=(),
    ...     weakest=None,
    ...     used=8,
    ...     planned=32,
    ...     saved=24,
    ...     attempt=1,
    ...     expected="supported",
    ...     outcome="passed",
    ...     reason="expected supported, found SUPPORTED",
    ...     cost="12 s",
    ...     notes=(),
    ...     record=(),
    ...     collapse_bound=0.31,
    ... )
    >>> f"{row.claim}: {row.verdict} on {row.used} of {row.planned} seeds"
    'lab/new: SUPPORTED on 8 of 32 seeds'

    Attributes:
        claim: the claim's id.
        verdict: the verdict that counts.
        indication: the verdict that the decision rule would have reached, if the seeds decide nothing.
        effects: one row per contrast, in the claim's order; empty if nothing was observed.
        weakest: the effect that supports the claim least.
        used: the number of seeds that the numbers are computed from.
        planned: the largest number of seeds that the claim could have used.
        saved: the number of planned seeds that were not run because the claim was already decided.
        attempt: how many times the claim was registered; 0 if never.
        expected: the registered verdict, in words.
        outcome: the gate's outcome: "passed", "failed" or "skipped".
        reason: the gate's reason.
        cost: the CPU time of training and measuring, in words; "" if it was not recorded.
        notes: notes on the claim as a whole.
        record: the e-value and the earlier attempts, which a verbose table adds.
        collapse_bound: the largest rate of collapsing seeds that the used seeds cannot rule out; None without seeds.
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
    record: tuple[str, ...]
    collapse_bound: float | None


def verdict_row(entry: ClaimEvidence) -> VerdictRow:
    """Return the table row of one claim.

    A run's claims are ``load(path).claims`` (:func:`memkit.evidence.load`); this example builds one by hand.

    >>> from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Gate, Observation, Registration, judge
    >>> from memkit.evidence.reports import verdict_row
    >>> over = Contrast("new", over="old", metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="lab/new", statement="New beats old.", arms={"new": Arm(), "old": Arm()}, contrasts=(over,))
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> observations = tuple(
    ...     Observation(claim="lab/new", seed=seed, arm=arm, metric="accuracy", value=value)
    ...     for seed in registration.seeds(8)
    ...     for arm, value in (("new", 0.9 + seed % 3 / 50), ("old", 0.05))
    ... )
    >>> entry = ClaimEvidence(
    ...     claim=claim,
    ...     nodeid="test_new.py::test_new",
    ...     registration=registration,
    ...     planned=registration.seeds(32),
    ...     observations=observations,
    ...     judgement=judge(claim, observations, planned=registration.seeds(32)),
    ...     gate=Gate("passed", "expected supported, found SUPPORTED"),
    ... )
    >>> row = verdict_row(entry)
    >>> str(row.verdict), row.weakest.estimate, row.weakest.interval, row.weakest.capital, row.used
    ('SUPPORTED', '+0.87', '[+0.03, +0.93]', '49 of 40', 7)
    """
    judgement = entry.judgement
    findings = words.contrast_findings(entry)
    effects = tuple(_effect(finding) for finding in findings)
    weakest = words.weakest(findings)
    notes = []
    if judgement.indication not in (None, Verdict.INCONCLUSIVE):
        notes.append(f"indicates {judgement.indication}")
    if judgement.missing:
        notes.append(f"missing: {_seeds(len(judgement.missing))}")
    if entry.registration.status != "registered":
        notes.append(entry.registration.status)
    if entry.registration.laboratory:
        notes.append(f"laboratory {entry.registration.laboratory}")
    if revisions := words.revisions(entry.registration):
        notes.append(revisions)
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
        saved=len(entry.saved_seeds),
        attempt=entry.registration.attempt,
        expected=words.expectation(entry.claim),
        outcome=entry.gate.outcome,
        reason=entry.gate.reason,
        cost=words.cpu_time(entry.cost),
        notes=tuple(notes),
        record=_record_notes(entry),
        collapse_bound=collapse_bound(judgement.n) if judgement.n else None,
    )


def _record_notes(entry: ClaimEvidence) -> tuple[str, ...]:
    """Return what a verbose table adds: the e-value and the earlier attempts."""
    earlier = words.earlier_attempts(entry.registration.earlier)
    return (
        *([f"e-value {entry.e_value:.3g}"] if entry.e_value is not None else []),
        *([f"earlier attempts: {earlier}"] if earlier else []),
    )


def verdict_rows(evidence: Evidence) -> list[VerdictRow]:
    """Return one table row per claim, in the order of the evidence.

    >>> from memkit.evidence import Evidence
    >>> from memkit.evidence.reports import verdict_rows
    >>> evidence = Evidence(created="2026-11-22T18:30:00+00:00", provenance={}, claims=())
    >>> [f"{row.claim}: {row.verdict}" for row in verdict_rows(evidence)]
    []
    """
    return [verdict_row(entry) for entry in evidence.claims]


def _effect(finding: Finding) -> EffectRow:
    places = words.decimals(finding)
    return EffectRow(
        label=words.label(finding.contrast),
        metric=finding.contrast.metric,
        verdict=finding.verdict,
        estimate=words.format_number(finding.interval.estimate, places),
        interval=words.format_interval(finding.interval.low, finding.interval.high, places),
        capital=words.closest_capital(finding),
        notes=words.short_notes(finding),
    )


# The terminal -------------------------------------------------------------------------------------

_INDENT = 16
"""The width of "✓ INCONCLUSIVE" and two spaces, so that the numbers start below the claim's id."""
_MIN_WIDTH = 40
_WIDE = 110
"""From this width on, every contrast has a line."""
_MAX_WIDTH = 130
"""In wider tables the expectation would be too far from its claim to be read as the same line."""
_COLOURS: Mapping[Verdict, str] = {
    Verdict.SUPPORTED: "1;36",
    Verdict.REFUTED: "1;33",
    Verdict.EQUIVALENT: "1;35",
    Verdict.INCONCLUSIVE: "1",
    Verdict.INCOMPLETE: "1",
}
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "≈": "=", "…": "~", "·": "|", "±": "~", "–": "-", "−": "-", "«": '"', "»": '"', "’": "'"}
)
"""Every character is replaced by exactly one, so that columns keep their widths."""


def terminal_table(
    claims: Sequence[ClaimEvidence], *, width: int, colour: bool = False, ascii: bool = False, verbose: bool = False
) -> list[str]:
    """Return the table of verdicts as lines of text.

    Each claim has two lines: verdict, id and expectation; then the weakest contrast's estimate, interval and capital.
    From a width of 110 characters on, each contrast has a line. Notes that qualify the numbers follow.

    A run's claims are ``load(path).claims`` (:func:`memkit.evidence.load`); this example builds one by hand.

    >>> from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Gate, Observation, Registration, judge
    >>> from memkit.evidence.reports import terminal_table
    >>> over = Contrast("new", over="old", metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="lab/new", statement="New beats old.", arms={"new": Arm(), "old": Arm()}, contrasts=(over,))
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> observations = tuple(
    ...     Observation(claim="lab/new", seed=seed, arm=arm, metric="accuracy", value=value)
    ...     for seed in registration.seeds(8)
    ...     for arm, value in (("new", 0.9 + seed % 3 / 50), ("old", 0.05))
    ... )
    >>> entry = ClaimEvidence(
    ...     claim=claim,
    ...     nodeid="test_new.py::test_new",
    ...     registration=registration,
    ...     planned=registration.seeds(32),
    ...     observations=observations,
    ...     judgement=judge(claim, observations, planned=registration.seeds(32)),
    ...     gate=Gate("passed", "expected supported, found SUPPORTED"),
    ... )
    >>> for line in terminal_table([entry], width=80)[:3]:
    ...     print(line)
    verdict         effect  interval         capital  seeds  attempt
    ✓ SUPPORTED     lab/new                                       expected supported
                     +0.87  [+0.03, +0.93]  49 of 40   7/32        1

    Args:
        claims: the claims, in the order to print.
        width: the terminal's width in characters, at least 40; no line is longer.
        colour: add ANSI colours, which repeat what the text says.
        ascii: use ASCII characters only, for terminals that cannot print others.
        verbose: add each claim's e-value and earlier attempts.
    """
    rows = [verdict_row(entry) for entry in words.claims_with_rows(claims)]
    if verbose:
        rows = [replace(row, notes=row.notes + row.record) for row in rows]
    width = max(width, _MIN_WIDTH)
    sweeps = _sweep_lines(claims, width)
    if ascii:
        rows = [_spell_infinity(row) for row in rows]
    if not rows:
        return [line.render(width, colour=colour, ascii=ascii) for line in sweeps]
    table = _Table(rows, width=min(width, _MAX_WIDTH), wide=width >= _WIDE)
    lines: list[_Line] = [table.heading()]
    for row in rows:
        lines += table.claim(row)
    counts = " ".join(filter(None, (words.mutants_sentence(claims), replications_sentence(claims))))
    lines += [*table.footer(counts), *sweeps]
    return [line.render(width, colour=colour, ascii=ascii) for line in lines]


def _sweep_lines(claims: Sequence[ClaimEvidence], width: int) -> list[_Line]:
    """Return each sweep as a grid, followed by the legend."""
    lines = [line for grid in grids(claims) for line in ("", *grid_lines(grid, width=width))]
    return [_Line(line) for line in [*lines, *(textwrap.wrap(LEGEND, width) if lines else [])]]


def _spell_infinity(row: VerdictRow) -> VerdictRow:
    """Replace ∞ by ``inf``, which is longer; this has to happen before the columns' widths are measured."""

    def spell(effect: EffectRow) -> EffectRow:
        interval, capital = (text.replace("∞", "inf") for text in (effect.interval, effect.capital))
        return replace(effect, interval=interval, capital=capital)

    weakest = spell(row.weakest) if row.weakest is not None else None
    return replace(row, effects=tuple(map(spell, row.effects)), weakest=weakest)


@dataclass(frozen=True)
class _Line:
    """A line of text, and the spans of it that may be coloured: (start, end, ANSI code)."""

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
    """The lines of a table; the widths of its columns are measured once, over all rows."""

    def __init__(self, rows: Sequence[VerdictRow], *, width: int, wide: bool) -> None:
        self.rows, self.width, self.wide = rows, width, wide
        effects = [effect for row in rows for effect in self._shown(row)]
        self.estimate = max([6, *(len(effect.estimate) for effect in effects)])
        self.interval = max([8, *(len(effect.interval) for effect in effects)])
        self.capital = max([7, *(len(effect.capital) for effect in effects)])
        self.seeds = max([5, *(len(f"{row.used}/{row.planned}") for row in rows)])
        numbers = self.estimate + self.interval + self.capital + self.seeds + len("attempt") + 4 * 2
        # On a narrow screen the numbers move to the left, so that they are not cut off.
        self.indent = min(_INDENT, max(2, width - numbers))
        room = width - self.indent - numbers - 2 - (10 if wide else 0)
        labels = [len(_plain(effect.label)) for effect in effects]
        self.label = min(max([8, *labels]), room) if wide else 0

    def _shown(self, row: VerdictRow) -> Sequence[EffectRow]:
        if self.wide:
            return row.effects
        return (row.weakest,) if row.weakest is not None else ()

    def _numbers(
        self, label: str, estimate: str, interval: str, capital: str, seeds: str, attempt: str, cost: str
    ) -> str:
        columns = [f"{words.elide(label, self.label):<{self.label}}"] if self.wide else []
        columns += [f"{estimate:>{self.estimate}}", f"{interval:<{self.interval}}", f"{capital:>{self.capital}}"]
        columns += [f"{seeds:>{self.seeds}}", f"{attempt:>7}"]
        if self.wide:
            columns.append(f"{cost:>8}")
        return " " * self.indent + "  ".join(columns)

    def heading(self) -> _Line:
        text = self._numbers("contrast", "effect", "interval", "capital", "seeds", "attempt", "CPU time")
        if self.indent == _INDENT:
            text = f"{'verdict':<{_INDENT}}{text[_INDENT:]}"
        return _Line(text, ((0, len(text), "2"),))

    def claim(self, row: VerdictRow) -> list[_Line]:
        failed = row.outcome == "failed"
        expected = f"expected {row.expected}" + (": FAILED" if failed else "")
        room = self.width - _INDENT
        expected_fits = len(row.claim) + 2 + len(expected) <= room
        head = f"{words.MARKS[row.verdict]} {row.verdict.value}"
        first = f"{head:<{_INDENT}}{words.elide(_plain(row.claim), room)}"
        colours = [(0, len(head), _COLOURS[row.verdict])]
        if expected_fits:
            first = f"{first:<{self.width - len(expected)}}{expected}"
            if failed:
                colours.append((len(first) - len("FAILED"), len(first), "1;31"))
        lines = [_Line(first, tuple(colours))]
        facts = (f"{row.used}/{row.planned}", str(row.attempt), row.cost)
        for number, effect in enumerate(self._shown(row)):
            rest = facts if number == 0 else ("", "", "")
            numbers = (effect.estimate, effect.interval, effect.capital)
            lines.append(_Line(self._numbers(_plain(effect.label), *numbers, *rest)))
            if self.wide and effect.notes:
                lines += self._wrapped(" · ".join(effect.notes), self.indent + 2)
        if not row.effects:
            lines.append(_Line(self._numbers("no observations", "n/a", "n/a", "n/a", *facts)))
        notes = [] if expected_fits else [expected]
        if not self.wide and row.weakest is not None:
            if len(row.effects) > 1:
                notes.append(f"weakest of {len(row.effects)} contrasts: {_plain(row.weakest.label)}")
            notes += row.weakest.notes
        if row.outcome == "skipped" and row.expected != "open":
            notes.append("gates nothing")
        notes += row.notes
        return lines + (self._wrapped(" · ".join(notes), self.indent) if notes else [])

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

    def footer(self, counts: str) -> list[_Line]:
        """Return the footer: what the seeds cannot rule out, then ``counts``, on mutants and replications."""
        sizes = [row.used for row in self.rows if row.used > 1 and row.verdict is not Verdict.INCOMPLETE]
        if not sizes:
            return self._wrapped(counts, 0)
        rates = " and ".join(
            f"{words.percent(collapse_bound(n))} with {n} seeds" for n in dict.fromkeys((min(sizes), max(sizes)))
        )
        sentences = [f"Even if no seed collapsed, the collapse rate may be up to {rates}.", counts]
        if any(row.saved for row in self.rows):
            sentences.insert(0, "Seeds: used/at most; a claim stops once it is decided.")
        if any(effect.capital != words.NORMAL_THEORY for row in self.rows for effect in row.effects):
            sentences.insert(0, "Capital: what bets on the verdict, or the closest one, made of 1, and what it needs.")
        return self._wrapped(" ".join(filter(None, sentences)), 0)


def _plain(text: str) -> str:
    """Return the text on one line, without control characters, which could move the cursor of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


# Markdown -----------------------------------------------------------------------------------------


def markdown_table(evidence: Evidence) -> str:
    """Return the gate's result and the table of verdicts as GitHub Markdown, for ``$GITHUB_STEP_SUMMARY``.

    >>> from memkit.evidence import Evidence
    >>> from memkit.evidence.reports import markdown_table
    >>> print(markdown_table(Evidence(created="2026-11-22T18:30:00+00:00", provenance={}, claims=())))
    **No claims.**
    <BLANKLINE>
    """
    rows = [verdict_row(entry) for entry in words.claims_with_rows(evidence.claims)]
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
        "Interval",
        "Capital",
        "Seeds",
        "Attempt",
        "Expected",
        "Gate",
    ]
    lines += [
        _pipes(heads),
        _pipes(["---", "---", "---", "---:", "---", "---:", "---:", "---:", "---", "---"]),
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
                        _markdown(effect.interval),
                        effect.capital,
                        *(tail if first else [""] * 4),
                    ]
                )
            )
    for sentence in filter(None, (words.mutants_sentence(evidence.claims), replications_sentence(evidence.claims))):
        lines += ["", sentence]
    failed = [row for row in rows if row.outcome == "failed"]
    if failed:
        lines += ["", *(f"- {_markdown(row.claim)}: {_markdown(row.reason)}" for row in failed)]
    return "\n".join([*lines, *sweeps, ""])


def gate_sentence(claims: Sequence[ClaimEvidence]) -> str:
    """Return the gate's result in a sentence: ``Gate failed: 3 passed, 1 failed, 2 gate nothing.``"""
    counts = {name: sum(entry.gate.outcome == name for entry in claims) for name in words.OUTCOMES}
    if not claims:
        return "No claims."
    head = "Gate failed" if counts["failed"] else "Gate passed" if counts["passed"] else "Nothing decided"
    skipped = f"{counts['skipped']} gate{'s' if counts['skipped'] == 1 else ''} nothing"
    return f"{head}: {counts['passed']} passed, {counts['failed']} failed, {skipped}."


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    """Escape ``text``, so that a table cell shows it literally, without markup, HTML or further cells."""
    plain = _plain(text)
    for character in "\\`*_[]|~":
        plain = plain.replace(character, "\\" + character)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
