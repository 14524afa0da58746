"""Additions to the page of pytest-html: a plot of all verdicts, and one row per verdict with its seeds folded in."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import count_of
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports.plots.forest import forest_svg
from memkit.pytest_plugin.measurement import PROPERTY
from memkit.pytest_plugin.reports_to_verdicts import Verdicts

_INK = "color: #222"  # pytest-html prints its tables in a grey that is too light for a plot


class HtmlPage:
    """A plugin with the hooks of pytest-html, for a run with claims.

    Args:
        verdicts: the results so far, and the verdicts on them.
        report: pytest-html's report, whose title and header were made before the claims were collected.
    """

    def __init__(self, config: pytest.Config, verdicts: Verdicts, report: Any) -> None:
        self.verdicts = verdicts
        if report.title == Path(config.option.htmlpath).name:  # no conftest has set another title
            report.title = "Claims and their verdicts"
        header = list(report.table_header)
        header[2:2] = ["<th>Claim</th>", "<th>Verdict</th>", "<th>Effect and interval</th>"]
        report.table_header = header

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], session: pytest.Session) -> None:
        """Add the plot of all claims before the table."""
        if claims := self.verdicts.in_order():
            prefix.append(f'<div style="max-width: 60rem; {_INK}">{forest_svg(claims)}</div>')
            prefix.append(
                "<p>Each verdict has one row, with its seeds in the details. Seeds that failed have their own rows.</p>"
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """Fill the columns of verdicts, leave them empty for other tests, and remove the rows of seeds.

        Seeds that failed keep their rows. Seeds that were measured, or not needed, are in the details of their verdict.
        """
        entry: ClaimEvidence | None = getattr(report, "memkit", None)
        if entry is None:
            measured = any(name == PROPERTY for name, _ in report.user_properties)
            if (measured and report.outcome == "passed") or self.verdicts.is_of_unneeded_seed(report):
                cells.clear()
            else:
                cells[2:2] = ["<td></td>"] * 3
            return
        effects = "<br>".join(
            escape(f"{f.contrast.label}: {f.interval.estimate:+.3f} [{f.interval.low:+.3f}, {f.interval.high:+.3f}]")
            for f in entry.judgement.findings
        )
        cells[2:2] = [f"<td>{escape(entry.claim.id)}</td>", f"<td>{entry.verdict}</td>", f"<td>{effects}</td>"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Attach the forest plot and the seeds to a verdict's row."""
        entry: ClaimEvidence | None = getattr(report, "memkit", None)
        if entry is not None and report.when == "call":
            import pytest_html

            text = f"<p>{escape(entry.claim.statement)}</p><p>Gate: {escape(entry.gate.reason)}.</p>"
            content = f'<div style="{_INK}">{text}{forest_svg([entry])}{_seeds_table(entry)}</div>'
            report.extras = [pytest_html.extras.html(content)]


def _seeds_table(entry: ClaimEvidence) -> str:
    """Return the HTML of a folded table with the values of every seed."""
    names = list(dict.fromkeys((o.arm, o.metric) for o in entry.observations))
    values = {(o.seed, o.arm, o.metric): o for o in entry.observations}
    head = "".join(f"<th>{escape(arm)}<br>{escape(metric)}</th>" for arm, metric in names)
    rows = []
    for seed in entry.observed_seeds:
        observations = (values.get((seed, *name)) for name in names)
        cells = (escape(o.reason) or f"{o.value:.4g}" if o is not None else "" for o in observations)
        rows.append(f"<tr><td>{seed}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    table = f"<table><tr><th>seed</th>{head}</tr>{''.join(rows)}</table>"
    return f"<details><summary>{count_of(len(rows), 'seed')}</summary>{table}</details>"
