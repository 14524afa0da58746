"""Claims in pytest: seeds, verdict and exit code, with every way of distributing tests."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import canned, evidence, ran, register_claims, verdict, write_suite

# One worker does the same as several, except for the distribution of items, which test_looks.py tests.
BOTH = pytest.mark.parametrize("how", ["-n0", "-n1"])


@pytest.mark.parametrize("how", ["-n0", "-n2"])
def test_a_claim_that_holds_passes_and_a_false_one_fails(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9"), canned("noise", "seed % 2", "(seed + 1) % 2"))

    result = run(pytester, how, "--junitxml=junit.xml", "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=8 + 8 + 16 + 1, failed=2, skipped=24 + 24 + 16)
    assert {name: verdict(pytester, name) for name in ("true", "false", "noise")} == {
        "true": "SUPPORTED",
        "false": "REFUTED",
        "noise": "INCONCLUSIVE",
    }
    result.stdout.fnmatch_lines(
        [
            "*SUPPORTED*lab/true*",
            "FAILED test_lab.py::test_false[[]verdict[]]*lab/false: expected supported, found REFUTED*",
        ]
    )
    cases = {case.attrib["name"]: case for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")}
    assert cases["test_true[verdict]"].find("failure") is None
    failure = cases["test_false[verdict]"].find("failure")
    assert failure is not None
    assert "found REFUTED" in failure.attrib["message"]


def test_a_verdict_does_not_depend_on_other_claims(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("one", "0.5 + 0.01 * (seed % 7)", "0.2"), canned("other", "0.1", "0.9"))
    run(pytester, "-n0")
    together = evidence(pytester)["lab/one"]["judgement"]

    result = run(pytester, "-n0", "-k", "test_one")

    assert result.ret == 0
    assert evidence(pytester)["lab/one"]["judgement"] == together


def test_expectations_gate_in_both_directions(pytester: pytest.Pytester) -> None:
    write_suite(
        pytester,
        canned("aa", "seed % 2", "(seed + 1) % 2", options='expect="not_supported",'),
        canned("leak", options='expect="not_supported",'),
        canned("question", options='expect="open",'),
    )

    result = run(pytester, "-n0", "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "SKIPPED*lab/question: SUPPORTED; an open question, gates nothing",
            "FAILED*lab/leak: expected not supported, found SUPPORTED",
        ]
    )
    assert evidence(pytester)["lab/aa"]["outcome"]["outcome"] == "passed"
    assert run(pytester, "-n0", "--gate=none").ret == 0


@BOTH
def test_a_seed_that_raises_fails_the_run_and_leaves_the_claim_incomplete(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester, canned("broken", body="assert seed != 10003, 'the fuse blew'"), canned("true"))

    result = run(pytester, how, "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict(pytester, "broken") == "INCOMPLETE"
    assert verdict(pytester, "true") == "SUPPORTED"
    assert "the fuse blew" in evidence(pytester)["lab/broken"]["failures"]["10003"]
    result.stdout.fnmatch_lines(["FAILED*lab/broken: seed 10003 failed: *the fuse blew*"])


def test_a_worker_that_dies_leaves_the_claim_incomplete(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("deadly", body="seed == 10003 and os._exit(1)"), canned("true"))

    result = run(pytester, "-n2", "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict(pytester, "deadly") == "INCOMPLETE"
    assert verdict(pytester, "true") == "SUPPORTED"
    assert "10003" in evidence(pytester)["lab/deadly"]["failures"]


@BOTH
@pytest.mark.parametrize("stop", ["-x", "--maxfail=1"])
def test_stopping_early_keeps_the_verdicts(pytester: pytest.Pytester, how: str, stop: str) -> None:
    # The other claim is slow; otherwise it might be decided before the workers are told to stop.
    slow = canned("other", body="__import__('time').sleep(0.4)")
    write_suite(pytester, canned("broken", body="assert seed != 10002"), slow)

    result = run(pytester, how, stop)

    assert result.ret != 0
    assert verdict(pytester, "broken") == "INCOMPLETE"
    entry = evidence(pytester)["lab/other"]
    assert entry["judgement"]["verdict"] == "INCOMPLETE"
    assert entry["judgement"]["missing"]
    assert entry["outcome"]["outcome"] == "skipped"


def test_an_interrupted_run_keeps_its_observations(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("short"), canned("long", "seed % 2", body="if seed == 10009: raise KeyboardInterrupt"))

    result = run(pytester, "-n0")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert verdict(pytester, "short") == "SUPPORTED"  # at the first look, which was complete
    entry = evidence(pytester)["lab/long"]
    assert entry["judgement"]["verdict"] == "INCOMPLETE"  # in the second
    assert entry["judgement"]["missing"] == list(range(10009, 10012))
    assert len(entry["observations"]) == 2 * 9
    assert entry["outcome"]["outcome"] == "skipped"


@BOTH
def test_a_selection_is_incomplete_and_names_the_seeds(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester, canned("true"))

    result = run(pytester, how, "-k", "10000 or 10001 or 10004", "-ra")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED*lab/true: INCOMPLETE: not run: seeds 10002–10003, 10005–10007"])


@BOTH
def test_last_failed_runs_the_seeds_of_a_failed_verdict(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9"))
    assert run(pytester, how).ret == pytest.ExitCode.TESTS_FAILED
    ran(pytester.path)

    again = run(pytester, how, "--lf", "--fresh")

    assert again.ret == pytest.ExitCode.TESTS_FAILED
    assert sorted(ran(pytester.path)) == [f"false {seed}" for seed in range(10000, 10008)]
    assert verdict(pytester, "false") == "REFUTED"

    write_suite(pytester, canned("true"), canned("false", "0.9", "0.1"), register=False)
    run(pytester, how, "--lf", "--gate=none", "--seeds=16")
    assert set(evidence(pytester)) == {"lab/false"}, "also on the development seeds that an edit moves it to"
    write_suite(pytester, canned("true"), canned("false", "0.9", "0.1"))
    assert run(pytester, how).ret == 0
    noted = (pytester.path / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text()
    assert "[3]" not in noted, "they are forgotten where the claim passes"


def test_a_seed_that_is_not_finite_withholds_support(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("nan", "math.nan if seed == 10001 else 0.9"))

    assert run(pytester, "-n0").ret == 0

    entry = evidence(pytester)["lab/nan"]
    assert [10001, "treatment", "score", None, "the test returned nan"] in entry["observations"]
    (finding,) = entry["judgement"]["findings"]
    assert entry["judgement"]["decided_at"] == 9  # with a number, it is decided at the first look
    least, greatest = (8 * 0.8 + (0.0 - 0.1)) / 9, (8 * 0.8 + (1.0 - 0.1)) / 9
    assert finding["estimate"] == pytest.approx((least + greatest) / 2)


def test_fewer_than_six_seeds_decide_nothing(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9"))

    result = run(pytester, "-n0", "--seeds=5", "-ra")

    assert result.ret == 0
    assert verdict(pytester, "true") == "INCONCLUSIVE"
    result.stdout.fnmatch_lines(["SKIPPED*5 seeds cannot decide; the rule needs 6"])


@pytest.mark.parametrize("seeds", ["8", "16", "32"])
def test_the_first_n_that_decides_counts(pytester: pytest.Pytester, seeds: str) -> None:
    write_suite(pytester, canned("true", "0.95 if seed < 10008 else 0.0", "0.0"))

    assert run(pytester, "-n0", f"--seeds={seeds}").ret == 0

    assert evidence(pytester)["lab/true"]["judgement"]["decided_at"] == 7


def test_claims_on_development_seeds_decide_nothing(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"), register=False)

    result = run(pytester, "-n0", "-ra")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED*looks like SUPPORTED*not registered, run `memkit register`*"])
    assert evidence(pytester)["lab/true"]["planned"] == list(range(32))

    register_claims(pytester)
    assert run(pytester, "-n0").ret == 0
    assert verdict(pytester, "true") == "SUPPORTED"
    run(pytester, "-n0", "--development")
    assert verdict(pytester, "true") == "INCONCLUSIVE"


def test_an_edited_claim_fails_until_it_is_registered_on_fresh_seeds(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    write_suite(pytester, canned("true", "0.8"), register=False)

    result = run(pytester, "-n0", "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED*lab/true: INCONCLUSIVE, but the claim was changed since it was registered*"])

    assert evidence(pytester)["lab/true"]["planned"] == list(range(32)), "development seeds, until it is registered"
    assert evidence(pytester)["lab/true"]["judgement"]["indication"] == "SUPPORTED"

    register_claims(pytester).stdout.fnmatch_lines(["lab/true: changed, attempt 2, seeds from 10100"])
    assert run(pytester, "-n0").ret == 0
    entry = evidence(pytester)["lab/true"]
    assert entry["planned"] == list(range(10100, 10132))
    assert entry["registration"]["attempt"] == 2


def test_headline_runs_the_headline_claims(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("big", options="headline=True,"), canned("small"))

    result = run(pytester, "-n0", "--headline")

    assert result.ret == 0
    assert set(evidence(pytester)) == {"lab/big"}
    result.assert_outcomes(passed=8 + 1, skipped=24)
    result.stdout.fnmatch_lines(["memkit: 1 excluded: claims that are not headlines (--memkit-headline excludes them)"])


@BOTH
def test_nothing_is_measured_twice(pytester: pytest.Pytester, how: str) -> None:
    pytester.makepyfile(instrument="SCALE = 1.0\n")
    source = canned("true", "0.9 * SCALE").replace("    @claim", "    from instrument import SCALE\n\n    @claim", 1)
    write_suite(pytester, source)
    run(pytester, how)
    assert len(ran(pytester.path)) == 8

    assert run(pytester, how).ret == 0
    assert ran(pytester.path) == []
    assert verdict(pytester, "true") == "SUPPORTED"
    assert evidence(pytester)["lab/true"]["cost"]["reused"] == 1.0

    pytester.makepyfile(instrument='"""Only a docstring, and a comment."""\n\nSCALE   =  1.0  # the same\n')
    run(pytester, how)
    assert ran(pytester.path) == []

    pytester.makepyfile(instrument="SCALE = 0.98\n")
    run(pytester, how)
    assert len(ran(pytester.path)) == 8

    run(pytester, how, "--fresh")
    assert len(ran(pytester.path)) == 8


def test_a_damaged_measurement_is_made_again(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    run(pytester, "-n0")
    ran(pytester.path)
    victim = next((pytester.path / ".memkit" / "measurements").rglob("*.jsonl"))
    victim.write_text(victim.read_text().replace("0.9", "0.8", 1))

    pytester.makeini("[pytest]\nfilterwarnings = error\n")  # a repaired entry is not an error

    result = run(pytester, "-n0")

    assert result.ret == 0
    assert len(ran(pytester.path)) == 1
    result.stdout.fnmatch_lines(["*MemkitWarning*is damaged*it is measured again*"])


def test_ordinary_tests_run_beside_claims(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"), "\n    def test_plain():\n        pass\n")

    result = run(pytester, "-n2")

    assert result.ret == 0
    result.assert_outcomes(passed=8 + 1 + 1, skipped=24)


def test_collecting_trains_and_writes_nothing(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))

    result = run(pytester, "--collect-only", "-q")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["test_lab.py::test_true[[]10000[]]"])
    assert not (pytester.path / "reports").exists()
    assert not (pytester.path / ".memkit").exists()


@pytest.mark.parametrize("way", ["pytest.skip('unlucky')", "pytest.xfail('unlucky')"])
def test_the_deciding_seeds_cannot_be_chosen(pytester: pytest.Pytester, way: str) -> None:
    write_suite(pytester, canned("true", body=f"if seed % 4 == 0: {way}"))

    result = run(pytester, "-n0", "-ra")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED*lab/true: seed 10000 and 1 more failed: *unlucky*"])


def test_a_claim_whose_seeds_all_skip_gives_the_reason(pytester: pytest.Pytester) -> None:
    skipped = canned("true").replace("    @claim", "    @pytest.mark.skip(reason='no data: get them')\n    @claim", 1)
    write_suite(pytester, skipped, canned("other"))

    for _ in "cold", "warm":
        result = run(pytester, "-n0", "-ra")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["SKIPPED*lab/true: INCOMPLETE: skipped: no data: get them"])
    assert verdict(pytester, "true") == "INCOMPLETE"


@BOTH
@pytest.mark.parametrize("folder", ["a@b[1]"])
def test_paths_may_contain_brackets_and_at_signs(pytester: pytest.Pytester, how: str, folder: str) -> None:
    write_suite(pytester, canned("false", "0.1", "0.9"))
    (pytester.path / folder).mkdir()
    (pytester.path / "test_lab.py").rename(pytester.path / folder / "test_lab.py")

    assert run(pytester, how).ret == pytest.ExitCode.TESTS_FAILED
    assert verdict(pytester, "false") == "REFUTED"


def test_a_fixture_of_one_of_several_conftests_counts(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true", "0.9 * scale").replace("(seed)", "(seed, scale)"))
    fixture = "import pytest\n\n@pytest.fixture\ndef scale():\n    return {}\n"
    (pytester.path / "conftest.py").write_text(fixture.format("1.0"))
    (pytester.path / "sub").mkdir()
    (pytester.path / "sub" / "conftest.py").write_text("")
    (pytester.path / "sub" / "test_plain.py").write_text("def test_plain():\n    pass\n")
    run(pytester, "-n0", "test_lab.py", "sub")
    assert len(ran(pytester.path)) == 8

    (pytester.path / "conftest.py").write_text(fixture.format("0.05"))
    result = run(pytester, "-n0", "test_lab.py", "sub")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(ran(pytester.path)) == 16  # measured again, and now undecided


def test_a_measurement_whose_teardown_failed_is_not_kept(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true").replace("(seed)", "(seed, bench)"))
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef bench():\n    yield\n    raise RuntimeError('leak')\n")

    for _ in range(2):
        assert run(pytester, "-n0").ret == pytest.ExitCode.TESTS_FAILED
        assert len(ran(pytester.path)) == 8
        assert verdict(pytester, "true") == "INCOMPLETE"


def test_a_claim_that_cannot_be_judged_does_not_affect_the_others(pytester: pytest.Pytester) -> None:
    huge = canned("huge", "1.5e308 * (seed % 3)", "-1.5e308 * (seed % 2)")
    huge = huge.replace("bounds=(0, 1)", 'assume="normal"')
    write_suite(pytester, huge, canned("true"))

    result = run(pytester, "-n0")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict(pytester, "true") == "SUPPORTED"
    assert set(evidence(pytester)) == {"lab/huge", "lab/true"}


def test_the_lock_stays_in_use_when_a_claims_folder_comes_later(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("false", "0.1", "0.9"))
    (pytester.path / "claims").mkdir()
    assert run(pytester, "-n0").ret == pytest.ExitCode.TESTS_FAILED

    (pytester.path / "claims" / "claims.lock").write_text("")
    result = run(pytester, "-n0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *claims.lock both exist; keep the one*"])


def test_a_run_that_measures_nothing_leaves_the_evidence_unchanged(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    run(pytester, "-n0")
    before = (pytester.path / "reports" / "evidence.json").read_text()
    (pytester.path / ".memkit").rename(pytester.path / "elsewhere")
    (pytester.path / ".memkit").write_text("in the way")

    assert run(pytester, "-n1").ret == pytest.ExitCode.USAGE_ERROR

    assert (pytester.path / "reports" / "evidence.json").read_text() == before
