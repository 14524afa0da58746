"""Paired slopes: one line per seed, in favour or against, used or not."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from memkit.evidence import Arm, Claim, Contrast
from memkit.evidence.reports.plots.slopes import AGAINST, FOR, slopes_svg
from tests.evidence.reports import samples

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
CHANCE = Contrast("a", over=0.25, metric="accuracy", bounds=(0, 1))


def drawn_slopes(a: list[float], b: list[float], *contrasts: Contrast, **options: object) -> str:
    claim = Claim(
        id="study/name", statement="A beats B.", arms={"a": Arm(), "b": Arm()}, contrasts=contrasts or (OVER,)
    )
    entry = samples.make(claim, {"a": a, "b": b}, **options)
    svg = slopes_svg(entry, claim.contrasts[0])
    if svg:
        ElementTree.fromstring(svg)
    return svg


def lines(svg: str, colour: str) -> int:
    """Return the number of lines of a colour."""
    found = re.findall(rf'<path d="([^"]*L[^"]*)" stroke="{colour}"', svg)
    return sum(path.count("L") for path in found)


def test_one_line_per_seed_for_or_against_the_treatment() -> None:
    svg = drawn_slopes([0.9, 0.8, 0.2, 0.9, 0.5, 0.9, 0.9, 0.9], [0.1, 0.1, 0.7, 0.3, 0.5, 0.1, 0.2, 0.1])
    assert (lines(svg, FOR), lines(svg, AGAINST), lines(svg, "currentColor")) == (6, 1, 1)
    assert "a above in 6 of 8 used seeds, equal in 1" in svg
    assert 'stroke-dasharray="4 3"' in svg


def test_a_lower_value_is_for_the_treatment_if_lower_is_better() -> None:
    lower = Contrast("a", over="b", metric="loss", bounds=(0, 1), direction="lower")
    assert "a below in 8 of 8 used seeds" in drawn_slopes([0.1] * 8, [0.9] * 8, lower)


def test_seeds_beyond_the_deciding_number_are_faint_and_not_counted() -> None:
    svg = drawn_slopes([0.97, 0.98] * 8, [0.01, 0.02] * 8)
    assert "7 of 7 used seeds; faint: not used" in svg
    assert lines(svg, FOR) == 16
    assert 'stroke-opacity="0.3"' in svg


def test_a_contrast_with_a_number_has_no_slopes() -> None:
    assert drawn_slopes([0.9] * 8, [0.1] * 8, CHANCE) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_seed_that_is_not_finite_has_no_line(value: float) -> None:
    svg = drawn_slopes([value, *[0.9] * 7], [0.1] * 8)
    assert lines(svg, FOR) == 7
    assert drawn_slopes([value] * 8, [0.1] * 8) == ""


def test_clipped_values_are_drawn() -> None:
    clipped = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), clip=True)
    assert drawn_slopes([40.0] * 8, [0.1] * 8, clipped) == drawn_slopes([1.0] * 8, [0.1] * 8, clipped)


def test_names_are_escaped() -> None:
    claim = Claim(
        id="study/name",
        statement="A beats B.",
        arms={samples.HOSTILE: Arm(), "b": Arm()},
        contrasts=(Contrast(samples.HOSTILE, over="b", metric=samples.HOSTILE, bounds=(0, 1)),),
    )
    entry = samples.make(claim, {samples.HOSTILE: [0.9] * 8, "b": [0.1] * 8})
    svg = slopes_svg(entry, claim.contrasts[0])
    ElementTree.fromstring(svg)
    assert "<script>" not in svg
