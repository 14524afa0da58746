"""Attempts to obtain a verdict that the evidence does not support are refused, or reported beside the verdict."""

from __future__ import annotations

import pytest

from tests import inner
from tests.inner import command
from tests.pytest_plugin.lab import HEAD, evidence, register_claims

CLAIM = """
    from model import noise

    @claim(
        "lab/one",
        "The treatment scores more than the control.",
        arms=("treatment", "control", "straw man"),
        contrasts=[Contrast("treatment", over="control", metric="first", bounds=(0, 1), sesoi=0.1)],
    )
    def test_one(seed):
        return {arm: {"first": noise(seed, arm, 1), "second": noise(seed, arm, 2)} for arm in (
            "treatment", "control", "straw man")}
"""
# All arms are equal, except for the straw man, which is worse.
MODEL = """
    import random

    def noise(seed, arm, metric):
        return 0.0 if arm == "straw man" else random.Random(f"{seed} {arm} {metric}").random()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A registered claim whose verdict is known and is not SUPPORTED."""
    write(pytester)
    register_claims(pytester)
    assert run(pytester).ret == 1
    assert verdict_and_registration(pytester) == ("INCONCLUSIVE", "registered", 1)
    return pytester


def write(pytester: pytest.Pytester, *edits: tuple[str, str], model: str = MODEL) -> None:
    source = CLAIM
    for old, new in edits:
        assert old in source
        source = source.replace(old, new)
    pytester.makepyfile(test_lab=HEAD + source, model=model)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return inner.run(pytester, "-n0", *arguments)


def verdict_and_registration(pytester: pytest.Pytester) -> tuple[str, str, int]:
    """Return the verdict, the state of the registration, and the attempt."""
    entry = evidence(pytester)["lab/one"]
    return entry["judgement"]["verdict"], entry["registration"]["status"], entry["registration"]["attempt"]


def test_looking_more_often_does_not_make_it_significant(suite: pytest.Pytester) -> None:
    for seeds in (6, 9, 12, 17, 31, 33, 99):
        assert run(suite, f"--seeds={seeds}").ret == 1
        entry = evidence(suite)["lab/one"]
        assert entry["judgement"]["decided_at"] is None
        assert len(entry["planned"]) == min(seeds, 32), "no more seeds than were registered"
        assert entry["outcome"]["outcome"] == "failed"


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(('metric="first"', 'metric="second"'), id="best of several metrics"),
        pytest.param(('over="control"', 'over="straw man"'), id="control chosen afterwards"),
        pytest.param(('over="control"', "over=0.1"), id="chance chosen afterwards"),
        pytest.param(("bounds=(0, 1)", "bounds=(0, 1), margin=-0.9"), id="margin"),
        pytest.param(("bounds=(0, 1)", 'assume="normal"'), id="assumption"),
        pytest.param(("sesoi=0.1", "sesoi=0.9"), id="smallest effect of interest"),
        pytest.param(("contrasts=", 'expect="not_supported", contrasts='), id="expectation"),
        pytest.param(("contrasts=", "gate=False, contrasts="), id="gate"),
        pytest.param(("contrasts=", 'expect="open", contrasts='), id="open"),
        pytest.param(("contrasts=", 'expect="not_supported", seeds=8, contrasts='), id="fewer looks at what is false"),
        pytest.param(("noise(seed, arm, 1)", "noise(seed, arm, 3)"), id="test"),
    ],
)
def test_an_edit_after_a_run_fails_until_it_is_registered_on_fresh_seeds(
    suite: pytest.Pytester, edit: tuple[str, str]
) -> None:
    seeds = evidence(suite)["lab/one"]["planned"]
    write(suite, edit)
    result = run(suite)
    _, status, attempt = verdict_and_registration(suite)
    assert (status, attempt) == ("changed", 1)
    assert set(evidence(suite)["lab/one"]["planned"]) <= set(range(32)), "on development seeds alone"
    result.stdout.fnmatch_lines(["*changed*"])
    assert result.ret == 1
    assert evidence(suite)["lab/one"]["outcome"]["outcome"] != "passed"
    page = (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert "changed" in page
    result = register_claims(suite)
    result.stdout.fnmatch_lines(["lab/one: changed, attempt 2, seeds from 10100"])
    run(suite)
    assert verdict_and_registration(suite)[1:] == ("registered", 2)
    assert not set(seeds) & set(evidence(suite)["lab/one"]["planned"])


WORDS = [
    pytest.param(("scores more than", "differs from"), "statement was", id="statement"),
    pytest.param(("contrasts=", "seeds=40, contrasts="), "seeds were", id="seeds"),
    pytest.param(("contrasts=", 'source="page 3", contrasts='), "source was", id="source"),
    pytest.param(("contrasts=", "headline=True, deterministic=True, contrasts="), "headline and deterministic were"),
]


@pytest.mark.parametrize(("edit", "edited"), WORDS)
def test_an_edit_of_the_wording_fails_until_it_is_registered_on_the_same_seeds(
    suite: pytest.Pytester, edit: tuple[str, str], edited: str
) -> None:
    write(suite, ("contrasts=", 'expect="open", contrasts='))  # another claim, which does not gate
    register_claims(suite)
    assert run(suite).ret == 0
    assert command(suite, "accept").ret == 0
    seeds = evidence(suite)["lab/one"]["planned"]
    write(suite, ("contrasts=", 'expect="open", contrasts='), edit)
    for arguments in ((), ("--memkit-strict",), ("--memkit-gate=drift",)):
        result = run(suite, *arguments)
        assert result.ret == 1
        result.stdout.fnmatch_lines(
            [
                "memkit: lab/one reworded since registration, which fails this run: `memkit register` records*",
                f"FAILED*lab/one: *, but its {edited} edited since it was registered; `memkit register` registers*",
            ]
        )
        assert verdict_and_registration(suite) == ("INCONCLUSIVE", "reworded", 2)
        assert evidence(suite)["lab/one"]["planned"][: len(seeds)] == seeds
    assert "reworded" in (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    recomputed = command(suite, "verdicts")
    recomputed.stdout.fnmatch_lines(["lab/one*DIFFERS from the lock: the claim differs from what was registered: *"])
    recomputed.stdout.no_fnmatch_line("*does not follow*")
    merged = command(suite, "merge", "reports/evidence.json", "--output=merged.json")
    assert merged.ret == 1
    merged.stdout.fnmatch_lines(["Gate failed: *"])
    refused = command(suite, "accept")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*lab/one is reworded; only a run that decided and passed is accepted"])
    for arguments in (("--memkit-gate=none",), ("--memkit-development",)):
        assert run(suite, *arguments).ret == 0
    words = ", ".join(edited.split(" w")[0].split(" and "))
    checked = command(suite, "register", "--check")
    assert checked.ret == 1
    checked.stdout.fnmatch_lines([f"lab/one: reworded ({words}), on the same seeds", "0 of 1 claim *, 1 reworded, *"])
    register_claims(suite).stdout.fnmatch_lines([f"lab/one: reworded ({words}), on the same seeds"])
    assert run(suite).ret == 0
    assert verdict_and_registration(suite)[1:] == ("registered", 2)
    assert command(suite, "register", "--check").ret == 0
    assert command(suite, "verdicts").ret == 0


def test_a_changed_claim_fails_by_whatever_computes_its_gate_and_development_fails_nothing(
    suite: pytest.Pytester,
) -> None:
    write(suite, ('metric="first"', 'metric="second"'))
    assert run(suite, "--memkit-development").ret == 0
    assert evidence(suite)["lab/one"]["outcome"]["outcome"] == "skipped"
    verdicts = command(suite, "verdicts")
    assert verdicts.ret == 0
    verdicts.stdout.fnmatch_lines(["lab/one*on development seeds, which decide nothing, for a claim that was edited"])
    assert run(suite, "--memkit-gate=none").ret == 0
    assert run(suite, "--memkit-strict").ret == 1
    merged = command(suite, "merge", "reports/evidence.json", "--output=merged.json")
    assert merged.ret == 1
    merged.stdout.fnmatch_lines(["Gate failed: *", "lab/one DIFFERS from the lock: *digest differs from*"])
    verdicts = command(suite, "verdicts")
    assert verdicts.ret == 1
    verdicts.stdout.no_fnmatch_line("*does not follow*")
    refused = command(suite, "accept")
    refused.stderr.fnmatch_lines(["*lab/one is changed; only a run that decided and passed is accepted"])


def test_a_change_of_the_code_behind_a_claim_is_reported_and_counted(suite: pytest.Pytester) -> None:
    better = MODEL.replace("return 0.0 if", 'return 0.99 if arm == "treatment" else 0.0 if')
    write(suite, model=better)
    result = run(suite)
    assert result.ret == 0, "the code may be changed for other reasons than its verdict"
    assert verdict_and_registration(suite) == ("SUPPORTED", "registered", 1)
    result.stdout.fnmatch_lines(["*code changed since registration*"])
    assert "code changed since registration" in (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    register_claims(suite).stdout.fnmatch_lines(
        ["lab/one: the code behind it has changed; a revision, on the same seeds"]
    )
    result = run(suite)
    result.stdout.fnmatch_lines(["*code revised once*"])
    assert verdict_and_registration(suite) == ("SUPPORTED", "registered", 1)
    write(suite, model=better.replace("import random", "import random  # a comment"))
    assert "code changed" not in run(suite).stdout.str(), "formatting is no other code"


def test_development_seeds_decide_nothing_however_good_they_look(suite: pytest.Pytester) -> None:
    write(suite, model=MODEL.replace("return 0.0 if", 'return 0.99 if arm == "treatment" else 0.0 if'))
    result = run(suite, "--development")
    assert result.ret == 0
    entry = evidence(suite)["lab/one"]
    assert (entry["judgement"]["verdict"], entry["judgement"]["indication"]) == ("INCONCLUSIVE", "SUPPORTED")
    assert entry["outcome"]["outcome"] == "skipped"


def test_a_change_that_breaks_the_memory_fails_with_one_sentence(pytester: pytest.Pytester) -> None:
    """The exit code and one sentence show which claim failed, without the table."""
    good = MODEL.replace("return 0.0 if", 'return 0.99 if arm == "treatment" else 0.0 if')
    write(pytester, model=good)
    register_claims(pytester)
    assert run(pytester).ret == 0
    write(pytester, model=MODEL.replace("return 0.0 if", 'return 0.0 if arm == "treatment" or'))
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["lab/one: expected supported, found REFUTED*"])
    result.stdout.fnmatch_lines(["Not as registered: lab/one (expected supported, found REFUTED)."])
    failed = [line for line in result.stdout.lines if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "lab/one: expected supported, found REFUTED" in failed[0]


def test_an_edited_claim_fails_even_if_it_is_skipped(suite: pytest.Pytester) -> None:
    write(
        suite,
        ("    @claim(", "    @pytest.mark.skip(reason='not now')\n    @claim("),
        ("contrasts=", "gate=False, contrasts="),
    )
    result = run(suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED*lab/one: INCOMPLETE, but the claim was changed since it was registered*"])
