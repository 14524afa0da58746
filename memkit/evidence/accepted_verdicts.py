"""The accepted verdicts of a project: what later runs are held against, and what its pages tell.

``reports/accepted.json``, kept under version control, holds each claim as it came out when it was accepted last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, shown
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
    found = strict_json.fields(
        value,
        what,
        {**texts, "verdict": _verdict, "estimate": _number, "sesoi": _number, "intervals": strict_json.listed},
        *("contrast", "role", "verdict", "estimate", "intervals"),
    )
    for interval in found["intervals"]:
        _interval(interval, f"{what}: intervals")
    if all(interval["method"] == "betting" for interval in found["intervals"]):
        raise MemkitError(f"{what}: there is no t interval")


def _verdict(value: Any, what: str) -> None:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {shown(value)} is no verdict")


def _judgement(value: Any, what: str) -> None:
    found = strict_json.fields(value, what, {"verdict": _verdict, "n": strict_json.whole}, "verdict", "findings")
    for finding in strict_json.listed(found["findings"], f"{what}: findings"):
        _finding(finding, f"{what}: a finding")


def _arm(value: Any, what: str) -> None:
    counts = dict.fromkeys(("parameters", "steps", "state_size", "cpu_seconds"), _number)
    texts = dict.fromkeys(("digest", "recipe", "tuning", "trained_on"), strict_json.text)
    strict_json.fields(value, what, {**counts, **texts}, "recipe")


def _three(value: Any, what: str) -> None:
    """Arm → metric → three numbers."""
    for arm, metrics in strict_json.each(value, what, strict_json.mapping).items():
        for metric, numbers in metrics.items():
            where = f"{what}: {metric:.80} of {arm:.80}"
            if len([_number(one, where) for one in strict_json.listed(numbers, where)]) != 3:
                raise MemkitError(f"{where} must be the mean, the least and the greatest value")


def _claim(value: Any, what: str) -> dict[str, Any]:
    checks: dict[str, Callable[[Any, str], Any]] = {
        **dict.fromkeys((*_TEXTS, "replicates"), strict_json.text),
        "attempt": lambda attempt, where: strict_json.whole(attempt, where, 1),
        "revision": strict_json.whole,
        "cell": strict_json.mapping,
        "arms": lambda arms, where: strict_json.each(arms, where, _arm),
        "means": _three,
        "cost": lambda cost, where: strict_json.each(cost, where, strict_json.number),
        "judgement": _judgement,
    }
    found = strict_json.fields(value, what, checks, *_NEEDED)
    if found["sweep"] and not found["cell"]:
        raise MemkitError(f"{what}: it is of a sweep, and has no cell in it")
    return found


def load_accepted(path: Path) -> dict[str, Any]:
    """Return claim id → what was accepted; nothing where there is no file.

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
    """Return the claims of a file that was read.

    Raises:
        MemkitError: it holds something else.
    """
    data = strict_json.fields(value, "the file", {}, "schema", "claims")
    if data["schema"] != SCHEMA:
        raise MemkitError(f"schema {shown(data['schema'])}, not {SCHEMA}")
    return strict_json.each(data["claims"], "claims", _claim)


def outdated(claims: Mapping[str, Any], lock: Lock) -> dict[str, str]:
    """Return accepted claims that are not what is registered now: id → why."""
    found = {}
    for name, claim in claims.items():
        entry = lock.claims.get(name)
        if entry is None:
            found[name] = "is registered no more"
        elif (entry.digest.removeprefix(PREFIX), entry.attempt) != (claim["digest"], claim["attempt"]):
            found[name] = "was registered anew since it was accepted"
    return found


def save_accepted(path: Path, claims: Mapping[str, Any]) -> None:
    """Write the file whole, sorted, a line for each part of a claim, so that changes are read in a diff."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    entries = []
    for name in sorted(claims):
        parts = ",\n".join(f"  {line(part)}: {line(value)}" for part, value in claims[name].items())
        entries.append(f" {line(name)}: {{\n{parts}\n }}")
    text = f'{{"schema": {SCHEMA}, "claims": {{\n' + ",\n".join(entries) + "\n}}\n"
    write_whole(path, text)


def accepted_claims(evidence: Evidence, recipe_key: Callable[[Any], str]) -> dict[str, Any]:
    """Return what a run leaves to be accepted: claim id → plain types; nothing of claims that did not run.

    Args:
        recipe_key: names a recipe by its JSON, whatever the code behind it; by it later runs look up what training
            takes.

    Raises:
        MemkitError: a claim did not decide and pass.
    """
    run = [entry for entry in evidence.claims if entry.observations or entry.failures]
    for entry in run:
        if reason := _unacceptable(entry):
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
            "mutant_of": entry.claim.made_from if entry.claim.is_mutant else "",
            **({"replicates": entry.claim.made_from} if entry.claim.is_replication else {}),
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


def recorded(lock: Lock, evidence: Evidence, names: Container[str]) -> tuple[Lock, list[str]]:
    """Write what these claims came to into the lock.

    Returns:
        The lock, and a sentence for each attempt that was recorded otherwise before.
    """
    entries, said = dict(lock.claims), []
    for entry in evidence.claims:
        if (name := entry.claim.id) not in names:
            continue
        new = entries[name].recorded(entry.verdict, entry.judgement.n, evidence.created, entry.observed)
        before, after = entries[name].attempts[-1], new.attempts[-1]
        verdict = (before.verdict, before.n) == (after.verdict, after.n)
        if verdict and before.observations == after.observations:
            continue
        if before.verdict and not (verdict and not before.observations):
            other = ", of other observations" if verdict else ""
            said.append(f"{name}: attempt {new.attempt} was recorded as {before.outcome}; it is {after.outcome}{other}")
        entries[name] = new
    return replace(lock, claims=entries), said


def _weakest(entry: ClaimEvidence) -> str:
    """Return the contrast on which the claim stands or falls."""
    finding = words.weakest(words.own_findings(entry))
    return "" if finding is None else finding.contrast.label


def _means(entry: ClaimEvidence) -> dict[str, dict[str, list[float | None]]]:
    """Arm → metric → mean, least and greatest value over the seeds that the verdict rests on; None where one is nan.

    Of the metrics that are compared: what else a test returns is in the evidence.
    """
    used = set(entry.seen[: entry.judgement.n])
    values: dict[str, dict[str, list[float]]] = {}
    for o in entry.observations:
        if o.seed in used and o.metric in entry.claim.metrics:
            values.setdefault(o.arm, {}).setdefault(o.metric, []).append(o.value)
    return {
        arm: {
            metric: [None if x != x else round(x, 6) for x in (sum(found) / len(found), min(found), max(found))]
            for metric, found in metrics.items()
        }
        for arm, metrics in values.items()
    }


def _unacceptable(entry: ClaimEvidence) -> str:
    """Say why a claim's verdict cannot be accepted; "" where it can."""
    if entry.registration.status != "registered":
        return f"is {entry.registration.status}"
    if entry.registration.recoded:
        return "has other code behind it than was registered; `memkit register` counts a revision"
    if entry.registration.development:
        return "ran on development seeds"
    if entry.judgement.indication is not None:
        return f"decided nothing ({'; '.join(entry.judgement.notes)})"
    if entry.verdict is Verdict.INCOMPLETE:
        return "is INCOMPLETE"
    # The recorded outcome does not say: the run may have gated nothing.
    found = gate(entry.claim, entry.judgement, registration=entry.registration, failures=dict(entry.failures))
    return f"failed ({found.reason})" if found.outcome == "failed" else ""
