"""The examples of the README and the quick start run, word for word, in a project outside this repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memkit.pytest_plugin.options import OPTIONS
from tests.inner import command, run
from tests.pytest_plugin.lab import INLINE, evidence

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_claim_of_the_readme_is_registered_and_supported(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", README, flags=re.DOTALL)
    assert [name for name, _ in blocks] == ["xor.py", "test_xor.py"]
    for name, code in blocks:
        (pytester.path / name).write_text(code, encoding="utf-8")
    claim = dict(blocks)["test_xor.py"].split("@claim(")[1].strip().splitlines()
    assert len(claim) + 1 <= 15

    developing = run(pytester, INLINE, "--seeds=8")
    assert developing.ret == 0
    developing.stdout.fnmatch_lines(["*decide nothing*memkit register*"])
    assert command(pytester, "register").ret == 0
    deciding = pytester.runpytest_subprocess("-n2")

    assert deciding.ret == 0
    assert evidence(pytester)["xor/needs-a-hidden-layer"]["judgement"]["verdict"] == "SUPPORTED"


def test_the_quick_start_shows_the_same_code() -> None:
    shown = re.findall(r"```(?:python|sh|text)\n.*?```", README[README.index("## The two commands") :], flags=re.DOTALL)
    quick_start = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
    assert len(shown) == 6
    assert all(block in quick_start for block in shown)
    claim = shown[4].split("\n\n\n", 1)[1].removesuffix("```")
    assert claim in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_the_mutant_on_the_claims_page_passes(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    own = next(block for block in blocks if block.startswith("import torch\nfrom memkit"))
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    blocks_of_page = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    above = next(block for block in blocks_of_page if "@mutant(" in block).split("@claim(")[0]
    imports, rest = own.split("\n\n\n@claim(", 1)
    imports = imports.replace("Recipe, claim", "Recipe, claim, multiverse, mutant")
    (pytester.path / "xor.py").write_text(blocks[0], encoding="utf-8")
    (pytester.path / "test_xor.py").write_text(f"{imports}\n\n\n{above}@claim({rest}", encoding="utf-8")
    assert command(pytester, "register").ret == 0
    assert run(pytester, INLINE).ret == 0
    found = evidence(pytester)
    assert set(found) == {"xor/needs-a-hidden-layer", "xor/needs-a-hidden-layer/mutant-nonlinearity-taken-out"}
    assert all(entry["outcome"]["outcome"] == "passed" for entry in found.values())


def test_the_options_page_lists_every_option() -> None:
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    shown = {
        name
        for row in re.findall(r"^\| (`--.*?) \|", page, flags=re.MULTILINE)
        for name in re.findall(r"--[a-z-]+", row)
    }
    # This option is explained in the row of another.
    assert shown == {option.long for option in OPTIONS} - {"--memkit-ray-address"}
    assert "--memkit-ray-address" in page


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.stem)
def test_no_page_recommends_another_projects_package(page: Path) -> None:
    assert "pip install memkit" not in page.read_text(encoding="utf-8")
