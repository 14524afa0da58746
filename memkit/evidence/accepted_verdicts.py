"""Accepted verdicts: the results that a user accepted with ``memkit accept``, in ``reports/accepted.json``.

Later runs are compared with them (:mod:`memkit.evidence.drift`), and ``memkit page`` writes them into the Markdown
pages of a study (:mod:`memkit.evidence.reports.pages`). The file is ``{"schema": 1, "claims": {id: claim}}``, and a
claim has these fields; a string is "" where it does not apply:

    statement, source    as registered; the source is where the claim was made, such as a paper
    nodeid               pytest's name of the claim's test
    digest, attempt      as registered; and revision, the number of revisions of the code
    earlier              the earlier attempts, as in the lock; absent if there are none
    expect               the expectation
    sweep, cell          of a cell of a sweep
    mutant_of            the claim that a mutant was made from; replicates: the one that a replication repeats
    arms                 arm → a key of the recipe, and what training it took
    means                arm → metric → mean, least and greatest value
    cost                 CPU seconds of training and measuring
    weakest              the contrast that supports the claim least
    judgement            as in the evidence
    values               of an undecided claim: arm → metric → its values in the order of the seeds, which begin with
                         first_seed; and platform: what they were computed on
    created, commit      of the run; these are not checked when the file is read
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, short_repr
from memkit.evidence import strict_json
from memkit.evidence.attempt import Outcome, attempt_from
from memkit.evidence.earlier_runs import values_of
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.gate import gate
from memkit.evidence.lock_file import Lock
from memkit.evidence.lock_schema_1 import PREFIX as SCHEMA_1_PREFIX
from memkit.evidence.reports import words
from memkit.evidence.verdict import Verdict
from memkit.files import write_whole

SCHEMA = 1
_STRING_FIELDS = ("statement", "source", "nodeid", "digest", "expect", "sweep", "mutant_of", "weakest")
_REQUIRED_FIELDS = (*_STRING_FIELDS, "attempt", "cell", "arms", "means", "cost", "judgement")


# --- checks of the file's content: each raises MemkitError, with `what` as the name of the value in the message ---


def _check_number(value: Any, what: str) -> float | None:
    return strict_json.optional(value, what, strict_json.number)


def _check_interval(value: Any, what: str) -> None:
    numbers = dict.fromkeys(("low", "high", "low_level", "high_level"), _check_number)
    strict_json.fields(value, what, {"method": strict_json.text, **numbers}, "method", "low", "high")


def _check_finding(value: Any, what: str) -> None:
    texts = dict.fromkeys(("contrast", "role", "metric", "direction", "assume"), strict_json.text)
    finding = strict_json.fields(
        value,
        what,
        {
            **texts,
            "verdict": _check_verdict,
            "estimate": _check_number,
            **dict.fromkeys(("sesoi", "sd"), _check_number),
            "n": strict_json.whole,
        },
        *("contrast", "role", "verdict", "estimate"),
    )
    if "intervals" in finding:  # of an earlier rule, by which two intervals had to agree
        finding["interval"] = _deciding_interval(finding, what)
    _check_interval(finding.get("interval"), f"{what}: interval")


def _deciding_interval(finding: Mapping[str, Any], what: str) -> Any:
    """Return the betting interval of a finding with two intervals, or Student's t if normality was assumed."""
    method = "student-t" if finding.get("assume") == "normal" else "betting"
    intervals = strict_json.listed(finding["intervals"], f"{what}: intervals")
    for interval in intervals:
        _check_interval(interval, f"{what}: intervals")
    if not intervals:
        raise MemkitError(f"{what} has no interval")
    return next((interval for interval in intervals if interval["method"] == method), intervals[0])


def _check_verdict(value: Any, what: str) -> None:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {short_repr(value)} is not a verdict")


def _check_judgement(value: Any, what: str) -> None:
    judgement = strict_json.fields(
        value, what, {"verdict": _check_verdict, "n": strict_json.whole}, "verdict", "findings"
    )
    for finding in strict_json.listed(judgement["findings"], f"{what}: findings"):
        _check_finding(finding, f"{what}: a finding")


def _check_arm(value: Any, what: str) -> None:
    counts = dict.fromkeys(("parameters", "steps", "state_size", "cpu_seconds"), _check_number)
    texts = dict.fromkeys(("digest", "recipe", "tuning", "trained_on"), strict_json.text)
    strict_json.fields(value, what, {**counts, **texts}, "recipe")


def _check_means_of_arms(value: Any, what: str) -> None:
    """Check a mapping arm → metric → mean, least and greatest value."""
    for arm, metrics in strict_json.each(value, what, strict_json.mapping).items():
        for metric, numbers in metrics.items():
            where = f"{what}: {metric:.80} of {arm:.80}"
            if len([_check_number(number, where) for number in strict_json.listed(numbers, where)]) != 3:
                raise MemkitError(f"{where} must be the mean, the least and the greatest value")


def _check_earlier(value: Any, what: str) -> None:
    for attempt in strict_json.listed(value, what):
        attempt_from(attempt, what)


def _check_values(value: Any, what: str) -> None:
    """Check a mapping arm → metric → values in the order of the seeds."""
    for arm, metrics in strict_json.each(value, what, strict_json.mapping).items():
        for metric, numbers in metrics.items():
            where = f"{what}: {metric:.80} of {arm:.80}"
            for number in strict_json.listed(numbers, where):
                _check_number(number, where)


def _check_claim(value: Any, what: str) -> dict[str, Any]:
    checks: dict[str, Callable[[Any, str], Any]] = {
        **dict.fromkeys((*_STRING_FIELDS, "replicates"), strict_json.text),
        "attempt": lambda attempt, where: strict_json.whole(attempt, where, 1),
        "revision": strict_json.whole,
        "earlier": _check_earlier,
        "cell": strict_json.mapping,
        "arms": lambda arms, where: strict_json.each(arms, where, _check_arm),
        "means": _check_means_of_arms,
        "cost": lambda cost, where: strict_json.each(cost, where, strict_json.number),
        "judgement": _check_judgement,
        "values": _check_values,
        "platform": strict_json.mapping,
        "first_seed": strict_json.whole,
    }
    data = strict_json.fields(value, what, checks, *_REQUIRED_FIELDS)
    if data["sweep"] and not data["cell"]:
        raise MemkitError(f"{what} belongs to a sweep, but has no cell")
    return data


def load_accepted(path: Path) -> dict[str, Any]:
    """Return claim id → its accepted result, in plain types; empty if there is no file.

    Raises:
        MemkitError: the file is damaged.
    """
    try:
        return check_accepted(strict_json.read_json(path))
    except FileNotFoundError:
        return {}
    except (OSError, MemkitError) as error:
        raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error


def check_accepted(value: Any) -> dict[str, Any]:
    """Return the claims in the content of accepted.json.

    Raises:
        MemkitError: the content does not follow the schema.
    """
    data = strict_json.fields(value, "the file", {}, "schema", "claims")
    if data["schema"] != SCHEMA:
        raise MemkitError(f"the schema must be {SCHEMA}, not {short_repr(data['schema'])}")
    return strict_json.each(data["claims"], "claims", _check_claim)


def outdated_claims(claims: Mapping[str, Any], lock: Lock) -> dict[str, str]:
    """Return the accepted claims that differ from what is registered now: id → reason."""
    reasons = {}
    for name, claim in claims.items():
        entry = lock.claims.get(name)
        if entry is None:
            reasons[name] = "is no longer registered"
        # The lock marks a digest of schema 1 by a prefix, which accepted.json does not have.
        elif (entry.digest.removeprefix(SCHEMA_1_PREFIX), entry.attempt) != (claim["digest"], claim["attempt"]):
            reasons[name] = "was registered again since it was accepted"
    return reasons


def save_accepted(path: Path, claims: Mapping[str, Any]) -> None:
    """Write the file, sorted and with one line per field of a claim, so that a diff is easy to read."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    entries = []
    for name in sorted(claims):
        parts = ",\n".join(f"  {line(part)}: {line(value)}" for part, value in claims[name].items())
        entries.append(f" {line(name)}: {{\n{parts}\n }}")
    text = f'{{"schema": {SCHEMA}, "claims": {{\n' + ",\n".join(entries) + "\n}}\n"
    write_whole(path, text)


def accepted_claims(evidence: Evidence, recipe_key: Callable[[Any], str]) -> dict[str, Any]:
    """Return the results of a run for accepted.json: claim id → plain types; claims that did not run are left out.

    Args:
        recipe_key: returns a key of a recipe that depends on its JSON, not on the code behind it. Later runs use it to
            look up how long training takes.

    Raises:
        MemkitError: a claim was not decided, or did not pass.
    """
    run = [entry for entry in evidence.claims if entry.observations or entry.failures]
    for entry in run:
        if reason := _reason_against(entry):
            raise MemkitError(f"{entry.claim.id} {reason}; only a run that decided and passed is accepted")
    return {
        entry.claim.id: {
            "statement": entry.claim.statement,
            "source": entry.claim.source,
            "nodeid": entry.nodeid,
            "digest": entry.claim.digest,
            "attempt": entry.registration.attempt,
            "revision": entry.registration.revision,
            **({"earlier": earlier} if (earlier := [a.to_json() for a in entry.registration.earlier]) else {}),
            "expect": entry.claim.expect,
            "sweep": entry.claim.sweep,
            "cell": dict(entry.claim.cell),
            "mutant_of": entry.claim.parent_id if entry.claim.is_mutant else "",
            **({"replicates": entry.claim.parent_id} if entry.claim.is_replication else {}),
            "arms": {
                name: {**arm, "recipe": recipe_key(entry.claim.arms[name].recipe)} for name, arm in entry.arms.items()
            },
            "means": _means(entry),
            "cost": dict(entry.cost),
            "weakest": _weakest(entry),
            "judgement": entry.judgement.to_json(),
            **(_values(entry, evidence) if entry.verdict is Verdict.INCONCLUSIVE else {}),
            "created": evidence.created,
            "commit": evidence.provenance.get("commit"),
        }
        for entry in run
    }


def _values(entry: ClaimEvidence, evidence: Evidence) -> dict[str, Any]:
    """Return the values of an undecided claim, with which those of changed code are compared."""
    table: dict[str, dict[str, list[float | None]]] = {}
    for _, arm, metric, value in values_of(entry.claim, entry.observations, entry.judgement.n):
        table.setdefault(arm, {}).setdefault(metric, []).append(value)
    first_seed = entry.registration.first_seed
    return {"first_seed": first_seed, "values": table, "platform": evidence.provenance.get("calculated_on") or {}}


def accepted_values(accepted: Mapping[str, Any]) -> list[tuple[int, str, str, float | None]]:
    """Return the values of an accepted claim that was undecided: seed, arm, metric and value; [] for other claims."""
    first_seed = accepted.get("first_seed", 0)
    return [
        (seed, arm, metric, value)
        for arm, metrics in accepted.get("values", {}).items()
        for metric, values in metrics.items()
        for seed, value in enumerate(values, first_seed)
    ]


def record_outcomes(lock: Lock, evidence: Evidence, names: Container[str]) -> tuple[Lock, list[str]]:
    """Record the results of these claims in the lock.

    Args:
        names: the ids of the claims to record.

    Returns:
        The new lock, and a sentence for each attempt whose recorded result this run contradicts.
    """
    entries, contradictions = dict(lock.claims), []
    for entry in evidence.claims:
        if (name := entry.claim.id) not in names:
            continue
        outcome = Outcome(
            verdict=entry.verdict,
            n=entry.judgement.n,
            e_value=entry.e_value,
            date=evidence.created,
            observations=entry.observed,
            revision=entry.registration.revision,
        )
        laboratory = entry.registration.laboratory
        present = entries[name].attempts[-1]
        before = present.laboratories.get(laboratory) if laboratory else present.outcome
        if (
            before is not None
            and before.agrees(outcome)
            and before.observations
            and before.revision == outcome.revision
        ):
            continue
        if before is not None and not before.agrees(outcome):
            suffix = ", from other observations" if (before.verdict, before.n) == (outcome.verdict, outcome.n) else ""
            contradictions.append(
                f"{name}: attempt {entries[name].attempt} was recorded as {before}; it is now {outcome}{suffix}"
            )
        entries[name] = entries[name].recorded(outcome, laboratory)
    return replace(lock, claims=entries), contradictions


def _weakest(entry: ClaimEvidence) -> str:
    """Return the label of the contrast whose finding supports the claim least; "" without findings."""
    finding = words.weakest(words.contrast_findings(entry))
    return "" if finding is None else finding.contrast.label


def _means(entry: ClaimEvidence) -> dict[str, dict[str, list[float | None]]]:
    """Return arm → metric → mean, least and greatest value over the seeds that the verdict rests on; None for nan.

    Only metrics that a contrast compares are included; the others are in the evidence.
    """
    used = set(entry.observed_seeds[: entry.judgement.n])
    values: dict[str, dict[str, list[float]]] = {}
    for o in entry.observations:
        if o.seed in used and o.metric in entry.claim.metrics:
            values.setdefault(o.arm, {}).setdefault(o.metric, []).append(o.value)
    return {
        arm: {
            metric: [None if x != x else round(x, 6) for x in (sum(column) / len(column), min(column), max(column))]
            for metric, column in metrics.items()
        }
        for arm, metrics in values.items()
    }


def _reason_against(entry: ClaimEvidence) -> str:
    """Return why a claim's verdict cannot be accepted; "" if it can."""
    if entry.registration.status != "registered":
        return f"is {entry.registration.status}"
    if entry.registration.recoded:
        return "has code behind it that differs from what was registered; `memkit register` registers a revision"
    if entry.registration.development:
        return "ran on development seeds"
    # What the rule would have said, if these seeds decided anything.
    if entry.judgement.indication is not None:
        return f"decided nothing ({'; '.join(entry.judgement.notes)})"
    if entry.verdict is Verdict.INCOMPLETE:
        return "is INCOMPLETE"
    # Under --gate none the recorded outcome is "skipped", so the gate is applied again in its ordinary mode.
    result = gate(entry.claim, entry.judgement, registration=entry.registration, failures=dict(entry.failures))
    return f"failed ({result.reason})" if result.outcome == "failed" else ""
