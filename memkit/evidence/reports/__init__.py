"""Reports of the evidence: tables for terminal and Markdown, forest plots, one HTML page."""

from memkit.evidence.reports.evidence_page import render_html
from memkit.evidence.reports.plots.forest import forest_svg
from memkit.evidence.reports.plots.strip import strip_svg
from memkit.evidence.reports.tables import (
    EffectRow,
    VerdictRow,
    markdown_table,
    terminal_table,
    verdict_row,
    verdict_rows,
)

__all__ = [
    "EffectRow",
    "VerdictRow",
    "forest_svg",
    "markdown_table",
    "render_html",
    "strip_svg",
    "terminal_table",
    "verdict_row",
    "verdict_rows",
]
