"""The parts of a report that a reader who looks for successes would miss: failures, methods and threats to validity.

All of it is generated from the evidence, and says nothing that the evidence does not hold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memkit.errors import many
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.reports.adjusted import Adjusted
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Verdict
from memkit.statistics import LOOKS, collapse_bound

UNEQUAL = 2.0
"""Arms of one contrast that differ by more than this factor in size or time are reported."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Seeds of a claim on which something went wrong.

    Attributes:
        claim: the claim's id.
        kind: "crashed", "not finite", "diverged in training" or "missing".
        seeds: the seeds, or how many there are, in words.
        what: what happened, as far as it was recorded.
    """

    claim: str
    kind: str
    seeds: str
    what: str


def failures(claims: Iterable[ClaimEvidence]) -> list[Failure]:
    """Return every crashed, diverged or missing seed, by claim."""
    found = []
    for entry in claims:
        name = entry.claim.id
        for reason in dict.fromkeys(entry.failures.values()):
            crashed = [seed for seed, why in entry.failures.items() if why == reason]
            found.append(Failure(claim=name, kind="crashed", seeds=seed_ranges(crashed), what=reason))
        broken: dict[tuple[str, str], list[int]] = {}
        for o in entry.observations:
            if not math.isfinite(o.value):
                broken.setdefault((o.arm, o.reason or "no reason was recorded"), []).append(o.seed)
        for (arm, reason), seeds in broken.items():
            what = f"{arm}: {reason}"
            found.append(Failure(claim=name, kind="not finite", seeds=seed_ranges(set(seeds)), what=what))
        for arm, facts in entry.arms.items():
            if diverged := facts.get("diverged"):
                what = f"{arm}: the loss was no longer finite"
                found.append(Failure(claim=name, kind="diverged in training", seeds=many(diverged, "seed"), what=what))
        if entry.judgement.missing:
            missing = seed_ranges(entry.judgement.missing)
            found.append(Failure(claim=name, kind="missing", seeds=missing, what=entry.gate.reason))
    return found


def share_reused(claims: Sequence[ClaimEvidence]) -> tuple[int, float]:
    """Return for how many measurements it is recorded whether they came from the store, and the share that did."""
    known = [(len(entry.seen), entry.cost["reused"]) for entry in claims if "reused" in entry.cost]
    total = sum(seeds for seeds, _ in known)
    return total, sum(seeds * part for seeds, part in known) / total if total else 0.0


def reused(claims: Sequence[ClaimEvidence]) -> str:
    """Say how many measurements came from the store, in a sentence; "" where that was not recorded."""
    total, share = share_reused(claims)
    if not total:
        return ""
    return (
        f"Of {many(total, 'measurement')}, one per claim and seed, {words.percent(share)} were made in an earlier run "
        "of the same code on the same models, and read from the store."
    )


def methods(evidence: Evidence) -> list[tuple[str, str]]:
    """Describe how the evidence was obtained, as names and sentences."""
    claims = evidence.claims
    observed = {(entry.claim.id, seed) for entry in claims for seed in entry.seen}
    own = [entry for entry in claims if entry.claim.of_its_own]
    looks = Counter(entry.judgement.look for entry in own if entry.judgement.look is not None)
    levels = ", ".join(f"{100 * (1 - look.alpha):.4g} % at {look.n} seeds" for look in LOOKS)
    decided = ", ".join(f"{looks[n]} after {n} seeds" for n in sorted(looks)) or "none"
    undecided = sum(entry.judgement.look is None for entry in own)
    normal = _by_normal_theory(own)
    said = [
        (
            "What was run",
            f"{many(len(claims), 'claim')}{_among(claims)}, {many(len(observed), 'measurement')} of a claim and "
            "seed, "
            f"{many(sum(len(entry.observations) for entry in claims), 'number')} in all. The seed is the unit: what "
            "is measured within one is averaged before anything else.",
        ),
        (
            "Pairing",
            "All arms of a claim are measured on the same seeds, and compared seed by seed.",
        ),
        (
            "Looks",
            f"At 8, 16 and 32 seeds, until one decides. Decided: {decided}; {undecided} not at all. Levels of "
            f"Student’s t intervals: {levels}, so that the looks together err once in twenty times. What is left of "
            "100 % may add up to more, since a later look has the seeds of the earlier ones and errs with them.",
        ),
        (
            "Betting intervals",
            "Of a bounded mean (Waudby-Smith and Ramdas 2024), at 95 %, from the bounds that each claim declares; they "
            "assume independent seeds and nothing of the distribution."
            + (f" Waived beforehand in {many(len(normal), 'claim')}." if normal else ""),
        ),
        (
            "Failed seeds",
            "None is dropped. One that did not converge counts as it is; one that is not finite counts as the worst "
            "declared bound against the claim; one that crashed fails the run.",
        ),
        (
            "Registration",
            "Statement, contrasts, arms and test of a claim are in the lock before its deciding seeds are seen. An "
            "edited claim moves to fresh seeds; claims of a study that are edited at once move to the same ones, on "
            "which none of them was before. " + _registered(claims),
        ),
    ]
    if controls := _controls(claims):
        said.append(("Controls", controls))
    if sentence := reused(claims):
        said.append(("Reused", sentence))
    return said


def _among(claims: Sequence[ClaimEvidence]) -> str:
    """Count the mutants, replications and sweep cells among the claims, which the sections below leave out."""
    mutants = sum(entry.claim.is_mutant for entry in claims)
    again = sum(entry.claim.is_replication for entry in claims)
    cells = sum(bool(entry.claim.sweep) for entry in claims)
    counts = (many(mutants, "mutant"), many(again, "replication"), many(cells, "sweep cell"))
    said = [count for count in counts if not count.startswith("0 ")]
    return f" ({', '.join(said)} among them)" if said else ""


def threats(evidence: Evidence, found: Sequence[Adjusted]) -> list[tuple[str, str]]:
    """Say what may be wrong with the evidence, as names and sentences; only what applies here."""
    claims = [entry for entry in evidence.claims if entry.claim.of_its_own]
    said = []
    again = [entry for entry in claims if entry.registration.attempt > 1]
    if again:
        most = max(entry.registration.attempt for entry in again)
        said.append(
            (
                "Asked more than once",
                f"{_of(again, claims)} {_have(again)} been changed and asked again on fresh seeds, up to attempt "
                f"{most}. What earlier attempts came to is not in this file, but for what a claim's source says of "
                "it; that they "
                "were made is. With an attempt its margin, bounds or method may have changed, too.",
            )
        )
    seeds = {(entry.claim.study, seed) for entry in claims for seed in entry.seen}
    measured = sum(len(entry.seen) for entry in claims)
    if measured > len(seeds):
        said.append(
            (
                "Shared seeds",
                f"{many(measured, 'measurement')} rest on {many(len(seeds), 'seed')}: claims of a study share "
                "seeds, and models where arms are the same. Each verdict holds by itself; together they are not that "
                "many independent findings.",
            )
        )
    recoded = [entry for entry in claims if entry.registration.revision or entry.registration.recoded]
    if recoded:
        said.append(
            (
                "Code that changed",
                f"The code behind {_of(recoded, claims)} was changed after the registration, on the same seeds. "
                "Whether for other reasons than the verdict, the history of the repository can tell.",
            )
        )
    loose = [entry for entry in claims if entry.registration.status in ("changed", "unregistered")]
    if loose:
        said.append(
            ("Not registered", f"{_of(loose, claims)}: on development seeds, or edited since. They decide nothing.")
        )
    if reworded := [entry for entry in claims if entry.registration.status == "reworded"]:
        said.append(
            (
                "Reworded",
                f"What is tested by {_of(reworded, claims)} is as it was registered; what is said of it was edited "
                "since, and that is not registered.",
            )
        )
    if normal := _by_normal_theory(claims):
        said.append(
            (
                "Normal theory",
                f"{_of(normal, claims)} {_have(normal)} a contrast that Student’s t decides alone. It errs more often "
                "than it says where a few seeds in a hundred collapse.",
            )
        )
    sizes = [entry.judgement.n for entry in claims if entry.judgement.look is not None]
    if sizes:
        least = min(sizes)
        said.append(
            (
                "Rare collapse",
                f"{many(sizes.count(least), 'claim')} {'rests' if sizes.count(least) == 1 else 'rest'} "
                f"on {least} seeds, with which a collapse in up to {words.percent(collapse_bound(least))} of seeds "
                "cannot be ruled out, if none was seen.",
            )
        )
    if lost := _lost_to_holm(claims, evidence.claims, found):
        said.append(("Many claims", lost))
    if unequal := _unequal(claims):
        said.append(("Unequal arms", unequal))
    if untuned := [entry.claim.id for entry in claims if _untuned(entry)]:
        said.append(
            (
                "Tuning",
                f"Of {many(len(untuned), 'claim')} an arm does not say how its settings were chosen.",
            )
        )
    provenance = evidence.provenance
    if isinstance(dirty := provenance.get("dirty"), str):
        said.append(("Uncommitted changes", f"Whether the code that ran is that of a commit alone is {dirty}."))
    elif dirty:
        said.append(("Uncommitted changes", "The code that ran is not that of the commit alone."))
    device = provenance.get("device")
    said.append(
        (
            "Reach",
            "Seeds vary initial values, data order and splits. What holds for new seeds need not hold for other data, "
            "tasks or sizes" + (f", nor on other devices than {device}." if device else "."),
        )
    )
    return said


def _by_normal_theory(claims: Sequence[ClaimEvidence]) -> list[ClaimEvidence]:
    """Return the claims with a contrast, a precondition or a control that Student's t decides alone."""
    return [entry for entry in claims if any(c.assume == "normal" for c in entry.claim.all_contrasts)]


def _registered(claims: Sequence[ClaimEvidence]) -> str:
    counts = Counter(entry.registration.status for entry in claims)
    return ", ".join(f"{n} {status}" for status, n in counts.items()).capitalize() + "."


def _controls(claims: Sequence[ClaimEvidence]) -> str:
    mutants = [entry for entry in claims if entry.claim.is_mutant]
    false = [entry for entry in claims if entry.claim.expect == "not_supported" and not entry.claim.is_mutant]
    cells = [entry for entry in claims if "/multiverse" in entry.claim.sweep]
    parts = []
    if mutants:
        fell = sum(entry.gate.outcome == "passed" for entry in mutants)
        parts.append(f"{fell} of {many(len(mutants), 'mutant')}, claims with an arm broken on purpose, fell")
    if false:
        held = sum(entry.verdict is not Verdict.SUPPORTED for entry in false)
        parts.append(
            f"{held} of {many(len(false), 'claim')} that are false by construction, such as an arm against itself, "
            "found no support"
        )
        if again := [entry for entry in false if entry.registration.attempt > 1]:
            parts[-1] += f", {len(again)} of them not at the first attempt"
    if cells:
        parts.append(f"{many(len(cells), 'cell')} of multiverses ask a claim again under other defensible choices")
    return "; ".join(parts) + "." if parts else ""


def controls_again(claims: Sequence[ClaimEvidence]) -> str:
    """Name the controls that were asked more than once, so that a reader does not take the last time for the only one.

    Mutants are left out: they are asked again with the claims that they are made from.
    """
    false = [e.claim for e in claims if e.claim.expect == "not_supported" and not e.claim.is_mutant]
    attempts = {e.claim.id: e.registration.attempt for e in claims}
    named = [f"{claim.id} (attempt {attempts[claim.id]})" for claim in false if attempts[claim.id] > 1]
    return f"Not at the first attempt, of which the claim’s source may tell: {', '.join(named)}." if named else ""


def _lost_to_holm(claims: Sequence[ClaimEvidence], all_of: Sequence[ClaimEvidence], found: Sequence[Adjusted]) -> str:
    ps = {entry.claim.id: p for entry, p in zip(all_of, found, strict=True)}
    decisive = [e for e in claims if e.verdict in (Verdict.SUPPORTED, Verdict.EQUIVALENT, Verdict.REFUTED)]
    lost = [e.claim.id for e in decisive if ps[e.claim.id].adjusted > 0.05]
    if len(decisive) < 2:
        return ""
    lead = f"{len(decisive)} claims were decided, each at an error probability of 5 % or less by itself."
    if not lost:
        return f"{lead} All have an adjusted p below 0.05 by Holm, which is shown and decides nothing."
    shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
    return f"{lead} By Holm, which is shown and decides nothing, {len(lost)} would not be: {shown}."


def _unequal(claims: Sequence[ClaimEvidence]) -> str:
    """Say in how many claims treatment and control differ by much in size or training time."""
    labels = {"parameters": "parameters", "state_size": "state", "cpu_seconds": "training time"}
    found: dict[str, list[str]] = {}
    for entry in claims:
        for key, label in labels.items():
            values = [_size(entry.arms, contrast, key) for contrast in entry.claim.contrasts]
            worst = max((high / low for low, high in filter(None, values) if low > 0), default=1.0)
            if worst > UNEQUAL:
                found.setdefault(label, []).append(entry.claim.id)
    if not found:
        return ""
    parts = [f"in {label} in {many(len(ids), 'claim')}" for label, ids in found.items()]
    return (
        f"Treatment and control differ by more than {UNEQUAL:g} times {', '.join(parts)}: see the arms of each claim."
    )


def _size(arms: Mapping[str, Mapping[str, Any]], contrast: Any, key: str) -> tuple[float, float] | None:
    values = [arms[name].get(key) for name in contrast.names if name in arms]
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    return (min(numbers), max(numbers)) if len(numbers) == 2 else None


def _untuned(entry: ClaimEvidence) -> bool:
    trained = [facts for name, facts in entry.arms.items() if facts.get("digest")]
    return any(not facts.get("tuning") for facts in trained)


def _of(some: Sequence[object], every: Sequence[object]) -> str:
    return f"{len(some)} of {many(len(every), 'claim')}"


def _have(some: Sequence[object]) -> str:
    return "has" if len(some) == 1 else "have"
