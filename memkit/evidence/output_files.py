"""The files that a run writes: evidence.json, and the same content as a table, as a page, and as Markdown for CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence.evidence_file import Evidence
from memkit.files import encoded, write_whole


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


def write_all(evidence: Evidence, path: Path) -> tuple[list[Path], list[str]]:
    """Write ``path`` (JSON) and, beside it, the CSV and HTML files; in GitHub's CI also the job's summary.

    Returns:
        The files that were written, and a sentence for each that could not be; the JSON file must.

    Raises:
        OSError: the JSON file cannot be written.
    """
    # Here, not at the top: the plugin is loaded into every pytest run, and few of them write evidence.
    from memkit.evidence.reports.evidence_page import render_html
    from memkit.evidence.reports.gallery import beside, save
    from memkit.evidence.reports.tables import markdown_table

    evidence.save(path)
    written, problems = [path], []

    def page(target: Path) -> None:
        gallery = beside(target)
        save(render_html(evidence, gallery), gallery, target)

    def summary(target: Path) -> None:
        text = markdown_table(evidence) + "\n"
        with target.open("ab") as file:
            file.write(encoded(text))

    outputs: list[tuple[Path, Callable[[Path], None]]] = [
        (path.with_suffix(".csv"), lambda target: write_whole(target, evidence.to_csv())),
        (path.with_suffix(".html"), page),
    ]
    if of_job := os.environ.get("GITHUB_STEP_SUMMARY"):
        outputs.append((Path(of_job), summary))
    for target, write in outputs:
        try:
            write(target)
            written.append(target)
        except Exception as error:  # the evidence is safe; one of its views must not fail the run
            problems.append(f"{target} could not be written: {error}")
    return written, problems
