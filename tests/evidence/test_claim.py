"""Claims refuse bad input with one sentence, and their digest covers what registration has to fix."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from memkit import Recipe, multiverse, mutant, replicated
from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, Contrast, claim, claim_of, origin
from memkit.evidence.claim import ANNOTATIONS, TESTED, _without_empty
from memkit.evidence.origin import Mutant
from tests.inner import needs_torch

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
OPTIONS: dict[str, Any] = {"arms": ["a", "b"], "contrasts": [OVER]}


def make_claim(**changes: Any) -> Claim:
    @claim("study/name", "A beats B.", **{**OPTIONS, **changes})
    def test_it(seed: int) -> dict[str, float]:
        return {"a": 1.0, "b": 0.0}

    result = claim_of(test_it)
    assert result is not None
    return result


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrasts": []}, r"'study/name': there is no contrast; give contrasts=\[Contrast\("),
        ({"contrasts": OVER}, "contrasts=.* must be a list"),
        ({"contrasts": ["a over b"]}, r"'a over b' is not a Contrast; write Contrast\("),
        ({"requires": OVER}, "requires=.* must be a list"),
        ({"positive_control": "a over b"}, "'a over b' is not a Contrast"),
        (
            {"contrasts": [replace(OVER, over="bb")]},
            r"«a over bb» names an unknown arm 'bb'; did you mean 'b'\?",
        ),
        ({"contrasts": [replace(OVER, over="zebra")]}, "unknown arm 'zebra'; known: a, b"),
        ({"requires": [replace(OVER, treatment="aa")]}, r"unknown arm 'aa'; did you mean 'a'\?"),
        ({"arms": []}, "there are no arms; give arms="),
        ({"arms": "ab"}, "arms='ab' must be a dict of name → recipe, or a list of names"),
        ({"arms": 3}, "arms=3 must be a dict of name → recipe, or a list of names"),
        ({"arms": {1: None, "b": None}}, "the name of an arm must be a non-empty string, not 1"),
        ({"derived": "slope"}, "derived='slope' must be a list"),
        ({"derived": ["a"]}, "'a' is both an arm and a derived quantity; rename"),
        ({"contrast": [OVER]}, r"unknown option 'contrast'; did you mean 'contrasts'\?"),
        ({"sesoi": 0.1}, "unknown option 'sesoi'"),
        ({"expect": "suported"}, r"expect='suported' is not a verdict; did you mean 'supported'\?"),
        ({"seeds": 5}, "seeds=5 must be a whole number from 6 to 100"),
        ({"seeds": 101}, "seeds=101 must be a whole number from 6 to 100"),
        ({"seeds": 8.0}, "seeds=8.0 must be a whole number"),
        ({"seeds": "8"}, "seeds='8' must be a whole number"),
        ({"seeds": True}, "seeds=True must be a whole number"),
        (
            {"contrasts": [replace(OVER, assume="normal")], "seeds": 12},
            r"seeds=12 must be one of \[8, 16, 32\], the looks of Student's t",
        ),
        ({"requires": [replace(OVER, assume="normal")], "seeds": 100}, r"must be one of \[8, 16, 32\]"),
        ({"seeds_per_look": 0}, "seeds_per_look=0 must be a whole number from 1 to 100"),
        ({"seeds_per_look": 2.5}, "seeds_per_look=2.5 must be a whole number"),
        ({"divergence": "ignored"}, "divergence='ignored' must be one of withholds, measured"),
        (
            {"contrasts": [replace(OVER, treatment="slope", clip=True)], "derived": ["slope"]},
            "«slope over b» clips 'slope', which is derived",
        ),
        (
            {"contrasts": [replace(OVER, sesoi=0.9)], "positive_control": replace(OVER, over=0.2)},
            "the positive control «a over 0.2» cannot exceed 0.9, the largest sesoi, within its bounds",
        ),
        ({"gate": "no"}, "gate='no' True, False or None"),
        ({"headline": 1}, "headline=1"),
        ({"source": 2025}, "source=2025 must be a string"),
        ({"expect": "equivalent"}, r"needs positive_control=Contrast\("),
        (
            {"expect": "equivalent", "positive_control": OVER},
            "needs sesoi= on every contrast; «a over b» has none",
        ),
    ],
)
def test_a_bad_claim_is_refused_with_the_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        make_claim(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("a", "b")}, r"arms=\('a', 'b'\) must be a dict, arms="),
        ({"arms": {"a": Arm(), "b": None}}, "the arm 'b' is an object of the class NoneType; write Arm"),
        ({"arms": {"a": Arm(), "b": "recipe"}}, "the arm 'b' is 'recipe'; write Arm"),
        ({"contrasts": [OVER]}, r"contrasts=.* must be a tuple of contrasts"),
        ({"requires": [OVER]}, r"requires=.* must be a tuple of contrasts"),
        ({"derived": "slope"}, "derived='slope' must be a tuple of names"),
        ({"derived": None}, "derived=None must be a tuple of names"),
        ({"figures": [print]}, r"figures=.* must be a tuple of functions"),
        ({"data": ["table.csv"]}, r"data=\['table.csv'\] must be a tuple of names"),
        ({"environment": "MY_FLAG"}, "environment='MY_FLAG' must be a tuple of names"),
        ({"derived": (3,)}, "the name of an arm must be a non-empty string, not 3"),
        ({"gate": 1}, "headline=False must be True or False, and gate=1 True, False or None"),
        ({"test": 5}, "test=5 must be a string, the digest of the test function"),
        ({"test": None}, "test=None must be a string"),
        ({"origin": "study/grid"}, "origin='study/grid' must be a SweepCell, a Mutant, a Replication or None"),
    ],
    ids=str,
)
def test_a_claim_without_the_decorator_is_checked_too(changes: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"arms": {"a": Arm(), "b": Arm()}, "contrasts": (OVER,), **changes}
    with pytest.raises(MemkitError, match=f"^claim 'study/name': .*{message}"):
        Claim(id="study/name", statement="A beats B.", **options)


@pytest.mark.parametrize("left_out", ["arms", "contrasts"])
def test_a_missing_option_is_named(left_out: str) -> None:
    options = {name: value for name, value in OPTIONS.items() if name != left_out}
    with pytest.raises(MemkitError, match=f"no {left_out[:-1]}"):
        claim("study/name", "A beats B.", **options)


@pytest.mark.parametrize("id", ["name", "Study/name", "study/", "/name", "study/na me", "", 3, None])
def test_a_bad_id_is_refused(id: Any) -> None:
    with pytest.raises(MemkitError, match="an id must read study/name"):
        claim(id, "A beats B.", **OPTIONS)


@pytest.mark.parametrize("statement", ["", "  \n", None, 3])
def test_an_empty_statement_is_refused(statement: Any) -> None:
    with pytest.raises(MemkitError, match="write the sentence that is tested"):
        claim("study/name", statement, **OPTIONS)


# --- the digest ---------------------------------------------------------------------------------------------


def full() -> Claim:
    from tests.machines import toys

    recipe = Recipe(toys.Halves(), toys.Cohort, options={"width": 4}, steps=10)
    return make_claim(
        arms={"a": recipe, "b": Arm(recipe.with_(width=8), toys.silenced)},
        contrasts=[
            replace(OVER, sesoi=0.1, margin=0.01),
            replace(OVER, over=0.25),
            Contrast("slope", over=0, metric="s", assume="normal"),
        ],
        derived=["slope"],
        requires=[replace(OVER, treatment="b", over=0.2)],
        positive_control=replace(OVER, sesoi=0.2),
        expect="open",
        source="diary",
        seeds=16,
        headline=True,
        gate=False,
    )


@needs_torch
def test_json_is_lossless_and_keeps_the_digest() -> None:
    original = full()
    text = json.dumps(original.to_json(), allow_nan=False)
    read = Claim.from_json(json.loads(text))
    assert json.dumps(read.to_json(), allow_nan=False) == text
    assert read.digest == original.digest
    assert read.contrasts == original.contrasts
    assert read.arms["b"].intervention == "tests.machines.toys:silenced"
    assert replace(read, arms=original.arms) == original


@pytest.mark.parametrize(
    "change",
    [
        {"arms": {"a": Arm(), "b": Arm({"steps": 1})}},
        {"arms": {"a": Arm(), "b": Arm(), "c": Arm()}},
        {"contrasts": (replace(OVER, bounds=(0, 2)),)},
        {"contrasts": (replace(OVER, treatment="b", over="a"),)},
        {"contrasts": (OVER, replace(OVER, over=0.5))},
        {"contrasts": (replace(OVER, margin=0.1),)},
        {"contrasts": (replace(OVER, sesoi=0.1),)},
        {"contrasts": (replace(OVER, assume="normal"),)},
        {"contrasts": (replace(OVER, direction="lower"),)},
        {"requires": (OVER,)},
        {"positive_control": OVER},
        {"derived": ("slope",)},
        {"expect": "refuted"},
        {"gate": False},
        {"test": "another"},
        {"data": ("table.csv",)},
        {"divergence": "measured"},
        {"contrasts": (replace(OVER, clip=True),)},
    ],
    ids=str,
)
def test_the_digest_covers_what_is_tested(change: dict[str, Any]) -> None:
    original, changed = make_claim(), replace(make_claim(), **change)
    assert changed.digest != original.digest
    assert changed.annotations == original.annotations
    assert set(change) <= set(TESTED)


@pytest.mark.parametrize(
    ("change", "annotation"),
    [
        ({"statement": "A beats B by far."}, "A beats B by far."),
        ({"source": "page 3"}, "page 3"),
        ({"headline": True}, True),
        ({"seeds": 16}, 16),
        ({"seeds": 100}, 100),
        ({"seeds_per_look": 1}, 1),
        ({"deterministic": True}, True),
        ({"environment": ("MY_FLAG",)}, ["MY_FLAG"]),
    ],
    ids=str,
)
def test_annotations_are_not_part_of_the_digest(change: dict[str, Any], annotation: Any) -> None:
    changed = replace(make_claim(), **change)
    assert changed.digest == make_claim().digest
    assert changed.annotations == {**make_claim().annotations, next(iter(change)): annotation}
    assert set(change) <= set(ANNOTATIONS)


@pytest.mark.parametrize("change", [{"id": "study/other"}, {"figures": (print,)}], ids=str)
def test_other_fields_change_neither_the_digest_nor_the_annotations(change: dict[str, Any]) -> None:
    changed = replace(make_claim(), **change)
    assert (changed.digest, changed.annotations) == (make_claim().digest, make_claim().annotations)


def test_every_field_of_a_claim_is_in_the_digest_or_the_annotations_or_excluded() -> None:
    # The lock has entries by id; the number of cells of a sweep is not part of a cell; and figures decide nothing.
    neither = {"id", "cells", "figures"}
    all_fields = {*(field.name for field in fields(Claim) if field.name != "origin"), *origin.KEYS}
    assert sorted([*TESTED, *ANNOTATIONS, *neither]) == sorted(all_fields)


@pytest.mark.parametrize(
    ("options", "covered"),
    [
        ({"contrasts": (replace(OVER, assume="normal"),)}, True),
        ({"requires": (replace(OVER, assume="normal"),)}, True),
        ({"positive_control": replace(OVER, assume="normal")}, True),
        ({"expect": "not_supported"}, True),
        ({"expect": "not_supported", "origin": Mutant("study/other")}, False),
        ({"expect": "refuted"}, False),
        ({"expect": "open"}, False),
    ],
    ids=str,
)
def test_the_digest_covers_a_number_of_seeds_that_can_make_a_verdict_pass(
    options: dict[str, Any], covered: bool
) -> None:
    claim = replace(make_claim(), **options)
    assert (replace(claim, seeds=8).digest != claim.digest) is covered
    assert replace(claim, seeds=32).digest == claim.digest, "which is what it says without"


def test_new_fields_of_contrasts_leave_the_digest_unchanged_while_they_are_empty() -> None:
    fields = replace(OVER, margin=0.0, sesoi=None).to_json()
    for nothing in (None, False, ""):
        assert _without_empty({**fields, "later": nothing}) == _without_empty(fields)
    assert _without_empty({**fields, "later": 1}) != _without_empty(fields)
    assert _without_empty(fields)["margin"] == 0.0


def test_the_digest_does_not_change_with_the_kind_of_number_or_the_order_of_arms() -> None:
    whole = Contrast("a", over=0, metric="m", bounds=(-1, 1), margin=0, sesoi=None)
    broken = Contrast("a", over=0.0, metric="m", bounds=(-1.0, 1.0), margin=0.0)
    assert make_claim(contrasts=[whole]).digest == make_claim(contrasts=[broken]).digest
    assert make_claim(contrasts=[replace(whole, over=np.float64(0))]).digest == make_claim(contrasts=[broken]).digest
    assert make_claim(arms=["b", "a"]).digest == make_claim(arms=["a", "b"]).digest


def test_the_digest_covers_the_body_of_the_test_and_not_its_docstring() -> None:
    def digest(function: Any) -> str:
        result = claim_of(claim("study/name", "A beats B.", **OPTIONS)(function))
        assert result is not None
        return result.digest

    def plain() -> Any:
        def test_it(seed: int) -> dict[str, float]:
            return {"a": 1.0, "b": 0.0}

        return test_it

    def commented() -> Any:
        def test_it(seed: int) -> dict[str, float]:
            """What it measures."""
            # and why
            return {
                "a": 1.0,
                "b": 0.0,
            }

        return test_it

    def other() -> Any:
        def test_it(seed: int) -> dict[str, float]:
            return {"a": 1.0, "b": 0.5}

        return test_it

    assert digest(plain()) == digest(commented())
    assert digest(plain()) != digest(other())


def test_an_ordinary_test_has_no_claim() -> None:
    assert claim_of(test_an_ordinary_test_has_no_claim) is None
    assert claim_of(None) is None


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        ({}, True),
        ({"gate": False}, False),
        ({"expect": "open"}, False),
        ({"expect": "open", "gate": True}, False),
        ({"contrasts": [replace(OVER, assume="normal")]}, True),
    ],
)
def test_open_claims_and_claims_without_a_gate_do_not_gate(changes: dict[str, Any], gates: bool) -> None:
    assert make_claim(**changes).gates is gates


@pytest.mark.parametrize(
    ("declared", "asked", "planned"),
    [
        (None, None, 32),
        (None, 8, 8),
        (None, 12, 12),
        (16, None, 16),
        (16, 8, 8),
        (16, 32, 16),
        (6, None, 6),
        (100, None, 100),
        (100, 40, 40),
    ],
)
def test_seeds_are_declared_and_capped(declared: int | None, asked: int | None, planned: int) -> None:
    assert make_claim(seeds=declared).planned(asked) == planned


def test_looks_follow_the_seeds_per_look_or_normal_theory() -> None:
    assert make_claim().looks(20) == (8, 12, 16, 20)
    assert make_claim(seeds_per_look=1).looks(9) == (6, 7, 8, 9)
    assert make_claim(seeds_per_look=10).looks(32) == (10, 20, 30, 32)
    assert (make_claim().looks(3), make_claim().looks(0)) == ((3,), ())
    normal = make_claim(contrasts=[replace(OVER, assume="normal")], seeds_per_look=1)
    assert (normal.looks(32), normal.looks(20), normal.looks(5)) == ((8, 16, 32), (8, 16), (5,))
    assert normal.assumes_normality
    assert make_claim(requires=[replace(OVER, assume="normal")]).assumes_normality
    assert not make_claim().assumes_normality


def test_the_positive_control_is_judged_at_a_margin_of_at_least_the_largest_sesoi() -> None:
    contrasts = [replace(OVER, sesoi=0.1), replace(OVER, over=0.5, sesoi=0.3)]
    for margin, expected in [(0.0, 0.3), (0.2, 0.3), (0.4, 0.4)]:
        control = replace(OVER, margin=margin)
        assert make_claim(contrasts=contrasts, positive_control=control).judged_positive_control == replace(
            OVER, margin=expected
        )
    assert make_claim().judged_positive_control is None


def test_the_default_number_of_seeds_is_not_part_of_the_claim() -> None:
    assert make_claim().to_json()["seeds"] is None


def test_an_intervention_receives_the_seed_if_it_has_a_parameter_for_it() -> None:
    def with_seed(model: str, seed: int) -> tuple[str, int]:
        return model, seed

    def without(model: str) -> str:
        return model.upper()

    assert [Arm(None, f).intervened("m", 7) for f in (None, without, with_seed)] == ["m", "M", ("m", 7)]


def test_a_misspelt_field_is_named_with_the_nearest() -> None:
    wrong: dict[str, Any] = {"metrics": "accuracy"}
    with pytest.raises(MemkitError, match="Contrast has no field 'metrics'; did you mean 'metric'"):
        Contrast("a", over="b", **wrong)
    make_claim = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
    assert pickle.loads(pickle.dumps(make_claim)) == copy.deepcopy(make_claim) == replace(make_claim) == make_claim


def test_a_misspelt_option_of_a_decorator_is_named_with_the_nearest() -> None:
    wrong: dict[str, Any] = {"expects": "refuted", "bye": print, "varies": print}
    with pytest.raises(MemkitError, match="unknown option 'expects'; did you mean 'expect'"):
        replicated("mlx", expects=wrong["expects"])
    with pytest.raises(MemkitError, match="unknown option 'bye'; did you mean 'by'"):
        mutant("emptied", arm="a", bye=wrong["bye"])
    with pytest.raises(MemkitError, match="unknown option 'varies'; did you mean 'vary'"):
        multiverse({"lr": (0.1, 0.2)}, varies=wrong["varies"])
