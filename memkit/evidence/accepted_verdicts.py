"""The accepted verdicts of a project, with which later runs are compared, and which its pages show.

``reports/accepted.json``, kept under version control, holds the result of each claim when it was last accepted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, short_repr
from memkit.evidence import strict_json
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.gate import gate
from memkit.evidence.lock_file import Lock
from memkit.evidence.lock_schema_1 import PREFIX
from memkit.evidence.reports import words
from memkit.evidence.verdict import Verdict
from memkit.files import write_whole

SCHEMA = 1
_TEXTS = ("statement", "source", "nodeid", "digest", "expect", "sweep", "mutant_of", "weakest")
_NEEDED = (*_TEXTS, "attempt", "cell", "arms", "means", "cost", "judgement")


def _number(value: Any, what: str) -> float | None:
    return strict_json.optional(value, what, strict_json.number)


def _interval(value: Any, what: str) -> None:
    strict_json.fields(
        value, what, {"method": strict_json.text, "low": _number, "high": _number}, "method", "low", "high"
    )


def _finding(value: Any, what: str) -> None:
    texts = dict.fromkeys(("contrast", "role", "metric", "direction", "assume"), strict_json.text)
    finding = strict_json.fields(
        value,
        what,
        {**texts, "verdict": _verdict, "estimate": _number, "sesoi": _number, "intervals": strict_json.listed},
        *("contrast", "role", "verdict", "estimate", "intervals"),
    )
    for interval in finding["intervals"]:
        _interval(interval, f"{what}: intervals")
    if all(interval["method"] == "betting" for interval in finding["intervals"]):
        raise MemkitError(f"{what} has no t interval")


def _verdict(value: Any, what: str) -> None:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {short_repr(value)} is not a verdict")


def _judgement(value: Any, what: str) -> None:
    judgement = strict_json.fields(value, what, {"verdict": _verdict, "n": strict_json.whole}, "verdict", "findings")
    for finding in strict_json.listed(judgement["findings"], f"{what}: findings"):
        _finding(finding, f"{what}: a finding")


def _arm(value: Any, what: str) -> None:
    counts = dict.fromkeys(("parameters", "steps", "state_size", "cpu_seconds"), _number)
    texts = dict.fromkeys(("digest", "recipe", "tuning", "trained_on"), strict_json.text)
    strict_json.fields(value, what, {**counts, **texts}, "recipe")


def _means_of_arms(value: Any, what: str) -> None:
    """Check a mapping arm → metric → mean, least and greatest value."""
    for arm, metrics in strict_json.each(value, what, strict_json.mapping).items():
        for metric, numbers in metrics.items():
            where = f"{what}: {metric:.80} of {arm:.80}"
            if len([_number(number, where) for number in strict_json.listed(numbers, where)]) != 3:
                raise MemkitError(f"{where} must be the mean, the least and the greatest value")


def _claim(value: Any, what: str) -> dict[str, Any]:
    checks: dict[str, Callable[[Any, str], Any]] = {
        **dict.fromkeys((*_TEXTS, "replicates"), strict_json.text),
        "attempt": lambda attempt, where: strict_json.whole(attempt, where, 1),
        "revision": strict_json.whole,
        "cell": strict_json.mapping,
        "arms": lambda arms, where: strict_json.each(arms, where, _arm),
        "means": _means_of_arms,
        "cost": lambda cost, where: strict_json.each(cost, where, strict_json.number),
        "judgement": _judgement,
    }
    data = strict_json.fields(value, what, checks, *_NEEDED)
    if data["sweep"] and not data["cell"]:
        raise MemkitError(f"{what} belongs to a sweep, but has no cell")
    return data


def load_accepted(path: Path) -> dict[str, Any]:
    """Return claim id → its accepted result, in plain types; empty if there is no file.

    Raises:
        MemkitError: the file is damaged.
    """
    try:
        return accepted_of(strict_json.read_json(path))
    except FileNotFoundError:
        return {}
    except (OSError, MemkitError) as error:
        raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error


def accepted_of(value: Any) -> dict[str, Any]:
    """Return the claims in the content of accepted.json.

    Raises:
        MemkitError: the content does not follow the schema.
    """
    data = strict_json.fields(value, "the file", {}, "schema", "claims")
    if data["schema"] != SCHEMA:
        raise MemkitError(f"the schema must be {SCHEMA}, not {short_repr(data['schema'])}")
    return strict_json.each(data["claims"], "claims", _claim)


def outdated_claims(claims: Mapping[str, Any], lock: Lock) -> dict[str, str]:
    """Return the accepted claims that differ from what is registered now: id → reason."""
    reasons = {}
    for name, claim in claims.items():
        entry = lock.claims.get(name)
        if entry is None:
            reasons[name] = "is no longer registered"
        elif (entry.digest.removeprefix(PREFIX), entry.attempt) != (claim["digest"], claim["attempt"]):
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
            "created": evidence.created,
            "commit": evidence.provenance.get("commit"),
        }
        for entry in run
    }


def record_outcomes(lock: Lock, evidence: Evidence, names: Container[str]) -> tuple[Lock, list[str]]:
    """Record the results of these claims in the lock.

    Args:
        names: the ids of the claims to record.

    Returns:
        The new lock, and a sentence for each attempt for which another result was recorded before.
    """
    entries, changes = dict(lock.claims), []
    for entry in evidence.claims:
        if (name := entry.claim.id) not in names:
            continue
        new = entries[name].recorded(entry.verdict, entry.judgement.n, evidence.created, entry.observed)
        before, after = entries[name].attempts[-1], new.attempts[-1]
        same_verdict = (before.verdict, before.n) == (after.verdict, after.n)
        if same_verdict and before.observations == after.observations:
            continue
        if before.verdict and not (same_verdict and not before.observations):
            suffix = ", from other observations" if same_verdict else ""
            changes.append(
                f"{name}: attempt {new.attempt} was recorded as {before.outcome}; it is now {after.outcome}{suffix}"
            )
        entries[name] = new
    return replace(lock, claims=entries), changes


def _weakest(entry: ClaimEvidence) -> str:
    """Return the label of the weakest contrast, the one that limits the claim's verdict; "" without findings."""
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
    if entry.judgement.indication is not None:
        return f"decided nothing ({'; '.join(entry.judgement.notes)})"
    if entry.verdict is Verdict.INCOMPLETE:
        return "is INCOMPLETE"
    # The recorded outcome is not enough, because the run may have used --gate none.
    result = gate(entry.claim, entry.judgement, registration=entry.registration, failures=dict(entry.failures))
    return f"failed ({result.reason})" if result.outcome == "failed" else ""
