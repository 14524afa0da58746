"""``memkit study`` as a whole, in projects outside this repository."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memkit.evidence.evidence_loading import load
from memkit.evidence.lock_file import Lock
from memkit.study.loading import load_matrix
from memkit.study.objects import importable
from memkit.study.promotion import load_promotion
from memkit.study.report import report
from tests.machines.clocks import until
from tests.study.lab import MATRIX, documented, memkit, run_pytest, study, trained, write_project


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the documentation's study on half its seeds, run once for all tests that inspect its files."""
    folder = tmp_path_factory.mktemp("xor")
    write_project(folder, documented("study: xor", "yaml").replace("bounds: [0, 1]", "bounds: [0, 1], seeds: 16"))
    screened = study(folder, "--screen", "-n", "0")
    assert screened.returncode == 0, screened.stderr
    assert len(trained(folder)) == 6
    assert "It has not been run" in (folder / "reports" / "xor" / "report.md").read_text()
    assert not (folder / "claims.lock").exists()
    ran = study(folder, "-n", "0")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "stage A: nothing to train" in ran.stderr
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def evidence(folder: Path) -> dict[str, dict[str, object]]:
    data = json.loads((folder / "reports" / "xor" / "evidence.json").read_text())
    return {entry["claim"]["id"]: entry for entry in data["claims"]}


def test_the_promoted_configurations_are_claims_on_registered_seeds(done: Path) -> None:
    promoted = json.loads((done / "xor.promoted.json").read_text())
    assert promoted["promoted"] == ["plain", "slow-lr-0.02-steps-100", "slow-lr-0.02-steps-200"]
    claims = evidence(done)
    assert set(claims) == {f"xor/training/{name}" for name in promoted["promoted"]}
    lock = Lock.load(done / "claims.lock")
    assert set(lock.claims) == set(claims)
    for entry in claims.values():
        assert entry["registration"]["status"] == "registered"  # type: ignore[index]
        assert {row[0] for row in entry["observations"]} == set(range(10_000, 10_016))  # type: ignore[attr-defined]
        claim = entry["claim"]
        assert (claim["sweep"], claim["cells"], claim["expect"]) == ("xor/training", 3, "open")  # type: ignore[index]
    # As docs/staged.md shows it, but for the docstring.
    test = (done / "test_xor.py").read_text()
    assert test.startswith('"""Stage B of xor.yaml')
    assert '@staged("xor.yaml")\ndef test_xor(scores):' in test
    assert '@staged("xor.yaml")\ndef test_xor(scores):' in documented("from memkit import staged", "python")


def test_the_files_of_a_run_agree(done: Path) -> None:
    output = done / "reports" / "xor"
    tidy = {
        (r["stage"], r["configuration"], r["seed"], r["metric"]): r["value"] for r in rows(output / "consolidated.csv")
    }
    folders = sorted(path.parent for path in output.glob("runs/*/*/metrics.json"))
    assert len(folders) == 6 + 16 * (3 + 1 + 3)  # the promoted, linear, and brief of each
    for folder in folders:
        metrics = json.loads((folder / "metrics.json").read_text())
        place, seed = folder.parent.name, int(folder.name)
        assert (metrics["configuration"], metrics["seed"]) == (place, seed)
        assert metrics["stage"] == ("confirm" if seed >= 10_000 else "screen")
        assert metrics["examples"] == ("test" if seed >= 10_000 else "validation")
        assert metrics["environment"]["torch"]
        assert set(metrics["files"]) == {file.name for file in folder.iterdir()} - {"metrics.json"}
        samples = rows(folder / "samples.csv")
        right = [row["label"] == row["prediction"] for row in samples]
        assert metrics["scores"]["accuracy"] == pytest.approx(sum(right) / len(right))
        losses = [float(row["loss"]) for row in samples]
        assert metrics["scores"]["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
        for metric in ("accuracy", "loss"):
            assert float(tidy[metrics["stage"], place, str(seed), metric]) == metrics["scores"][metric]
        assert float(tidy[metrics["stage"], place, str(seed), "parameters"]) == 82
        assert [int(row["step"]) for row in rows(folder / "epochs.csv")][-1] == metrics["training"]["steps"]
    screened = json.loads((done / "xor.promoted.json").read_text())["configurations"]
    for name, configuration in screened.items():
        assert float(tidy["screen", name, "0", "accuracy"]) == configuration["scores"]["0"]["accuracy"]


def test_comparisons_and_policy_agree_with_the_evidence(done: Path) -> None:
    output = done / "reports" / "xor"
    comparisons = rows(output / "comparisons.csv")
    claims = evidence(done)
    assert len(comparisons) == 6
    for row in comparisons:
        judgement = claims[f"xor/training/{row['configuration']}"]["judgement"]
        (finding,) = [
            f
            for f in judgement["findings"]  # type: ignore[index]
            if f["contrast"] == f"{row['configuration']} over {row['control']}"
        ]
        assert float(row["effect"]) == finding["estimate"]
        assert [float(row[end]) for end in ("low", "high")] == [finding["interval"][end] for end in ("low", "high")]
        assert row["method"] == "betting"
        won, needed = row["capital"].split(" of ")
        assert float(needed) in finding["needed"].values()
        assert (row["verdict"] != "SUPPORTED") or float(won) >= float(needed) == finding["needed"]["support"]
        assert (row["verdict"], row["claim_verdict"]) == (finding["verdict"], judgement["verdict"])  # type: ignore[index]
        assert float(row["level"]) >= min(1, 1 / finding["capital"]["above"])
    policy = json.loads((output / "policy.json").read_text())
    assert policy["configurations"]["linear"]["why"] == "a control"
    assert policy["held_against"]["plain"]["controls"] == {"linear": "linear", "brief": {"steps": 30}}


def test_the_report_has_three_parts_and_lists_negative_findings(done: Path) -> None:
    report = (done / "reports" / "xor" / "report.md").read_text()
    first, second, third = (report.index(f"## {n}. ") for n in (1, 2, 3))
    evidence_part, follows, is_open = report[first:second], report[second:third], report[third:]
    assert (
        "#### Null and negative findings\n\n- No difference in accuracy between «plain» and «brief» was shown"
        in evidence_part
    )
    assert (
        "**INCONCLUSIVE**, n = 16: «plain» is higher in accuracy than «linear» and «brief». Weakest over"
        in evidence_part
    )
    assert "attempt" not in evidence_part
    assert "Each claim stops as soon as its seeds decide it, and uses at most 16." in report
    assert "| effect | interval | capital | n |" in evidence_part
    assert "«plain» is better than «linear», and was not separated from «brief»." in follows
    assert "> - Without a hidden layer no training helps." in follows
    assert "Without a hidden layer" not in evidence_part
    assert "Is «plain» better than «brief»?" in is_open
    assert "«slow-lr-0.005-steps-100» and «slow-lr-0.005-steps-200» were screened and never confirmed" in is_open
    for line in evidence_part.splitlines():
        assert line.count("|") in (0, 6, 10)


def test_a_second_run_trains_nothing_and_changes_nothing(done: Path) -> None:
    output = done / "reports" / "xor"
    files = [done / "xor.promoted.json", done / "claims.lock", done / "test_xor.py", output / "comparisons.csv"]
    files += [*output.glob("runs/*/*/*")]
    before = {path: (path.stat().st_mtime_ns if "runs" in path.parts else 0, path.read_bytes()) for path in files}
    runs = trained(done)
    again = study(done, "-n", "0")
    assert again.returncode == 0, again.stderr
    assert "stage A: nothing to train" in again.stderr
    assert "48 measurements, 48 of them from the store" in again.stdout
    assert trained(done) == runs
    assert before == {
        path: (path.stat().st_mtime_ns if "runs" in path.parts else 0, path.read_bytes()) for path in files
    }
    # A run of the screening alone keeps the results of stage B.
    report = (output / "report.md").read_text()
    assert study(done, "--screen", "-n", "0").returncode == 0
    assert (output / "report.md").read_text() == report


def test_a_changed_matrix_has_to_be_screened_again(done: Path) -> None:
    path = done / "xor.yaml"
    matrix = path.read_text()
    try:
        path.write_text(matrix.replace("title: How", "title: Not how"))
        fine = run_pytest(done, "--sweeps", "--collect-only", "-q")
        assert fine.returncode == 0
        path.write_text(matrix.replace("steps: 30}", "steps: 31}"))
        refused = run_pytest(done, "--sweeps")
        assert refused.returncode == 4
        assert "xor.yaml was changed since it was screened" in refused.stderr
        assert "run `memkit study xor.yaml` again" in refused.stderr
    finally:
        path.write_text(matrix)


def test_the_report_mentions_earlier_attempts(done: Path) -> None:
    with importable(done):
        matrix, promoted = load_matrix(done / "xor.yaml"), load_promotion(done / "xor.promoted.json")
        evidence = load(done / "reports" / "xor" / "evidence.json")
        second_attempts = tuple(replace(e, registration=replace(e.registration, attempt=2)) for e in evidence.claims)
        assert promoted is not None
        text = report(matrix, promoted, replace(evidence, claims=second_attempts), [])
    sys.modules.pop("xor", None)
    assert f", {len(second_attempts)} of them not at the first attempt. A claim" in text
    assert "were registered before in another form" in text
    assert ", attempt 2: «plain» is" in text


def test_the_report_says_where_normal_theory_decides(done: Path) -> None:
    with importable(done):
        matrix, promoted = load_matrix(done / "xor.yaml"), load_promotion(done / "xor.promoted.json")
        evidence = load(done / "reports" / "xor" / "evidence.json")
        normal = replace(matrix, confirm=replace(matrix.confirm, assume="normal"))
        assert promoted is not None
        by_betting, by_t = (report(each, promoted, evidence, []) for each in (matrix, normal))
    sys.modules.pop("xor", None)
    assert "Its looks are after 8 and 16 seeds, and each claim stops at the first look that decides it." in by_t
    assert "Student’s t decides (normal theory)." in by_t
    assert "Student’s t" not in by_betting
    assert "The capital that bets on a verdict won, of the capital that the verdict needs, decides." in by_betting


def test_folders_of_runs_that_the_report_does_not_use_are_removed(done: Path) -> None:
    stale = done / "reports" / "xor" / "runs" / "gone" / "7"
    stale.mkdir(parents=True)
    (stale / "metrics.json").write_text("{}")
    assert study(done, "--screen", "-n", "0").returncode == 0
    assert not stale.parent.exists()
    (one, *_) = sorted((done / "reports" / "xor" / "runs" / "plain").glob("1*/metrics.json"))
    assert json.loads(one.read_text())["attempt"] == 1


def test_pages_show_both_stages(done: Path) -> None:
    page = done / "page.md"
    kinds = ("summary xor", "screening xor.promoted.json", "comparisons xor/training")
    page.write_text("\n".join(f"<!-- memkit: {kind} -->\n<!-- memkit: end -->" for kind in kinds))
    assert memkit(done, "accept", "reports/xor/evidence.json").returncode == 0
    assert memkit(done, "page", "page.md").returncode == 0
    text = page.read_text()
    assert "Sweep: each over each of its controls, accuracy, the weakest of 2 contrasts." in text
    assert "| slow-lr-0.02-steps-200 | 0.9730 | yes | rank 1 of 4 |" in text
    assert "| `xor/training` | over linear | over brief |" in text
    assert "| plain | ✓ +0.4" in text


SEALED_TASK = '''

import dataclasses
import pathlib


class Draws:
    """Validation examples, and test examples that raise when they are read."""

    def __init__(self, generator):
        self.validation, self.hidden = task(generator, 100), task(generator, 100)

    @property
    def test(self):
        if pathlib.Path("sealed").exists():
            raise RuntimeError("the test examples were read")
        return self.hidden

    def __call__(self, generator, size):
        return task(generator, size)


@dataclasses.dataclass(frozen=True)
class Sealed:
    def for_seed(self, generator):
        return Draws(generator)


def errors(net, examples):
    return float((net(examples[0]).argmax(1) != examples[1]).float().mean())


class Noisy(Net):
    def __init__(self, *, hidden: bool = True):
        super().__init__(hidden=hidden)
        self.register_buffer("seen", torch.zeros(1))

    def tables(self):
        return {"growth": [{"step": 0, "event": "made"}, {"step": 1, "event": "grew", "width": 3}], "none": []}


def shaken(net, seed):
    net.seen += seed
    return net
'''

SEALED = (
    MATRIX.replace('"MODULE:task"', '{type: "MODULE:Sealed"}')
    .replace("MODULE:Net", "MODULE:Noisy")
    .replace("examples: 200", 'score: "MODULE:errors"')
    .replace("{by: accuracy,", "{by: error, higher: false, seeds: 2,")
    .replace("plain: {}", 'plain: {after: "MODULE:shaken"}\n  wild: {lr: 1e38}')
    .replace("metric: accuracy", "metric: error")
)


def test_promotion_never_reads_test_examples(tmp_path: Path) -> None:
    write_project(tmp_path, SEALED)
    with (tmp_path / "xor.py").open("a") as file:
        file.write(SEALED_TASK)
    (tmp_path / "sealed").touch()
    screened = study(tmp_path, "--screen", "-n", "0")
    assert screened.returncode == 0, screened.stderr
    promoted = json.loads((tmp_path / "xor.promoted.json").read_text())
    assert promoted["promoted"] == ["plain", "slow-lr-0.1"]
    wild = promoted["configurations"]["wild"]
    assert (wild["scores"]["0"], wild["why"]) == ({"error": None}, "its score is not finite")
    report = tmp_path / "reports" / "xor" / "report.md"
    assert (
        "| wild | not finite | not finite | not finite | no | its score is not finite | lr 1e+38 |"
        in report.read_text()
    )
    # Stage B does read them, and a seed that fails is reported.
    blocked = study(tmp_path, "-n", "0")
    assert blocked.returncode == 1
    assert "the test examples were read" in blocked.stdout
    assert "The claim of «plain» is INCOMPLETE: seed" in report.read_text()
    (tmp_path / "sealed").unlink()
    opened = study(tmp_path, "-n", "0")
    assert opened.returncode == 0, opened.stdout + opened.stderr
    # A score that returns one number and is better when lower; an intervention that takes the seed; growth; buffers.
    claims = evidence(tmp_path)
    assert len(claims) == 2
    (first, *_) = claims["lab/xor/plain"]["claim"]["contrasts"]  # type: ignore[index]
    assert (first["metric"], first["direction"]) == ("error", "lower")
    assert "«plain» is lower in error than" in (tmp_path / "reports" / "xor" / "report.md").read_text()
    run = tmp_path / "reports" / "xor" / "runs" / "plain" / "10002"
    assert [row["event"] for row in rows(run / "growth.csv")] == ["made", "grew"]
    from safetensors.torch import load_file

    assert load_file(run / "memory.safetensors")["seen"].item() == 10002


def test_a_killed_run_is_resumed(tmp_path: Path) -> None:
    write_project(tmp_path, MATRIX.replace("steps: 40", "steps: 400"))
    command = [sys.executable, "-m", "memkit.cli", "study", "xor.yaml", "-n", "1"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: len(trained(tmp_path)) >= 2 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in trained(tmp_path)}
    assert before
    resumed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert len(evidence(tmp_path)) == 2
    assert before.items() <= {path: path.stat().st_mtime_ns for path in trained(tmp_path)}.items()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("{hidden: false}", "{hiden: false}", "memkit: xor.yaml: configurations: linear: Recipe has no field 'hiden'"),
        (
            "{hidden: false}",
            "{hidden: [1, 2], lr: 0}",
            "configurations: linear: Recipe: lr=0 must be a positive number",
        ),
        ("examples: 200", "score: builtins:len", "score: builtins:len must be a function of a model and examples"),
    ],
)
def test_invalid_input_gives_a_message_of_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    write_project(tmp_path, MATRIX.replace(old, new))
    refused = study(tmp_path)
    assert refused.returncode == 4
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "xor.promoted.json").exists()


def test_without_a_promoted_file_there_is_nothing_to_measure(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "test_lab.py").write_text(
        'from memkit import staged\n\n@staged("xor.yaml")\ndef test_lab(scores):\n    return scores\n'
    )
    assert run_pytest(tmp_path, "--sweeps").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_verdict_other_than_the_expected_one_fails_the_run(tmp_path: Path) -> None:
    write_project(tmp_path, MATRIX.replace("seeds: 8", "seeds: 8, expect: refuted").replace("best: 1,", "best: 0,"))
    # The author may have written the test already, under another name.
    (tmp_path / "test_mine.py").write_text(
        'import memkit\n\n\n@memkit.staged("xor.yaml")\ndef test_mine(scores):\n    return scores\n'
    )
    ran = study(tmp_path, "-n", "0")
    assert ran.returncode == 1
    assert not (tmp_path / "test_xor.py").exists()
    entry = evidence(tmp_path)["lab/xor/plain"]
    assert entry["claim"]["sweep"] == ""  # type: ignore[index]
    assert entry["outcome"]["outcome"] == "failed"  # type: ignore[index]
    assert "registered as refuted" in (tmp_path / "reports" / "xor" / "report.md").read_text()


def test_a_change_of_code_that_the_score_uses_is_a_revision_of_the_claim(tmp_path: Path) -> None:
    matrix = MATRIX.replace("examples: 200", 'examples: 50\nscore: "scores_of_mine:right"').replace(
        "best: 1", "best: 0"
    )
    write_project(tmp_path, matrix)
    score = tmp_path / "scores_of_mine.py"
    score.write_text(
        "NONE = 0\n\n\n"
        "def right(net, examples):\n"
        "    return {'accuracy': (net(examples[0]).argmax(1) == examples[1] + NONE).float().mean()}\n"
    )
    assert study(tmp_path, "-n", "0").returncode == 0
    entry = Lock.load(tmp_path / "claims.lock").claims["lab/xor/plain"]
    score.write_text(score.read_text().replace("NONE = 0", "NONE = 1 - 1"))
    again = memkit(tmp_path, "register", "test_xor.py")
    assert "the code behind it has changed; a revision" in again.stdout
    after = Lock.load(tmp_path / "claims.lock").claims["lab/xor/plain"]
    assert (after.digest, after.attempt, after.revision) == (entry.digest, 1, 1)
    # The score itself counts as the body of the test: an edit moves the claim to fresh seeds.
    score.write_text(score.read_text().replace("argmax(1)", "argmax(-1)"))
    again = memkit(tmp_path, "register", "test_xor.py")
    assert "lab/xor/plain: changed, attempt 2" in again.stdout
