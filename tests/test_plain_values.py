"""Declarations with NumPy's numbers have the same digest, JSON and types as those with Python's."""

from __future__ import annotations

import json
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from memkit import Contrast, MemkitError, claim, mutant, sweep
from memkit.evidence import Arm, Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.plain_values import plain

CONTRAST: dict[str, Any] = {"over": 0.5, "metric": "accuracy", "bounds": (0, 1), "margin": 0.125, "sesoi": 0.25}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2), 2),
        (np.arange(3), [0, 1, 2]),
        (np.array([[True], [False]]), [[True], [False]]),
        (np.array([0.5], dtype=np.longdouble), [0.5]),
        ((np.int64(1), [np.float64(2.0)]), (1, [2.0])),
        ({"a": {np.int64(1): np.array([1.0, 2.0])}}, {"a": {1: [1.0, 2.0]}}),
        ((1, 0.1, True, None, "text"), (1, 0.1, True, None, "text")),
    ],
    ids=repr,
)
def test_a_numpy_scalar_becomes_a_python_number(given: Any, meant: Any) -> None:
    assert repr(plain(given)) == repr(meant)


@pytest.mark.parametrize("value", [np.ma.masked, np.ma.array([1, 2], mask=[0, 1]), 1j, range(3), int], ids=repr)
def test_other_values_are_unchanged(value: Any) -> None:
    assert plain(value) is value


@pytest.mark.parametrize(
    "given",
    [
        {name: np.float64(CONTRAST[name]) for name in ("over", "margin", "sesoi")},
        {"over": np.float32(0.5), "margin": np.float32(0.125), "bounds": (np.int64(0), np.int64(1))},
        {"bounds": np.array([0, 1])},
        {"bounds": np.array([0.0, 1.0], dtype=np.float32), "sesoi": np.array(0.25)},
        {"metric": np.str_("accuracy")},
    ],
)
def test_a_contrast_of_numpy_numbers_equals_one_of_python_numbers(given: dict[str, Any]) -> None:
    made, expected = Contrast("a", **{**CONTRAST, **given}), Contrast("a", **CONTRAST)
    assert repr(made) == repr(expected)
    assert json.dumps(made.to_json()) == json.dumps(expected.to_json())
    assert all(type(bound) is float for bound in made.bounds or ())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": np.float64("nan")}, "margin=nan must be a finite number"),
        ({"margin": np.bool_(True)}, "margin=True must be a finite number"),
        ({"bounds": np.arange(3)}, r"bounds=\[0, 1, 2\] must be two finite numbers"),
        ({"sesoi": np.ma.masked}, "sesoi=masked must be a positive number"),
        ({"over": np.array([0.5])}, r"over=\[0.5\]"),
    ],
)
def test_a_contrast_refuses_invalid_numpy_numbers_too(given: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Contrast("a", **{**CONTRAST, **given})


def claimed(**options: Any) -> Claim:
    @claim("study/name", "A.", **{"arms": ("a",), "contrasts": [Contrast("a", **CONTRAST)], **options})
    def test_it(seed: int) -> dict[str, float]:
        return {"a": seed}

    made = claim_of(test_it)
    assert made is not None
    return made


def test_a_claim_of_numpy_numbers_equals_one_of_python_numbers() -> None:
    expected = claimed(seeds=16, gate=False, headline=True, deterministic=True)
    made = claimed(seeds=np.int64(16), gate=np.bool_(False), headline=np.bool_(True), deterministic=np.array(True))
    assert json.dumps(made.to_json()) == json.dumps(expected.to_json())
    assert made.digest == expected.digest
    assert repr((made.seeds, made.gate, made.headline)) == "(16, False, True)"
    with pytest.raises(MemkitError, match="seeds=101 must be a whole number from 6 to 100"):
        claimed(seeds=np.int64(101))


def measured(seed: int) -> dict[str, float]:
    return {"a": seed}


def cells(over: Any) -> dict[str, Claim]:
    own: dict[str, Any] = {"__name__": "made"}
    template: Any = measured
    function = FunctionType(template.__code__, own, "test_grid")
    function.__qualname__ = "test_grid"
    sweep("study/grid", "W {width}.", over=over, arms=("a",), contrasts=[Contrast("a", **CONTRAST)])(function)
    return {name: made for name, value in own.items() if (made := claim_of(value)) is not None}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"width": np.arange(3)}, {"width": (0, 1, 2)}),
        ({"width": [np.int64(0), np.int64(4)], "kind": np.array(["a", "b"])}, {"width": [0, 4], "kind": ["a", "b"]}),
        ({"width": np.array([0.5, 0.25])}, {"width": [0.5, 0.25]}),
    ],
    ids=["array", "scalars", "floats"],
)
def test_a_grid_of_numpy_numbers_equals_one_of_python_numbers(given: Any, meant: Any) -> None:
    made, expected = cells(given), cells(meant)
    assert list(made) == list(expected)
    for name, own in made.items():
        assert json.dumps(own.to_json()) == json.dumps(expected[name].to_json())
        assert own.digest == expected[name].digest
        assert repr(dict(own.cell)) == repr(dict(expected[name].cell))


@pytest.mark.parametrize("values", [np.array([True]), np.array([[1, 2]]), np.array([]), np.array(3), [np.bool_(True)]])
def test_values_that_are_not_a_grid_are_refused(values: Any) -> None:
    with pytest.raises(MemkitError, match="must be a list of strings or numbers"):
        cells({"width": values})


class OfNumbers:
    """A substitute for a recipe, which would need torch."""

    digest, missing = "0" * 32, ""

    def to_json(self) -> dict[str, Any]:
        return {"task": "t", "model": "m"}


def broken(model: Any) -> Any:
    return model


def test_a_mutant_of_numpy_numbers_equals_one_of_python_numbers() -> None:
    def of(seeds: Any) -> list[Claim]:
        own: dict[str, Any] = {"__name__": "made"}
        template: Any = measured
        function = FunctionType(template.__code__, own, "test_it")
        function.__qualname__ = "test_it"
        claim("study/name", "A.", arms={"a": Arm(OfNumbers())}, contrasts=[Contrast("a", **CONTRAST)])(function)
        mutant("gone", arm="a", by=broken, seeds=seeds)(function)
        return [made for value in own.values() if (made := claim_of(value)) is not None]

    (made,), (expected,) = of(np.int64(8)), of(8)
    assert made.digest == expected.digest
    assert repr(made.seeds) == "8"
