"""The terminal output of a run: its plan at the start, and the table of verdicts at the end."""

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

_REMEDIES = {
    "changed": "use --memkit-development, or `memkit register` for fresh seeds",
    "reworded": "`memkit register` records the new words, and no attempt is counted",
}
"""Status of an edited claim → what the user can do."""


def print_plan(
    config: pytest.Config,
    plan: RunPlan,
    cohorts: Sequence[Cohort],
    seconds: Mapping[str, float],
    settings: Settings,
    *,
    adaptive: bool,
) -> None:
    """Print what the run will do.

    Args:
        cohorts: the cohorts that have to be trained for the first look.
        seconds: recipe digest → CPU seconds per seed, as far as they are known.
        adaptive: whether each claim stops at its verdict.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.verbose < 0 or not plan.claims:
        return
    start_new_line(reporter)
    running = [planned for planned in plan.claims if not planned.missing]
    seeds = sum(len(planned.selected) for planned in running)
    stop = "; each claim stops at its verdict" if adaptive else ""
    if running:
        reporter.write_line(f"memkit: {plural(len(running), 'claim')}, at most {plural(seeds, 'seed')} in all{stop}")
    if skipped := len(plan.claims) - len(running):
        reporter.write_line(f"memkit: {plural(skipped, 'claim')} skipped, because data or a backend is missing")
    for kind, number in plan.excluded.items():
        reporter.write_line(f"memkit: {number} excluded: {kind}")
    first = " for the first look" if adaptive else ""
    inline = ", each in the test that needs it" if cohorts and settings.executor == "inline" else ""
    needed = training_needed(cohorts, seconds, first)
    reporter.write_line(f"memkit: {needed}{inline}; store {settings.store_of_run}")
    if not settings.development and settings.gate != "none":
        for status, remedy in _REMEDIES.items():
            if edited := [p.claim.id for p in plan.claims if p.registration.status == status]:
                more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
                reporter.write_line(
                    f"memkit: {edited[0]}{more} {status} since registration, which fails this run: {remedy}"
                )
    if not adaptive:
        reporter.write_line(
            "memkit: the items do not run look by look (because of --dist each, or of another plugin), so every seed "
            "runs, even after the verdict"
        )


def skipped_for_data(plan: RunPlan) -> list[str]:
    """Return a line for each missing data set or backend: how many claims are skipped, and how to get it."""
    return [f"{plural(claims, 'claim')} skipped: {missing}" for missing, claims in plan.skipped.items()]


def training_needed(cohorts: Sequence[Cohort], seconds: Mapping[str, float], purpose: str = "") -> str:
    """Return a phrase such as ``88 runs to train, about 1 min 10 s of CPU``.

    Args:
        cohorts: the cohorts that have to be trained.
        seconds: recipe digest → CPU seconds per seed, as far as they are known.
        purpose: words after ``to train``, such as `` for the first look``.
    """
    runs = sum(len(cohort.seeds) for cohort in cohorts)
    if not runs:
        return f"nothing to train{purpose}"
    known = sum(len(c.seeds) * seconds[c.training.digest] for c in cohorts if c.training.digest in seconds)
    unknown = sum(len(c.seeds) for c in cohorts if c.training.digest not in seconds)
    text = f"{plural(runs, 'run')} to train{purpose}"
    if unknown == runs:
        return f"{text}, time unknown: never trained before"
    rest = f", plus the time of {unknown} that were never trained" if unknown else ""
    return f"{text}, about {duration(known)} of CPU{rest}"


def print_summary(
    reporter: pytest.TerminalReporter,
    claims: Sequence[ClaimEvidence],
    written: Sequence[Path],
    problems: Sequence[str],
) -> None:
    """Print the verdict table, the problems of the run and the paths of the evidence files."""
    reporter.section("claims")
    tw: Any = reporter._tw
    ascii_only = not can_print(tw, "✓≈–")
    look = {"width": tw.fullwidth, "colour": tw.hasmarkup, "ascii": ascii_only, "verbose": reporter.verbosity > 0}
    for line in terminal_table(claims, **look):
        reporter.write_line(line)
    for problem in problems:
        reporter.write_line(problem)
    reporter.write_line("")
    unregistered = sum(entry.registration.status == "unregistered" for entry in claims)
    if unregistered:
        reporter.write_line(
            f"Not registered: {unregistered} of {plural(len(claims), 'claim')}. They ran on development seeds and "
            "decide nothing; `memkit register` assigns deciding seeds."
        )
    training = sum(entry.cost.get("trained", 0.0) for entry in claims)
    reused = sum(entry.cost.get("reused", 0.0) * len(entry.observed_seeds) for entry in claims)
    measured = sum(len(entry.observed_seeds) for entry in claims)
    reporter.write_line(
        f"{plural(measured, 'measurement')}, {reused:.0f} of them from the store; training their models took "
        f"{duration(training)} of CPU, now or earlier"
    )
    if saved := savings(claims):
        reporter.write_line(f"{saved}: each claim stopped at its verdict")
    for path in written:
        reporter.write_line(f"{path.suffix[1:]:>8}  {path}")
    if summary := failure_summary(claims):
        reporter.write_line(summary, red=True)


def failure_summary(claims: Sequence[ClaimEvidence], max_named: int = 3) -> str:
    """Return one sentence on what failed, or "": up to ``max_named`` claims by name, then the number of mutants."""
    failed = [entry for entry in claims if entry.gate.outcome == "failed"]
    originals = [entry for entry in failed if not entry.claim.is_mutant]
    mutants = len(failed) - len(originals)
    parts = [f"{entry.claim.id} ({entry.gate.reason.partition(';')[0]})" for entry in originals[:max_named]]
    if len(originals) > max_named:
        parts.append(f"{len(originals) - max_named} more")
    if mutants:
        parts.append(plural(mutants, "mutant"))
    if not parts:
        return ""
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"Not as registered: {listed}."


def start_new_line(reporter: Any) -> None:
    """Start a new line unless the current one is empty; pytest's own method does not take account of xdist's dots."""
    reporter.currentfspath = None
    if reporter._tw.width_of_current_line:
        reporter._tw.line()


def can_print(tw: Any, text: str) -> bool:
    """Return whether a terminal writer can print a text."""
    encoding = getattr(tw._file, "encoding", None) or sys.getdefaultencoding()
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def duration(seconds: float) -> str:
    """Return a duration in words, such as ``45 s`` or ``2 min 05 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 seed`` or ``1464 seeds``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
