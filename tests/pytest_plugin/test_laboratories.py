"""Two laboratories run the same claims on seeds of their own, and combine what they found."""

from __future__ import annotations

import json

import pytest

from tests import inner
from tests.inner import command
from tests.pytest_plugin.lab import HEAD, evidence, register_claims

SUITE = """
    import random

    @claim("lab/one", "The treatment scores more than the control.", arms=("treatment", "control"),
        contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))])
    def test_one(seed):
        noise = random.Random(seed).random()
        return {"treatment": 0.6 + 0.4 * noise, "control": 0.4 * noise * noise}

    @claim("lab/two", "The treatment scores more than the control.", arms=("treatment", "control"),
        contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))])
    def test_two(seed):
        noise = random.Random(seed + 1).random()
        return {"treatment": 0.4 * noise * noise, "control": 0.6 + 0.4 * noise}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_lab=HEAD + SUITE)
    register_claims(pytester)
    return pytester


def test_laboratories_from_registration_to_combination(suite: pytest.Pytester) -> None:
    granted = command(suite, "register", "--laboratory", "oslo")
    granted.stdout.fnmatch_lines(["*the laboratory 'oslo' has seeds from 10010000 on*"])
    command(suite, "register", "--laboratory", "oslo").stdout.fnmatch_lines(["*has seeds already"])
    assert inner.run(suite, "-n0", "--memkit-evidence=project.json").ret == 1, "lab/two is refuted"
    result = inner.run(suite, "-n0", "--memkit-laboratory=oslo")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*laboratory oslo*"])
    entries = evidence(suite)
    assert {name: entry["planned"][0] for name, entry in entries.items()} == dict.fromkeys(entries, 10_010_000)
    assert {entry["registration"]["laboratory"] for entry in entries.values()} == {"oslo"}
    assert "<dd>oslo</dd>" in (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8").replace("\n", "")
    assert command(suite, "verdicts").ret == 0
    refused = command(suite, "accept", "project.json")
    refused.stderr.fnmatch_lines(["*lab/two failed*"])
    accepted = command(suite, "accept", "reports/evidence.json")
    accepted.stdout.fnmatch_lines(["2 outcomes of the laboratory 'oslo' recorded in *"])
    assert not (suite.path / "reports" / "accepted.json").exists(), "it holds the project's own verdicts"
    lock = json.loads((suite.path / "claims.lock").read_text(encoding="utf-8"))
    verdicts = {n: e["attempts"][0]["laboratories"]["oslo"]["verdict"] for n, e in lock["claims"].items()}
    assert verdicts == {"lab/one": "SUPPORTED", "lab/two": "REFUTED"}
    combined = command(suite, "combine", "project.json", "reports/evidence.json")
    assert combined.ret == 0
    combined.stdout.fnmatch_lines(
        ["lab/one", "*SUPPORTED*project.json", "*SUPPORTED*evidence.json (oslo)", "*e = *, the product", "lab/two"]
    )
    merged = command(suite, "merge", "project.json", "reports/evidence.json", "--output=merged.json")
    merged.stderr.fnmatch_lines(["*laboratory oslo, seeds from 10010000 in the other; merge only runs under the same*"])


def test_a_laboratory_without_seeds_is_refused(suite: pytest.Pytester) -> None:
    result = inner.run(suite, "-n0", "--memkit-laboratory=oslo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*the lock grants no seeds to the laboratory 'oslo', as `memkit register --laboratory*"]
    )


def test_a_laboratory_that_the_lock_does_not_know_contradicts_it(suite: pytest.Pytester) -> None:
    before = (suite.path / "claims.lock").read_text(encoding="utf-8")
    command(suite, "register", "--laboratory", "oslo")
    inner.run(suite, "-n0", "--memkit-laboratory=oslo")
    (suite.path / "claims.lock").write_text(before, encoding="utf-8")
    result = command(suite, "verdicts")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["lab/one*DIFFERS from the lock: the lock has granted no seeds to the*'oslo'"])
