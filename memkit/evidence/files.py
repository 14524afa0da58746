"""What a run writes: evidence.json, and the same content as a table, as a page, and as Markdown for CI."""

from __future__ import annotations

import os
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence.evidence import Evidence


def check_writable(path: Path) -> None:
    """See that evidence can be written, before anything is trained for it.

    Raises:
        MemkitError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(f".{path.name}.{os.getpid()}")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise MemkitError(
            f"the evidence cannot be written to {path} ({error.strerror}); choose another file with --evidence"
        ) from error


def write_all(evidence: Evidence, path: Path) -> list[Path]:
    """Write ``path`` (JSON) and, beside it, the CSV and HTML files; in GitHub's CI also the job's summary.

    Returns:
        The files that were written.
    """
    # Here, not at the top: the plugin is loaded into every pytest run, and few of them write evidence.
    from memkit.evidence.reports.html import render_html
    from memkit.evidence.reports.tables import markdown_table

    evidence.save(path)
    table, page = path.with_suffix(".csv"), path.with_suffix(".html")
    evidence.to_frame().to_csv(table, index=False)
    page.write_text(render_html(evidence), encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown_table(evidence) + "\n")
    return [path, table, page]
