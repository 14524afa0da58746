"""The gate: turns a verdict into passed, failed, or skipped where it gates nothing; and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memkit.evidence.claim import Claim
from memkit.evidence.registration import Registration
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Judgement, Verdict

NEGLIGIBLE = 0.1
"""The smallest effect that matters where a contrast declares none, in units of the metric."""
Mode = Literal["verdict", "drift", "none"]
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Gate:
    """An outcome in pytest's words, and why."""

    outcome: Outcome
    reason: str


def gate(
    claim: Claim,
    judgement: Judgement,
    *,
    registration: Registration,
    failures: dict[int, str],
    mode: Mode = "verdict",
    drift: Sequence[str] = (),
) -> Gate:
    """Decide whether a claim's verdict passes the run, fails it, or gates nothing.

    Args:
        failures: seed → reason, for seeds whose test raised or whose worker died.
        mode: "verdict": any other verdict than the registered one fails; "drift": so does what changed since the run
            that was accepted; "none": verdicts are reported, and only failed seeds fail the run.
        drift: what changed.
    """
    verdict, enabled = judgement.verdict, mode != "none"
    # This comes first: a claim that was edited is another claim, even where the edit says that it gates nothing.
    if edited := _edited(registration):
        return Gate("failed" if enabled else "skipped", f"{verdict}, but {edited}")
    if failures:
        seed, reason = next(iter(sorted(failures.items())))
        more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
        return Gate("failed", f"seed {seed}{more} failed: {reason}")
    notes = "; ".join(judgement.notes)
    if judgement.missing:
        return Gate("skipped", f"INCOMPLETE: not run: seeds {seed_ranges(judgement.missing)}")
    if judgement.indication is not None:
        indicated = str(verdict)
        if verdict is not Verdict.INCOMPLETE:
            indicated += f" (looks like {judgement.indication})"
        if registration.status == "unregistered":
            return Gate("skipped", f"{indicated}: not registered, run `memkit register`; {notes}")
        return Gate("skipped", f"{indicated}: {notes}")
    if verdict is Verdict.INCOMPLETE:
        return Gate("failed" if claim.gates and enabled else "skipped", f"INCOMPLETE: {notes}")
    if claim.expect == "open":
        return Gate("skipped", f"{verdict}; an open question, gates nothing")
    met = agrees(claim.expect, verdict) and (not claim.is_mutant or fell(judgement))
    words = f"expected {claim.expect.replace('_', ' ')}, found {verdict}"
    if not claim.gates:
        return Gate("skipped", f"{words}; gates nothing")
    if _capped(claim, judgement):
        return Gate("skipped", f"{words}, on {judgement.n} seeds of {claim.planned(None)}, which shows nothing")
    if not enabled:
        return Gate("skipped", f"{words}; gates nothing (--gate none)")
    if met and drift and mode == "drift":
        return Gate("failed", f"{words}; drift since the accepted run: {'; '.join(drift)}")
    if claim.is_mutant and not met and verdict is not Verdict.SUPPORTED:
        words += ", not far enough from it: every t interval reaches effects that would matter"
    if met:
        return Gate("passed", words)
    return Gate("failed", words + (f"; {notes}" if notes else ""))


def _edited(registration: Registration) -> str:
    """Say what was edited in a claim since it was registered, and what to do; "" where nothing has to be done."""
    if registration.explores:
        return ""
    if registration.status == "changed":
        return "the claim was changed since it was registered; `memkit register` moves it to fresh seeds"
    if registration.status == "reworded":
        what = registration.edited
        verb = "were" if "," in what or what == "seeds" else "was"
        before, _, last = what.rpartition(", ")
        what = f"{before} and {last}" if before else last
        return (
            f"its {what} {verb} edited since it was registered; `memkit register` takes that over, and it costs no "
            "attempt"
        )
    return ""


def _capped(claim: Claim, judgement: Judgement) -> bool:
    """Return whether a claim that is expected not to be supported was undecided on fewer seeds than it declares."""
    undecided = claim.expect == "not_supported" and judgement.verdict is Verdict.INCONCLUSIVE
    return undecided and not claim.is_mutant and judgement.n < claim.planned(None)


def strictly(found: Gate, claim: Claim, judgement: Judgement, *, registration: Registration) -> Gate:
    """Return the gate of a strict run, as CI makes it: a claim that decided nothing fails, for whatever reason.

    It is not registered, a seed or its data are missing, its seeds are no look, or too few of them were looked at.
    """
    incomplete = judgement.verdict is Verdict.INCOMPLETE or judgement.missing or judgement.indication is not None
    incomplete = incomplete or (claim.gates and _capped(claim, judgement))
    if found.outcome == "skipped" and (incomplete or registration.status == "unregistered"):
        return Gate("failed", f"{found.reason} (--memkit-strict)")
    return found


def fell(judgement: Judgement) -> bool:
    """Return whether a mutant fell: a contrast is refuted, equivalent, or its t interval ends below what would matter.

    What would matter is the margin plus the smallest effect of interest, or plus ``NEGLIGIBLE`` where none is declared.
    A mutant that is undecided because it has too few seeds has not fallen.
    """
    return any(
        f.verdict in (Verdict.REFUTED, Verdict.EQUIVALENT)
        or f.t.high < f.contrast.margin + (f.contrast.sesoi or NEGLIGIBLE)
        for f in judgement.findings
        if f.role == "contrast"
    )


def agrees(expect: str, verdict: Verdict) -> bool:
    """Return whether a verdict agrees with the registered one; any but SUPPORTED and INCOMPLETE is "not_supported"."""
    if expect == "not_supported":
        return verdict in (Verdict.REFUTED, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
    return verdict.value.lower() == expect
