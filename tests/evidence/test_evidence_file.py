"""The evidence file: lossless, and refused with one sentence if it is damaged."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import Verdict, judge, load, recompute, seeds_saved
from memkit.evidence.figures import Heatmap, Lines, Series, Table
from memkit.evidence.learning_curves import Curves
from memkit.evidence.observation import Observation
from memkit.statistics import Thresholds

from .entries import MANY, OVER, entry, evidence

# --- round trip ---------------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    read = load(file)
    assert [e.claim.digest for e in read.claims] == [e.claim.digest for e in MANY.claims]
    assert json.loads(json.dumps(read.to_json())) == json.loads(file.read_text())
    assert [e.verdict for e in read.claims] == [e.verdict for e in MANY.claims]
    assert {e.verdict for e in read.claims} >= {
        Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.INCOMPLETE,
    }  # fmt: skip
    assert [other.name for other in file.parent.iterdir()] == ["evidence.json"], "nothing is left beside it"


ROWS = [
    (10_000, "a", "accuracy", 0.1 + 0.2, ""),
    (10_000, "b", "accuracy", 1.0, ""),
    (10_001, "a", "accuracy", math.nan, "nan at step 3, not 4"),
    (10_001, "b", "accuracy", math.inf, 'it said "inf" once'),
    (10_002, 'the "dynamic" one', "first line\nsecond", -math.inf, " "),
    (10_002, "größer, ∞", "a;b\tc", 5e-324, "1"),
    (10_003, "'a'", "accuracy", -1e300, "nan"),
    (10_003, "", "", -0.0, ""),
]
TABLE = """\
study,claim,seed,arm,metric,value,reason,used,verdict
study,study/odd,10000,a,accuracy,0.30000000000000004,,True,SUPPORTED
study,study/odd,10000,b,accuracy,1.0,,True,SUPPORTED
study,study/odd,10001,a,accuracy,,"nan at step 3, not 4",True,SUPPORTED
study,study/odd,10001,b,accuracy,inf,"it said ""inf"" once",True,SUPPORTED
study,study/odd,10002,"the ""dynamic"" one","first line
second",-inf, ,True,SUPPORTED
study,study/odd,10002,"größer, ∞",a;b\tc,5e-324,1,True,SUPPORTED
study,study/odd,10003,'a',accuracy,-1e+300,nan,True,SUPPORTED
study,study/odd,10003,,,-0.0,,True,SUPPORTED
"""


def test_the_table_is_what_pandas_would_write() -> None:
    rows = tuple(
        Observation(claim="study/odd", seed=seed, arm=arm, metric=metric, value=value, reason=reason)
        for seed, arm, metric, value, reason in ROWS
    )
    odd = evidence(replace(entry("study/odd"), observations=rows))
    assert odd.to_csv() == TABLE
    assert odd.to_frame().to_csv(index=False, lineterminator="\n") == TABLE


def test_the_table_of_nothing_has_its_columns() -> None:
    assert evidence().to_csv() == TABLE.partition("\n")[0] + "\n"


def test_pandas_is_loaded_only_for_a_data_frame(file: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from memkit.evidence import load
from memkit.evidence.output_files import write_all
from memkit.statistics import Thresholds

path = Path({str(file)!r})
evidence = load(path)
assert write_all(evidence, path.with_name("again.json"))[1] == []
assert "pandas" not in sys.modules
evidence.to_frame()
assert "pandas" in sys.modules
"""
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": root})
    assert len(file.with_name("again.csv").read_text(encoding="utf-8").splitlines()) > 1


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    figures = (
        Heatmap("old", ("r",), ("c",), ((0.5,),)),
        Lines("curves", "k", "accuracy", [Series("a", (1, 2), (0.5, None))], log=True, span=(0, 1)),
        Table("numbers", ["c"], [("r", 0.5), ("s", 3), ("t", "text"), ("u", None)]),
    )
    path = tmp_path / "evidence.json"
    evidence(replace(entry(), figures=figures)).save(path)
    assert load(path).claims[0].figures == figures
    data = json.loads(path.read_text())
    del data["claims"][0]["figures"][0]["kind"]  # as in files from before there were other kinds
    path.write_text(json.dumps(data))
    assert load(path).claims[0].figures == figures


def test_recomputing_finds_no_difference(file: Path) -> None:
    rows = recompute(file)
    assert [(id, recorded) for id, recorded, _ in rows] == [(e.claim.id, e.verdict.value) for e in MANY.claims]
    assert all(recorded == recomputed for _, recorded, recomputed in rows)


def test_the_file_is_strict_json_and_names_its_schema(file: Path) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(name)

    data = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    assert data["schema"] == 2
    documented = {
        "claim",
        "digest",
        "nodeid",
        "registration",
        "planned",
        "observations",
        "failures",
        "judgement",
    }
    parts = {"e_value", "outcome", "arms", "figures", "drift", "changes", "remeasured", "cost"}
    assert set(data["claims"][0]) == documented | parts


def test_an_observation_of_nan_survives(file: Path) -> None:
    diverged = load(file).claims[3]
    (bad,) = [o for o in diverged.observations if not math.isfinite(o.value)]
    assert (bad.seed, bad.arm, bad.reason) == (10_002, "a", "nan at step 3")
    assert diverged.verdict is MANY.claims[3].verdict


def test_seen_seeds_are_the_planned_seeds_with_observations(file: Path) -> None:
    whole = entry()
    assert whole.observed_seeds == whole.planned
    part = replace(whole, observations=tuple(o for o in whole.observations if o.seed != 10_004))
    assert part.observed_seeds == tuple(seed for seed in whole.planned if seed != 10_004)


def test_the_hash_of_observations_covers_the_seeds_of_the_verdict_in_their_order() -> None:
    whole = entry(n=16)
    n = whole.judgement.n
    assert n < 16
    rows = whole.observations
    assert replace(whole, observations=rows[::-1]).observed == whole.observed, "the order of a file is none"
    assert replace(whole, observations=rows[: 2 * n]).observed == whole.observed, "later seeds decide nothing"
    assert replace(whole, planned=whole.planned[:n]).observed == whole.observed
    assert replace(whole, observations=(replace(rows[0], value=0.5), *rows[1:])).observed != whole.observed
    assert replace(whole, planned=whole.planned[1:]).observed != whole.observed
    assert len(whole.observed) == 32


def test_the_digest_of_a_file_covers_annotations_too() -> None:
    one, other = entry("study/a"), entry("study/b")
    assert evidence(one, other).digest == evidence(other, one).digest
    reworded = replace(one, claim=replace(one.claim, statement="A beats B by far."))
    assert evidence(reworded, other).digest != evidence(one, other).digest


def test_saved_seeds_are_those_that_were_not_run_after_the_verdict() -> None:
    early = entry(n=32)
    assert early.judgement.decided_at is not None
    assert early.judgement.decided_at <= 8
    seen = early.planned[:8]
    adaptive = replace(early, observations=tuple(o for o in early.observations if o.seed in seen))
    assert judge(adaptive.claim, adaptive.observations, planned=adaptive.planned) == early.judgement
    assert (early.saved_seeds, adaptive.saved_seeds) == ((), early.planned[8:])
    failed = replace(adaptive, failures={early.planned[9]: "a worker died"})
    assert len(failed.saved_seeds) == 23, "a seed that ran after the verdict, and failed, was not saved"
    missing = replace(adaptive, judgement=judge(early.claim, adaptive.observations[2:], planned=early.planned))
    assert missing.saved_seeds == (), "of seeds that are missing before the verdict, nothing was saved"
    assert seeds_saved([early, adaptive, failed, missing]) == (24 + 23, 3 * 32)
    assert seeds_saved([]) == (0, 0)


def test_seeds_that_were_never_needed_leave_the_file_whole(tmp_path: Path) -> None:
    early = entry(n=32)
    few = replace(early, observations=early.observations[: 2 * 8], arms={"a": {"cpu_seconds": 1.5}, "b": {}})
    evidence(few).save(tmp_path / "evidence.json")
    assert recompute(tmp_path / "evidence.json") == [("study/name", "SUPPORTED", "SUPPORTED")]
    (read,) = load(tmp_path / "evidence.json").claims
    assert (read.judgement, len(read.saved_seeds), read.arms["a"]) == (early.judgement, 24, {"cpu_seconds": 1.5})


@pytest.mark.parametrize("options", [{"seeds": 40, "seeds_per_look": 1}, {"divergence": "measured"}])
def test_the_options_of_the_rule_survive(tmp_path: Path, options: dict[str, Any]) -> None:
    clipped = replace(OVER, clip=True)
    whole = entry(contrast=clipped, **options)
    evidence(whole).save(tmp_path / "evidence.json")
    (read,) = load(tmp_path / "evidence.json").claims
    assert (read.claim.digest, read.claim.contrasts, read.judgement) == (
        whole.claim.digest,
        (clipped,),
        whole.judgement,
    )
    assert all(getattr(read.claim, name) == value for name, value in options.items())


def test_an_infinite_capital_is_null_in_the_file(tmp_path: Path) -> None:
    sure = entry(contrast=replace(OVER, bounds=(0, 2), over=0.0, margin=1e-300, sesoi=None))
    (finding,) = sure.judgement.findings
    assert finding.capital is not None
    assert finding.capital.above == math.inf
    evidence(sure).save(tmp_path / "evidence.json")
    data = json.loads((tmp_path / "evidence.json").read_text())
    assert data["claims"][0]["judgement"]["findings"][0]["capital"]["above"] is None
    assert recompute(tmp_path / "evidence.json") == [("study/name", "SUPPORTED", "SUPPORTED")]


def test_a_verdict_at_a_later_attempt_is_recomputed_at_that_attempt(tmp_path: Path) -> None:
    """The capital of these seeds exceeds what a first attempt needs, but not what a tenth does."""
    first = entry(n=8)
    registration = replace(first.registration, attempt=10)
    judgement = judge(first.claim, first.observations, planned=first.planned, thresholds=Thresholds(attempt=10))
    assert (first.verdict, judgement.verdict) == (Verdict.SUPPORTED, Verdict.INCONCLUSIVE)
    tenth = replace(first, registration=registration, judgement=judgement)
    tenth = replace(tenth, gate=tenth.gate_by("verdict", strict=False))
    evidence(tenth).save(tmp_path / "evidence.json")
    assert recompute(tmp_path / "evidence.json") == [("study/name", "INCONCLUSIVE", "INCONCLUSIVE")]
    assert load(tmp_path / "evidence.json").claims[0].judgement == judgement
    data = json.loads((tmp_path / "evidence.json").read_text())
    data["claims"][0]["registration"]["attempt"] = 1
    (tmp_path / "evidence.json").write_text(json.dumps(data))
    assert recompute(tmp_path / "evidence.json") == [("study/name", "INCONCLUSIVE", "SUPPORTED")]
    for attempt in (101, 2**62):
        data["claims"][0]["registration"]["attempt"] = attempt
        (tmp_path / "evidence.json").write_text(json.dumps(data))
        with pytest.raises(MemkitError, match=f"the attempt must be at most 100, not {attempt}"):
            load(tmp_path / "evidence.json")


def test_a_part_keeps_the_studies_metrics_and_curves_of_its_claims() -> None:
    one, other = entry(), replace(entry(), claim=replace(entry().claim, id="other/name"))
    curve = ((1, 0.9), (2, 0.5))
    whole = replace(
        evidence(one, other),
        studies={"study": "What it means.", "other": "What not."},
        metrics={"study": {"accuracy": "a share"}, "other": {"accuracy": "another"}},
        curves={
            "shared": Curves(arms=("study/name: a", "other/name: a"), seeds={1: curve}),
            "its own": Curves(arms=("other/name: b",), seeds={1: curve}),
        },
    )
    part = whole.of_claims([one])
    assert part.claims == (one,)
    assert (set(part.studies), set(part.metrics), set(part.curves)) == ({"study"}, {"study"}, {"shared"})
    assert whole.of_claims(whole.claims) == whole


# --- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as JSON"),
        ("hello", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("9" * 100_000, "cannot be read as JSON"),
        ("[]", "is not an evidence file: it has no schema"),
        ("{}", "is not an evidence file: it has no schema"),
        ('{"schema": 1}', r"has schema 1, which an earlier decision rule wrote; run the claims again$"),
        ('{"schema": true}', "has schema True; this memkit reads schema 2"),
        ('{"schema": 3}', "has schema 3; this memkit reads schema 2"),
        ('{"schema": 2}', "is not an evidence file of schema 2: 'claims' is missing"),
        ('{"schema": 2, "claims": []}', "'created' is missing"),
        ('{"schema": 2, "claims": [3]}', "is not an evidence file of schema 2"),
        ('{"schema": 2, "claims": 3}', "is not an evidence file of schema 2"),
    ],
)
def test_other_files_are_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    for read in (load, recompute):
        with pytest.raises(MemkitError, match=message) as raised:
            read(path)
        assert str(path) in str(raised.value)


def test_a_missing_or_truncated_file_is_refused_with_a_sentence(tmp_path: Path, file: Path) -> None:
    with pytest.raises(MemkitError, match="does not exist; a run of claims writes it"):
        load(tmp_path / "none.json")
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(tmp_path)
    text = file.read_bytes()
    file.write_bytes(text[: len(text) // 2])
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(file)
    file.write_bytes(b"\xff" + text)
    with pytest.raises(MemkitError, match="cannot be read as JSON"):
        load(file)


@pytest.mark.parametrize("field", ["judgement", "digest", "outcome", "claim", "planned", "registration", "failures"])
def test_a_missing_field_is_named(file: Path, field: str) -> None:
    data = json.loads(file.read_text())
    del data["claims"][1][field]
    file.write_text(json.dumps(data))
    with pytest.raises(MemkitError, match=f"not an evidence file of schema 2: '{field}' is missing"):
        recompute(file)


def test_a_figure_that_cannot_be_drawn_is_refused(file: Path) -> None:
    data = json.loads(file.read_text())
    for figure, message in (
        ({"kind": "pie"}, "the kind of figure 'pie' is not known"),
        ({"kind": "table", "title": "t", "columns": ["c"], "rows": []}, "Table 't': rows must be"),
        ({"kind": "table", "title": "t", "columns": ["c"]}, "a figure of kind 'table' is damaged: 'rows' is missing"),
    ):
        data["claims"][0]["figures"] = [figure]
        file.write_text(json.dumps(data))
        with pytest.raises(MemkitError, match=message) as raised:
            load(file)
        assert str(file) in str(raised.value)


def test_one_claim_twice_is_refused(file: Path) -> None:
    data = json.loads(file.read_text())
    data["claims"].append(data["claims"][0])
    file.write_text(json.dumps(data))
    with pytest.raises(MemkitError, match="holds the claim study/name twice"):
        load(file)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(leaf for key, value in inner for leaf in leaves(value, (*path, key)))]


SMALL = evidence(entry(n=8, requires=(replace(OVER, over=0.2),))).to_json()
WEIRD = st.sampled_from([None, True, -1, 0, 3.5, 1e999, 10**400, "", "nan", "REFUTED", [], [[]], {}, {"a": 1}])


@given(path=st.sampled_from(leaves(SMALL)[1:]), value=WEIRD)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_any_value_replaced_is_read_or_refused_with_a_sentence(
    tmp_path: Path, path: tuple[Any, ...], value: Any
) -> None:
    data = copy.deepcopy(SMALL)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(data))
    try:
        recompute(file)
        load(file).to_frame()
    except MemkitError as error:
        assert str(file) in str(error)  # noqa: PT017 any other exception is the failure
