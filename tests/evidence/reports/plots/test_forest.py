"""Forest plots: well-formed, self-contained, safe, and true to the evidence."""

from __future__ import annotations

import re

import pytest

from memkit.evidence import Verdict
from memkit.evidence.reports import forest_svg
from memkit.evidence.reports.plots.intervals import COLOURS
from memkit.evidence.reports.words import weakest
from tests.evidence.reports import samples
from tests.evidence.reports.plots.parsing import SVG, all_text, parsed, texts


@pytest.mark.parametrize("compact", [False, True], ids=["whole", "compact"])
@pytest.mark.parametrize("width", [320, 559, 560, 900, 1400])
def test_every_claim_is_drawn_within_the_frame(width: int, compact: bool) -> None:
    claims = (*samples.everything().claims, samples.hostile())
    root = parsed(forest_svg(claims, width=width, compact=compact))
    _, _, wide, high = map(float, (root.get("viewBox") or "").split())
    for element in root.iter():
        for name, limit in (("x", wide), ("x1", wide), ("x2", wide), ("cx", wide), ("y", high), ("cy", high)):
            value = element.get(name)
            assert value is None or -1 <= float(value) <= limit + 1
    for verdict in Verdict:
        assert verdict.value in all_text(root)


def test_no_claims_draw_an_empty_plot() -> None:
    assert "No claims." in all_text(parsed(forest_svg([])))


def test_one_claim_stands_for_itself() -> None:
    entry = samples.supported()
    svg = forest_svg([entry])
    text = all_text(parsed(svg))
    assert "binding/retrieval-needs-dynamic-memory" in text
    assert "✓ SUPPORTED" in text
    limits = entry.judgement.findings[0].interval
    assert f"{limits.estimate:+.2f} [{limits.low:+.2f}, {limits.high:+.2f}]" in text
    assert "class=" not in svg
    assert 'id="' not in svg


def test_a_compact_plot_has_one_row_per_claim_and_one_axis_per_bounds() -> None:
    claims = [samples.supported(), samples.refuted(), samples.normal_theory()]
    lines = [element.text or "" for element in parsed(forest_svg(claims, compact=True)).iter(f"{SVG}text")]
    for entry in claims:
        name = entry.claim.id.partition("/")[2]
        weaker = min(entry.judgement.findings, key=lambda finding: finding.interval.estimate)
        assert sum(name[:20] in line for line in lines) == 1
        assert weaker.contrast.label not in "".join(lines)
    assert sum("+0.7" in line for line in lines) == 1, "of two contrasts, the weaker one"
    panels = [line for line in lines if "difference" in line]
    assert len(panels) == len({(e.claim.study, e.claim.contrasts[0].bounds) for e in claims})


def test_coordinates_are_no_longer_than_they_need_to_be() -> None:
    entry = samples.pair([0.8] * 8, [0.0] * 8)
    svg = forest_svg([entry])
    assert not re.search(r'="[^"]*\d\.0[" ]', svg)
    assert "+0.80 [" in svg


def test_hostile_names_are_text() -> None:
    entry = samples.hostile()
    for svg in (forest_svg([entry]), forest_svg([entry], compact=True)):
        assert "<script" not in svg
        assert "\x1b" not in svg
        parsed(svg)


def test_undecided_claims_have_no_colour() -> None:
    decided = {COLOURS[v] for v in (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.EQUIVALENT)}
    assert len(decided) == 3
    assert COLOURS[Verdict.INCONCLUSIVE] == COLOURS[Verdict.INCOMPLETE]
    for entry in (samples.inconclusive(), samples.development(), samples.incomplete(), samples.unseen()):
        svg = forest_svg([entry])
        assert not decided & set(re.findall(r"#[0-9a-f]{6}", svg))


@pytest.mark.parametrize("colour", sorted(set(COLOURS.values())))
@pytest.mark.parametrize("page", ["#ffffff", "#fffefb", "#141517"])
def test_marks_stand_out_on_white_and_on_black(colour: str, page: str) -> None:
    """3:1, as WCAG 2.2 asks of graphical objects (1.4.11)."""

    def luminance(hexadecimal: str) -> float:
        channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(colour), luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


@pytest.mark.parametrize("compact", [False, True], ids=["whole", "compact"])
def test_every_contrast_has_one_interval_at_its_limits(compact: bool) -> None:
    entry = samples.supported()
    root = parsed(forest_svg([entry], compact=compact))
    lines = [line for line in root.iter(f"{SVG}line") if line.get("stroke-width") == "2.4"]
    shown = entry.judgement.findings if not compact else [weakest(entry.judgement.findings)]
    assert len(lines) == len(shown)
    widths = [float(line.get("x2") or 0) - float(line.get("x1") or 0) for line in lines]
    expected = [finding.interval.high - finding.interval.low for finding in shown if finding is not None]
    scale = widths[0] / expected[0]
    assert widths == pytest.approx([scale * width for width in expected], abs=0.2)


@pytest.mark.parametrize("compact", [False, True], ids=["whole", "compact"])
def test_a_verdict_by_normal_theory_says_so(compact: bool) -> None:
    root = parsed(forest_svg([samples.normal_theory()], compact=compact))
    assert "normal theory" in "".join(texts(root))
    assert "SUPPORTED, normal theory" in root.findtext(f"{SVG}desc", "")
    assert "normal theory" not in all_text(parsed(forest_svg([samples.supported()], compact=compact)))


def test_an_interval_without_ends_gets_arrows() -> None:
    root = parsed(forest_svg([samples.unbounded()]))
    assert sum("4.5v9z" in (path.get("d") or "") for path in root.iter(f"{SVG}path")) == 2
    assert "−∞" in all_text(root)


@pytest.mark.parametrize("values", [[0.0] * 8, [1.0] * 8, [1e-9] * 8, [0.3] * 8])
def test_differences_without_spread_are_drawn(values: list[float]) -> None:
    entry = samples.pair(values, [0.0] * 8)
    parsed(forest_svg([entry]))
