"""Output files of a run: evidence.json, and the same content as a CSV table, an HTML page, and Markdown for CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence.evidence_file import Evidence
from memkit.files import encoded, write_whole


def check_writable(path: Path) -> None:
    """Check that evidence can be written to a path, before anything is trained.

    Raises:
        MemkitError: it cannot be written.
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


def write_all(evidence: Evidence, path: Path) -> tuple[list[Path], list[str]]:
    """Write the JSON file ``path`` and, next to it, CSV and HTML files; in GitHub Actions, also the job summary.

    Returns:
        The files that were written, and one sentence for each file that could not be written.

    Raises:
        OSError: the JSON file cannot be written.
    """
    # Imported here, since the plugin is loaded in every pytest run, and few of them write evidence.
    from memkit.evidence.reports.evidence_page import render_html
    from memkit.evidence.reports.gallery import gallery_for, save_page
    from memkit.evidence.reports.tables import markdown_table

    evidence.save(path)
    written, problems = [path], []

    def write_page(target: Path) -> None:
        gallery = gallery_for(target)
        save_page(render_html(evidence, gallery), gallery, target)

    def write_summary(target: Path) -> None:
        text = markdown_table(evidence) + "\n"
        with target.open("ab") as file:
            file.write(encoded(text))

    outputs: list[tuple[Path, Callable[[Path], None]]] = [
        (path.with_suffix(".csv"), lambda target: write_whole(target, evidence.to_csv())),
        (path.with_suffix(".html"), write_page),
    ]
    if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        outputs.append((Path(job_summary), write_summary))
    for target, write in outputs:
        try:
            write(target)
            written.append(target)
        except Exception as error:  # the JSON is written already, so a failure of another format must not fail the run
            problems.append(f"{target} could not be written: {error}")
    return written, problems
