"""A matrix is checked before anything runs; error messages say what is wrong, where, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memkit import MemkitError
from memkit.store.store import Store
from memkit.study.listing import listing
from memkit.study.loading import load_matrix
from memkit.study.matrix import Matrix
from memkit.study.promotion import load_promotion
from memkit.study.reading import read_yaml
from memkit.study.screening import check_arms, check_bounds, check_data, check_models, check_score, make_promotion
from memkit.study.screening_table import screening_block, screening_rows
from memkit.study.staged import staged_claims
from memkit.training import scoring
from tests.study.lab import MATRIX, STAGED, documented, write_project

Read = Callable[..., Matrix]


def test_a_matrix_is_read(read: Read) -> None:
    matrix = read()
    assert list(matrix.configurations) == ["linear", "plain", "slow-lr-0.001", "slow-lr-0.1"]
    assert matrix.candidates == ("plain", "slow-lr-0.001", "slow-lr-0.1")
    slow = matrix.configurations["slow-lr-0.001"]
    assert (slow.recipe.lr, slow.recipe.steps, slow.differs) == (0.001, 40, {"lr": 0.001})
    assert matrix.configurations["linear"].recipe.options["hidden"] is False
    assert slow.controls == ("linear", "brief")
    assert matrix.configurations["linear"].controls == ("brief",)
    brief = matrix.control("brief", "slow-lr-0.001")
    assert (brief.recipe.lr, brief.recipe.steps) == (0.001, 2)
    assert matrix.run_name("brief", "plain") == "plain+brief"
    assert matrix.run_name("linear", "plain") == "linear"
    assert matrix.score is scoring.accuracy_and_loss


def test_values_from_the_source_are_shown_in_the_tables(read: Read, tmp_path: Path) -> None:
    matrix = read(MATRIX + "reported: {plain: 0.93, linear: half}\n")
    assert matrix.reported == {"plain": "0.93", "linear": "half"}
    promotion = make_promotion(matrix, {name: {0: {"accuracy": 0.5}} for name in matrix.configurations})
    rows = screening_rows(promotion)
    assert rows[0][:3] == ("configuration", "reported", "accuracy")
    assert [row[1] for row in rows[1:]] == ["half", "0.93", "–", "–"]
    promotion.save(tmp_path / "xor.promoted.json")
    assert load_promotion(tmp_path / "xor.promoted.json") == promotion


def test_the_matrix_in_the_documentation_is_valid(tmp_path: Path) -> None:
    path = write_project(tmp_path, documented("study: xor", "yaml"))
    assert len(load_matrix(path).configurations) == 6
    for key in ("always", "family", "tuning", "sesoi", "expect", "within", "after", "over"):
        assert f"`{key}`" in STAGED or f"`{key}: " in STAGED


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("study: lab/xor", "stdy: lab/xor", "xor.yaml: there is no 'stdy'; did you mean 'study'?"),
        ("study: lab/xor", "study: lab", "study: 'lab' must be the beginning of the claims' ids"),
        ("examples: 200", "examples: many", "examples: 'many' must be a whole number of at least 1"),
        ("{by:", "{bye: 1, by:", "xor.yaml: screen: there is no 'bye'; did you mean 'by'?"),
        ("{metric:", "{metrc: 1, metric:", "xor.yaml: confirm: there is no 'metrc'; did you mean 'metric'?"),
        (
            "screen: {by: accuracy",
            "screen: {by: acuracy",
            "screen: by: the default score has no 'acuracy'; did you mean",
        ),
        (
            "best: 1,",
            "best: 3,",
            "screen: best: 3 are to be promoted, but there are only 2 configurations that",
        ),
        ("best: 1,", "best: 0.5,", "screen: best: 0.5 must be a whole number"),
        ("best: 1,", "best: 1, within: famly,", "screen: within: 'famly' must be 'family'"),
        (
            "bounds: [0, 1]",
            "higher: false, bounds: [0, 1]",
            "confirm: higher: False contradicts screen, which promotes by the highest accuracy",
        ),
        ("best: 1,", "best: 1, higher: 1,", "screen: higher: 1 must be true or false"),
        (
            "always: [plain]",
            "always: [plian]",
            "screen: always: there is no configuration 'plian'; did you mean 'plain'?",
        ),
        ("bounds: [0, 1], ", "", "confirm: declare the range of the metric"),
        ("bounds: [0, 1]", "bounds: [1, 0]", "confirm: bounds=(1, 0) must be two finite numbers, the lower first"),
        ("seeds: 8", "seeds: 5", "confirm: seeds: 5 must be a whole number from 6 to 100"),
        ("seeds: 8", "seeds: 101", "confirm: seeds: 101 must be a whole number from 6 to 100"),
        ("seeds: 8", "seeds: true", "confirm: seeds: True must be a whole number from 6 to 100"),
        ("seeds: 8", "assume: normal, seeds: 9", "confirm: seeds: 9 must be one of [8, 16, 32], the looks of Student"),
        ("seeds: 8", "expect: suported", "confirm: expect: 'suported' is not a verdict; did you mean 'supported'?"),
        ("seeds: 8", "expect: equivalent", "needs a positive control"),
        ("{hidden: false}", "{hiden: false}", "configurations: linear: Recipe has no field 'hiden', and Net takes no"),
        ("{hidden: false}", "{famly: a}", "configurations: linear: there is no 'famly'; did you mean 'family'?"),
        ("{hidden: false}", "{steps: -1}", "configurations: linear: Recipe: steps=-1 must be a positive whole number"),
        ("{hidden: false}", "{}", "configurations: plain: it has the same recipe and intervention as 'linear'"),
        ("{hidden: false}", "{controls: [linear]}", "linear: controls: 'linear' is the configuration itself"),
        ("plain: {}", "plain: {controls: [line]}", "controls: there is no control 'line'; did you mean 'linear'?"),
        (
            "plain: {}",
            "plain: {controls: []}",
            "configurations: plain: it may be promoted, but it has no control",
        ),
        ("plain: {}", "plain: {base: slow}", "configurations: slow: base: plain → slow → plain leads back to itself"),
        ("base: plain", "base: plan", "slow: base: there is no configuration 'plan'; did you mean 'plain'?"),
        ("lr: [0.001, 0.1]", "lr: 0.1", "slow: over: lr: 0.1 must be a list of values"),
        ("lr: [0.001, 0.1]", "lr: [0.1, 0.1]", "slow: over: two cells are called 'lr-0.1'"),
        ("{lr: [0.001, 0.1]}", "{rl: [0.1]}", "configurations: slow-rl-0.1: Recipe has no field 'rl'"),
        ("linear: linear", "linear: lineal", "controls: linear: there is no configuration 'lineal'; did you mean"),
        ("linear: linear", "plain: linear", "controls: plain: a configuration of the same name"),
        ("{steps: 2}", "{stps: 2}", "controls: brief: for plain: Recipe has no field 'stps'"),
        ("{steps: 2}", "{steps: 40}", "controls: brief: for plain it changes nothing"),
        (
            "{steps: 2}",
            "{base: plain}",
            "controls: brief: 'base' is a key of configurations",
        ),
        ("MODULE:task", "MODULE:tsk", "there is no 'tsk' in"),
        ("MODULE:task", "nowhere:task", "needs the module 'nowhere', which was not found"),
        ("MODULE:task", "task", "'task' must name an object of a module, 'module:name'"),
        (
            "examples: 200",
            "examples: 200\nreported: {plian: 0.9}",
            "reported: there is no configuration 'plian'; did you mean 'plain'?",
        ),
        (
            "examples: 200",
            "examples: 200\nreported: {plain: [0.9]}",
            "reported: plain: [0.9] must be a number or a text",
        ),
        ("examples: 200", "examples: 200\nnotes: {opn: []}", "notes: there is no 'opn'; did you mean 'open'?"),
        ("examples: 200", "examples: 200\nnotes: {open: text}", "notes: open: 'text' must be a list of sentences"),
        ("examples: 200", "examples: 200\nexamples: 300", "xor.yaml, line 5: the key 'examples' occurs twice"),
        ("examples: 200", "examples: [", "xor.yaml is not YAML"),
        ("examples: 200", "examples: .inf", "examples: inf is not a finite number"),
        ("examples: 200", "examples: 2026-11-24", "is a date; put it in quotes"),
        ("  plain: {}\n", "  Plain: {}\n", "configurations: 'Plain' must consist of lower-case letters"),
        ("  plain: {}\n", f"  {121 * 'x'}: {{}}\n", "is 121 bytes long, and the maximum is 120, since files and"),
        ("lr: [0.001, 0.1]", f"options.note: [a, {120 * 'b'}]", "bbb'… is 130 bytes long"),
        ("study: lab/xor", "", "xor.yaml: there is no 'study'; give the beginning of the claims' ids"),
    ],
)
def test_an_invalid_matrix_is_refused_with_the_reason(read: Read, old: str, new: str, sentence: str) -> None:
    assert old in MATRIX
    with pytest.raises(MemkitError) as caught:
        read(MATRIX.replace(old, new, 1))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("xor.yaml")


def test_a_matrix_without_configurations_and_a_missing_file_are_refused(read: Read, tmp_path: Path) -> None:
    start, _, rest = MATRIX.partition("configurations:")
    with pytest.raises(MemkitError, match="configurations: there are none; name at least one"):
        read(f"{start}configurations: {{}}\ncontrols:{rest.partition('controls:')[2]}")
    with pytest.raises(MemkitError, match="does not exist"):
        load_matrix(tmp_path / "nowhere.yaml")


def test_unsafe_yaml_is_refused_and_numbers_are_read_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(MemkitError, match="is not YAML"):
        read_yaml(path)
    path.write_text('lr: 1e-3\nname: "1e-3"\noff: [1, 2.5, true, null, none, "no", 1e3x]\n')
    assert read_yaml(path) == {"lr": 0.001, "name": "1e-3", "off": [1, 2.5, True, None, "none", "no", "1e3x"]}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("False", False), ("TRUE", True), ("false", False), ("~", None), ("", None), ("NULL", None)),
        *(("010", 10), ("-019", -19), ("0o10", 8), ("0x1F", 31), ("+3", 3), ("1e-3", 0.001), ("1.", 1.0), ("+.5", 0.5)),
        *(
            ("1:30", "1:30"),
            ("12:30:45", "12:30:45"),
            ("'010'", "010"),
            ('"yes"', "yes"),
            ("y", "y"),
            ("1.2.3", "1.2.3"),
        ),
    ],
)
def test_plain_values_follow_the_core_schema(tmp_path: Path, written: str, meant: Any) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {written}\nb: [{written}]\n")
    read = read_yaml(path)
    assert read == {"a": meant, "b": [meant] if written else []}
    assert type(read["a"]) is type(meant)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("no", "no is ambiguous; write false, or 'no' with quotes for the text"),
        ("Yes", "Yes is ambiguous; write true, or 'Yes' with quotes for the text"),
        ("on", "write true"),
        ("OFF", "write false"),
        ("tRUE", "write true"),
        ("None", "None is ambiguous; write null for no value, or 'None' with quotes for the text"),
        ("inf", "inf is ambiguous; write a finite number, or 'inf' with quotes"),
        ("-Infinity", "write a finite number"),
        ("NaN", "write a finite number"),
        ("1_000", "1_000 is ambiguous; write the number in plain decimal digits, or '1_000' with quotes"),
        ("0b11", "write the number in plain decimal digits"),
        (".5e3", "write a number with a digit before the point"),
        (".inf", "inf is not a finite number"),
        ("2001-01-01", "put it in quotes to make it a text"),
        ("!!bool maybe", "is not YAML: 'maybe' does not fit its tag"),
        ("!!timestamp maybe", "is not YAML"),
    ],
)
def test_an_ambiguous_value_is_refused_with_advice(tmp_path: Path, written: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    for text in (f"first: 1\na: {written}\n", f"first: 1\na: [{written}]\n"):
        path.write_text(text)
        with pytest.raises(MemkitError, match=re.escape(message)) as caught:
            read_yaml(path)
        assert "\n" not in str(caught.value)
        if "is ambiguous" in str(caught.value):
            assert str(caught.value).startswith("a.yaml, line 2: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1: 2", "a.yaml, line 1: the key 1 is not a text; put it in quotes"),
        ("a: 1\ntrue: 2", "a.yaml, line 2: the key true is not a text"),
        ("a: 1\n'a': 2", "a.yaml, line 2: the key 'a' occurs twice; remove one of them"),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2, b: 3}", "a.yaml, line 2: the key 'b' occurs twice"),
        ("a: &x [*x]", "a.yaml, line 1: an alias refers to a node that contains it; write out its value"),
        ("%YAML 1.1\n---\na: 010", "a.yaml contains '%YAML 1.1'; remove it, since memkit reads YAML 1.2"),
        ("a: 1\nb: [", "a.yaml is not YAML: line 2, column 5"),
        ("a: 1\n---\nb: 2", "a.yaml is not YAML: line 2, column 1"),
        ("a: " + "[" * 3000, "a.yaml is nested too deeply"),
    ],
)
def test_an_invalid_file_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(MemkitError, match=re.escape(message)) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_aliases_and_merges_are_expanded_and_a_key_may_be_off(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("off: &x {b: 1, c: 2}\non: {<<: *x, c: 3}\nagain: *x\n")
    assert read_yaml(path) == {"off": {"b": 1, "c": 2}, "on": {"b": 1, "c": 3}, "again": {"b": 1, "c": 2}}


def test_an_option_that_is_false_is_read_as_a_boolean(read: Read) -> None:
    """The text "False" would be true."""
    assert read(MATRIX.replace("hidden: false", "hidden: False")).digest == read().digest


def test_the_digest_covers_what_is_run_and_no_texts(read: Read) -> None:
    digest = read().digest
    words = 'title: Another\nsource: a book\nreported: {plain: 0.9}\nnotes: {open: ["What?"]}\n'
    assert read(MATRIX + words).digest == digest
    assert read("# a comment\n" + MATRIX).digest == digest
    assert read(MATRIX.replace("best: 1", "best: 2")).digest != digest
    assert read(MATRIX.replace("bounds: [0, 1]", "bounds: [0, 2]")).digest != digest


MORE = """

def flattened(net):
    net.hidden = False
    return net


def scaled(*, by):
    def scale(net, seed):
        return net
    return scale


def named(net, examples):
    return {"accuracy": 0.5}


def number(net, examples):
    return 0.5


def raising(net, examples):
    raise RuntimeError("the model is untrained")


import dataclasses


@dataclasses.dataclass(frozen=True)
class Absent:
    missing = "the data are not here: buy them"

    def for_seed(self, generator):
        raise AssertionError("there are no data")


class Picky(Net):
    def __init__(self, *, hidden: bool = True):
        super().__init__()
        if not hidden:
            raise ValueError("no such thing")
"""


def test_interventions_are_inherited_or_made_by_factories(read: Read) -> None:
    text = MATRIX.replace(
        "  slow:",
        '  flat: {after: "MODULE:flattened"}\n'
        "  flat-too: {base: flat, steps: 41}\n"
        "  round: {base: flat-too, after: null, steps: 42}\n"
        '  scaled: {after: {call: "MODULE:scaled", by: 2}}\n'
        '  more: {after: {call: "MODULE:scaled", by: 3}}\n'
        "  slow:",
    )
    configurations = read(text, more=MORE).configurations
    assert configurations["flat"].recipe == configurations["plain"].recipe
    assert configurations["flat"].intervention is configurations["flat-too"].intervention
    assert configurations["round"].intervention is None
    assert configurations["scaled"].intervention is not None
    assert configurations["scaled"].identity != configurations["more"].identity
    with pytest.raises(MemkitError, match=r"configurations: more: after: .* takes no 'bye'; did you mean 'by'"):
        read(text.replace("by: 3", "bye: 3"))
    with pytest.raises(MemkitError, match="configurations: more: it has the same recipe and intervention as 'scal"):
        read(text.replace("by: 3", "by: 2"))


def test_null_removes_an_option_that_the_model_does_not_have(read: Read) -> None:
    text = MATRIX.replace("{hidden: false}", '{hidden: null, model: "MODULE:plain_net"}').replace(
        "plain: {}", "plain: {hidden: true}"
    )
    more = MORE + "\n\ndef plain_net():\n    return Net()\n"
    assert dict(read(text, more=more).configurations["linear"].recipe.options) == {}
    with pytest.raises(MemkitError, match="no field 'hiden'"):
        read(text.replace("{hidden: null", "{hiden: null"))


def test_a_task_can_be_a_mapping(read: Read) -> None:
    rest = MATRIX.partition("examples: 200")[2]
    recipe = (
        'study: lab/xor\nrecipe: {task: {type: "memkit.tasks.images:Classification", train: 500}, '
        'model: "memkit.models.feedforward:FeedForwardNetwork", steps: 40, lr: 0.05}\n'
    )
    digits = rest.replace("{hidden: false}", "{widths: [4]}").replace("lr: [0.001, 0.1]", "task.train: [100, 200]")
    configurations = read(recipe + digits).configurations
    assert configurations["slow-train-100"].recipe.task.train == 100
    assert configurations["slow-train-100"].differs == {"task.train": 100}
    assert configurations["linear"].recipe.options["widths"] == (4,)
    with pytest.raises(MemkitError, match="Classification has no field 'trian'; did you mean 'train'"):
        read((recipe + digits).replace("train: 500", "trian: 500"))


def test_claims_cover_the_score_its_examples_and_the_interventions(read: Read) -> None:
    text = MATRIX.replace("plain: {}", 'plain: {after: {call: "MODULE:scaled", by: 2}}')
    digests = set()
    for changed in (
        text,
        text.replace("examples: 200", "examples: 300"),
        text.replace("by: 2", "by: 3"),
        text.replace("examples: 200", 'examples: 200\nscore: "memkit.tasks.images.scoring:accuracy"'),
    ):
        matrix = read(changed, more=MORE)
        scores = {name: {0: {"accuracy": 0.5}} for name in matrix.configurations}
        make_promotion(matrix, scores).save(matrix.promoted_path)
        claims = staged_claims(matrix.path)
        assert [claim.id for claim, _, _ in claims] == ["lab/xor/plain", "lab/xor/slow-lr-0.001"]
        digests.add(claims[0][2])
    assert len(digests) == 4


def test_the_listing_shows_what_would_be_trained(read: Read, tmp_path: Path) -> None:
    lines = listing(read(), Store(tmp_path / "store"))
    (slow,) = (line.split() for line in lines.splitlines() if line.startswith("slow-lr-0.001"))
    assert slow == ["slow-lr-0.001", "–", "candidate", "linear,", "brief", "0", "of", "1", "lr", "0.001"]
    assert "stage A: 4 runs to train" in lines
    assert "«plain» is promoted whatever it scores." in lines
    assert not (tmp_path / "store").exists()


def test_models_and_scores_are_checked_before_anything_is_trained(read: Read) -> None:
    check_score(read())
    check_models(read())
    with pytest.raises(MemkitError, match=r"confirm: metric: the score has no 'acuracy'; did you mean 'accuracy'\?"):
        check_score(read(SCORED.format("named").replace("metric: accuracy", "metric: acuracy"), more=MORE))
    with pytest.raises(MemkitError, match="the score returns one number, which cannot be both 'accuracy' for screen"):
        check_score(read(SCORED.format("number").replace("metric: accuracy", "metric: other"), more=MORE))
    check_score(read(SCORED.format("raising"), more=MORE))
    with pytest.raises(
        MemkitError, match=r"configurations: linear: its model cannot be built: ValueError: no such thing"
    ):
        check_models(read(MATRIX.replace("MODULE:Net", "MODULE:Picky"), more=MORE))


SCORED = MATRIX.replace("{", "{{").replace("}", "}}").replace("examples: 200", 'score: "MODULE:{}"')


def test_missing_data_are_refused_but_the_study_can_be_listed(read: Read, tmp_path: Path) -> None:
    matrix = read(MATRIX.replace('"MODULE:task"', '{type: "MODULE:Absent"}'), more=MORE)
    check_models(matrix)
    assert "stage A: 4 runs to train" in listing(matrix, Store(tmp_path / "store"))
    with pytest.raises(MemkitError, match="linear: the data are not here: buy them"):
        check_data(matrix)


FAULTY = """

def returns_a_function(net):
    return lambda x: x

def raises(net):
    raise RuntimeError("out of order")
"""


def test_controls_are_checked_before_deciding_seeds_are_used(read: Read) -> None:
    check_arms(read(), ["plain", "slow-lr-0.1"], device="cpu")
    for name, message in (
        (
            "returns_a_function",
            "plain with the control brief: the intervention returned a function instead of a model; "
            "if MODULE:returns_a_function is",
        ),
        ("raises", "plain with the control brief: RuntimeError: out of order"),
    ):
        text = MATRIX.replace("{steps: 2}", f'{{after: "MODULE:{name}"}}')
        matrix = read(text, more=FAULTY)
        module = str(matrix.configurations["plain"].recipe.model.__module__)
        with pytest.raises(MemkitError, match=message.replace("MODULE", module)):
            check_arms(matrix, ["plain"], device="cpu")


def test_a_screening_score_outside_the_bounds_is_refused(read: Read) -> None:
    matrix = read()
    check_bounds(matrix, {"plain": {0: {"accuracy": 1.0}, 1: {"accuracy": float("nan")}}})
    with pytest.raises(MemkitError, match=r"plain, seed 1: the accuracy is 7, outside confirm: bounds \[0, 1\]"):
        check_bounds(matrix, {"plain": {1: {"accuracy": 7.0}}})


def test_the_listing_tells_that_the_matrix_was_changed(read: Read, tmp_path: Path) -> None:
    matrix = read()
    promotion = make_promotion(matrix, {name: {0: {"accuracy": 0.5}} for name in matrix.configurations})
    promotion.save(matrix.promoted_path)
    store = Store(tmp_path / "store")
    assert "was changed since" not in listing(matrix, store)
    assert "xor.yaml has changed since it was screened: the next run screens it again" in listing(
        read(MATRIX.replace("steps: 2}", "steps: 3}")), store
    )


def test_a_promoted_name_must_be_a_configuration_of_the_matrix(read: Read) -> None:
    matrix = read()
    promotion = make_promotion(matrix, {name: {0: {"accuracy": 0.5}} for name in matrix.configurations})
    promotion.save(matrix.promoted_path)
    doctored = matrix.promoted_path.read_text().replace('"plain"', '"../plain"')
    matrix.promoted_path.write_text(doctored)
    with pytest.raises(MemkitError, match=r"promotes '\.\./plain', which is not a configuration of xor\.yaml"):
        staged_claims(matrix.path)


@pytest.mark.parametrize("path", ["../x.promoted.json", "/etc/x.promoted.json", "secrets.json"])
def test_a_page_shows_only_promotions_of_its_project(path: str) -> None:
    with pytest.raises(MemkitError, match=r"must name a file of this project that ends in \.promoted\.json"):
        screening_block(path)
