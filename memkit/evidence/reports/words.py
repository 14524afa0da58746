"""Numbers, verdicts and sentences that are worded alike in every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memkit.errors import count_of
from memkit.evidence.attempt import Attempt
from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.evidence_file import ClaimEvidence, seeds_saved
from memkit.evidence.registration import Registration
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Finding, Verdict
from memkit.statistics import LEAST_SEEDS, LOOKS, Interval, Thresholds

MARKS = {
    Verdict.SUPPORTED: "✓",
    Verdict.REFUTED: "✗",
    Verdict.EQUIVALENT: "≈",
    Verdict.INCONCLUSIVE: "?",
    Verdict.INCOMPLETE: "…",
}
UNKNOWN = "unknown: "
"""The prefix of a provenance entry that could not be determined; the reason follows it."""
NORMAL_THEORY = "normal theory"
"""What is shown instead of a capital if Student's t decides."""
OUTCOMES = {"passed": "passed", "failed": "FAILED", "skipped": "gates nothing"}


def format_number(value: float, decimals: int, *, signed: bool = True) -> str:
    """Format a number as ``+0.80``, an infinite one as ``-∞`` or ``+∞``, and nan as ``n/a``."""
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "-∞" if value < 0 else "+∞"
    if abs(value) >= 1e6:
        return f"{value:+.2e}" if signed else f"{value:.2e}"
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    return text.replace("-", "+" if signed else "") if float(text) == 0 else text  # no negative zero


def decimals(finding: Finding) -> int:
    """Return the number of decimals that shows two significant digits of the width of the interval."""
    width = finding.interval.high - finding.interval.low
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(width)), 0 if width >= 100 else 2), 6)


def format_interval(low: float, high: float, places: int) -> str:
    """Format an interval as ``[+0.74, +0.86]``; only a limit that is 0, or below 1e-6 in size, reads as 0."""
    # Readers check whether an interval contains 0, so rounding must not move a limit there.
    return f"[{limit(low, places)}, {limit(high, places)}]"


def limit(value: float, places: int) -> str:
    """Format a limit of an interval: as :func:`format_number`, with up to six decimals if it would read as 0."""
    while value and places < 6 and math.isfinite(value) and abs(value) < 0.5 * 10.0**-places:
        places += 1
    return format_number(value, places)


def limit_levels(interval: Interval) -> str:
    """Say how certain each limit is: ``each limit at 97.5 %``, ``lower limit at 97.5 %, upper limit at 98.75 %``."""
    low, high = (f"{100 * level:.4g} %" for level in (interval.low_level, interval.high_level))
    return f"each limit at {low}" if low == high else f"lower limit at {low}, upper limit at {high}"


def capital(value: float) -> str:
    """Format a capital: ``83``, ``3.4``, ``6.6e+08``, ``< 0.01`` or ``∞``; it is rounded down."""
    if math.isinf(value):
        return "∞"
    value *= 1 + 1e-9  # a capital of exactly 40 may be a little less after it was computed from its logarithm
    if value < 0.01:
        return "< 0.01"
    # Rounding up could show a capital that has not been reached.
    places = 2 if value < 1 else 1 if value < 10 else 0
    return f"{math.floor(value * 10**places) / 10**places:.{places}f}" if value < 1e6 else f"{value:.1e}"


def capital_of(won: float, needed: float) -> str:
    """Format a capital beside the one that is needed: ``83 of 40``."""
    return f"{capital(won)} of {needed:g}"


def capitals(finding: Finding) -> dict[Verdict, tuple[float, float]]:
    """Return verdict → its capital and the capital that it needs; empty if Student's t decides."""
    won, needed = finding.capital, finding.thresholds
    if won is None:
        return {}
    pairs = {Verdict.SUPPORTED: (won.above, needed.support), Verdict.REFUTED: (won.below, needed.refute)}
    if won.equivalence is not None:
        pairs[Verdict.EQUIVALENT] = (won.equivalence, needed.equivalence)
    return pairs


def closest_capital(finding: Finding) -> str:
    """Return the capital for the verdict, or for the one that is closest, as ``83 of 40``; or ``normal theory``."""
    pairs = capitals(finding)
    if not pairs:
        return NORMAL_THEORY

    def progress(pair: tuple[float, float]) -> float:
        won, needed = pair
        return math.log(won) / math.log(needed) if won > 0 else -math.inf

    return capital_of(*pairs.get(finding.verdict, max(pairs.values(), key=progress)))


def compact(value: float) -> str:
    """Format a number with three significant digits: ``0.083``, ``12``."""
    return format_number(value, 0, signed=False) if math.isinf(value) else f"{value:.3g}"


def p_value(p: float | None) -> str:
    """Format a p value: ``0.013``, ``< 0.0001``, or ``n/a``."""
    if p is None or math.isnan(p):
        return "n/a"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def percent(share: float) -> str:
    """Format a share: ``31 %``."""
    return f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """Format a duration: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def cpu_time(cost: Mapping[str, float]) -> str:
    """Return the CPU time that training and measuring took together, or "" if neither was recorded."""
    parts = [cost[name] for name in ("trained", "measured") if name in cost]
    return duration(sum(parts)) if parts else ""


def claims_with_rows(claims: Iterable[ClaimEvidence]) -> list[ClaimEvidence]:
    """Return the claims that have a row in the table of verdicts; replications come last.

    Cells of sweeps have a table of their own, and mutants that failed as they should are only counted.
    """
    rows = [e for e in claims if not e.claim.sweep and not (e.claim.is_mutant and e.gate.outcome == "passed")]
    return sorted(rows, key=lambda e: e.claim.is_replication)


def mutants_sentence(claims: Iterable[ClaimEvidence]) -> str:
    """Count the mutants that failed as they should, in a sentence; "" if there were none."""
    count = sum(entry.claim.is_mutant and entry.gate.outcome == "passed" for entry in claims)
    if not count:
        return ""
    if count == 1:
        return "1 mutant, a claim with an arm broken on purpose, failed as it should."
    return f"{count} mutants, claims with an arm broken on purpose, failed as they should."


def _common_label(labels: Iterable[str]) -> str:
    """Return one label for contrasts of several cells: ``slots over lstm``, ``each over lstm``."""
    distinct = list(dict.fromkeys(labels))
    controls = {label.partition(" over ")[2] for label in distinct}
    if len(distinct) == 1:
        return distinct[0]
    return f"each over {controls.pop()}" if len(controls) == 1 else "each over its control"


def cells_label(cells: Iterable[Sequence[str]]) -> str:
    """Return one label for the cells of a sweep, given the contrasts' labels of each cell.

    It is ``slots over lstm`` if all cells compare the same, ``each over lstm`` if only the control is the same, and
    ``slots over each of its controls`` if a cell has several contrasts.
    """
    cells = list(cells)
    labels = [label for cell in cells for label in cell]
    if all(len(cell) == 1 for cell in cells) or len(set(labels)) == 1:
        return _common_label(labels)
    treatments = {label.partition(" over ")[0] for label in labels}
    return f"{treatments.pop() if len(treatments) == 1 else 'each'} over each of its controls"


def setting(factor: str, value: object) -> str:
    """Return a factor's value for a table: ``level 3``, or a string alone; unprintable characters become ``?``."""
    text = value if isinstance(value, str) else f"{factor.replace('_', ' ')} {value}"
    return "".join(c if c.isprintable() else "?" for c in text)


def row_and_column(cell: Mapping[str, Any]) -> tuple[str, str]:
    """Return the row and the column of a sweep's cell.

    The last factor makes the columns. If it is the only one, it makes the rows, and the one column is ``effect``.
    """
    *row_factors, last = cell.items()
    if not row_factors:
        return setting(*last), "effect"
    return ", ".join(setting(*factor) for factor in row_factors), setting(*last)


def earlier_attempts(attempts: Iterable[Attempt]) -> str:
    """Return the outcomes of earlier attempts: ``1: REFUTED, n = 8, 2026-01-31; 2: not recorded``; or "".

    The numbers are those of attempts that count; one that left no measurement has none.
    """
    texts, number = [], 0
    for attempt in attempts:
        number += not attempt.unmeasured
        texts.append(f"{'not counted' if attempt.unmeasured else number}: {attempt}")
    return "; ".join(texts)


def revisions(registration: Registration) -> str:
    """Say how the code changed: ``code revised twice, code changed since registration``; "" if it never did."""
    names = {0: "", 1: "code revised once", 2: "code revised twice"}
    revised = names.get(registration.revision, f"code revised {registration.revision} times")
    changed = "code changed since registration" if registration.recoded else ""
    return ", ".join(part for part in (revised, changed) if part)


def expectation(claim: Claim) -> str:
    """Return the expected verdict in words: ``not supported``, ``open``."""
    return claim.expect.replace("_", " ")


def elide(text: str, width: int, ellipsis: str = "…") -> str:
    """Return ``text``, with its middle replaced by ``ellipsis`` if it is longer than ``width`` characters."""
    if len(text) <= width:
        return text
    keep = width - len(ellipsis)
    if keep < 2:
        return text[: max(width, 0)]
    return text[: (keep + 1) // 2] + ellipsis + text[len(text) - keep // 2 :]


def used_seeds(entry: ClaimEvidence) -> tuple[int, ...]:
    """Return the seeds that the findings are computed from; seeds observed beyond them are shown, but not used."""
    return entry.observed_seeds[: entry.judgement.n]


def stopping_sentence(entry: ClaimEvidence) -> str:
    """Say with how many seeds the claim was decided, or why it was not: ``Decided at n = 8 of at most 32.``"""
    judgement, most = entry.judgement, len(entry.planned)
    n = f"n = {judgement.n}" + (f" of at most {most}" if judgement.n < most else ", the planned maximum")
    if judgement.decided_at is not None:
        return f"Decided at {n}."
    if judgement.indication is not None:
        least = LOOKS[0].n if entry.claim.assumes_normality else LEAST_SEEDS
        if judgement.n < least:
            return f"{count_of(judgement.n, 'seed')} cannot decide anything; the rule needs {least}."
        return f"The decision rule stopped at {n}, but these seeds decide nothing."
    if entry.verdict is Verdict.INCOMPLETE:
        return "Not judged: observations are missing or unusable, or a precondition does not hold."
    if judgement.n < max(entry.claim.looks(most), default=0):
        return f"Stopped at {n}, because further seeds like these have hardly any chance of deciding the claim."
    return f"Undecided after the last look, at {judgement.n} seeds."


def seed_counts(entry: ClaimEvidence) -> str:
    """Count the used, unused and unneeded seeds in a sentence, and name the missing seeds."""
    used = used_seeds(entry)
    parts = [f"{len(used)} used of at most {len(entry.planned)}" + (f" ({seed_ranges(used)})" if used else "")]
    if unused := len(entry.observed_seeds) - len(used):
        parts.append(f"{unused} more measured but not used")
    if saved := len(entry.saved_seeds):
        parts.append(f"{saved} never needed")
    missing = entry.judgement.missing
    return ", ".join(parts) + "." + (f" Missing: {seed_ranges(missing)}." if missing else "")


def seeds_option(seeds: object) -> object:
    """Explain a run's number of ``--seeds``; a string, which the provenance holds if none was given, is not changed."""
    return f"at most {seeds} per claim" if isinstance(seeds, int) else seeds


def commit(provenance: Mapping[str, Any], digits: int = 40) -> str:
    """Return the commit that ran, and whether there were uncommitted changes; "" if no commit is recorded."""
    if "commit" not in provenance:
        return ""
    recorded, dirty = provenance["commit"], provenance.get("dirty")
    if recorded is None:
        return "none: not a git repository"
    if str(recorded).startswith(UNKNOWN):
        return str(recorded)
    if recorded == "":
        return "not known"
    text = str(recorded)[:digits] if str(recorded).isalnum() else str(recorded)  # merged files may name several
    if isinstance(dirty, str):
        return f"{text}; whether there are uncommitted changes is {dirty}"
    return text if dirty is None else text + (", with uncommitted changes" if dirty else ", clean")


def savings(claims: Iterable[ClaimEvidence]) -> str:
    """Say how many seeds early decisions saved: ``72 of at most 128 seeds (56 %) were never needed``; "" if none."""
    saved, planned = seeds_saved(claims)
    verb = "was" if saved == 1 else "were"
    return f"{saved} of at most {planned} seeds ({percent(saved / planned)}) {verb} never needed" if saved else ""


def label(contrast: Contrast) -> str:
    """Say what is compared: ``a over b``, or ``a below b, margin 0.1`` if lower is better.

    An effect is positive if its label holds, so it always favours the treatment.
    """
    text = contrast.label if contrast.direction == "higher" else contrast.label.replace(" over ", " below ", 1)
    return text + (f", margin {margin(contrast)}" if contrast.margin else "")


def margin(contrast: Contrast) -> str:
    """Format a contrast's margin: ``−0.02``."""
    return f"{contrast.margin:g}".replace("-", "−")


def statement(claim: Claim) -> str:
    """Return a claim's registered statement; for a mutant, reworded to say that it has to fail."""
    for arm in claim.arms if claim.is_mutant else ():
        prefix = f"Broken on purpose, {arm} with its "
        if claim.statement.startswith(prefix):
            change, _, original = claim.statement.removeprefix(prefix).partition(": ")
            return f"Must fail, because {arm} was broken on purpose ({change}): {original}"
    return claim.statement


def difference(contrast: Contrast) -> str:
    """Write the difference that is positive if the contrast's label holds: ``0.95 − slots`` for «slots below 0.95»."""
    control = contrast.over if isinstance(contrast.over, str) else f"{contrast.over:g}"
    pair = (contrast.treatment, control) if contrast.direction == "higher" else (control, contrast.treatment)
    return " − ".join(pair)


def contrast_findings(entry: ClaimEvidence) -> list[Finding]:
    """Return the findings on the claim's contrasts, without preconditions and the positive control."""
    return [finding for finding in entry.judgement.findings if finding.role == "contrast"]


def weakest(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding that supports the claim least; None if there are no findings."""
    order = [Verdict.REFUTED, Verdict.INCOMPLETE, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.SUPPORTED]

    def strength(finding: Finding) -> tuple[int, float, float]:
        distance = finding.interval.estimate - finding.contrast.margin
        if math.isnan(distance):
            return (order.index(finding.verdict), 0.0, 0.0)
        if finding.verdict is Verdict.EQUIVALENT:
            return (order.index(finding.verdict), -finding.p, 0.0)
        # The two-sided p, or 2 − p if the estimate lies on the wrong side, falls as the support grows.
        return (order.index(finding.verdict), -(finding.p if distance >= 0 else 2 - finding.p), distance)

    return min(findings, key=strength, default=None)


def short_notes(finding: Finding) -> tuple[str, ...]:
    """Return the short notes that qualify a contrast's numbers: ``negligible``, ``least effect 0.12``."""
    notes, plan = [], finding.planning
    if finding.negligible:
        notes.append("negligible")
    if finding.contrast.clip and finding.contrast.bounds is not None:
        low, high = finding.contrast.bounds
        notes.append(f"clipped to {low:g} to {high:g}")
    if "mde" in plan:
        notes.append(f"least effect {compact(plan['mde'])}")
    if "seeds_needed" in plan:
        notes.append(f"seeds needed {compact_count(plan['seeds_needed'])}")
    return tuple(notes)


def compact_count(value: float) -> str:
    """Format a number of seeds: ``96``, or ``> 10000`` if it is larger than anyone can run."""
    return "> 10000" if value > 10_000 else str(math.ceil(value))


def quantity(contrast: Contrast) -> tuple[str, str]:
    """Name the two sides of a contrast: ``accuracy of dynamic``, ``the constant 0.2``."""
    control = (
        f"the constant {contrast.over:g}"
        if not isinstance(contrast.over, str)
        else f"{contrast.metric} of {contrast.over}"
    )
    return f"{contrast.metric} of {contrast.treatment}", control


@dataclass(frozen=True)
class Falsifier:
    """The observations that would contradict a registered verdict.

    Attributes:
        lead: the sentence that introduces the items.
        items: one per contrast.
        close: the sentence after the items, or "".
    """

    lead: str
    items: tuple[str, ...]
    close: str = ""


def falsifier(claim: Claim, thresholds: Thresholds) -> Falsifier:
    """Say in words what would contradict the registered verdict, given the contrasts and the expectation.

    Args:
        claim: the claim.
        thresholds: what the capital has to reach, from the claim's registration.
    """
    needed, most = replace(thresholds, contrasts=len(claim.contrasts)), claim.planned(None)
    refuting = tuple(f"{_relation(c, supports=False)}{_shown_by(c, needed.refute)}" for c in claim.contrasts)
    supporting = tuple(f"{_relation(c, supports=True)}{_shown_by(c, needed.support)}" for c in claim.contrasts)
    several = len(claim.contrasts) > 1
    every = "all of these are shown by the same seeds" if several else "this is shown"
    undecided = f"It also fails if it is still inconclusive with {most} seeds"
    if claim.expect == "supported":
        equivalent = ", or if equivalence is shown first" if all(c.sesoi is not None for c in claim.contrasts) else ""
        lead = f"It is refuted as soon as {'any of these' if several else 'this'} is shown:"
        return Falsifier(lead, refuting, f"{undecided}{equivalent}.")
    if claim.expect == "refuted":
        return Falsifier(f"It is registered as refuted, which is wrong if {every}:", supporting, f"{undecided}.")
    if claim.expect == "not_supported":
        close = "It also fails if it is merely undecided: no effect that would matter may remain possible."
        lead = f"It is registered as not supported, which is wrong if {every}:"
        return Falsifier(lead, supporting, close if claim.is_mutant else "")
    if claim.expect == "open":
        equivalent = ""
        if all(c.sesoi is not None for c in claim.contrasts):
            limits = ", ".join(dict.fromkeys(f"±{c.sesoi:g}" for c in claim.contrasts))
            equivalent = f"It is equivalent if all differences are shown to lie inside {limits}."
        lead = f"The question is open, and no answer fails the run. It is supported if {every}:"
        return Falsifier(lead, supporting, equivalent)
    not_equivalent = tuple(
        f"{most} seeds do not show that the difference between {' and '.join(quantity(c))} lies inside ±{c.sesoi:g}"
        f"{_shown_by(c, needed.equivalence)}"
        for c in claim.contrasts
    )
    control = claim.judged_positive_control
    close = f"It also fails if the positive control, {label(control)}, is not supported." if control else ""
    return Falsifier(f"Equivalence fails if {'any of these' if several else 'this'} holds:", not_equivalent, close)


def _relation(contrast: Contrast, *, supports: bool) -> str:
    """Say what supports or refutes a contrast: ``accuracy of a is below accuracy of b``."""
    treatment, control = quantity(contrast)
    up, down = ("above", "below") if contrast.direction == "higher" else ("below", "above")
    margin = contrast.margin
    if margin == 0:
        where = up if supports else down
    elif margin > 0:
        where = f"{'more' if supports else 'less'} than {margin:g} {up}"
    else:
        where = f"{'less' if supports else 'more'} than {-margin:g} {down}"
    return f"{treatment} is {where} {control}"


def _shown_by(contrast: Contrast, needed: float) -> str:
    return ", by Student’s t" if contrast.assume == "normal" else f", by a capital of {needed:g}"
