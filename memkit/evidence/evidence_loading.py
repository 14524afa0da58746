"""Evidence that anybody may have written: read strictly, in bounded time and memory, every verdict computed again."""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from memkit.errors import MemkitError, shown
from memkit.evidence import strict_json
from memkit.evidence.claim import Claim
from memkit.evidence.decision_rule import judge
from memkit.evidence.evidence_file import SCHEMA, ClaimEvidence, Evidence
from memkit.evidence.figures import figure_from_json
from memkit.evidence.gate import Gate, Mode, Outcome
from memkit.evidence.learning_curves import Curves
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.evidence.observation import observations_from
from memkit.evidence.registration import BLOCK, Registration, Status
from memkit.evidence.verdict import Verdict
from memkit.statistics import looks_within

Check = Callable[[Any, str], Any]


def _count(value: Any, what: str) -> int | None:
    return strict_json.optional(value, what, strict_json.whole)


def _cells(value: Any, what: str) -> int:
    """Return the number of cells of a sweep; all of them are judged together, so the number is bounded."""
    if (found := strict_json.whole(value, what)) > MOST_OBSERVATIONS:
        raise MemkitError(f"{what} are {found}, and {MOST_OBSERVATIONS} is the most")
    return found


def _factor(value: Any, what: str) -> Any:
    """Return a factor's value in a cell, a text or a number."""
    return value if isinstance(value, str) else strict_json.number(value, what)


MOST_OBSERVATIONS = 1_000_000
"""The most observations of a file."""
MOST_DECISIONS = 11_000
"""The most looks at contrasts of a file; judging so many takes some seconds."""
_PLANNING = 3
"""The number of looks that take as long as working out what a larger run would need for an undecided contrast."""
_FEW = 20
"""A claim with at most so many contrasts is judged before it is known whether that takes too many looks."""
# Bytes of memory that an observation takes, and that a finding takes with the judgement around it.
_OBSERVATION, _JUDGEMENT = 150, 6_000
_HEAD: Mapping[str, Check] = {
    "claims": strict_json.listed,
    "created": strict_json.text,
    "provenance": strict_json.mapping,
}
_PARTS: Mapping[str, Check] = {"nodeid": strict_json.text, "digest": strict_json.text}
_NEEDED = (
    *("claim", "digest", "nodeid", "registration", "planned", "observations", "failures", "judgement", "outcome"),
    *("arms", "cost"),
)
_OUTCOME: Mapping[str, Check] = {"outcome": strict_json.text, "reason": strict_json.text}
_ARM: Mapping[str, Check] = {
    **dict.fromkeys(("parameters", "steps", "diverged", "state_size"), _count),
    **dict.fromkeys(("digest", "tuning", "trained_on"), strict_json.text),
    "cpu_seconds": strict_json.number,
}
_CLAIM: Mapping[str, Check] = {
    **dict.fromkeys(("id", "statement", "source", "expect", "test"), strict_json.text),
    "arms": strict_json.mapping,
    **dict.fromkeys(("contrasts", "requires"), strict_json.listed),
    "derived": strict_json.texts,
}
# Fields that were added later, and are not in every file.
_CLAIM_LATER: Mapping[str, Check] = {
    **dict.fromkeys(("sweep", "mutant_of", "replicates"), strict_json.text),
    "cells": _cells,
    "cell": lambda value, what: strict_json.each(value, what, _factor),
    "deterministic": strict_json.flag,
    **dict.fromkeys(("data", "environment"), strict_json.texts),
}
_CLAIM_ARM: Mapping[str, Check] = {
    "intervention": lambda value, what: strict_json.optional(value, what, strict_json.text),
    "recipe": lambda value, what: strict_json.optional(value, what, strict_json.mapping),
}
_REGISTRATION: Mapping[str, Check] = {
    "status": strict_json.text,
    "first_seed": strict_json.whole,
    "revision": strict_json.whole,
    **dict.fromkeys(("recoded", "withheld"), strict_json.flag),
    "edited": strict_json.text,
}
# The errors that reading JSON can raise where it does not follow the schema.
_DAMAGED = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)


def load(path: Path) -> Evidence:
    """Read an evidence file. Every verdict is computed again from the observations.

    Raises:
        MemkitError: no such file, not an evidence file, damaged, of another schema, or more than is read.
    """
    return checked(path)[0]


def recompute(path: Path) -> list[tuple[str, str, str]]:
    """Compute every verdict of a file again, and compare.

    Returns:
        ``(claim id, recorded, recomputed)`` for each claim. The texts hold the verdict and, where only an
        interval, a digest, the seeds or the outcome differ, say so; they are equal where nothing differs.

    Raises:
        MemkitError: as :func:`load`.
    """
    return checked(path)[1]


def checked(path: Path) -> tuple[Evidence, list[tuple[str, str, str]]]:
    """Return what :func:`load` and :func:`recompute` do, the file read once.

    Raises:
        MemkitError: as :func:`load`.
    """
    try:
        raw = strict_json.read_bytes(path)
        head, count, claims = strict_json.parts(raw)
    except FileNotFoundError as error:
        raise MemkitError(f"{path} does not exist; a run of claims writes it") from error
    except OSError as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error.strerror}") from error
    except MemkitError as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(head, dict) or "schema" not in head:
        raise MemkitError(f"{path} is no evidence file: it has no schema")
    if head["schema"] != SCHEMA or type(head["schema"]) is not int:
        raise MemkitError(f"{path} has schema {shown(head['schema'])}; this memkit reads schema {SCHEMA}")
    try:
        whole = strict_json.fields(head, "the file", _HEAD, "claims", "created", "provenance")
        if count > MOST_DECISIONS:  # each takes one look at least, so this is known before any is judged
            raise _too_many()
        with _uncollected():
            entries, rows = _entries(claims, len(raw), _gates(whole["provenance"]))
        evidence = Evidence(
            created=whole["created"],
            provenance=whole["provenance"],
            claims=tuple(entries),
            studies=strict_json.each(whole.get("studies", {}), "studies", strict_json.text),
            metrics=strict_json.each(
                whole.get("metrics", {}), "metrics", lambda said, what: strict_json.each(said, what, strict_json.text)
            ),
            curves=strict_json.each(whole.get("curves", {}), "curves", lambda curves, _: Curves.from_json(curves)),
        )
    except _DAMAGED as error:
        raise MemkitError(f"{path} is no evidence file of schema {SCHEMA}: {_said(error)}") from error
    return evidence, rows


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking through all that was read, again and again; none of it is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _gates(provenance: Mapping[str, Any]) -> list[tuple[Mode, bool]]:
    """Return the gates that may have led to the outcomes, each strict or not: what the file names, or every one."""
    mode, strict = provenance.get("gate"), provenance.get("strict")
    modes: list[Mode] = [known for known in get_args(Mode) if mode == known] or list(get_args(Mode))
    return list(itertools.product(modes, [strict] if isinstance(strict, bool) else [False, True]))


def _entries(
    claims: Iterable[tuple[int, Any]], size: int, gates: Sequence[tuple[Mode, bool]]
) -> tuple[list[ClaimEvidence], list[tuple[str, str, str]]]:
    """Return the claims of a file, and the rows of :func:`recompute`.

    Args:
        claims: the bytes of memory that each claim takes as it was read, and the claim.
        size: bytes of memory that the file takes.
        gates: the gates that may have led to the outcomes, as :func:`_gates` returns them.
    """
    entries: dict[str, ClaimEvidence] = {}
    rows = []
    observations, decisions = 0, MOST_DECISIONS
    for takes, raw in claims:
        strict_json.check_memory(size + takes)
        entry = claim_evidence(raw, decisions)
        if entry.claim.id in entries:
            raise MemkitError(f"the file holds one claim twice: {entry.claim.id}")
        size += _size(entry)
        observations += len(entry.observations)
        decisions -= _taken(entry)
        if decisions < 0:
            raise _too_many()
        if observations > MOST_OBSERVATIONS:
            raise MemkitError(f"it holds more than {MOST_OBSERVATIONS} observations; split it into several files")
        recorded, found = raw["judgement"]["verdict"], entry.verdict.value
        if recorded == found and (differing := _differing(raw, entry, gates)):
            found += f" ({differing})"
        rows.append((entry.claim.id, recorded, found))
        entries[entry.claim.id] = entry
    return list(entries.values()), rows


def _differing(raw: Mapping[str, Any], entry: ClaimEvidence, gates: Sequence[tuple[Mode, bool]]) -> str:
    """Say what in a claim's record, apart from the verdict, does not follow from the rest of it; "" if all does."""
    if not is_digest_of(entry.claim, raw["digest"]):
        return "the claim's digest differs"
    if entry.planned != entry.registration.seeds(len(entry.planned)):
        return "the seeds are not those of the registration"  # in another order, other seeds would decide
    if not _close(raw["judgement"], entry.judgement.to_json()):
        return "intervals differ"
    possible = {entry.gate_by(mode, strict=strict).outcome for mode, strict in gates}
    return "" if entry.gate.outcome in possible else "the outcome differs"


def _close(a: Any, b: Any, tolerance: float = 1e-6) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        return numbers and abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
    return bool(a == b)


def _claim(value: Any) -> Claim:
    data = strict_json.fields(value, "a claim", {**_CLAIM, **_CLAIM_LATER}, *_CLAIM)
    where = f"claim {shown(data['id'])}"
    for name, arm in data["arms"].items():
        strict_json.fields(arm, f"{where}: arm {name:.80}", _CLAIM_ARM)
    if data.get("sweep") and not data.get("cell"):
        raise MemkitError(f"{where}: it is of a sweep, and has no cell in it")
    return Claim.from_json(data)


def _arm(value: Any, what: str) -> dict[str, Any]:
    return strict_json.fields(value, what, _ARM)


def _registration(value: Any, where: str) -> Registration:
    data = strict_json.fields(value, f"{where}: registration", _REGISTRATION, "status", "attempt", "first_seed")
    if data["status"] not in get_args(Status):
        raise MemkitError(f"{where}: the registration's status {shown(data['status'])} is none")
    strict_json.whole(
        data["attempt"], f"{where}: the attempt of a claim that is {data['status']}", _first(data["status"])
    )
    if data["status"] == "unregistered" and data["attempt"]:
        raise MemkitError(f"{where} is unregistered, and so has no attempt {data['attempt']}")
    found = Registration(**data)
    if bool(found.edited) != (found.status == "reworded"):
        raise MemkitError(f"{where} is {found.status}, and says {shown(found.edited)} of what was edited")
    if found.withheld and not (found.status == "changed" and found.development):
        raise MemkitError(f"{where}: only a claim that was changed is on development seeds for that")
    return found


def _first(status: str) -> int:
    """Return the least attempt of a claim with this status: 1 if it was registered, else 0."""
    return 0 if status == "unregistered" else 1


def _said(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def claim_evidence(data: Any, decisions: int = MOST_DECISIONS) -> ClaimEvidence:
    """Read one claim; the judgement is computed from the observations, not read.

    Args:
        decisions: how many looks at contrasts this may take.

    Raises:
        MemkitError: a part is missing or is not what the schema says, or the judgement takes more.
    """
    data = strict_json.fields(data, "a claim", _PARTS, *_NEEDED)
    claim = _claim(data["claim"])
    where = f"claim {claim.id!r}"
    registration = _registration(data["registration"], where)
    planned = strict_json.listed(data["planned"], f"{where}: planned seeds", BLOCK)
    for seed in planned:
        strict_json.whole(seed, f"{where}: a planned seed")
    if len(set(planned)) < len(planned):
        raise MemkitError(f"{where}: a seed is planned twice")
    strict_json.fields(data["judgement"], f"{where}: judgement", {"verdict": strict_json.text}, "verdict")
    observations = observations_from(claim, data["observations"], planned)
    contrasts = len(claim.all_contrasts)
    most = 2 * _decisions(claim, planned, len({o.seed for o in observations})) + _PLANNING * contrasts
    if contrasts > _FEW and most > decisions:
        raise _too_many()
    outcome = strict_json.fields(data["outcome"], f"{where}: outcome", _OUTCOME, *_OUTCOME)
    if outcome["outcome"] not in get_args(Outcome):
        raise MemkitError(f"{where}: the outcome {shown(outcome['outcome'])} is none")
    arms = strict_json.each(data["arms"], f"{where}: arms", _arm)
    if foreign := next((name for name in arms if name not in claim.arms), None):
        raise MemkitError(f"{where}: arms: {foreign:.80} is no arm of the claim")
    return ClaimEvidence(
        claim=claim,
        nodeid=data["nodeid"],
        registration=registration,
        planned=tuple(planned),
        observations=observations,
        judgement=judge(claim, observations, planned=planned, development=registration.development),
        gate=Gate(outcome["outcome"], outcome["reason"]),
        failures={
            strict_json.seed_of(seed, f"{where}: failures"): reason
            for seed, reason in strict_json.each(data["failures"], f"{where}: failures", strict_json.text).items()
        },
        arms=arms,
        figures=tuple(map(figure_from_json, strict_json.listed(data.get("figures", []), f"{where}: figures"))),
        drift=strict_json.texts(data.get("drift", []), f"{where}: drift"),
        changes=strict_json.texts(data.get("changes", []), f"{where}: changes"),
        remeasured=strict_json.texts(data.get("remeasured", []), f"{where}: remeasured"),
        cost=strict_json.each(data["cost"], f"{where}: cost", strict_json.number),
    )


def _size(entry: ClaimEvidence) -> int:
    """Return how many bytes of memory a claim takes at most."""
    kept = [entry.claim.to_json(), entry.arms, [figure.to_json() for figure in entry.figures]]
    kept += [list(entry.failures.values()), entry.drift, entry.changes, entry.remeasured]
    size = strict_json.takes(json.dumps(kept, ensure_ascii=False).encode())
    return size + _JUDGEMENT * max(1, len(entry.judgement.findings)) + _OBSERVATION * len(entry.observations)


def _too_many() -> MemkitError:
    return MemkitError(
        f"its claims take more than {MOST_DECISIONS} looks at a contrast to judge, which is the most, and undecided "
        "contrasts count as several; split it into several files"
    )


def _taken(entry: ClaimEvidence) -> int:
    """Return how many looks at a contrast the judgement took; planning counts as the looks that take as long."""
    looks = _decisions(entry.claim, entry.planned, len(entry.seen))
    # With several contrasts, each is tested again at its share of the level, to see whether it refutes the claim.
    again = looks if len(entry.claim.contrasts) > 1 and entry.verdict is not Verdict.SUPPORTED else 0
    return looks + again + _PLANNING * sum(bool(finding.planning) for finding in entry.judgement.findings)


def _decisions(claim: Claim, planned: Sequence[int], seen: int) -> int:
    """Return the most looks at contrasts that a judgement takes; a number of seeds that is no look takes one each.

    Args:
        seen: how many of the seeds have observations.
    """
    looks = looks_within(len(planned))
    taken = len(looks_within(seen)) if looks and looks[-1].n == len(planned) else 1
    return len(claim.all_contrasts) * max(1, taken)
