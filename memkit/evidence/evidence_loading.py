"""Strict loading of evidence files from untrusted sources, in bounded time and memory; every verdict is recomputed."""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from memkit.errors import MemkitError, short_repr
from memkit.evidence import strict_json
from memkit.evidence.claim import Claim
from memkit.evidence.decision_rule import FUTILE_FROM
from memkit.evidence.evidence_file import SCHEMA, ClaimEvidence, Evidence
from memkit.evidence.figures import figure_from_json
from memkit.evidence.gate import Gate, Mode, Outcome
from memkit.evidence.learning_curves import Curves
from memkit.evidence.lock_entry import checked_alpha
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.evidence.observation import observations_from
from memkit.evidence.registered_judgement import judge_registered
from memkit.evidence.registration import BLOCK, STUDY_STRIDE, Registration, Status

Check = Callable[[Any, str], Any]


def _count(value: Any, what: str) -> int | None:
    return strict_json.optional(value, what, strict_json.whole)


def _cell_count(value: Any, what: str) -> int:
    """Return the number of cells of a sweep, which is bounded."""
    if (count := strict_json.whole(value, what)) > MOST_OBSERVATIONS:
        raise MemkitError(f"{what} must be at most {MOST_OBSERVATIONS}, not {count}")
    return count


def _factor_value(value: Any, what: str) -> Any:
    """Return the value of a factor in a cell, a string or a number."""
    return value if isinstance(value, str) else strict_json.number(value, what)


MOST_OBSERVATIONS = 1_000_000
"""The most observations of a file."""
MOST_DECISIONS = 11_000
"""The most contrasts that are judged per file, in units of the time that deciding one takes: half a minute in all."""
_MOST_ATTEMPTS = STUDY_STRIDE // BLOCK
"""The most attempts at a claim, each of which needs a block of the seeds of its study."""
_FEW = 20
"""A claim with at most this many contrasts is judged without first estimating the time that takes."""
# Bytes of memory per observation, and per finding together with its share of the judgement.
_OBSERVATION_BYTES, _FINDING_BYTES = 150, 6_000
_FILE_CHECKS: Mapping[str, Check] = {
    "claims": strict_json.listed,
    "created": strict_json.text,
    "provenance": strict_json.mapping,
}
_ENTRY_CHECKS: Mapping[str, Check] = {
    "nodeid": strict_json.text,
    "digest": strict_json.text,
    "e_value": lambda value, what: strict_json.optional(value, what, strict_json.number),
}
_ENTRY_FIELDS = (
    *("claim", "digest", "nodeid", "registration", "planned", "observations", "failures", "judgement", "outcome"),
    *("arms", "cost"),
)
_OUTCOME_CHECKS: Mapping[str, Check] = {"outcome": strict_json.text, "reason": strict_json.text}
_ARM_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("parameters", "steps", "diverged", "state_size"), _count),
    **dict.fromkeys(("digest", "tuning", "trained_on"), strict_json.text),
    "cpu_seconds": strict_json.number,
}
_CLAIM_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("id", "statement", "source", "expect", "test"), strict_json.text),
    "arms": strict_json.mapping,
    **dict.fromkeys(("contrasts", "requires"), strict_json.listed),
    "derived": strict_json.texts,
}
# Fields that were added later, so that older files do not have them.
_OPTIONAL_CLAIM_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("sweep", "mutant_of", "replicates"), strict_json.text),
    "cells": _cell_count,
    "divergence": strict_json.text,
    "seeds_per_look": lambda value, what: strict_json.optional(value, what, strict_json.whole),
    "cell": lambda value, what: strict_json.each(value, what, _factor_value),
    "deterministic": strict_json.flag,
    **dict.fromkeys(("data", "environment"), strict_json.texts),
}
_CLAIM_ARM_CHECKS: Mapping[str, Check] = {
    "intervention": lambda value, what: strict_json.optional(value, what, strict_json.text),
    "recipe": lambda value, what: strict_json.optional(value, what, strict_json.mapping),
}
_REGISTRATION_CHECKS: Mapping[str, Check] = {
    "status": strict_json.text,
    "first_seed": strict_json.whole,
    "revision": strict_json.whole,
    **dict.fromkeys(("recoded", "withheld", "same_values"), strict_json.flag),
    **dict.fromkeys(("edited", "laboratory"), strict_json.text),
    "alpha": checked_alpha,
    "earlier": strict_json.listed,
}
# The errors that reading JSON that does not follow the schema can raise.
_SCHEMA_ERRORS = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)


def load(path: Path) -> Evidence:
    """Read an evidence file, and recompute every verdict from the observations.

    Raises:
        MemkitError: the file does not exist, is not an evidence file, is damaged, has another schema, or is too large.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from memkit.evidence import Evidence, load
    >>> evidence = Evidence(created="2025-07-29T12:00:00+00:00", provenance={"commit": None}, claims=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     evidence.save(Path(folder) / "evidence.json")
    ...     load(Path(folder) / "evidence.json") == evidence
    True
    """
    return load_and_recompute(path)[0]


def recompute(path: Path) -> list[tuple[str, str, str]]:
    """Recompute every verdict of an evidence file, and compare it with the recorded one.

    Returns:
        ``(claim id, recorded, recomputed)`` for each claim. ``recorded`` is the verdict in the file. ``recomputed`` is
        the same string if nothing differs; if only an interval, a digest, the seeds or the outcome differ, it says
        which.

    Raises:
        MemkitError: as :func:`load`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from memkit.evidence import Evidence, recompute
    >>> evidence = Evidence(created="2025-07-29T12:00:00+00:00", provenance={"commit": None}, claims=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     evidence.save(Path(folder) / "evidence.json")
    ...     [row for row in recompute(Path(folder) / "evidence.json") if row[1] != row[2]]
    []
    """
    return load_and_recompute(path)[1]


def load_and_recompute(path: Path) -> tuple[Evidence, list[tuple[str, str, str]]]:
    """Return the results of :func:`load` and of :func:`recompute`, reading the file only once.

    Raises:
        MemkitError: as :func:`load`.
    """
    try:
        raw = strict_json.read_bytes(path)
        head, count, claims = strict_json.split_claims(raw)
    except FileNotFoundError as error:
        raise MemkitError(f"{path} does not exist; a run of claims writes it") from error
    except OSError as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error.strerror}") from error
    except MemkitError as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(head, dict) or "schema" not in head:
        raise MemkitError(f"{path} is not an evidence file: it has no schema")
    if head["schema"] == 1 and type(head["schema"]) is int:
        raise MemkitError(f"{path} has schema 1, which an earlier decision rule wrote; run the claims again")
    if head["schema"] != SCHEMA or type(head["schema"]) is not int:
        raise MemkitError(f"{path} has schema {short_repr(head['schema'])}; this memkit reads schema {SCHEMA}")
    try:
        data = strict_json.fields(head, "the file", _FILE_CHECKS, "claims", "created", "provenance")
        if count > MOST_DECISIONS:  # each claim has at least one contrast, so refuse the file before judging any
            raise _too_many()
        with _without_garbage_collection():
            entries, rows = _entries(claims, len(raw), _possible_gates(data["provenance"]))
        evidence = Evidence(
            created=data["created"],
            provenance=data["provenance"],
            claims=tuple(entries),
            registered=strict_json.each(data.get("registered", {}), "registered", _e_value),
            studies=strict_json.each(data.get("studies", {}), "studies", strict_json.text),
            metrics=strict_json.each(
                data.get("metrics", {}), "metrics", lambda study, what: strict_json.each(study, what, strict_json.text)
            ),
            curves=strict_json.each(data.get("curves", {}), "curves", lambda curves, _: Curves.from_json(curves)),
        )
    except _SCHEMA_ERRORS as error:
        raise MemkitError(f"{path} is not an evidence file of schema {SCHEMA}: {_message(error)}") from error
    return evidence, rows


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector, which would traverse the growing data again and again and find no garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _possible_gates(provenance: Mapping[str, Any]) -> list[tuple[Mode, bool]]:
    """Return each ``(mode, strict)`` of the gate that may have led to the outcomes; all of them if none is recorded."""
    recorded, strict = provenance.get("gate"), provenance.get("strict")
    modes: list[Mode] = [mode for mode in get_args(Mode) if recorded == mode] or list(get_args(Mode))
    return list(itertools.product(modes, [strict] if isinstance(strict, bool) else [False, True]))


def _entries(
    claims: Iterable[tuple[int, Any]], size: int, gates: Sequence[tuple[Mode, bool]]
) -> tuple[list[ClaimEvidence], list[tuple[str, str, str]]]:
    """Return the claims of a file, and the rows of :func:`recompute`.

    Args:
        claims: for each claim, the bytes of memory that its JSON takes, and the JSON.
        size: the bytes of memory that the file's text takes.
        gates: the modes of the gate that may have led to the outcomes, as :func:`_possible_gates` returns them.

    Raises:
        MemkitError: a claim occurs twice, or the claims take too much time or memory.
    """
    entries: dict[str, ClaimEvidence] = {}
    rows = []
    observations, decisions = 0, MOST_DECISIONS
    for raw_size, raw in claims:
        strict_json.check_memory(size + raw_size)
        entry = claim_evidence(raw, decisions)
        if entry.claim.id in entries:
            raise MemkitError(f"the file holds the claim {entry.claim.id} twice")
        size += _size(entry)
        observations += len(entry.observations)
        decisions -= _decisions_taken(entry)
        if decisions < 0:
            raise _too_many()
        if observations > MOST_OBSERVATIONS:
            raise MemkitError(f"the file holds more than {MOST_OBSERVATIONS} observations; split it into several files")
        recorded, recomputed = raw["judgement"]["verdict"], entry.verdict.value
        if recorded == recomputed and (difference := _difference(raw, entry, gates)):
            recomputed += f" ({difference})"
        rows.append((entry.claim.id, recorded, recomputed))
        entries[entry.claim.id] = entry
    return list(entries.values()), rows


def _difference(raw: Mapping[str, Any], entry: ClaimEvidence, gates: Sequence[tuple[Mode, bool]]) -> str:
    """Say what in a claim's record, apart from the verdict, contradicts the rest of the record; "" if nothing does."""
    if not is_digest_of(entry.claim, raw["digest"]):
        return "the claim's digest differs"
    if entry.planned != entry.registration.seeds(len(entry.planned)):
        return "the seeds are not those of the registration"  # the order counts, too: the first ones decide
    if not _are_close(raw["judgement"], entry.judgement.to_json()):
        return "intervals differ"
    if not _are_close(raw.get("e_value", entry.e_value), entry.e_value):
        return "the e-value differs"
    possible = {entry.gate_by(mode, strict=strict).outcome for mode, strict in gates}
    return "" if entry.gate.outcome in possible else "the outcome differs"


def _are_close(a: Any, b: Any, tolerance: float = 1e-6) -> bool:
    """Return whether two JSON values are equal, with numbers compared up to a relative tolerance."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_are_close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_are_close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        are_numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        return are_numbers and abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
    return bool(a == b)


def _e_value(value: Any, what: str) -> float:
    if (number := strict_json.number(value, what)) < 0:
        raise MemkitError(f"{what} must be an e-value of at least 0, not {short_repr(value)}")
    return number


def _claim(value: Any) -> Claim:
    data = strict_json.fields(value, "a claim", {**_CLAIM_CHECKS, **_OPTIONAL_CLAIM_CHECKS}, *_CLAIM_CHECKS)
    where = f"claim {short_repr(data['id'])}"
    for name, arm in data["arms"].items():
        strict_json.fields(arm, f"{where}: arm {name:.80}", _CLAIM_ARM_CHECKS)
    if data.get("sweep") and not data.get("cell"):
        raise MemkitError(f"{where} belongs to a sweep, but has no cell")
    return Claim.from_json(data)


def _arm(value: Any, what: str) -> dict[str, Any]:
    return strict_json.fields(value, what, _ARM_CHECKS)


def _registration(value: Any, where: str) -> Registration:
    data = strict_json.fields(value, f"{where}: registration", _REGISTRATION_CHECKS, "status", "attempt", "first_seed")
    if data["status"] not in get_args(Status):
        status, known = short_repr(data["status"]), ", ".join(get_args(Status))
        raise MemkitError(f"{where}: the registration's status {status} must be one of {known}")
    strict_json.whole(
        data["attempt"], f"{where}: the attempt of a claim that is {data['status']}", _least_attempt(data["status"])
    )
    if data["status"] == "unregistered" and data["attempt"]:
        raise MemkitError(f"{where} is unregistered, and so cannot have an attempt {data['attempt']}")
    if data["attempt"] > _MOST_ATTEMPTS:
        raise MemkitError(f"{where}: the attempt must be at most {_MOST_ATTEMPTS}, not {data['attempt']}")
    registration = Registration.from_json(data)
    if bool(registration.edited) != (registration.status == "reworded"):
        raise MemkitError(
            f"{where} is {registration.status}, which contradicts its edited fields, {short_repr(registration.edited)}"
        )
    if registration.withheld and not (registration.status == "changed" and registration.development):
        raise MemkitError(f"{where}: withheld may be true only for a claim that is changed and on development seeds")
    return registration


def _least_attempt(status: str) -> int:
    """Return the least number of attempts of a claim with this status: 0 if it is unregistered, else 1."""
    return 0 if status == "unregistered" else 1


def _message(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def claim_evidence(data: Any, decisions: int = MOST_DECISIONS) -> ClaimEvidence:
    """Read the evidence for one claim; the judgement is recomputed from the observations, not read.

    Args:
        data: the claim's JSON.
        decisions: how long the judgement may take, in units of ``MOST_DECISIONS``.

    Raises:
        MemkitError: a field is missing or does not follow the schema, or the judgement would take longer.
    """
    data = strict_json.fields(data, "a claim", _ENTRY_CHECKS, *_ENTRY_FIELDS)
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
    upper_limit = contrasts * (1 + len(planned) // 4)
    if contrasts > _FEW and upper_limit > decisions:
        raise _too_many()
    outcome = strict_json.fields(data["outcome"], f"{where}: outcome", _OUTCOME_CHECKS, *_OUTCOME_CHECKS)
    if outcome["outcome"] not in get_args(Outcome):
        raise MemkitError(
            f"{where}: the outcome {short_repr(outcome['outcome'])} must be one of {', '.join(get_args(Outcome))}"
        )
    arms = strict_json.each(data["arms"], f"{where}: arms", _arm)
    if unknown := next((name for name in arms if name not in claim.arms), None):
        raise MemkitError(f"{where}: arms: {unknown:.80} is not an arm of the claim")
    return ClaimEvidence(
        claim=claim,
        nodeid=data["nodeid"],
        registration=registration,
        planned=tuple(planned),
        observations=observations,
        judgement=judge_registered(claim, observations, planned=planned, registration=registration),
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
    """Return an upper limit of the bytes of memory that a claim's evidence takes."""
    parts = [entry.claim.to_json(), entry.arms, [figure.to_json() for figure in entry.figures]]
    parts += [list(entry.failures.values()), entry.drift, entry.changes, entry.remeasured]
    size = strict_json.memory_bytes(json.dumps(parts, ensure_ascii=False).encode())
    return size + _FINDING_BYTES * max(1, len(entry.judgement.findings)) + _OBSERVATION_BYTES * len(entry.observations)


def _too_many() -> MemkitError:
    return MemkitError(
        f"judging its claims takes as long as more than {MOST_DECISIONS} contrasts that are decided (one that is "
        "undecided before its last seed counts many times); split it into several files"
    )


def _decisions_taken(entry: ClaimEvidence) -> int:
    """Return how long the judgement took, in units of ``MOST_DECISIONS``."""
    judgement, most = entry.judgement, len(entry.planned)
    # The chance of a verdict is predicted if the observed seeds decide nothing, and there are more. For four planned
    # seeds, this takes about as long as the decision on a contrast.
    is_predicted = judgement.decided_at is None and FUTILE_FROM <= judgement.n < most
    return len(entry.claim.all_contrasts) * (1 + most // 4 * is_predicted)
