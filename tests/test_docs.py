"""The studies' pages say what was accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from memkit.cli import main
from memkit.evidence.accepted import load_accepted

ROOT = Path(__file__).parent.parent
PAGES = sorted(file for file in (ROOT / "docs").glob("*.md") if "<!-- memkit: " in file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_what_memkit_page_writes(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["page", "--check", str(page)]) == 0


def test_every_study_has_a_page() -> None:
    studies = {name.split("/", 1)[0] for name in load_accepted(ROOT / "reports" / "accepted.json")}
    assert studies == {page.stem for page in PAGES}
