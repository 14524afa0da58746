"""The pages of the studies show the accepted results, the code on other pages runs, and links lead to files."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path

import pytest

from memkit.cli import main
from memkit.evidence.accepted_verdicts import load_accepted
from memkit.training import protocols
from tests.inner import command, run
from tests.pytest_plugin.lab import INLINE, evidence

ROOT = Path(__file__).parent.parent
STUDIES = sorted({name.split("/", 1)[0] for name in load_accepted(ROOT / "reports" / "accepted.json")})
PAGES = [ROOT / "docs" / f"{study}.md" for study in STUDIES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_matches_the_output_of_memkit_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["page", "--check", str(page)]) == 0


def test_every_study_has_a_page() -> None:
    assert len(STUDIES) == 4
    assert all(page.is_file() for page in PAGES)


@pytest.mark.parametrize("study", STUDIES)
def test_every_compared_metric_is_explained(study: str) -> None:
    explained = importlib.import_module(f"claims.{study}").METRICS
    compared = {
        finding["metric"]
        for name, claim in load_accepted(ROOT / "reports" / "accepted.json").items()
        if name.split("/", 1)[0] == study and not claim["sweep"]
        for finding in claim["judgement"]["findings"]
    }
    assert compared <= set(explained)


def test_the_code_on_extending_runs(pytester: pytest.Pytester) -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 4
    pytester.makepyfile(test_parity="\n\n".join(blocks))
    assert command(pytester, "register").ret == 0
    assert run(pytester, INLINE, "--seeds=8").ret == 0
    assert len(evidence(pytester)["parity/held-out-words"]["observations"]) == 2 * 8


def test_the_contracts_on_extending_match_the_code() -> None:
    contracts = runpy.run_path(str(ROOT / "docs" / "contracts.py"))
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert contracts["page"](text) == text
    of_code = {
        name for name, kind in vars(protocols).items() if getattr(kind, "_is_protocol", False) and name[0] != "_"
    }
    assert of_code - {"Protocol"} == {kind.__name__ for kind in (*contracts["TASKS"], *contracts["MODELS"])}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda page: page.stem)
def test_links_lead_to_existing_files(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link
