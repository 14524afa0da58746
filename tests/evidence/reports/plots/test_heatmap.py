"""Heat maps as drawn: safe, and stronger in colour where the number is larger."""

from __future__ import annotations

import re
from typing import Any

from memkit.evidence.figures import Heatmap
from memkit.evidence.reports.plots.heatmap import heatmap_svg
from tests.evidence.reports.plots.parsing import parsed

VALID: dict[str, Any] = {"title": "t", "rows": ("a", "b"), "columns": ("x",), "values": ((0.5,), (1.0,))}


def test_hostile_names_are_text() -> None:
    picture = heatmap_svg(Heatmap(**{**VALID, "rows": ("<script>alert(1)</script>", "a&b"), "title": "<b>"}))
    assert "<script" not in picture
    assert "<b>" not in picture
    assert "&lt;script&gt;" in picture


def test_small_numbers_are_left_out_of_the_cells() -> None:
    picture = heatmap_svg(Heatmap(**{**VALID, "values": ((0.004,), (-0.5,))}))
    assert ">0.00<" not in picture
    assert ">−0.50<" in picture


def test_the_opacity_of_a_cell_grows_with_its_number_within_the_span() -> None:
    picture = heatmap_svg(Heatmap("t", ("a",), ("w", "x", "y", "z"), ((-9.0, 0.0, 0.5, 9.0),), (0.0, 1.0)))
    parsed(picture)
    assert re.findall(r'fill-opacity="([\d.]+)"/>', picture) == ["0.040", "0.040", "0.320", "0.600"]
