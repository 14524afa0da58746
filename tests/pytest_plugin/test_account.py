"""The evidence beside the verdicts: learning curves, the authors' interpretation of their study, and its cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.inner import needs_torch, run
from tests.pytest_plugin import test_training
from tests.pytest_plugin.lab import HEAD, INLINE, canned, register_claims


def evidence_file(pytester: pytest.Pytester) -> dict[str, Any]:
    return dict(json.loads((pytester.path / "reports" / "evidence.json").read_text(encoding="utf-8")))


@needs_torch
def test_learning_curves_are_in_the_evidence_once_per_recipe(pytester: pytest.Pytester) -> None:
    test_training.write_suite(pytester, steps=60)
    run(pytester, INLINE)
    data = evidence_file(pytester)
    assert len(data["curves"]) == 2, "two claims share two recipes"
    for curves in data["curves"].values():
        claims = {arm.split(": ")[0] for arm in curves["arms"]}
        assert claims == {"lab/hidden-layer", "lab/no-hidden-layer"}
        seen = {row[0] for entry in data["claims"] for row in entry["observations"]}
        assert {int(seed) for seed in curves["seeds"]} == seen
        for steps, losses in curves["seeds"].values():
            assert steps[-1] == 60
            assert len(steps) == len(losses) <= 24
    page = (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert page.count("Learning curves: lab/") == 2

    # The measurements come from the store, and the curves with them.
    run(pytester, "-n0")
    assert evidence_file(pytester)["curves"] == data["curves"]


@needs_torch
def test_the_training_of_a_shared_model_is_counted_once(pytester: pytest.Pytester) -> None:
    claims = test_training.CLAIMS.replace("STEPS", "30").replace("XOR.with_(hidden=False)", "Arm(XOR, same)")
    claims = claims.replace("def score", "def same(net):\n    return net\n\ndef score")
    pytester.makepyfile(nets=test_training.NETS, test_nets=claims)
    register_claims(pytester)
    run(pytester, INLINE, "-k", "test_hidden_layer")
    (entry,) = evidence_file(pytester)["claims"]
    seeds = len({row[0] for row in entry["observations"]})
    assert entry["cost"]["trained"] == pytest.approx(seeds * entry["arms"]["hidden"]["cpu_seconds"], abs=0.1)


@pytest.mark.parametrize("how", ["-n0", "-n1"])
def test_the_docstring_of_a_package_is_its_interpretation(pytester: pytest.Pytester, how: str) -> None:
    pytester.mkpydir("lab").joinpath("__init__.py").write_text(
        '"""What it <means>.\n\nAnd what not.\n"""\nMETRICS = {"score": "share of <good> ones"}\n'
    )
    (pytester.path / "lab" / "test_lab.py").write_text(_dedented(HEAD + canned("true")))
    register_claims(pytester)
    assert run(pytester, how).ret == 0
    assert evidence_file(pytester)["studies"] == {"lab": "What it <means>.\n\nAnd what not."}
    page = (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert "<p>What it &lt;means&gt;.</p>" in page
    assert evidence_file(pytester)["metrics"] == {"lab": {"score": "share of <good> ones"}}
    assert "<dt>Score</dt><dd>Share of &lt;good&gt; ones.</dd>" in page


def test_among_several_packages_the_one_with_the_studys_name_is_used(pytester: pytest.Pytester) -> None:
    for folder, name in (("before", "first"), ("lab", "own"), ("selfcheck", "last")):
        pytester.mkpydir(folder).joinpath("__init__.py").write_text(
            f'"""By {folder}."""\nMETRICS = {{"score": "of {folder}"}}\n'
        )
        (pytester.path / folder / f"test_{name}.py").write_text(_dedented(HEAD + canned(name)))
    assert run(pytester, "-n0", "--seeds=8").ret == 0
    assert evidence_file(pytester)["studies"] == {"lab": "By lab."}
    assert evidence_file(pytester)["metrics"] == {"lab": {"score": "of lab"}}


def test_metrics_without_a_description_are_refused(pytester: pytest.Pytester) -> None:
    pytester.mkpydir("lab").joinpath("__init__.py").write_text('METRICS = {"score": 3}\n')
    (pytester.path / "lab" / "test_lab.py").write_text(_dedented(HEAD + canned("true")))
    result = run(pytester, "-n0")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*METRICS of its package must be {metric: sentence}*"])


def test_without_a_package_there_is_no_interpretation(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_lab=HEAD + canned("true"))
    register_claims(pytester)
    assert run(pytester, "-n0").ret == 0
    assert evidence_file(pytester)["studies"] == {}


def _dedented(source: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in source.splitlines())
