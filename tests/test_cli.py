"""The command line, with the evidence of a small real run."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from memkit.cli import main
from tests.inner import command, needs_torch
from tests.inner import run as inner
from tests.pytest_plugin import test_training
from tests.pytest_plugin.lab import INLINE, canned, evidence, write_suite

FILE = Path("reports/evidence.json")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A registered suite that passes, and its evidence, in the current directory."""
    monkeypatch.setenv("COLUMNS", "250")
    write_suite(pytester, canned("true"), canned("aa", "seed % 2", "(seed + 1) % 2", options='expect="not_supported",'))
    assert inner(pytester, "-n0").ret == 0
    return pytester


def falsify(key: str, value: object) -> None:
    """Change an entry of the first claim's judgement in the evidence file."""
    data = json.loads(FILE.read_text())
    data["claims"][0]["judgement"][key] = value
    FILE.write_text(json.dumps(data))


@pytest.mark.usefixtures("run")
def test_a_report_can_be_limited_to_some_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "some.html"
    assert main(["report", "--claims", "lab/t*", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert 'id="lab/true"' in text
    assert 'id="lab/aa"' not in text
    assert "<dt>Claims</dt><dd>1 of 2, those that match &#39;lab/t*&#39;</dd>" in text
    assert main(["report", "--claims", "growth/*", "--output", str(page)]) == 4
    assert "no claim's id matches 'growth/*'" in capsys.readouterr().err


@pytest.mark.usefixtures("run")
def test_verdicts_are_computed_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verdicts"]) == 0
    assert "all 2 verdicts follow from the observations" in capsys.readouterr().out

    falsify("verdict", "REFUTED")
    assert main(["verdicts"]) == 1
    out = capsys.readouterr().out
    assert "lab/true  SUPPORTED  DIFFERS: the file says REFUTED" in out
    assert "1 of 2 claims: what the file says does not follow" in out


@pytest.mark.usefixtures("run")
def test_the_report_is_rendered_from_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "page.html"
    assert main(["report", str(FILE), "--output", str(output)]) == 0
    assert "The statement of true." in output.read_text(encoding="utf-8")
    assert output.read_text(encoding="utf-8") == Path("reports/evidence.html").read_text(encoding="utf-8")


def test_files_of_several_runs_are_merged(run: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    whole = evidence(run)
    for name in ("true", "aa"):
        assert inner(run, "-n0", "-k", f"test_{name}", f"--evidence=reports/{name}.json").ret == 0
    shards = ["reports/true.json", "reports/aa.json"]
    assert main(["merge", *shards, "--output", "reports/merged.json"]) == 0
    assert "Gate passed: 2 passed, 0 failed" in capsys.readouterr().out
    merged = {entry["claim"]["id"]: entry for entry in json.loads(Path("reports/merged.json").read_text())["claims"]}
    assert {name: entry["observations"] for name, entry in merged.items()} == {
        name: entry["observations"] for name, entry in whole.items()
    }
    assert main(["verdicts", "reports/merged.json"]) == 0
    assert main(["report", *shards]) == 0
    assert "The statement of aa." in Path("reports/true.html").read_text(encoding="utf-8")

    data = json.loads(Path("reports/aa.json").read_text())
    data["claims"][0]["statement"] = "elsewhere"
    data["claims"][0]["observations"][0][3] = 0.75
    Path("reports/other.json").write_text(json.dumps(data))
    capsys.readouterr()
    assert main(["report", "reports/aa.json", "reports/other.json"]) == 4
    error = capsys.readouterr().err
    assert "reports/aa.json and reports/other.json contradict one another: claim 'lab/aa', seed 10000" in error


def test_accepting_keeps_the_verdicts(run: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept"]) == 0
    accepted = json.loads(Path("reports/accepted.json").read_text())
    assert set(accepted["claims"]) == {"lab/true", "lab/aa"}
    assert accepted["claims"]["lab/true"]["judgement"]["verdict"] == "SUPPORTED"

    # A run of one claim replaces that claim alone.
    assert inner(run, "-n0", "-k", "test_true").ret == 0
    assert main(["accept"]) == 0
    assert set(json.loads(Path("reports/accepted.json").read_text())["claims"]) == {"lab/true", "lab/aa"}


def attempts() -> dict[str, list[dict[str, object]]]:
    """Return claim id → the claim's attempts in the lock."""
    return {name: entry["attempts"] for name, entry in json.loads(Path("claims.lock").read_text())["claims"].items()}


def test_accepting_records_the_outcomes_of_attempts(run: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("claims.lock").read_text()
    assert attempts() == {"lab/true": [{"block": 0}], "lab/aa": [{"block": 0}]}
    assert main(["accept"]) == 0
    assert "commit that file and " in capsys.readouterr().out
    recorded = attempts()
    (true,), (aa,) = recorded["lab/true"], recorded["lab/aa"]
    assert {name: true[name] for name in ("block", "verdict", "n")} == {"block": 0, "verdict": "SUPPORTED", "n": 8}
    assert (aa["verdict"], aa["n"]) == ("INCONCLUSIVE", 32)
    assert true["date"] == json.loads(FILE.read_text())["created"]
    assert re.fullmatch("[0-9a-f]{32}", str(true["observations"]))
    assert true["observations"] != aa["observations"]
    after = Path("claims.lock").read_text()
    assert after != before
    assert inner(run, "-n0").ret == 0
    assert Path("claims.lock").read_text() == after, "a run never writes the lock"
    assert main(["accept"]) == 0
    assert Path("claims.lock").read_text() == after, "nothing but the date differs"
    assert "recorded" not in capsys.readouterr().out

    # Another attempt begins without a record, and the one before keeps its own.
    write_suite(
        run, canned("true", "0.8"), canned("aa", "seed % 2", "(seed + 1) % 2", options='expect="not_supported",')
    )
    assert attempts()["lab/true"] == [true, {"block": 1}]
    assert inner(run, "-n0", "-k", "test_true").ret == 0
    assert main(["accept"]) == 0
    again = attempts()
    assert again["lab/true"][0] == true
    assert again["lab/true"][1]["verdict"] == "SUPPORTED"
    assert again["lab/aa"] == [aa]
    assert main(["register", "--check"]) == 0


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": 16}, "recorded as SUPPORTED, n = 16, e = *, 20*; it is now SUPPORTED, n = 8, e = *, 20*-[0-9][0-9]"),
        (
            {"observations": "0b5e"},
            "recorded as SUPPORTED, n = 8, e = *, 20*; it is now *, n = 8, *, 20*, from other observations",
        ),
        ({"observations": ""}, ""),
        ({"verdict": "", "n": 0, "e_value": 0, "observations": "", "date": ""}, ""),
    ],
)
def test_a_contradiction_to_the_lock_is_reported(
    capsys: pytest.CaptureFixture[str], change: dict[str, object], sentence: str
) -> None:
    assert main(["accept"]) == 0
    lock = json.loads(Path("claims.lock").read_text())
    (true,) = lock["claims"]["lab/true"]["attempts"]
    lock["claims"]["lab/true"]["attempts"] = [
        {name: value for name, value in {**true, **change}.items() if value not in ("", 0) or name == "block"}
    ]
    (before,) = lock["claims"]["lab/true"]["attempts"]
    Path("claims.lock").write_text(json.dumps(lock))
    capsys.readouterr()
    assert main(["accept"]) == 0
    replaced = [{name: value for name, value in before.items() if name != "block"}] if sentence else []
    assert attempts()["lab/true"] == [true | ({"replaced": replaced} if replaced else {})]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("lab/")]
    assert [fnmatch(line, f"lab/true: attempt 1 was {sentence}") for line in lines] == [True] * bool(sentence)


def test_only_a_complete_registered_run_that_passed_is_accepted(
    run: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, reason in (
        (("--development",), "development seeds"),
        (("--seeds=5",), "decided nothing"),
        (("-k", "10003"), "INCOMPLETE"),
    ):
        inner(run, "-n0", *arguments)
        assert main(["accept"]) == 4
        assert reason in capsys.readouterr().err
    write_suite(run, canned("true", "0.1", "0.9"))
    inner(run, "-n0", "--gate=none")
    assert main(["accept"]) == 4
    assert "lab/true" in capsys.readouterr().err
    assert not Path("reports/accepted.json").exists()


def test_register_reports_what_it_does(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    nothing = command(pytester, "register")
    assert nothing.ret == 4
    nothing.stderr.fnmatch_lines(["memkit: no claims were found; *"])

    write_suite(pytester, canned("true"), register=False)
    assert command(pytester, "register", "--check").ret == 1
    assert not (pytester.path / "claims.lock").exists()
    command(pytester, "register").stdout.fnmatch_lines(
        ["lab/true: new, seeds from 10000", "*claims.lock: 1 claim, 1 of them*"]
    )
    assert command(pytester, "register", "--check").ret == 0

    write_suite(pytester, canned("other"), register=False)
    again = command(pytester, "register")
    again.stdout.fnmatch_lines(["lab/other: new, seeds from 10000", "lab/true: in the lock, not among the collected *"])

    write_suite(pytester, canned("other", options='expct="open",'), register=False)
    broken = command(pytester, "register")
    assert broken.ret == 4
    broken.stderr.fnmatch_lines(["*unknown option 'expct'; did you mean 'expect'?*"])


def test_an_undecided_claim_is_continued_but_not_cut_short(pytester: pytest.Pytester) -> None:
    def never(seeds: int) -> str:
        return canned("never", "0.5 + 0.03 * (seed % 5)", "0.5", options=f'expect="not_supported", seeds={seeds},')

    def small(seeds: int) -> str:  # each seed differs by 0.15, which the rule shows at the 31st
        return canned("small", "0.65", "0.5", options=f"seeds={seeds},")

    write_suite(pytester, small(12), never(8))
    inner(pytester, "-n0")
    first = evidence(pytester)["lab/small"]
    assert (first["judgement"]["verdict"], first["judgement"]["n"]) == ("INCONCLUSIVE", 12)

    write_suite(pytester, small(10), never(8), register=False)
    fewer = command(pytester, "register")
    assert fewer.ret == 4
    fewer.stderr.fnmatch_lines(["*'lab/small': seeds=10 is below the 12 seeds that were measured; declare at least 12"])

    write_suite(pytester, small(40), never(8), register=False)
    command(pytester, "register").stdout.fnmatch_lines(["lab/small: reworded (seeds), on the same seeds"])
    inner(pytester, "-n0")
    last = evidence(pytester)["lab/small"]
    assert (last["judgement"]["verdict"], last["judgement"]["n"]) == ("SUPPORTED", 31)
    assert last["registration"]["attempt"] == 1
    ran = (pytester.path / "ran.txt").read_text().splitlines()
    assert ran.count("small 10000") == 1  # the first twelve seeds count, and are not measured again


def test_a_project_sets_its_own_error_probability(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("before"))
    write_suite(pytester, canned("before"), canned("after"), register=False)
    assert command(pytester, "register", "--alpha", "0.01").ret == 0
    inner(pytester, "-n0")
    found = evidence(pytester)
    needed = {name: entry["judgement"]["findings"][0]["needed"]["support"] for name, entry in found.items()}
    assert needed == {"lab/before": 40, "lab/after": 200}
    assert found["lab/after"]["judgement"]["n"] > found["lab/before"]["judgement"]["n"]
    refused = command(pytester, "register", "--alpha", "5")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*--alpha must lie between 0 and 1, not 5*"])


def test_a_change_of_the_rule_is_registered(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    lock = pytester.path / "claims.lock"
    earlier = json.loads(lock.read_text())
    del earlier["rule"]  # which locks did not state before the rule changed
    lock.write_text(json.dumps(earlier))
    inner(pytester, "-n0").stdout.fnmatch_lines(["*registered under an earlier rule of verdicts; `memkit register`*"])
    assert command(pytester, "register", "--check").ret == 1
    command(pytester, "register").stdout.fnmatch_lines(
        ["the rule of verdicts has changed *; 1 claim on the same seeds"]
    )
    assert command(pytester, "register", "--check").ret == 0
    lock.write_text(lock.read_text().replace('"rule": 2', '"rule": 3'))
    newer = command(pytester, "register")
    newer.stderr.fnmatch_lines(["*written by a newer memkit (its claims are judged by rule 3; this memkit judges by *"])


def test_registration_says_when_equivalence_is_out_of_reach(pytester: pytest.Pytester) -> None:
    control = 'positive_control=Contrast("treatment", over=0.05, metric="score", bounds=(0, 1))'
    options = f'expect="equivalent", {control}, seeds={{}},'
    narrow = canned("narrow", "0.9", "0.9", options=options).replace("bounds=(0, 1))],", "bounds=(0, 1), sesoi=0.1)],")
    write_suite(pytester, narrow.replace("seeds={}", "seeds=32"), register=False)
    command(pytester, "register").stdout.fnmatch_lines(
        ["lab/narrow: 32 seeds can hardly show equivalence within ±0.1, as that takes ±0.103 *"]
    )
    write_suite(pytester, narrow.replace("seeds={}", "seeds=64"), register=False)
    assert "hardly" not in command(pytester, "register").stdout.str()


def plan(pytester: pytest.Pytester, *arguments: str) -> dict[str, list[str]]:
    """Return claim → the cells of its row, and label → value for the lines ``label: value``."""
    result = command(pytester, "plan", *arguments)
    assert result.ret == 0, result.stderr.str()
    _, *lines = result.outlines
    rows = (re.split(r": | {2,}", line) for line in lines)
    return {name: cells for name, *cells in rows}


def test_plan_shows_what_a_run_would_measure(pytester: pytest.Pytester) -> None:
    sixteen = canned("sixteen", "0.6 + 0.01 * (seed % 7)", options="headline=True,")
    write_suite(pytester, canned("eight"), sixteen, canned("never", "seed % 2", "(seed + 1) % 2"))
    nothing = ["0", "–", "0", "–"]
    found = plan(pytester)
    assert [name for name in found if "/" in name] == ["lab/eight", "lab/sixteen", "lab/never"]
    assert found["lab/eight"] == ["0 of 32", "8 seeds", *nothing]
    assert found["next"] == found["if every claim went on to its last look"] == ["nothing to train"]
    assert found["store"] == [str(pytester.path / ".memkit")]
    assert not (pytester.path / ".memkit").exists()
    # Options of pytest, also with their values as separate arguments.
    assert plan(pytester, "--seeds", "8", "-k", "eight")["lab/eight"] == ["0 of 8", "8 seeds", *nothing]
    assert [name for name in plan(pytester, "test_lab.py", "--headline") if "/" in name] == ["lab/sixteen"]

    inner(pytester, "-n0", "--seeds=8")
    found = plan(pytester)
    assert found["lab/eight"] == ["8 of 32", "verdict", *nothing]
    assert found["lab/sixteen"] == ["8 of 32", "4 seeds", *nothing]
    assert plan(pytester, "--fresh", "-k", "sixteen")["lab/sixteen"][1] == "8 seeds"

    inner(pytester, "-n0")
    found = plan(pytester)
    assert found["lab/sixteen"] == ["12 of 32", "verdict", *nothing]
    assert found["lab/never"] == ["16 of 32", "verdict", *nothing]


@pytest.mark.parametrize("arguments", ["register", "plan", "plan -v"])
def test_if_claims_cannot_be_collected_the_reason_is_printed_but_no_tests(
    pytester: pytest.Pytester, arguments: str
) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = default\n")
    write_suite(pytester, *(canned(name) for name in "abc"))
    pytester.makepyfile(test_broken="import warnings\n\nwarnings.warn('old')\nimport no_such_module\n")
    result = command(pytester, *arguments.split())
    assert result.ret == 4
    assert result.outlines == []
    errors = result.stderr.str()
    result.stderr.fnmatch_lines(
        [
            "*ERROR collecting test_broken.py*",
            "E   ModuleNotFoundError: No module named 'no_such_module'",
            "ERROR test_broken.py*",
            "memkit: the claims could not be collected; see pytest's output above",
        ]
    )
    assert "test_lab.py" not in errors
    assert "test_a" not in errors
    assert "warnings summary" not in errors


@needs_torch
def test_plan_shows_what_a_run_would_train(pytester: pytest.Pytester) -> None:
    test_training.write_suite(pytester, steps=2, expect="open")
    found = plan(pytester)
    assert found["lab/hidden-layer"] == ["0 of 32", "8 seeds", "16", "unknown", "64", "unknown"]
    assert found["lab/no-hidden-layer"] == found["lab/hidden-layer"]
    # The two claims are about the same models.
    assert found["next"] == ["16 runs to train, time unknown", "never trained before"]
    assert found["if every claim went on to its last look"][0] == "64 runs to train, time unknown"

    assert inner(pytester, INLINE, "--seeds=8").ret == 0
    found = plan(pytester)
    assert found["lab/hidden-layer"][:3] == ["8 of 32", "4 seeds", "8"]
    assert found["lab/hidden-layer"][4] == "48"
    assert "unknown" not in str(found)
    assert re.fullmatch(r"8 runs to train, about \d+ s of CPU", found["next"][0])

    # If nothing has been trained yet, the estimate comes from the accepted verdicts.
    elsewhere = plan(pytester, "--store=elsewhere")
    assert elsewhere["lab/hidden-layer"] == ["0 of 32", "8 seeds", "16", "unknown", "64", "unknown"]
    assert command(pytester, "accept").ret == 0
    elsewhere = plan(pytester, "--store", "elsewhere")
    assert elsewhere["lab/hidden-layer"][:3] == ["0 of 32", "8 seeds", "16"]
    assert re.fullmatch(
        r"64 runs to train, about \d+ s of CPU", elsewhere["if every claim went on to its last look"][0]
    )
    assert "unknown" not in str(elsewhere)


def test_plan_needs_claims_and_options_that_pytest_knows(pytester: pytest.Pytester) -> None:
    nothing = command(pytester, "plan")
    assert nothing.ret == 4
    nothing.stderr.fnmatch_lines(
        ["memkit: no claims were found, or these options select none; name their folder: memkit plan claims"]
    )
    misspelt = command(pytester, "plan", "--hedline")
    assert misspelt.ret == 4
    misspelt.stderr.fnmatch_lines(
        [
            "*unrecognized arguments: --hedline*",
            "memkit: the claims could not be collected; see pytest's output above",
        ]
    )
    elsewhere = command(pytester, "verdicts", "--headline")
    assert elsewhere.ret == 2
    elsewhere.stderr.fnmatch_lines(["*unrecognized arguments: --headline"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist; a run of claims writes it"),
        ("{", "cannot be read as JSON"),
        ("[]", "is not an evidence file: it has no schema"),
        ('{"schema": 99}', "has schema 99; this memkit reads schema 2"),
        ('{"schema": 2, "claims": [{}], "created": "", "provenance": {}}', "is not an evidence file of schema 2"),
    ],
)
@pytest.mark.parametrize("command", ["verdicts", "report", "accept"])
def test_files_that_are_not_evidence_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: str | None, sentence: str
) -> None:
    file = tmp_path / "evidence.json"
    if content is not None:
        file.write_text(content)

    assert main([command, str(file)]) == 4

    error = capsys.readouterr().err
    assert error.startswith(f"memkit: {file}")
    assert sentence in error


def test_verdicts_are_in_the_pytest_html_page_and_in_the_ci_summary(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(run.path / "summary.md"))

    result = inner(run, "-n2", "--html=page.html", "--self-contained-html")

    assert result.ret == 0
    page = (run.path / "page.html").read_text(encoding="utf-8")
    assert "Effect and interval" in page
    assert "lab/true" in page
    assert "forest" in page.lower()
    assert "test_aa[10009]" not in page  # seeds are in the details of their verdict, whether measured
    assert "test_true[10009]" not in page  # or never needed
    assert "lab/true" in (run.path / "summary.md").read_text()
    assert set(evidence(run)) == {"lab/true", "lab/aa"}


@needs_torch
def test_data_sets_are_listed_with_their_locations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEMKIT_DATA", raising=False)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for kind in "images-idx3", "labels-idx1":
        (raw / f"t10k-{kind}-ubyte.gz").touch()

    assert main(["data", "ls", "--data", str(tmp_path)]) == 0

    rows = [re.split(" {2,}", line, maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    digits, mnist, ten, fashion, *corpora = rows
    assert [name for name, *_ in corpora] == ["topics", "shakespeare"]
    assert digits == ["digits", "1797 images", "in scikit-learn"]
    assert ten == ["mnist-10k", "10000 images", f"in {tmp_path / 'MNIST'}"]
    assert mnist[:2] == ["mnist", "70000 images"]
    assert mnist[2].startswith(f"the data set mnist is not in {tmp_path}: ")
    assert f"`memkit data get fashion-mnist --to {tmp_path}`" in fashion[2]

    monkeypatch.setenv("MEMKIT_DATA", str(tmp_path))
    assert main(["data", "ls"]) == 0
    assert f"10000 images  in {tmp_path / 'MNIST'}" in capsys.readouterr().out


@needs_torch
def test_data_sets_are_downloaded_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from memkit.tasks.images import vision

    def mnist(root: str, *, download: bool) -> None:
        print("Downloading")
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nTried there, got:\n<urlopen error no route>")

    monkeypatch.delenv("MEMKIT_DATA", raising=False)
    monkeypatch.setattr(vision.torchvision_datasets(), "MNIST", mnist)

    assert main(["data", "get", "digits"]) == 0
    assert capsys.readouterr().out == "digits: 1797 images in scikit-learn, verified\n"
    for arguments, sentence in (
        (
            ["mnist", "--to", str(tmp_path)],
            "the data set mnist could not be downloaded (<urlopen error no route>); where",
        ),
        (["mnist"], "the data set mnist needs a folder; name it: memkit data get mnist --to DIR"),
        (["mnst", "--to", str(tmp_path)], "there is no data set 'mnst'; did you mean 'mnist'?"),
    ):
        assert main(["data", "get", *arguments]) == 4
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.splitlines()[-1].startswith(f"memkit: {sentence}")
        assert "Traceback" not in output.err


@pytest.mark.usefixtures("run")
def test_a_difference_besides_the_verdict_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("reports/evidence.json")
    data = json.loads(file.read_text())
    data["claims"][0]["judgement"]["findings"][0]["interval"]["low"] -= 0.01
    file.write_text(json.dumps(data))
    assert main(["verdicts"]) == 1
    out = capsys.readouterr().out
    assert "lab/true  SUPPORTED  DIFFERS: " in out
    assert "the file says SUPPORTED" not in out


@pytest.mark.usefixtures("run")
def test_a_run_is_compared_with_the_accepted_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept"]) == 0
    assert main(["compare"]) == 0
    assert "2 claims in both; the verdict or an effect of 0 of them changed" in capsys.readouterr().out
