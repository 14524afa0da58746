"""The parts of a report that a reader looking only for successes would miss: failures, methods, threats to validity.

All of it is generated from the evidence and says nothing that the evidence does not contain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memkit.errors import count_of
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.reports import words
from memkit.evidence.reports.levels import Level
from memkit.evidence.seed_ranges import seed_ranges
from memkit.evidence.verdict import Verdict
from memkit.statistics import LOOKS, collapse_bound

UNEQUAL = 2.0
"""The factor in size or time beyond which the arms of a contrast are reported as unequal."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The seeds of a claim on which something went wrong.

    Attributes:
        claim: the claim's id.
        kind: "crashed", "not finite", "diverged in training" or "missing".
        seeds: the seeds, or their number, in words.
        reason: what happened, as far as it was recorded.
    """

    claim: str
    kind: str
    seeds: str
    reason: str


_MOST_NAMED = 6  # claims that are named; more are counted


def failures(claims: Iterable[ClaimEvidence]) -> list[Failure]:
    """Return the crashed, diverged and missing seeds of each claim."""
    result = []
    for entry in claims:
        name = entry.claim.id
        for reason in dict.fromkeys(entry.failures.values()):
            crashed = [seed for seed, other in entry.failures.items() if other == reason]
            result.append(Failure(claim=name, kind="crashed", seeds=seed_ranges(crashed), reason=reason))
        not_finite: dict[tuple[str, str], list[int]] = {}
        for o in entry.observations:
            if not math.isfinite(o.value):
                not_finite.setdefault((o.arm, o.reason or "no reason was recorded"), []).append(o.seed)
        for (arm, reason), seeds in not_finite.items():
            labelled_reason = f"{arm}: {reason}"
            seeds_in_words = seed_ranges(set(seeds))
            result.append(Failure(claim=name, kind="not finite", seeds=seeds_in_words, reason=labelled_reason))
        for arm, facts in entry.arms.items():
            if diverged := facts.get("diverged"):
                reason = f"{arm}: the loss became infinite or nan"
                seeds_in_words = count_of(diverged, "seed")
                result.append(Failure(claim=name, kind="diverged in training", seeds=seeds_in_words, reason=reason))
        if entry.judgement.missing:
            missing = seed_ranges(entry.judgement.missing)
            result.append(Failure(claim=name, kind="missing", seeds=missing, reason=entry.gate.reason))
    return result


def share_reused(claims: Sequence[ClaimEvidence]) -> tuple[int, float]:
    """Return how many measurements say whether they came from the store, and the share of those that did."""
    recorded = [(len(entry.observed_seeds), entry.cost["reused"]) for entry in claims if "reused" in entry.cost]
    total = sum(seeds for seeds, _ in recorded)
    return total, sum(seeds * share for seeds, share in recorded) / total if total else 0.0


def reused(claims: Sequence[ClaimEvidence]) -> str:
    """Say in a sentence how many measurements came from the store; "" if that was not recorded."""
    total, share = share_reused(claims)
    if not total:
        return ""
    return (
        f"Of {count_of(total, 'measurement')} (one per claim and seed), {words.percent(share)} were made in an earlier "
        "run of the same code on the same models, and were read from the store."
    )


def methods(evidence: Evidence) -> list[tuple[str, str]]:
    """Describe how the evidence was obtained, as pairs of a name and a text."""
    claims = evidence.claims
    measured = {(entry.claim.id, seed) for entry in claims for seed in entry.observed_seeds}
    originals = [entry for entry in claims if entry.claim.is_standalone]
    normal = _by_normal_theory(originals)
    sections = [
        (
            "What was run",
            f"{count_of(len(claims), 'claim')}{_derived(claims)}, {count_of(len(measured), 'measurement')} (one per "
            f"claim and seed) and {count_of(sum(len(entry.observations) for entry in claims), 'number')} in all. The "
            "seed is the unit of replication: whatever is measured within a seed is averaged first.",
        ),
        (
            "Pairing",
            "All arms of a claim are measured on the same seeds and compared seed by seed.",
        ),
        (
            "Decision rule",
            "A contrast is SUPPORTED once bets that the mean difference is above the margin, placed seed after seed, "
            "have made 40 of a capital of 1: if it is not above the margin, the probability that they ever do is at "
            "most 1/40, however the seeds are distributed and however often one looks, as long as they are "
            "independent and their values lie within the declared bounds (Ville 1939; Waudby-Smith and Ramdas 2024). "
            + _decided(originals),
        ),
        (
            "Failed seeds",
            "No seed is dropped. A seed that did not converge counts as it is; a value that is not finite may be "
            "anything within the bounds, and each bet uses the value that is worst for it; a seed that crashed fails "
            "the run.",
        ),
        (
            "Registration",
            "The statement, contrasts, arms and test of a claim are in the lock before its deciding seeds are used. An "
            "edited claim moves to fresh seeds. Claims of a study that are edited together move to the same fresh "
            "seeds, which none of them has used before. " + _registered(claims),
        ),
    ]
    if normal:
        levels = " and ".join(", ".join(f"{100 * (1 - look.alpha):.4g} %" for look in LOOKS).rsplit(", ", 1))
        text = (
            f"In {count_of(len(normal), 'claim')}, Student’s t decides instead, as was declared in advance. It looks "
            f"after 8, 16 and 32 seeds only, with intervals at {levels}, which keep the error probability of all "
            "looks together at about 5 % if seeds are normal."
        )
        sections.insert(3, ("Looks of Student’s t", text))
    if controls := _controls(claims):
        sections.append(("Controls", controls))
    if sentence := reused(claims):
        sections.append(("Reused", sentence))
    return sections


def _decided(claims: Sequence[ClaimEvidence]) -> str:
    """Say how many claims were decided, and with how many seeds."""
    sizes = sorted(entry.judgement.decided_at for entry in claims if entry.judgement.decided_at is not None)
    if not sizes:
        return "No claim was decided."
    were = "claim was" if len(claims) == 1 else "claims were"
    span = count_of(sizes[0], "seed") if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]} seeds"
    return f"{len(sizes)} of {len(claims)} {were} decided, after {span}; later seeds are shown, but not used."


def _derived(claims: Sequence[ClaimEvidence]) -> str:
    """Count the mutants, replications and sweep cells among the claims, which most of the report leaves out."""
    mutants = sum(entry.claim.is_mutant for entry in claims)
    replications = sum(entry.claim.is_replication for entry in claims)
    cells = sum(bool(entry.claim.sweep) for entry in claims)
    counts = (count_of(mutants, "mutant"), count_of(replications, "replication"), count_of(cells, "sweep cell"))
    counts_above_zero = [count for count in counts if not count.startswith("0 ")]
    return f" (including {', '.join(counts_above_zero)})" if counts_above_zero else ""


def threats(evidence: Evidence, levels: Sequence[Level]) -> list[tuple[str, str]]:
    """Describe the threats to the validity of this evidence, as pairs of a name and a text.

    Args:
        evidence: the evidence.
        levels: the level of each of its claims.
    """
    claims = [entry for entry in evidence.claims if entry.claim.is_standalone]
    sections = []
    repeated = [entry for entry in claims if entry.registration.attempt > 1]
    if repeated:
        most = max(entry.registration.attempt for entry in repeated)
        sections.append(
            (
                "Repeated attempts",
                f"{_of(repeated, claims)} {_have(repeated)} been changed and tested again on fresh seeds, up to "
                f"attempt {most}. Each attempt needed twice as much as the one before, so that the error probability "
                "of all attempts together stays within its limit. Each claim lists the results of its earlier attempts "
                "that were recorded. The margin, bounds or method may have changed between attempts, too.",
            )
        )
    shown = {entry.claim.id for entry in evidence.claims}
    if others := [name for name in evidence.registered if name not in shown]:
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        sections.append(
            (
                "Other claims",
                f"{count_of(len(others), 'claim')} of those that were ever registered in this project are not in this "
                "report, because they were not selected, were removed or were renamed: "
                f"{', '.join(others[:_MOST_NAMED])}{more}.",
            )
        )
    seeds = {(entry.claim.study, seed) for entry in claims for seed in entry.observed_seeds}
    measured = sum(len(entry.observed_seeds) for entry in claims)
    if measured > len(seeds):
        sections.append(
            (
                "Shared seeds",
                f"{count_of(measured, 'measurement')} were made on {count_of(len(seeds), 'seed')}, because claims of a "
                "study share seeds, and share models if their arms are the same. Each verdict is valid by itself, but "
                "the verdicts are not independent of one another.",
            )
        )
    recoded = [entry for entry in claims if entry.registration.revision or entry.registration.recoded]
    if recoded:
        sections.append(
            (
                "Changed code",
                f"The code behind {_of(recoded, claims)} was changed after registration, on the same seeds. Changed "
                "code can confirm or withhold a verdict that was reached before, but can reach no other one, as far as "
                "earlier results were recorded or are in the store.",
            )
        )
    unregistered = [entry for entry in claims if entry.registration.status in ("changed", "unregistered")]
    if unregistered:
        were = "was" if len(unregistered) == 1 else "were"
        sections.append(
            (
                "Not registered",
                f"{_of(unregistered, claims)} {were} measured on development seeds, or edited since registration: "
                "such verdicts decide nothing.",
            )
        )
    if reworded := [entry for entry in claims if entry.registration.status == "reworded"]:
        sections.append(
            (
                "Reworded",
                f"The wording of {_of(reworded, claims)} was edited after registration, and the new wording is not "
                "registered; what is tested is unchanged.",
            )
        )
    if normal := _by_normal_theory(claims):
        sections.append(
            (
                "Normal theory",
                f"{_of(normal, claims)} {_have(normal)} a contrast that Student’s t decides. It errs "
                "more often than its level says if a few seeds in a hundred collapse.",
            )
        )
    sizes = [entry.judgement.n for entry in claims if entry.judgement.decided_at is not None]
    if sizes:
        fewest = min(sizes)
        sections.append(
            (
                "Rare collapse",
                f"{count_of(sizes.count(fewest), 'claim')} {'was' if sizes.count(fewest) == 1 else 'were'} decided on "
                f"{fewest} seeds. Even if none of them collapsed, a collapse in up to "
                f"{words.percent(collapse_bound(fewest))} of seeds cannot be ruled out.",
            )
        )
    if multiplicity := _multiplicity(claims, levels):
        sections.append(("Many claims", multiplicity))
    if unequal := _unequal(claims):
        sections.append(("Unequal arms", unequal))
    if untuned := [entry.claim.id for entry in claims if _untuned(entry)]:
        sections.append(
            (
                "Tuning",
                f"In {count_of(len(untuned), 'claim')}, an arm does not say how its hyperparameters were chosen.",
            )
        )
    provenance = evidence.provenance
    if isinstance(dirty := provenance.get("dirty"), str):
        sections.append(("Uncommitted changes", f"Whether the code that ran had uncommitted changes is {dirty}."))
    elif dirty:
        sections.append(("Uncommitted changes", "The code that ran had uncommitted changes."))
    device = provenance.get("device")
    sections.append(
        (
            "Generalisation",
            "Seeds vary the initial values, the order of the data and the splits. A finding that holds for new seeds "
            "need not hold for other data, tasks or sizes"
            + (f", or on devices other than {device}." if device else "."),
        )
    )
    return sections


def _by_normal_theory(claims: Sequence[ClaimEvidence]) -> list[ClaimEvidence]:
    """Return the claims with a contrast, a precondition or a control that Student's t decides."""
    return [entry for entry in claims if any(c.assume == "normal" for c in entry.claim.all_contrasts)]


def _registered(claims: Sequence[ClaimEvidence]) -> str:
    counts = Counter(entry.registration.status for entry in claims)
    return ", ".join(f"{n} {status}" for status, n in counts.items()).capitalize() + "."


def _controls(claims: Sequence[ClaimEvidence]) -> str:
    mutants = [entry for entry in claims if entry.claim.is_mutant]
    known_false = [entry for entry in claims if entry.claim.expect == "not_supported" and not entry.claim.is_mutant]
    cells = [entry for entry in claims if "/multiverse" in entry.claim.sweep]
    parts = []
    if mutants:
        failed = sum(entry.gate.outcome == "passed" for entry in mutants)
        parts.append(f"{failed} of {count_of(len(mutants), 'mutant')} (an arm broken on purpose) failed as they should")
    if known_false:
        unsupported = sum(entry.verdict is not Verdict.SUPPORTED for entry in known_false)
        parts.append(
            f"{unsupported} of {count_of(len(known_false), 'claim')} known to be false (an arm against itself, for "
            f"example) {'was' if unsupported == 1 else 'were'} not supported"
        )
        if repeated := [entry for entry in known_false if entry.registration.attempt > 1]:
            parts[-1] += f", {len(repeated)} of them not at the first attempt"
    if cells:
        test = "tests" if len(cells) == 1 else "test"
        parts.append(f"{count_of(len(cells), 'multiverse cell')} {test} a claim again under other defensible choices")
    return "; ".join(parts) + "." if parts else ""


def repeated_controls(claims: Sequence[ClaimEvidence]) -> str:
    """Name the controls that were attempted more than once, so that the last attempt is not taken for the only one.

    Mutants are left out: they get a new attempt whenever the claim that they are made from gets one.
    """
    known_false = [e.claim for e in claims if e.claim.expect == "not_supported" and not e.claim.is_mutant]
    attempts = {e.claim.id: e.registration.attempt for e in claims}
    named = [f"{claim.id} (attempt {attempts[claim.id]})" for claim in known_false if attempts[claim.id] > 1]
    return (
        f"Not at the first attempt, for reasons that the claim’s source may give: {', '.join(named)}." if named else ""
    )


def _multiplicity(claims: Sequence[ClaimEvidence], levels: Sequence[Level]) -> str:
    """Say what the levels of the claims mean; "" if fewer than two were decided."""
    decided = [e for e in claims if e.verdict in (Verdict.SUPPORTED, Verdict.EQUIVALENT, Verdict.REFUTED)]
    if len(decided) < 2:
        return ""
    return (
        f"{len(decided)} claims were decided, each with an error probability of its own, so some may be wrong. The "
        "report shows at which rate of false discoveries the e-BH procedure would declare each claim among the "
        f"{count_of(levels[0].total, 'claim')} that were ever registered. A claim "
        "stops once it is decided, with a capital just above what it needs, so these levels are not small. They decide "
        "nothing. Claims under normal theory have no e-value, and count as 0."
    )


def _unequal(claims: Sequence[ClaimEvidence]) -> str:
    """Count the claims whose treatment and control differ by more than :data:`UNEQUAL` in size or training time."""
    labels = {"parameters": "parameters", "state_size": "state", "cpu_seconds": "training time"}
    unequal: dict[str, list[str]] = {}
    for entry in claims:
        for key, label in labels.items():
            values = [_range(entry.arms, contrast, key) for contrast in entry.claim.contrasts]
            ratio = max((high / low for low, high in filter(None, values) if low > 0), default=1.0)
            if ratio > UNEQUAL:
                unequal.setdefault(label, []).append(entry.claim.id)
    if not unequal:
        return ""
    parts = [f"in {label} in {count_of(len(ids), 'claim')}" for label, ids in unequal.items()]
    return (
        f"Treatment and control differ by more than a factor of {UNEQUAL:g} {', '.join(parts)}; see the table of arms "
        "of each claim."
    )


def _range(arms: Mapping[str, Mapping[str, Any]], contrast: Any, key: str) -> tuple[float, float] | None:
    """Return the smaller and the larger value of the two arms of a contrast; None if one was not recorded."""
    values = [arms[name].get(key) for name in contrast.names if name in arms]
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    return (min(numbers), max(numbers)) if len(numbers) == 2 else None


def _untuned(entry: ClaimEvidence) -> bool:
    trained = [facts for name, facts in entry.arms.items() if facts.get("digest")]
    return any(not facts.get("tuning") for facts in trained)


def _of(some: Sequence[object], every: Sequence[object]) -> str:
    return f"{len(some)} of {count_of(len(every), 'claim')}"


def _have(some: Sequence[object]) -> str:
    return "has" if len(some) == 1 else "have"
