"""Numbers and verdicts in words, the same in every report. ASCII, but for the infinity sign and dashes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.evidence_file import ClaimEvidence, seeds_saved
from memkit.evidence.registration import Registration
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Finding, Verdict
from memkit.statistics import LOOKS

MARKS = {
    Verdict.SUPPORTED: "✓",
    Verdict.REFUTED: "✗",
    Verdict.EQUIVALENT: "≈",
    Verdict.INCONCLUSIVE: "?",
    Verdict.INCOMPLETE: "…",
}
UNKNOWN = "unknown: "
"""The beginning of a fact of the provenance that could not be found out; the reason follows."""
OUTCOMES = {"passed": "passed", "failed": "FAILED", "skipped": "gates nothing"}


def fixed(value: float, decimals: int, *, signed: bool = True) -> str:
    """Format a number as ``+0.80``; ``-∞`` for an interval without an end, ``n/a`` for nan."""
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "-∞" if value < 0 else "+∞"
    if abs(value) >= 1e6:
        return f"{value:+.2e}" if signed else f"{value:.2e}"
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    return text.replace("-", "+" if signed else "") if float(text) == 0 else text  # no negative zero


def decimals(finding: Finding) -> int:
    """Return the decimals that show two digits of the narrowest interval's width, so that rounding leaves one."""
    widths = [i.high - i.low for i in finding.intervals]
    widths = [width for width in widths if math.isfinite(width) and width > 0]
    if not widths:
        return 2
    return min(max(1 - math.floor(math.log10(min(widths))), 0 if min(widths) >= 100 else 2), 6)


def span(low: float, high: float, places: int) -> str:
    """Format an interval, ``[+0.74, +0.86]``, its limits by :func:`off_zero`: readers look for whether it holds 0."""
    return f"[{off_zero(low, places)}, {off_zero(high, places)}]"


def off_zero(value: float, places: int) -> str:
    """Format a number as :func:`fixed` does, with more decimals, up to six, where it would read as 0 and is not."""
    while value and places < 6 and math.isfinite(value) and abs(value) < 0.5 * 10.0**-places:
        places += 1
    return fixed(value, places)


def compact(value: float) -> str:
    """Format a number to three digits or so: ``0.083``, ``12``."""
    return fixed(value, 0, signed=False) if math.isinf(value) else f"{value:.3g}"


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
    """Return the CPU time that training and measuring took together; "" where neither was recorded."""
    parts = [cost[name] for name in ("trained", "measured") if name in cost]
    return duration(sum(parts)) if parts else ""


def in_tables(claims: Iterable[ClaimEvidence]) -> list[ClaimEvidence]:
    """Return the claims that have a row: no cells of sweeps, which have a table of their own, and no mutants that fell.

    Replications come last.
    """
    rows = [e for e in claims if not e.claim.sweep and not (e.claim.is_mutant and e.gate.outcome == "passed")]
    return sorted(rows, key=lambda e: e.claim.is_replication)


def fallen(claims: Iterable[ClaimEvidence]) -> str:
    """Say ``3 mutants, claims with an arm broken on purpose, fell as they must.``; "" where there were none."""
    count = sum(entry.claim.is_mutant and entry.gate.outcome == "passed" for entry in claims)
    if not count:
        return ""
    if count == 1:
        return "1 mutant, a claim with an arm broken on purpose, fell as it must."
    return f"{count} mutants, claims with an arm broken on purpose, fell as they must."


def one_label(labels: Iterable[str]) -> str:
    """Say what the cells of a sweep compare: ``slots over lstm``, or ``each over lstm`` where treatments differ."""
    found = list(dict.fromkeys(labels))
    controls = {label.partition(" over ")[2] for label in found}
    if len(found) == 1:
        return found[0]
    return f"each over {controls.pop()}" if len(controls) == 1 else "each over its control"


def cells_label(cells: Iterable[Sequence[str]]) -> str:
    """Say what cells with several contrasts each compare: ``slots over each of its controls``."""
    cells = list(cells)
    labels = [label for cell in cells for label in cell]
    if all(len(cell) == 1 for cell in cells) or len(set(labels)) == 1:
        return one_label(labels)
    treatments = {label.partition(" over ")[0] for label in labels}
    return f"{treatments.pop() if len(treatments) == 1 else 'each'} over each of its controls"


def setting(factor: str, value: object) -> str:
    """Return ``level 3``, or a text by itself; on one line, without control characters."""
    said = value if isinstance(value, str) else f"{factor.replace('_', ' ')} {value}"
    return "".join(c if c.isprintable() else "?" for c in said)


def place(cell: Mapping[str, Any]) -> tuple[str, str]:
    """Return the row and column of a sweep's cell: the last factor makes the columns, unless it is the only one."""
    *others, last = cell.items()
    if not others:
        return setting(*last), "effect"
    return ", ".join(setting(*factor) for factor in others), setting(*last)


def revisions(registration: Registration) -> str:
    """Say ``code changed since registration``, ``code revised twice``; "" where it is as it was registered first."""
    times = {0: "", 1: "code revised once", 2: "code revised twice"}
    said = times.get(registration.revision, f"code revised {registration.revision} times")
    return ", ".join(part for part in (said, "code changed since registration" if registration.recoded else "") if part)


def expectation(claim: Claim) -> str:
    """Return the expected verdict in words: ``not supported``, ``open``."""
    return claim.expect.replace("_", " ")


def elide(text: str, width: int, ellipsis: str = "…") -> str:
    """Return ``text`` in at most ``width`` characters, without its middle where it is longer."""
    if len(text) <= width:
        return text
    keep = width - len(ellipsis)
    if keep < 2:
        return text[: max(width, 0)]
    return text[: (keep + 1) // 2] + ellipsis + text[len(text) - keep // 2 :]


def used_seeds(entry: ClaimEvidence) -> tuple[int, ...]:
    """Return the seeds that the findings rest on; seeds that were seen beyond them are shown and never used."""
    return entry.seen[: entry.judgement.n]


def course(entry: ClaimEvidence) -> str:
    """Say in a sentence how the looks went: ``Decided at n = 8 of at most 32.``"""
    judgement, most = entry.judgement, len(entry.planned)
    n = f"n = {judgement.n}" + (f" of at most {most}" if judgement.n < most else ", the most that was planned")
    if judgement.look is not None:
        return f"Decided at {n}."
    if judgement.indication is not None:
        looked = judgement.n in {look.n for look in LOOKS}
        ended = f"The looks ended at {n}" if looked else "No look was taken"
        return f"{ended}: these seeds decide nothing."
    if entry.verdict is Verdict.INCOMPLETE:
        return "Not judged: observations or preconditions are lacking."
    return f"Undecided after the last look, at {judgement.n} seeds."


def seed_counts(entry: ClaimEvidence) -> str:
    """Say ``8 used of at most 32 (10000–10007), 24 never needed.``, and name the seeds that are missing."""
    used = used_seeds(entry)
    parts = [f"{len(used)} used of at most {len(entry.planned)}" + (f" ({seed_ranges(used)})" if used else "")]
    if beyond := len(entry.seen) - len(used):
        parts.append(f"{beyond} more seen and not used")
    if saved := len(entry.saved):
        parts.append(f"{saved} never needed")
    missing = entry.judgement.missing
    return ", ".join(parts) + "." + (f" Missing: {seed_ranges(missing)}." if missing else "")


def seeds_asked(asked: object) -> object:
    """Say what a run's ``--seeds`` means; the provenance records a number, or a text where none was given."""
    if not isinstance(asked, int):
        return asked
    return f"at most {asked} a claim" if asked in {look.n for look in LOOKS} else f"{asked} a claim, which is no look"


def commit(provenance: Mapping[str, Any], digits: int = 40) -> str:
    """Return the commit that ran, and whether anything differed from it; "" where the provenance says nothing of it."""
    if "commit" not in provenance:
        return ""
    found, dirty = provenance["commit"], provenance.get("dirty")
    if found is None:
        return "none: not a git repository"
    if str(found).startswith(UNKNOWN):
        return str(found)
    if found == "":
        return "not known"
    said = str(found)[:digits] if str(found).isalnum() else str(found)  # merged files may name several
    if isinstance(dirty, str):
        return f"{said}; whether there are uncommitted changes is {dirty}"
    return said if dirty is None else said + (", with uncommitted changes" if dirty else ", clean")


def savings(claims: Iterable[ClaimEvidence]) -> str:
    """Say ``72 of at most 128 seeds (56 %) were never needed``; "" where none were saved."""
    saved, planned = seeds_saved(claims)
    verb = "was" if saved == 1 else "were"
    return f"{saved} of at most {planned} seeds ({percent(saved / planned)}) {verb} never needed" if saved else ""


def label(contrast: Contrast) -> str:
    """Say what is compared, in the sense of its numbers: ``a over b``, ``a below b, margin 0.1``.

    Effects are positive in the treatment's favour: where lower is better, they say how far the treatment is below.
    """
    said = contrast.label if contrast.direction == "higher" else contrast.label.replace(" over ", " below ", 1)
    return said + (f", margin {margin(contrast)}" if contrast.margin else "")


def margin(contrast: Contrast) -> str:
    """Format a contrast's margin: ``−0.02``."""
    return f"{contrast.margin:g}".replace("-", "−")


def statement(claim: Claim) -> str:
    """Return a claim's statement as it is registered; a mutant's, which is registered as a formula, as a sentence."""
    for arm in claim.arms if claim.is_mutant else ():
        formula = f"Broken on purpose, {arm} with its "
        if claim.statement.startswith(formula):
            change, _, broken = claim.statement.removeprefix(formula).partition(": ")
            return f"Must fall, for {arm} was broken on purpose ({change}): {broken}"
    return claim.statement


def difference(contrast: Contrast) -> str:
    """Write the difference that is positive where the label holds; for «slots below 0.95», ``0.95 − slots``."""
    control = contrast.over if isinstance(contrast.over, str) else f"{contrast.over:g}"
    pair = (contrast.treatment, control) if contrast.direction == "higher" else (control, contrast.treatment)
    return " − ".join(pair)


def own_findings(entry: ClaimEvidence) -> list[Finding]:
    """Return the findings on the claim's contrasts, without preconditions and the positive control."""
    return [finding for finding in entry.judgement.findings if finding.role == "contrast"]


def weakest(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding on which the claim stands or falls: the least supported, then the nearest to its margin."""
    order = [Verdict.REFUTED, Verdict.INCOMPLETE, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.SUPPORTED]

    def strength(finding: Finding) -> tuple[int, float, float]:
        distance = finding.t.estimate - finding.contrast.margin
        if math.isnan(distance):
            return (order.index(finding.verdict), 0.0, 0.0)
        if finding.verdict is Verdict.EQUIVALENT and finding.tost_p is not None:
            return (order.index(finding.verdict), -finding.tost_p, 0.0)
        # The two-sided p, or 2 − p where the estimate lies on the wrong side, falls as the support grows.
        return (order.index(finding.verdict), -(finding.p if distance >= 0 else 2 - finding.p), distance)

    return min(findings, key=strength, default=None)


def short_notes(finding: Finding) -> tuple[str, ...]:
    """Return what must be said beside a contrast's numbers, in a few words each."""
    notes = []
    if finding.contrast.assume == "normal":
        notes.append("normal theory")
    if finding.provisional:
        notes.append("provisional")
    if finding.negligible:
        notes.append("negligible")
    plan = finding.planning
    if "mde" in plan:
        notes.append(f"mde {compact(plan['mde'])}")
    if "seeds_needed" in plan:
        notes.append(f"seeds needed {compact_count(plan['seeds_needed'])}")
    if "betting_minimum" in plan:
        notes.append(f"betting minimum {compact(plan['betting_minimum'])}")
    return tuple(notes)


def compact_count(value: float) -> str:
    """Format a number of seeds: ``96``, or ``> 10000`` where it is beyond anybody's means."""
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
    """The observations that would show a registered verdict to be wrong: a lead, one item per contrast, a close."""

    lead: str
    items: tuple[str, ...]
    close: str = ""


def falsifier(claim: Claim) -> Falsifier:
    """Say in words what would make the registered verdict fall, from the contrasts and the expectation."""
    against = tuple(_side(c, supports=False) for c in claim.contrasts)
    infavour = tuple(_side(c, supports=True) for c in claim.contrasts)
    every = "all of these hold at one look" if len(infavour) > 1 else "this holds at a look"
    k = len(against)
    any_of = (
        f"any of these holds at a look, with 1/{k} of the error probability each" if k > 1 else "this holds at a look"
    )
    still = f"It fails, too, where the last look, at {claim.planned(None)} seeds, leaves it inconclusive"
    if claim.expect == "supported":
        equal = ", or where a look shows equivalence" if any(c.sesoi is not None for c in claim.contrasts) else ""
        return Falsifier(f"It is refuted if {any_of}:", against, f"{still}{equal}.")
    if claim.expect == "refuted":
        return Falsifier(f"It is registered as refuted, which is wrong if {every}:", infavour, f"{still}.")
    if claim.expect == "not_supported":
        return Falsifier(f"It is registered as not supported, which is wrong if {every}:", infavour)
    if claim.expect == "open":
        equal = ""
        if all(c.sesoi is not None for c in claim.contrasts):
            inside = ", ".join(dict.fromkeys(f"±{c.sesoi:g}" for c in claim.contrasts))
            equal = f"It is equivalent if a later look shows all differences to lie inside {inside}."
        lead = f"The question is open, and no answer fails the run. It is supported if {every}:"
        return Falsifier(lead, infavour, equal)
    spread = tuple(_spread(c, claim.planned(None)) for c in claim.contrasts)
    control = claim.positive_control
    close = f"Nor does it count if the positive control, {control.label}, is not supported." if control else ""
    return Falsifier(
        "Equivalence fails if " + ("any of these holds:" if len(spread) > 1 else "this holds:"), spread, close
    )


def _side(contrast: Contrast, *, supports: bool) -> str:
    """``both intervals put accuracy of dynamic below accuracy of static``."""
    treatment, control = quantity(contrast)
    up, down = ("above", "below") if contrast.direction == "higher" else ("below", "above")
    margin = contrast.margin
    if margin == 0:
        where = up if supports else down
    elif margin > 0:
        where = f"{'more' if supports else 'less'} than {margin:g} {up}"
    else:
        where = f"{'less' if supports else 'more'} than {-margin:g} {down}"
    return f"{_tool(contrast)} {treatment} {where} {control}"


def _spread(contrast: Contrast, seeds: int) -> str:
    treatment, control = quantity(contrast)
    return (
        f"no look, up to {seeds} seeds, shows the difference between {treatment} and {control} to lie "
        f"inside ±{contrast.sesoi:g}"
    )


def _tool(contrast: Contrast) -> str:
    return "Student’s t interval alone puts" if contrast.assume == "normal" else "both intervals put"
