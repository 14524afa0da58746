"""A lock of an older memkit: runs accept it, and `memkit register` rewrites it without counting an attempt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence import Claim, Lock
from memkit.evidence.lock_schema_1 import digest_1
from tests.inner import command, run
from tests.pytest_plugin.lab import HEAD, canned, evidence, register_claims

TRUE, OTHER = canned("true", options='source="page 3",'), canned("other", "0.1", "0.9", options='expect="refuted",')


@pytest.fixture
def older(pytester: pytest.Pytester) -> pytest.Pytester:
    """An accepted suite at attempt 2, with a lock and accepted verdicts of schema 1."""
    pytester.makepyfile(test_lab=HEAD + canned("true", "0.6"))
    register_claims(pytester)
    pytester.makepyfile(test_lab=HEAD + TRUE, test_more=HEAD + OTHER)
    register_claims(pytester)
    assert run(pytester, "-n0").ret == 0
    assert command(pytester, "accept").ret == 0
    digests = {name: digest_1(Claim.from_json(entry["claim"])) for name, entry in evidence(pytester).items()}
    lock = Lock.load(pytester.path / "claims.lock")
    claims = {
        name: {
            "digest": digests[name],
            "attempt": entry.attempt,
            "code": entry.code,
            "file": entry.file,
            **({"skipped": entry.block + 1 - entry.attempt} if entry.block + 1 > entry.attempt else {}),
        }
        for name, entry in lock.claims.items()
    }
    studies = {name: {"first_seed": first} for name, first in lock.studies.items()}
    write(pytester, "claims.lock", {"schema": 1, "studies": studies, "claims": claims})
    accepted = read(pytester, "reports/accepted.json")
    for name, digest in digests.items():
        accepted["claims"][name]["digest"] = digest
    write(pytester, "reports/accepted.json", accepted)
    return pytester


def write(pytester: pytest.Pytester, name: str, data: Any) -> None:
    (pytester.path / name).write_text(json.dumps(data), encoding="utf-8")


def read(pytester: pytest.Pytester, name: str) -> Any:
    return json.loads(Path(pytester.path / name).read_text(encoding="utf-8"))


def test_a_run_accepts_an_older_lock(older: pytest.Pytester) -> None:
    before = (older.path / "claims.lock").read_text()
    result = run(older, "-n0", "--memkit-gate=drift")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*had no accepted verdict*")
    found = evidence(older)["lab/true"]
    assert (found["registration"]["status"], found["registration"]["attempt"]) == ("registered", 2)
    assert found["planned"][0] == 10_100
    assert found["changes"] == []
    assert command(older, "verdicts").ret == 0
    assert (older.path / "claims.lock").read_text() == before


def test_an_edit_is_found_with_an_older_lock(older: pytest.Pytester) -> None:
    older.makepyfile(test_lab=HEAD + TRUE.replace("The statement", "Another statement"))
    result = run(older, "-n0")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*lab/true: *the claim was changed since it was registered*"])
    register_claims(older).stdout.fnmatch_lines(["lab/true: changed, attempt 3, seeds from 10200"])
    attempts = read(older, "claims.lock")["claims"]["lab/true"]["attempts"]
    assert attempts == [{"block": None}, {"block": 1}, {"block": 2}]


def test_evidence_is_accepted_once_the_lock_is_rewritten(older: pytest.Pytester) -> None:
    refused = command(older, "accept")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["memkit: *claims.lock was written by an older memkit; run `memkit register` first*"])
    register_claims(older)
    accepted = command(older, "accept")
    assert accepted.ret == 0
    accepted.stdout.no_fnmatch_line("*recorded*")
    true = read(older, "claims.lock")["claims"]["lab/true"]["attempts"][-1]
    assert len(true["observations"]) == 32


def test_registering_rewrites_an_older_lock(older: pytest.Pytester) -> None:
    checked = command(older, "register", "--check")
    assert checked.ret == 1, "the rule of verdicts has changed since"
    checked.stdout.fnmatch_lines(
        [
            "the rule of verdicts has changed *; 2 claims on the same seeds",
            "0 of 2 claims new or changed, 0 *, 0 *",
            "2 claims registered by an older memkit; `memkit register` *",
        ]
    )
    assert read(older, "claims.lock")["schema"] == 1
    register_claims(older).stdout.fnmatch_lines(["2 claims registered by an older memkit: *, and so is *accepted.json"])
    lock = read(older, "claims.lock")
    true = lock["claims"]["lab/true"]
    assert lock["schema"] == 2
    annotations = {"statement": "The statement of true.", "source": "page 3", "deterministic": True}
    assert true["annotations"] == annotations
    assert true["file"] == "test_lab.py"
    first, second = true["attempts"]
    assert first == {"block": None}
    assert (second["block"], second["verdict"], second["n"]) == (1, "SUPPORTED", 9)
    assert second["date"] == read(older, "reports/accepted.json")["claims"]["lab/true"]["created"]
    assert read(older, "reports/accepted.json")["claims"]["lab/true"]["digest"] == true["digest"]
    assert command(older, "register", "--check").ret == 0
    result = run(older, "-n0", "--memkit-gate=drift")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*had no accepted verdict*")
    assert evidence(older)["lab/true"]["planned"][0] == 10_100


def test_registering_some_claims_leaves_the_others_unchanged(older: pytest.Pytester) -> None:
    before = read(older, "reports/accepted.json")["claims"]
    assert command(older, "register", "test_lab.py").ret == 0
    lock, accepted = read(older, "claims.lock"), read(older, "reports/accepted.json")["claims"]
    assert lock["claims"]["lab/other"]["digest"] == f"1:{before['lab/other']['digest']}"
    assert accepted["lab/other"] == before["lab/other"]
    assert accepted["lab/true"]["digest"] == lock["claims"]["lab/true"]["digest"]
    assert run(older, "-n0").ret == 0
    compared = command(older, "compare", "reports/accepted.json")
    assert compared.ret == 0
    refused = command(older, "accept")
    assert refused.ret == 4
    assert run(older, "-n0", "test_lab.py").ret == 0
    accepts = command(older, "accept")
    assert accepts.ret == 0
    accepts.stdout.no_fnmatch_line("*dropped*")
    assert command(older, "register").ret == 0
    assert read(older, "claims.lock")["claims"]["lab/other"]["attempts"][0]["verdict"] == "REFUTED"
