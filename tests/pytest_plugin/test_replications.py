"""Replications in a real run: selected by --sweeps, gating, compared in reports, skipped without their backend."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.inner import command, run
from tests.pytest_plugin.lab import INLINE, evidence

SUITE = """
import torch
from memkit import Contrast, Recipe, claim, replicated
from memkit.models import SlotNetwork
from memkit.tasks.binding import Retrieval
from memkit.tasks.binding.vocabulary import IS, RECALL
from memkit.tasks.scoring import accuracy

OPTIONS = {"addressing": "rule", "width": 16, "slots": 4, "binders": [IS], "queries": [RECALL]}
SLOTS = Recipe(Retrieval(), SlotNetwork, options=OPTIONS, lr=1e-2, steps=80)


@replicated("mlx")
@claim(
    "lab/slots",
    "Slots are needed.",
    arms={"dynamic": SLOTS, "static": SLOTS.with_(memory="static")},
    contrasts=[Contrast("dynamic", over="static", metric="accuracy", bounds=(0, 1))],
    deterministic=True,
)
def test_slots(arms):
    commands = Retrieval().commands(torch.Generator().manual_seed(1), "all")
    return {name: accuracy(model, commands) for name, model in arms.items()}
"""
if importlib.util.find_spec("mlx") is not None:  # an inner run's modules are removed; MLX loads only once
    importlib.import_module("mlx.core")
needs_mlx = pytest.mark.skipif(importlib.util.find_spec("mlx") is None, reason="MLX is not installed")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_lab=SUITE)
    return pytester


@needs_mlx
def test_a_replication_has_a_separate_verdict(suite: pytest.Pytester) -> None:
    assert command(suite, "register").ret == 0
    both = run(suite, "-n1", "--with-sweeps")
    assert both.ret == 0
    both.stdout.fnmatch_lines(["*1 claim was replicated in MLX: 1 holds in*"])
    found = evidence(suite)
    assert set(found) == {"lab/slots", "lab/slots/mlx"}
    assert {entry["judgement"]["verdict"] for entry in found.values()} == {"SUPPORTED"}
    one, other = (found[name]["arms"]["dynamic"] for name in ("lab/slots", "lab/slots/mlx"))
    assert one["digest"] != other["digest"]
    page = (suite.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert 'id="replications"' in page
    assert "1 claim was replicated in MLX: 1 holds in both." in page
    assert "These counts leave out 1 replication." in page
    assert command(suite, "verdicts", "reports/evidence.json").ret == 0


@needs_mlx
def test_replications_run_with_the_sweeps(suite: pytest.Pytester) -> None:
    found = {
        options: run(suite, "-n0", "--collect-only", "-q", *options).stdout.str()
        for options in ((), ("--sweeps",), ("--with-sweeps",), ("--headline",))
    }
    claim, replication = "::test_slots[", "::test_slots__replicated_mlx["
    selected = {options: (claim in output, replication in output) for options, output in found.items()}
    assert selected == {
        (): (True, False),
        ("--sweeps",): (False, True),
        ("--with-sweeps",): (True, True),
        ("--headline",): (False, False),
    }


def test_without_mlx_a_replication_is_skipped_with_instructions(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name.partition(".")[0] == "mlx" else find(name, *rest),
    )
    monkeypatch.setitem(sys.modules, "mlx", None)
    result = run(suite, "-n0", "--sweeps", "--seeds=8")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 claim skipped: MLX is not installed; install memkit with its extra*mlx*"])
    result.assert_outcomes(skipped=9)


@needs_mlx
def test_a_replication_with_another_verdict_fails_the_run(suite: pytest.Pytester) -> None:
    (suite.path / "test_lab.py").write_text(
        SUITE.replace('replicated("mlx")', 'replicated("mlx", expect="refuted")'), encoding="utf-8"
    )
    assert command(suite, "register").ret == 0
    result = run(suite, INLINE, "--sweeps")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*Not as registered: lab/slots/mlx*"])


def test_mlx_is_imported_only_on_request(suite: pytest.Pytester) -> None:
    """Neither the engine nor a run of claims in torch imports MLX."""
    script = Path(suite.path / "loaded.py")
    script.write_text(
        "import sys, memkit, memkit.recipes.backends, memkit.pytest_plugin, memkit.evidence.derived.replication\n"
        "assert not [name for name in sys.modules if name.startswith(('mlx', 'memkit.mlx'))]\n",
        encoding="utf-8",
    )
    assert suite.runpython(script).ret == 0
