"""pytest-html's page: columns for claim, verdict and effect, and each claim's forest plot in its row."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

from memkit.evidence.reports.forest import forest_svg


class Page:
    """Hooks of pytest-html."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """The page's title."""
        report.title = "Claims and their verdicts"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Three columns behind the test's name."""
        cells[2:2] = ["<th>Claim</th>", "<th>Verdict</th>", "<th>Effect and interval</th>"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """Fill them for verdicts; leave them empty for seeds and other tests."""
        entry = getattr(report, "memkit", None)
        if entry is None:
            cells[2:2] = ["<td></td>"] * 3
            return
        effects = "<br>".join(
            escape(f"{f.contrast.label}: {f.t.estimate:+.3f} [{f.t.low:+.3f}, {f.t.high:+.3f}]")
            for f in entry.judgement.findings
        )
        cells[2:2] = [
            f"<td>{escape(entry.claim.id)}</td>",
            f"<td>{escape(entry.verdict.value)}</td>",
            f"<td>{effects}</td>",
        ]

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Attach the forest plot to a verdict's row."""
        entry = getattr(report, "memkit", None)
        if entry is not None and report.when == "call":
            import pytest_html

            statement = f"<p>{escape(entry.claim.statement)} {escape(entry.gate.reason)}.</p>"
            report.extras = [pytest_html.extras.html(statement + forest_svg([entry]))]
