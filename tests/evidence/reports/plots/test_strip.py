"""Strips of seeds: every seed once, marked as what it was, on an axis of any unit."""

from __future__ import annotations

import math

import pytest

from memkit.evidence import Arm, Claim, Contrast
from memkit.evidence.reports import strip_svg
from tests.evidence.reports import samples
from tests.evidence.reports.plots.parsing import SVG, all_text, parsed, texts


def test_the_strip_shows_every_seed_once() -> None:
    entry = samples.supported()
    root = parsed(strip_svg(entry, entry.claim.contrasts[0]))
    titles = [e.findtext(f"{SVG}title") or "" for e in root.iter() if e.find(f"{SVG}title") is not None][1:]
    assert len(titles) == 32
    assert sum("not used" in title for title in titles) == 32 - entry.judgement.n
    assert len({title.split(":")[0] for title in titles}) == 32


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_the_strip_marks_and_counts_the_seeds_with_a_value_that_is_not_finite(
    bounds: tuple[float, float] | None,
) -> None:
    contrast = Contrast("a", over="b", metric="m", bounds=bounds, assume="bounded" if bounds else "normal")
    claim = Claim(id="a/b", statement="a over b.", arms=dict.fromkeys("ab", Arm()), contrasts=(contrast,), seeds=8)
    values = [0.5, math.nan, 0.6, 0.7, -math.inf, 0.5, 0.6, 0.7]
    entry = samples.make(claim, {"a": values, "b": [0.1] * 8})
    root = parsed(strip_svg(entry, contrast))
    crosses = [path for path in root.iter(f"{SVG}path") if "m0-6.8" in (path.get("d") or "")]
    assert [cross.findtext(f"{SVG}title") for cross in crosses] == ["10001: not finite", "10004: not finite"]
    assert "×: not finite (2 seeds)" in "".join(texts(root))
    assert "8 seeds, 0 of them not used; 2 not finite" in root.findtext(f"{SVG}desc", "")
    places = {(cross.get("d") or "").split("l")[0] for cross in crosses}
    assert len(places) == 2, "one above the other"


def test_the_strip_explains_hollow_dots_if_there_are_any() -> None:
    entry = samples.supported()
    root = parsed(strip_svg(entry, entry.claim.contrasts[0]))
    hollow = [dot for dot in root.iter(f"{SVG}circle") if dot.get("r") == "3.1"]
    assert len(hollow) == 32 - entry.judgement.n > 0
    assert f"hollow: beyond n = {entry.judgement.n}, not used" in "".join(texts(root))
    undecided = samples.inconclusive()
    assert "hollow" not in strip_svg(undecided, undecided.claim.contrasts[0])


def test_the_strip_shows_one_interval() -> None:
    entry = samples.supported()
    root = parsed(strip_svg(entry, entry.claim.contrasts[0]))
    assert sum(line.get("stroke-width") == "2.4" for line in root.iter(f"{SVG}line")) == 1


def test_the_strip_of_a_claim_that_never_ran_has_no_seeds() -> None:
    entry = samples.unseen()
    assert "0 seeds" in all_text(parsed(strip_svg(entry, entry.claim.contrasts[0])))


def test_dots_without_tooltips_are_one_path() -> None:
    entry = samples.supported()
    root = parsed(strip_svg(entry, entry.claim.contrasts[0], named=False))
    dots = [path.get("d") or "" for path in root.iter(f"{SVG}path") if "h0" in (path.get("d") or "")]
    assert len(dots) == 1
    assert dots[0].count("h0") == entry.judgement.n
    assert len(list(root.iter(f"{SVG}title"))) == 1


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e9])
def test_axes_fit_any_unit(size: float) -> None:
    entry = samples.pair([size * (k + 1) for k in range(8)], [0.0] * 8, bounds=(0, 10 * size))
    root = parsed(strip_svg(entry, entry.claim.contrasts[0]))
    assert len(list(root.iter(f"{SVG}text"))) >= 3


@pytest.mark.parametrize("values", [[0.0] * 8, [1.0] * 8, [1e-9] * 8, [0.3] * 8])
def test_differences_without_spread_are_drawn(values: list[float]) -> None:
    entry = samples.pair(values, [0.0] * 8)
    parsed(strip_svg(entry, entry.claim.contrasts[0]))


def test_differences_of_zero_are_in_the_middle() -> None:
    entry = samples.pair([0.5 + 1e-17] * 8, [0.5] * 8)
    root = parsed(strip_svg(entry, entry.claim.contrasts[0], width=440))
    dots = {dot.get("d", "").split()[0] for dot in root.iter(f"{SVG}path") if "h0" in dot.get("d", "")}
    assert dots == {"M220"}


def test_hostile_names_are_text() -> None:
    entry = samples.hostile()
    svg = strip_svg(entry, entry.claim.contrasts[0])
    assert "<script" not in svg
    assert "\x1b" not in svg
    parsed(svg)
