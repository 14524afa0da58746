"""Learning curves as drawn: one line per seed, in another colour if the loss became infinite or nan."""

from __future__ import annotations

from memkit.evidence.learning_curves import Curves
from memkit.evidence.reports.plots.learning_curves import BROKEN, COLOUR, curves_svg
from tests.evidence.reports.plots.parsing import parsed, texts


def test_one_line_per_seed_in_another_colour_if_the_loss_is_not_finite() -> None:
    curves = Curves(
        arms=("a/b: <c>",),
        seeds={1: ((1, 2.0), (9, 0.01)), 2: ((1, 2.0), (5, 1.0), (9, None)), 3: ((1, None),)},
    )
    svg = curves_svg(curves)
    assert svg.count(f'stroke="{COLOUR}"') == 1
    assert svg.count(f'stroke="{BROKEN}"') == 1
    assert "log training loss" in svg
    assert "&lt;c&gt;" in svg
    labels = texts(parsed(svg))
    assert {"0.01", "0.1", "1", "10"} >= set(labels[: labels.index("0")])
    assert {"0", "5"} <= set(labels), "the steps"
    assert curves_svg(Curves(arms=("a/b: c",), seeds={3: ((1, None),)})) == ""
