"""Observations: what a test returns becomes observations, or one sentence that says what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, Contrast, Observation, observe
from memkit.evidence.observation import to_floats

CLAIM = Claim(
    id="study/name",
    statement="A beats B.",
    arms={"a": Arm(), "b": Arm()},
    contrasts=(Contrast("a", over="b", metric="accuracy", bounds=(0, 1)),),
)
SLOPE = Claim(
    id="study/slope",
    statement="A falls faster.",
    arms={"a": Arm(), "b": Arm()},
    contrasts=(Contrast("slope", over=0, metric="slope", bounds=(-1, 1)),),
    derived=("slope",),
)
TWO = Claim(
    id="study/two",
    statement="A beats B twice.",
    arms={"a": Arm(), "b": Arm()},
    contrasts=(
        Contrast("a", over="b", metric="accuracy", bounds=(0, 1)),
        Contrast("a", over="b", metric="loss", bounds=(0, 4), direction="lower"),
    ),
)


def values(observations: tuple[Observation, ...]) -> dict[tuple[str, str], float]:
    return {(o.arm, o.metric): o.value for o in observations}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "the test returned a NoneType; it should return a dict with a number for each of 'a', 'b'"),
        ([0.5, 0.5], "the test returned a list"),
        ({"a": 0.5}, "the test returned nothing for 'b'; it should return"),
        ({}, "the test returned nothing for 'a'"),
        ({"a": 0.5, "b": 0.5, "bb": 0.5}, r"'bb', which is neither an arm nor a derived quantity; did you mean 'b'\?"),
        ({"a": 0.5, "b": 0.5, 3: 0.5}, "3, which is neither an arm nor a derived quantity"),
        ({"a": 0.5, "b": "0.5"}, "accuracy of 'b' is '0.5', a str; it should be one number"),
        ({"a": 0.5, "b": None}, "accuracy of 'b' is None, a NoneType"),
        ({"a": 0.5, "b": True}, "accuracy of 'b' is True, a bool"),
        ({"a": 0.5, "b": [0.5]}, r"accuracy of 'b' is \[0.5\], a list"),
        ({"a": 0.5, "b": 0.5j}, "a complex"),
        ({"a": 0.5, "b": np.bool_(True)}, "is True, a bool"),
        ({"a": 0.5, "b": np.array([0.5])}, r"array\(\[0.5\]\), a ndarray"),
        ({"a": 0.5, "b": torch.ones(1000)}, "a Tensor; it should be one number"),
        (
            {"a": 0.5, "b": 1.5},
            r"accuracy of 'b' is 1.5, outside the declared bounds \(0, 1\); declare",
        ),
        ({"a": -0.1, "b": 0.5}, "accuracy of 'a' is -0.1, outside the declared bounds"),
        ({"a": {"acuracy": 0.5}, "b": 0.5}, r"'a' has no 'accuracy'; did you mean 'acuracy'\?"),
        ({"a": {}, "b": 0.5}, "'a' has no 'accuracy'"),
    ],
)
def test_the_message_names_what_is_wrong(returned: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message) as raised:
        observe(CLAIM, 17, returned)
    sentence = str(raised.value)
    assert sentence.startswith("claim 'study/name', seed 17")
    assert "\n" not in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize(
    "half",
    [
        np.float32(0.5),
        np.float64(0.5),
        np.array(0.5),
        torch.tensor(0.5),
        torch.tensor(0.5, requires_grad=True),
        torch.tensor(0.5, dtype=torch.float16),
    ],
    ids=str,
)
def test_numbers_of_every_library_become_floats(half: Any) -> None:
    observed = values(observe(CLAIM, 0, {"a": half, "b": np.int64(1)}))
    assert observed == {("a", "accuracy"): 0.5, ("b", "accuracy"): 1.0}
    assert all(type(value) is float for value in observed.values())


def test_every_arm_gives_an_observation_in_the_order_of_the_claim() -> None:
    a, b = observe(CLAIM, 3, {"b": 0, "a": 1})
    assert a == Observation(claim="study/name", seed=3, arm="a", metric="accuracy", value=1.0)
    assert b.arm == "b"


def test_a_bound_is_not_missed_by_the_rounding_of_single_precision() -> None:
    top = math.log(32)
    loss = Contrast("a", over="b", metric="loss", bounds=(0, top), direction="lower")
    claim = Claim(id="s/n", statement="Less.", arms={"a": Arm(), "b": Arm()}, contrasts=(loss,))
    clipped = torch.tensor(100.0).clamp(max=top)
    assert clipped.item() > top, "or this test shows nothing"
    assert values(observe(claim, 0, {"a": clipped, "b": 0.0})) == {("a", "loss"): top, ("b", "loss"): 0.0}
    with pytest.raises(MemkitError, match="outside"):
        observe(claim, 0, {"a": top + 1e-4, "b": 0.0})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, torch.tensor(math.nan), np.float32(np.inf)])
def test_a_value_that_is_not_finite_is_an_observation_with_a_reason(bad: Any) -> None:
    a, b = observe(CLAIM, 0, {"a": bad, "b": 0.25})
    assert math.isnan(a.value)
    assert a.reason == f"the test returned {float(bad)}"
    assert (b.value, b.reason) == (0.25, "")


@pytest.mark.parametrize(
    "masked",
    [np.ma.masked, np.ma.array(0.5, mask=True), np.ma.array([0.5, 0.5], mask=True).mean(), np.ma.array(1, mask=True)],
    ids=repr,
)
def test_a_masked_value_is_nan_and_not_the_number_under_the_mask(masked: Any) -> None:
    a, b = observe(CLAIM, 0, {"a": masked, "b": np.ma.array(0.25, mask=False)})
    assert math.isnan(a.value)
    assert a.reason == "the test returned nan"
    assert (b.value, b.reason) == (0.25, "")
    with pytest.raises(MemkitError, match="should be one number"):
        observe(CLAIM, 0, {"a": np.ma.array([0.5], mask=True), "b": 0.25})


def test_the_stored_value_is_the_observed_value() -> None:
    masked, whole = np.ma.masked, np.int64(1)
    stored = to_floats(CLAIM, 0, {"a": {"accuracy": masked, "loss": np.float32(0.5)}, "b": whole})
    assert math.isnan(stored["a"]["accuracy"])
    assert (stored["a"]["loss"], stored["b"]) == (0.5, 1.0)
    assert {type(value) for value in (*stored["a"].values(), stored["b"])} == {float}


@pytest.mark.parametrize("returned", [3, None, {"c": "text", "a": 0.5, "b": 0.5}, {0: 0.5}])
def test_unknown_names_are_left_for_observe_to_refuse(returned: Any) -> None:
    assert to_floats(CLAIM, 0, returned) == returned


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("large", [10**400, 10**5000, Fraction(10**400, 3), np.longdouble("1e400")], ids=lambda x: "")
def test_a_number_that_no_float_can_hold_is_refused(large: Any, sign: int) -> None:
    with pytest.raises(
        MemkitError, match=r"accuracy of 'b', of the type \w+, is larger than the largest float"
    ) as raised:
        observe(CLAIM, 0, {"a": 0.5, "b": sign * large})
    assert "\n" not in str(raised.value)
    assert values(observe(CLAIM, 0, {"a": Fraction(1, 2), "b": 0.5}))["a", "accuracy"] == 0.5


def test_a_decimal_is_refused() -> None:
    with pytest.raises(MemkitError, match=r"is Decimal\('1E\+400'\), a Decimal; it should be one number"):
        observe(CLAIM, 0, {"a": 0.5, "b": Decimal("1e400")})


def test_every_metric_must_be_returned_by_name_if_there_are_several() -> None:
    pair = {"accuracy": 0.5, "loss": 3}
    observed = values(observe(TWO, 0, {"a": pair, "b": {**pair, "extra": 7}}))
    assert observed["a", "loss"] == 3
    assert observed["b", "extra"] == 7
    with pytest.raises(MemkitError, match=r"name the metrics accuracy, loss; return \{'a': \{'accuracy': ..., 'loss'"):
        observe(TWO, 0, {"a": 0.5, "b": 0.5})
    with pytest.raises(MemkitError, match="'b' has no 'loss'"):
        observe(TWO, 0, {"a": pair, "b": {"accuracy": 0.5}})
    with pytest.raises(MemkitError, match=r"loss of 'b' is 5, outside the declared bounds \(0, 4\)"):
        observe(TWO, 0, {"a": pair, "b": {"accuracy": 0.5, "loss": 5}})


def test_a_diverged_arm_counts_as_nan_whatever_was_measured_on_it() -> None:
    a, b = observe(CLAIM, 0, {"a": 0.9, "b": 0.5}, diverged={"a": "the loss was nan at step 3"})
    assert math.isnan(a.value)
    assert a.reason == "the loss was nan at step 3"
    assert b.value == 0.5
    # Values that are not used need not lie within the bounds.
    assert math.isnan(observe(CLAIM, 0, {"a": 99, "b": 0.5}, diverged={"a": "why"})[0].value)


def test_a_claim_about_divergence_keeps_what_was_measured_on_a_diverged_arm() -> None:
    claim = replace(SLOPE, divergence="measured")
    observed = observe(claim, 0, {"a": 0.9, "b": 0.0, "slope": 0.4}, diverged={"b": "why"})
    assert [(o.arm, o.value, o.reason) for o in observed] == [
        ("a", 0.9, ""),
        ("b", 0.0, "why"),
        ("slope", 0.4, "why"),
    ]
    with pytest.raises(MemkitError, match="slope of 'slope' is 7, outside the declared bounds"):
        observe(claim, 0, {"a": 0.9, "b": 0.0, "slope": 7.0}, diverged={"b": "why"})
    (_, b, _) = observe(claim, 0, {"a": 0.9, "b": math.inf, "slope": 0.4}, diverged={"b": "why"})
    assert math.isnan(b.value), "a value that is not finite is not known"


def test_values_of_a_clipped_contrast_are_kept_as_they_were_measured() -> None:
    clipped = replace(CLAIM, contrasts=(replace(CLAIM.contrasts[0], clip=True),))
    assert values(observe(clipped, 0, {"a": 1e9, "b": -3.0})) == {("a", "accuracy"): 1e9, ("b", "accuracy"): -3.0}
    both = replace(CLAIM, contrasts=(*clipped.contrasts, replace(CLAIM.contrasts[0], margin=0.1)))
    with pytest.raises(MemkitError, match="outside the declared bounds"):
        observe(both, 0, {"a": 1e9, "b": 0.5})
    assert math.isnan(observe(clipped, 0, {"a": math.inf, "b": 0.5})[0].value), "infinity is not clipped"


def test_what_is_derived_from_a_diverged_arm_counts_as_nan() -> None:
    observed = observe(SLOPE, 0, {"a": 0.9, "b": 0.5, "slope": 0.4}, diverged={"b": "why"})
    assert [(o.arm, o.reason) for o in observed if math.isnan(o.value)] == [("b", "why"), ("slope", "why")]
    assert not any(o.reason for o in observe(SLOPE, 0, {"a": 0.9, "b": 0.5, "slope": 0.4}))


@given(
    seed=st.integers(0, 10**6),
    value=st.floats(allow_nan=True, allow_infinity=True),
    names=st.tuples(st.text(), st.text(), st.text()),
)
def test_json_is_lossless(seed: int, value: float, names: tuple[str, str, str]) -> None:
    arm, metric, reason = names
    value = value if math.isfinite(value) else math.nan
    original = Observation(claim="s/n", seed=seed, arm=arm, metric=metric, value=value, reason=reason)
    read = Observation.from_json("s/n", original.to_json())
    assert repr(read) == repr(original)
