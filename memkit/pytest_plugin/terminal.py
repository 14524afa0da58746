"""The terminal output of a run: what it will do, and at its end the table of verdicts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports.tables import terminal_table
from memkit.evidence.reports.words import savings
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.scheduling.cohorts import Cohort

_EDITED = {
    "changed": "use --memkit-development, or `memkit register` for fresh seeds",
    "reworded": "`memkit register` takes that over, and it costs no attempt",
}
"""The status of a claim that was edited → what to do."""


def announce(
    config: pytest.Config,
    plan: RunPlan,
    cohorts: Sequence[Cohort],
    seconds: Mapping[str, float],
    settings: Settings,
    *,
    adaptive: bool,
) -> None:
    """Print what the run will do, before it does it.

    Args:
        cohorts: what has to be trained before the first look.
        seconds: recipe digest → CPU seconds per seed, where known.
        adaptive: the run stops at the verdict.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.verbose < 0 or not plan.claims:
        return
    end_line(reporter)
    running = [planned for planned in plan.claims if not planned.missing]
    seeds = sum(len(planned.selected) for planned in running)
    look = "; each claim stops at its verdict" if adaptive else ""
    if running:
        reporter.write_line(f"memkit: {plural(len(running), 'claim')}, at most {plural(seeds, 'seed')} in all{look}")
    if skipped := len(plan.claims) - len(running):
        reporter.write_line(f"memkit: {plural(skipped, 'claim')} skipped, for want of data or of a backend")
    for which, number in plan.excluded.items():
        reporter.write_line(f"memkit: {number} left out: {which}")
    first = " for the first look" if adaptive else ""
    inline = ", each in the test that asks for it" if cohorts and settings.executor == "inline" else ""
    needed = training_needed(cohorts, seconds, first)
    reporter.write_line(f"memkit: {needed}{inline}; store {settings.store_of_run}")
    if not settings.development and settings.gate != "none":
        for status, remedy in _EDITED.items():
            if edited := [p.claim.id for p in plan.claims if p.registration.status == status]:
                more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
                which = f"{edited[0]}{more} {status} since registration"
                reporter.write_line(f"memkit: {which}, which fails this run: {remedy}")
    if not adaptive:
        reporter.write_line(
            "memkit: the items do not come look by look (--dist each, or another plugin), so every seed runs, also "
            "beyond the verdict"
        )


def skipped_for_data(plan: RunPlan) -> list[str]:
    """Return a line for each thing that is missing: how many claims are skipped, and how to get it."""
    return [f"{plural(claims, 'claim')} skipped: {missing}" for missing, claims in plan.skipped.items()]


def training_needed(cohorts: Sequence[Cohort], seconds: Mapping[str, float], why: str = "") -> str:
    """``88 runs to train, about 1 min 10 s of CPU``, as far as it is known."""
    runs = sum(len(cohort.seeds) for cohort in cohorts)
    if not runs:
        return f"nothing to train{why}"
    known = sum(len(c.seeds) * seconds[c.training.digest] for c in cohorts if c.training.digest in seconds)
    unknown = sum(len(c.seeds) for c in cohorts if c.training.digest not in seconds)
    text = f"{plural(runs, 'run')} to train{why}"
    if unknown == runs:
        return f"{text}, time unknown: never trained before"
    rest = f" and what {unknown} that were never trained take" if unknown else ""
    return f"{text}, about {duration(known)} of CPU{rest}"


def summarise(
    reporter: pytest.TerminalReporter,
    claims: Sequence[ClaimEvidence],
    written: Sequence[Path],
    problems: Sequence[str],
) -> None:
    """Print the verdict table and where the evidence lies."""
    reporter.section("claims")
    tw: Any = reporter._tw
    ascii_only = not prints(tw, "✓≈–")
    for line in terminal_table(claims, width=tw.fullwidth, colour=tw.hasmarkup, ascii=ascii_only):
        reporter.write_line(line)
    for error in problems:
        reporter.write_line(error)
    reporter.write_line("")
    unregistered = sum(entry.registration.status == "unregistered" for entry in claims)
    if unregistered:
        reporter.write_line(
            f"Not registered: {unregistered} of {plural(len(claims), 'claim')}. They ran on development seeds and "
            "decide nothing; `memkit register` gives them deciding seeds."
        )
    training = sum(entry.cost.get("trained", 0.0) for entry in claims)
    reused = sum(entry.cost.get("reused", 0.0) * len(entry.seen) for entry in claims)
    seen = sum(len(entry.seen) for entry in claims)
    reporter.write_line(
        f"{plural(seen, 'measurement')}, {reused:.0f} of them from the store; training their models took "
        f"{duration(training)} of CPU, now or earlier"
    )
    if saved := savings(claims):
        reporter.write_line(f"{saved}: each claim stopped at its verdict")
    for path in written:
        reporter.write_line(f"{path.suffix[1:]:>8}  {path}")
    if said := fallen_sentence(claims):
        reporter.write_line(said, red=True)


def fallen_sentence(claims: Sequence[ClaimEvidence], named: int = 3) -> str:
    """Return one sentence on what failed: claims first, then the number of mutants, which fail with them; or ""."""
    failed = [entry for entry in claims if entry.gate.outcome == "failed"]
    own = [entry for entry in failed if not entry.claim.is_mutant]
    mutants = len(failed) - len(own)
    told = [f"{entry.claim.id} ({entry.gate.reason.partition(';')[0]})" for entry in own[:named]]
    if len(own) > named:
        told.append(f"{len(own) - named} more")
    if mutants:
        told.append(plural(mutants, "mutant"))
    if not told:
        return ""
    listed = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    return f"Not as registered: {listed}."


def end_line(reporter: Any) -> None:
    """Go to a new line if something stands on this one; pytest's own way does not know of xdist's dots."""
    reporter.currentfspath = None
    if reporter._tw.width_of_current_line:
        reporter._tw.line()


def prints(tw: Any, text: str) -> bool:
    """Return whether a terminal writer can print a text."""
    encoding = getattr(tw._file, "encoding", None) or sys.getdefaultencoding()
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def duration(seconds: float) -> str:
    """``45 s``, ``2 min 05 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def plural(number: int, noun: str) -> str:
    """``1 seed``, ``1464 seeds``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
