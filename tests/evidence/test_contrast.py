"""Contrasts refuse bad input with one sentence; differences lie within bounds, or are a range if a value is nan."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.evidence import Contrast


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": None}, r'bounds=\(0, 1\), or let Student\'s t decide with assume="normal"'),
        ({"bounds": (1, 0)}, "must be two finite numbers, the lower first"),
        ({"bounds": (0, 0)}, "the lower first"),
        ({"bounds": (0, math.inf)}, "two finite numbers"),
        ({"bounds": (0, math.nan)}, "two finite numbers"),
        ({"bounds": (0, "1")}, "two finite numbers"),
        ({"bounds": (0, 1, 2)}, "two finite numbers"),
        ({"bounds": 1}, "two finite numbers"),
        ({"treatment": ""}, "the treatment must be the name of an arm"),
        ({"treatment": 3}, "the treatment must be the name of an arm"),
        ({"over": "a"}, "the same arm; name two different ones"),
        ({"over": ""}, "name of an arm or a finite number"),
        ({"over": True}, "name of an arm or a finite number"),
        ({"over": math.nan}, "name of an arm or a finite number"),
        ({"over": None}, "name of an arm or a finite number"),
        ({"over": ["b"]}, "name of an arm or a finite number"),
        ({"over": 1.2}, "the control 1.2 lies outside bounds"),
        ({"over": 10**5000}, "over=this int.: over= must be the name of an arm or a finite number"),
        ({"metric": ""}, "metric= must name what is measured"),
        ({"metric": " \t"}, "metric= must name what is measured"),
        ({"bounds": (0, 10**400)}, "two finite numbers"),
        ({"margin": 10**400}, r"margin=10+\.\.\.0+ must be a finite number"),
        ({"margin": -(10**5000)}, "margin=this int must be a finite number"),
        ({"sesoi": 10**400}, r"sesoi=10+\.\.\.0+ must be a positive number"),
        ({"clip": 1}, "clip=1 must be True or False"),
        ({"bounds": None, "assume": "normal", "clip": True}, r"clip=True needs the bounds to clip at"),
        ({"direction": "up"}, 'direction=\'up\' must be "higher" or "lower"'),
        ({"assume": "nothing"}, 'must be "bounded" or "normal"'),
        ({"margin": math.nan}, "margin=nan must be a finite number"),
        ({"margin": "0"}, "margin='0' must be a finite number"),
        ({"margin": 1.0}, "margin=1.0 must lie inside"),
        ({"sesoi": 0}, "sesoi=0 must be a positive number"),
        ({"sesoi": "0.1"}, "sesoi='0.1' must be a positive number"),
        ({"sesoi": True}, "sesoi=True must be a positive number"),
        ({"sesoi": 1.0}, "smaller than the largest possible difference"),
    ],
)
def test_a_bad_contrast_is_refused_with_the_remedy(changes: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {
        "treatment": "a",
        "over": "b",
        "metric": "accuracy",
        "bounds": (0, 1),
        **changes,
    }
    with pytest.raises(MemkitError, match=message) as raised:
        Contrast(options.pop("treatment"), **options)
    assert str(raised.value).startswith("Contrast(")


@pytest.mark.parametrize("name", ["over", "margin", "sesoi"])
@given(value=st.integers(-(10**320), 10**320) | st.floats() | st.booleans() | st.text() | st.none() | st.fractions())
def test_a_number_of_a_contrast_is_one_or_is_refused(name: str, value: Any) -> None:
    with contextlib.suppress(MemkitError):
        number = getattr(Contrast("a", **{"over": "b", "metric": "m", "assume": "normal", name: value}), name)
        assert number == value
        assert type(number) in (float, str, type(None))


# --- bounds and differences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "direction", "expected"),
    [
        ("b", "higher", (-1.0, 1.0)),
        ("b", "lower", (-1.0, 1.0)),
        (0.2, "higher", (-0.2, 0.8)),
        (0.2, "lower", (-0.8, 0.2)),
    ],
)
def test_bounds_of_the_difference(over: Any, direction: Any, expected: tuple[float, float]) -> None:
    contrast = Contrast("a", over=over, metric="m", bounds=(0, 1), direction=direction)
    assert contrast.difference_bounds == pytest.approx(expected)


@given(
    low=st.floats(-10, 0),
    width=st.floats(0.5, 10),
    at=st.floats(0.01, 0.99),
    values=st.tuples(*[st.one_of(st.floats(0, 1), st.sampled_from([math.nan, math.inf, -math.inf]))] * 2),
    direction=st.sampled_from(["higher", "lower"]),
    constant=st.booleans(),
    clip=st.booleans(),
)
def test_the_range_of_a_difference_holds_whatever_the_values_that_are_not_finite_may_be(
    low: float, width: float, at: float, values: tuple[float, float], direction: Any, constant: bool, clip: bool
) -> None:
    over: Any = low + at * width if constant else "b"
    contrast = Contrast("a", over=over, metric="m", bounds=(low, low + width), direction=direction, clip=clip)
    treatment, control = (low + width * value if math.isfinite(value) else value for value in values)
    if constant:
        control = over
    least, greatest = contrast.difference_range(treatment, control)
    assert contrast.difference_bounds is not None
    assert contrast.difference_bounds[0] - 1e-9 <= least <= greatest <= contrast.difference_bounds[1] + 1e-9
    possible = [
        contrast.difference(t, c)
        for t in ([treatment] if math.isfinite(treatment) else [low, low + width])
        for c in ([control] if math.isfinite(control) else [low, low + width])
    ]
    assert (least, greatest) == (min(possible), max(possible)), "both ends are possible, and none is beyond them"
    assert math.isnan(contrast.difference(treatment, control)) == (len(possible) > 1)


def test_the_range_of_a_difference_in_both_directions() -> None:
    up = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
    assert up.difference_range(0.75, 0.5) == (0.25, 0.25)
    assert up.difference_range(math.nan, 0.4) == (-0.4, 0.6)
    assert up.difference_range(0.4, math.nan) == (-0.6, 0.4)
    assert up.difference_range(math.nan, math.inf) == (-1, 1)
    down = Contrast("a", over="b", metric="loss", bounds=(0, 4), direction="lower")
    assert down.difference(1, 3) == 2
    assert down.difference_range(math.inf, 1) == (-3, 1)
    assert down.difference_range(1, math.nan) == (-1, 3)
    free = Contrast("a", over="b", metric="loss", assume="normal")
    assert all(map(math.isnan, free.difference_range(math.nan, 1)))
    assert free.difference_bounds is None


def test_clipping_is_at_the_bounds_and_only_if_asked_for() -> None:
    clipped = Contrast("a", over="b", metric="loss", bounds=(0, 4), direction="lower", clip=True)
    assert [clipped.clipped(value) for value in (-1, 0, 2.5, 4, 1e300)] == [0, 0, 2.5, 4, 4]
    assert clipped.difference(1, 1e6) == 3
    assert clipped.clipped(math.inf) == math.inf, "which is a divergence, and not a value"
    assert math.isnan(clipped.clipped(math.nan))
    plain = Contrast("a", over="b", metric="loss", bounds=(0, 4), direction="lower")
    assert (plain.clipped(5), plain.difference(1, 6)) == (5, 5)


@pytest.mark.parametrize(("sesoi", "relevant"), [(None, 0.1), (0.3, 0.3)])
def test_the_least_relevant_effect(sesoi: float | None, relevant: float) -> None:
    assert Contrast("a", over="b", metric="accuracy", bounds=(0, 1), sesoi=sesoi).least_relevant == relevant
