"""What a claim shows beside its verdict, in a real pytest run: of the first seed, and of what it did not compare."""

from __future__ import annotations

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import HEAD, evidence, register_claims, register_suite

SUITE = """
    from memkit.evidence.figures import Heatmap, Lines, Series, Table

    def shown(arms, seed):
        return Heatmap(f"seen on {seed}", ("row",), ("<column>",), ((0.75,),))

    def curves(arms, seed):
        control = Series("control", (0.2, 0.8), (0.25, None))
        return [
            Lines("calibration", "<confidence>", "accuracy", [control], identity=True),
            Table("per class", ("recall", "of"), [("<cat>", 0.5, 1000), ("dog", None, 250)]),
        ]

    @claim(
        "lab/one",
        "The statement.",
        arms=("treatment", "control"),
        contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))],
        deterministic=True,
        figures=[shown, curves],
    )
    def test_one(seed):
        return {"treatment": {"score": 0.9, "by day": 0.25}, "control": {"score": 0.1, "by day": 0.5}}
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_figures_of_the_first_seed_are_in_the_evidence_and_on_the_page(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makepyfile(test_lab=HEAD + SUITE)
    register_suite(pytester, "figures", SUITE)
    for _ in range(2):  # measured, and from the store
        assert run(pytester, workers).ret == 0
        heat, lines, table = evidence(pytester)["lab/one"]["figures"]
        assert (heat["kind"], heat["title"], heat["values"]) == ("heatmap", "seen on 10000", [[0.75]])
        assert (lines["kind"], lines["identity"]) == ("lines", True)
        assert lines["series"] == [{"name": "control", "x": [0.2, 0.8], "y": [0.25, None]}]
        assert (table["kind"], table["rows"]) == ("table", [["<cat>", 0.5, 1000], ["dog", None, 250]])
        page = (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")
        assert "seen on 10000; seed 10000" in page
        assert "&lt;column&gt;" in page
        assert "calibration; seed 10000" in page
        assert "accuracy against &lt;confidence&gt;; control: 0.25 at 0.2" in page
        assert '<th scope="row">&lt;cat&gt;</th><td class="n">0.5000</td><td class="n">1000</td>' in page
        assert "Other measurements, means of 8 seeds" in page
        assert '<th scope="row">treatment</th><td class="n">0.2500</td>' in page
        assert '<th scope="row">control</th><td class="n">0.5000</td>' in page


def test_a_figure_is_not_registered(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_lab=HEAD + SUITE)
    register_suite(pytester, "figures", SUITE)
    pytester.makepyfile(test_lab=HEAD + SUITE.replace("        figures=[shown, curves],\n", ""))
    assert run(pytester).ret == 0
    assert evidence(pytester)["lab/one"]["registration"]["status"] == "registered"


def test_a_figure_that_cannot_be_drawn_is_told_of_and_decides_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_lab=HEAD + SUITE.replace("return Heatmap(", "raise ValueError("))
    register_claims(pytester)
    result = run(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*a figure raised ValueError*"])
    assert evidence(pytester)["lab/one"]["figures"] == []
