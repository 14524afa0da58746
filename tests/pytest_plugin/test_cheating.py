"""Attempts to obtain a verdict that the evidence does not support are refused, or reported beside the verdict."""

from __future__ import annotations

import shutil

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


BETTER = MODEL.replace("return 0.0 if", 'return 0.99 if arm == "treatment" else 0.0 if')
WORSE = MODEL.replace("return 0.0 if", 'return 0.0 if arm == "treatment" or')
NEW_ATTEMPT = "*INCOMPLETE: its seeds were measured without a verdict before the code or the data behind it changed*"


def test_better_code_decides_nothing_on_seeds_that_decided_nothing(suite: pytest.Pytester) -> None:
    write(suite, model=BETTER)
    result = run(suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines([NEW_ATTEMPT])
    assert verdict_and_registration(suite) == ("INCOMPLETE", "registered", 1)
    assert "code changed since registration" in (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert command(suite, "register", "--check").ret == 1
    register_claims(suite).stdout.fnmatch_lines(["lab/one: attempt 2, seeds from 10100"])
    assert run(suite).ret == 0
    assert verdict_and_registration(suite) == ("SUPPORTED", "registered", 2)
    assert evidence(suite)["lab/one"]["judgement"]["findings"][0]["needed"]["support"] == 80


def test_registering_better_code_first_decides_nothing_either(suite: pytest.Pytester) -> None:
    write(suite, model=BETTER)
    revised = ["lab/one: the code behind it has changed; a revision, on the same seeds"]
    register_claims(suite).stdout.fnmatch_lines(revised)
    result = run(suite)
    result.stdout.fnmatch_lines([NEW_ATTEMPT, "*code revised once*"], consecutive=False)
    assert (result.ret, *verdict_and_registration(suite)) == (1, "INCOMPLETE", "registered", 1)
    # Back to the first code, whose values these are.
    write(suite)
    register_claims(suite)
    run(suite)
    assert verdict_and_registration(suite) == ("INCONCLUSIVE", "registered", 1)
    write(suite, model=BETTER)
    register_claims(suite).stdout.fnmatch_lines(["lab/one: attempt 2, seeds from 10100"])


def test_code_that_changes_no_value_costs_nothing(suite: pytest.Pytester) -> None:
    write(suite, model=MODEL + "\n    def another():\n        return 1\n")
    run(suite).stdout.fnmatch_lines(["*code changed since registration*"])
    assert verdict_and_registration(suite) == ("INCONCLUSIVE", "registered", 1)
    register_claims(suite).stdout.fnmatch_lines(
        ["lab/one: the code behind it has changed; a revision, on the same seeds"]
    )
    result = run(suite, "--memkit-seeds=40")
    result.stdout.fnmatch_lines(["*code revised once*"])
    assert verdict_and_registration(suite) == ("INCONCLUSIVE", "registered", 1)
    write(suite, model=MODEL + "\n    def another():\n        return 1  # a comment\n")
    assert "code changed" not in run(suite).stdout.str(), "formatting is no other code"


def test_better_data_decides_nothing_on_seeds_that_decided_nothing(pytester: pytest.Pytester) -> None:
    settings = pytester.path / "settings.json"
    reading = """
    import json, pathlib
    HERE = pathlib.Path(__file__).parent

    def noise(seed, arm, metric):
        import random
        better = json.loads((HERE / "settings.json").read_text()) if arm == "treatment" else 0
        return better or random.Random(f"{seed} {arm} {metric}").random()
"""
    settings.write_text("0")
    write(pytester, model=reading)
    register_claims(pytester)
    run(pytester)
    assert verdict_and_registration(pytester) == ("INCONCLUSIVE", "registered", 1)
    settings.write_text("0.99")
    for _ in range(2):
        run(pytester).stdout.fnmatch_lines([NEW_ATTEMPT])
    settings.write_text("0")
    run(pytester)
    assert verdict_and_registration(pytester) == ("INCONCLUSIVE", "registered", 1)
    assert command(pytester, "register", "--check").ret == 0
    settings.write_text("0.99")
    run(pytester)
    register_claims(pytester).stdout.fnmatch_lines(["lab/one: attempt 2, seeds from 10100"])


@pytest.mark.parametrize("registered", [False, True])
def test_changed_code_confirms_or_withholds_a_verdict(pytester: pytest.Pytester, registered: bool) -> None:
    write(pytester, model=BETTER)
    register_claims(pytester)
    assert run(pytester).ret == 0
    for model, verdict in (
        (BETTER.replace("0.99", "0.98"), "SUPPORTED"),
        (WORSE, "INCONCLUSIVE"),
        (BETTER, "SUPPORTED"),
    ):
        write(pytester, model=model)
        if registered:
            register_claims(pytester)
        result = run(pytester)
        assert (result.ret, *verdict_and_registration(pytester)) == (verdict != "SUPPORTED", verdict, "registered", 1)
        if verdict == "INCONCLUSIVE":
            found = "SUPPORTED, n = * was found earlier, and is not reproduced by this code, which finds REFUTED"
            result.stdout.fnmatch_lines([f"*{found}*"])
            assert command(pytester, "verdicts").ret == 0, "the evidence holds what the judgement depends on"


def test_a_refuted_claim_is_not_supported_by_better_code(pytester: pytest.Pytester) -> None:
    write(pytester, model=WORSE)
    register_claims(pytester)
    assert run(pytester).ret == 1
    write(pytester, model=BETTER)
    for _ in range(2):
        result = run(pytester)
        result.stdout.fnmatch_lines(["*REFUTED, n = * not reproduced by this code, which finds SUPPORTED; restore*"])
        assert (result.ret, *verdict_and_registration(pytester)) == (1, "INCONCLUSIVE", "registered", 1)
        register_claims(pytester)
    refused = command(pytester, "register", "--new-attempt", "lab/won")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*no claim 'lab/won' was collected; did you mean 'lab/one'*"])
    result = command(pytester, "register", "--new-attempt", "lab/one")
    result.stdout.fnmatch_lines(["lab/one: attempt 2, seeds from 10100"])
    assert run(pytester).ret == 0


def test_without_the_store_the_lock_remembers(pytester: pytest.Pytester) -> None:
    open_question = ("contrasts=", 'expect="open", contrasts=')
    write(pytester, open_question)
    register_claims(pytester)
    run(pytester)
    assert command(pytester, "accept").ret == 0
    for model, verdict in ((BETTER, "INCOMPLETE"), (MODEL + "\n    x = 1\n", "INCONCLUSIVE")):
        shutil.rmtree(pytester.path / ".memkit")
        write(pytester, open_question, model=model)
        register_claims(pytester)
        run(pytester)
        assert verdict_and_registration(pytester) == (verdict, "registered", 1)


def test_on_another_platform_values_may_differ_in_their_last_digits(pytester: pytest.Pytester) -> None:
    open_question = ("contrasts=", 'expect="open", contrasts=')
    write(pytester, open_question)
    register_claims(pytester)
    run(pytester)
    assert command(pytester, "accept").ret == 0
    write(pytester, open_question, model=MODEL.replace(".random()", ".random() * (1 - 1e-9)"))
    accepted = pytester.path / "reports" / "accepted.json"
    for machine, verdict in (("", "INCOMPLETE"), ("another", "INCONCLUSIVE")):
        shutil.rmtree(pytester.path / ".memkit")
        text = accepted.read_text(encoding="utf-8")
        accepted.write_text(text.replace('"machine":"', f'"machine":"{machine}'), encoding="utf-8")
        run(pytester)
        assert verdict_and_registration(pytester) == (verdict, "registered", 1)


ERRORS = [
    pytest.param("raise OSError('no such file')", 1, id="harness error"),
    pytest.param("return {'treatment': 1.5, 'control': 0.5, 'straw man': 0.5}", 2, id="bound"),
    pytest.param("assert seed < 0, 'not good enough'", 2, id="assertion"),
]


@pytest.mark.parametrize(("line", "attempt"), ERRORS)
def test_an_attempt_counts_unless_it_left_no_measurement_because_of_a_harness_error(
    pytester: pytest.Pytester, line: str, attempt: int
) -> None:
    write(pytester, ("def test_one(seed):", f"def test_one(seed):\n        {line}"))
    register_claims(pytester)
    assert run(pytester).ret == 1
    write(pytester)
    told = "changed before any seed was measured, still attempt 1" if attempt == 1 else "changed, attempt 2"
    register_claims(pytester).stdout.fnmatch_lines([f"lab/one: {told}, seeds from 10100"])
    run(pytester)
    entry = evidence(pytester)["lab/one"]["registration"]
    assert entry["attempt"] == attempt
    assert [each.get("unmeasured", False) for each in entry["earlier"]] == [attempt == 1]


@pytest.mark.parametrize("remove", [False, True])
def test_a_new_name_does_not_make_a_new_claim(suite: pytest.Pytester, remove: bool) -> None:
    if remove:
        assert command(suite, "register", "--remove", "lab/one").ret == 0
    write(suite, ("lab/one", "lab/another"), ("sesoi=0.1", "sesoi=0.1, margin=1e-9"))
    result = register_claims(suite)
    result.stdout.fnmatch_lines(["lab/another: continues lab/one, attempt 2, seeds from 10100"])


def test_development_seeds_decide_nothing_however_good_they_look(suite: pytest.Pytester) -> None:
    write(suite, model=MODEL.replace("return 0.0 if", 'return 0.99 if arm == "treatment" else 0.0 if'))
    result = run(suite, "--development")
    assert result.ret == 0
    entry = evidence(suite)["lab/one"]
    assert (entry["judgement"]["verdict"], entry["judgement"]["indication"]) == ("INCONCLUSIVE", "SUPPORTED")
    assert entry["outcome"]["outcome"] == "skipped"


def test_a_change_that_breaks_the_memory_fails_with_one_sentence(pytester: pytest.Pytester) -> None:
    """The exit code and one sentence show which claim failed, without the table."""
    write(pytester, model=BETTER)
    register_claims(pytester)
    assert run(pytester).ret == 0
    write(pytester, model=WORSE)
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["lab/one: expected supported, found INCONCLUSIVE; SUPPORTED, n = *"])
    result.stdout.fnmatch_lines(["Not as registered: lab/one (expected supported, found INCONCLUSIVE)."])
    failed = [line for line in result.stdout.lines if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "lab/one: expected supported, found INCONCLUSIVE; SUPPORTED" in failed[0]


def test_an_edited_claim_fails_even_if_it_is_skipped(suite: pytest.Pytester) -> None:
    write(
        suite,
        ("    @claim(", "    @pytest.mark.skip(reason='not now')\n    @claim("),
        ("contrasts=", "gate=False, contrasts="),
    )
    result = run(suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED*lab/one: INCOMPLETE, but the claim was changed since it was registered*"])
