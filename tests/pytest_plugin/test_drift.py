"""Changes since the accepted run, in a real pytest run: they are reported, and fail the run with --gate drift."""

from __future__ import annotations

import pytest

from tests.inner import command, run
from tests.pytest_plugin.lab import HEAD, canned, evidence, register_claims

WEAKER = "0.7"


@pytest.fixture
def accepted(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite whose verdict was accepted, and whose model has become weaker since."""
    pytester.makepyfile(test_lab=HEAD + "    from model import SCORE\n" + canned("one", "SCORE - seed % 3 / 100"))
    pytester.makepyfile(model="SCORE = 0.95")
    register_claims(pytester)
    refused = run(pytester, "--gate", "drift")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*there is no reports/accepted.json; store the verdicts of a run with `memkit *"])
    assert run(pytester).ret == 0
    assert command(pytester, "accept").ret == 0
    assert run(pytester, "--gate", "drift").ret == 0
    assert evidence(pytester)["lab/one"]["drift"] == []
    pytester.makepyfile(model="SCORE = 0.7")
    return pytester


@pytest.mark.parametrize(
    ("gate", "code", "workers"), [("verdict", 0, "-n0"), ("none", 0, "-n0"), ("drift", 1, "-n0"), ("drift", 1, "-n1")]
)
def test_an_effect_outside_its_interval_is_reported_and_gates_if_requested(
    accepted: pytest.Pytester, gate: str, code: int, workers: str
) -> None:
    result = run(accepted, "--gate", gate, workers)
    assert result.ret == code
    entry = evidence(accepted)["lab/one"]
    assert entry["judgement"]["verdict"] == "SUPPORTED"
    assert "treatment over control was +0.84" in entry["drift"][0]
    result.stdout.fnmatch_lines(["*since the accepted run: treatment over control was*"])
    if gate == "drift":
        result.stdout.fnmatch_lines(["*drift since the accepted run: treatment over control was*"])
    assert command(accepted, "verdicts").ret == 0
    compared = command(accepted, "compare", "reports/accepted.json")
    assert compared.ret == 1
    compared.stdout.fnmatch_lines(["lab/one: treatment over control was*outside that interval"])


def test_a_claim_that_was_edited_since_is_not_compared(accepted: pytest.Pytester) -> None:
    accepted.makepyfile(test_lab=HEAD + canned("one", WEAKER))
    register_claims(accepted)
    result = run(accepted, "--gate", "drift")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["drift: lab/one had no accepted verdict to compare with"])
    assert evidence(accepted)["lab/one"]["drift"] == []
