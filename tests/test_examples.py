"""The examples, each as its own project: they are registered, and every verdict is the registered one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.inner import command, run
from tests.pytest_plugin.lab import evidence

EXAMPLES = Path(__file__).parents[1] / "examples"
VERDICTS = {
    "scikit_learn": {"trees/a-forest-beats-a-tree": "SUPPORTED", "trees/depth-three-is-enough": "REFUTED"},
    "torch_module": {"order/a-recurrent-network-knows-it": "SUPPORTED", "order/a-bag-knows-it": "INCONCLUSIVE"},
}


def test_every_example_is_tested_and_listed_in_the_readme() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(VERDICTS)
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"pytest examples/{name}" in text for name in VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_an_example_gives_its_verdicts(pytester: pytest.Pytester, name: str) -> None:
    shutil.copytree(EXAMPLES / name, pytester.path, dirs_exist_ok=True)
    assert command(pytester, "register", "--check").ret == 0
    assert run(pytester, "-n0").ret == 0
    found = evidence(pytester)
    assert {claim: entry["judgement"]["verdict"] for claim, entry in found.items()} == VERDICTS[name]
    assert all(entry["outcome"]["outcome"] == "passed" for entry in found.values())
