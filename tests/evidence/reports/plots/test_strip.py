"""Strips of seeds: every seed once, marked as what it was, on an axis of any unit."""

from __future__ import annotations

import pytest

from memkit.evidence.reports import strip_svg
from tests.evidence.reports import samples
from tests.evidence.reports.plots.parsing import SVG, all_text, parsed


def test_the_strip_shows_every_seed_once() -> None:
    entry = samples.supported()
    root = parsed(strip_svg(entry, entry.claim.contrasts[0]))
    titles = [e.findtext(f"{SVG}title") or "" for e in root.iter() if e.find(f"{SVG}title") is not None][1:]
    assert len(titles) == 32
    assert sum("not used" in title for title in titles) == 32 - entry.judgement.n
    assert len({title.split(":")[0] for title in titles}) == 32


def test_the_strip_marks_a_diverged_seed() -> None:
    entry = samples.inconclusive()
    svg = strip_svg(entry, entry.claim.contrasts[0])
    assert svg.count("scored at the worst bound") == 1
    crosses = [path for path in parsed(svg).iter(f"{SVG}path") if "m0-6.8" in (path.get("d") or "")]
    assert len(crosses) == 1


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
