"""Runs beyond one machine: a Ray cluster that trains, and stores at a URL."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from memkit.store.store import Store
from tests.inner import command, run
from tests.machines.clusters import two_nodes
from tests.machines.servers import Server
from tests.pytest_plugin.lab import INLINE, evidence, register_claims
from tests.pytest_plugin.test_two_suites import SUITE

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

COMMAND = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def suite(folder: Path) -> Path:
    """Write the claims of ``test_two_suites.py`` to a folder, and return it."""
    folder.mkdir(exist_ok=True)
    (folder / "test_lab.py").write_text(SUITE, encoding="utf-8")
    (folder / "trained").mkdir()
    return folder


def trained(*folders: Path) -> Counter[str]:
    """Return run → how often it was trained."""
    return Counter(path.name.rsplit("-", 1)[0] for folder in folders for path in (folder / "trained").iterdir())


def observed(folder: Path) -> Any:
    return json.loads((folder / "reports" / "evidence.json").read_text(encoding="utf-8"))["claims"][0]["observations"]


@needs_ray
def test_a_ray_cluster_trains_the_runs(pytester: pytest.Pytester) -> None:
    suite(pytester.path)
    register_claims(pytester)
    assert run(pytester, INLINE, "--store=here").ret == 0
    local = observed(pytester.path)
    assert set(trained(pytester.path).values()) == {1}
    with two_nodes() as cluster:
        result = pytester.runpytest_subprocess(
            "-n1", "--store=there", "--executor=ray", f"--ray-address={cluster.address}"
        )
    assert result.ret == 0
    assert evidence(pytester)["lab/hidden-layer"]["judgement"]["verdict"] == "SUPPORTED"
    assert observed(pytester.path) == local, "where it was trained makes no difference"
    counts = trained(pytester.path)
    assert len(counts) == 2 * 8
    assert set(counts.values()) == {2}, "once here, once there"


@needs_ray
def test_a_missing_cluster_is_explained(pytester: pytest.Pytester) -> None:
    suite(pytester.path)
    register_claims(pytester)
    result = pytester.runpytest_subprocess("--executor=ray", "--ray-address=auto")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: there is no Ray cluster at 'auto' *; start one with `ray start --head`*"])
    assert not (pytester.path / "reports" / "evidence.json").exists()


def test_two_machines_share_a_store(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    machines = [suite(pytester.path / name) for name in ("one", "two")]
    store = f"--store=s3://lab/{pytester.path.name}"
    for machine in machines:
        monkeypatch.chdir(machine)
        assert command(pytester, "register").ret == 0
    runs = [
        subprocess.Popen([*COMMAND, "-n0", store, *how], cwd=machine)
        for machine, how in zip(machines, ([], [INLINE]), strict=True)
    ]
    assert [run.wait(timeout=240) for run in runs] == [0, 0]
    counts = trained(*machines)
    assert len(counts) == 2 * 8
    assert set(counts.values()) == {1}
    assert observed(machines[0]) == observed(machines[1])

    third = suite(pytester.path / "three")
    (third / "claims.lock").write_text((machines[0] / "claims.lock").read_text(), encoding="utf-8")
    monkeypatch.chdir(third)
    assert run(pytester, "-n0", store).ret == 0
    assert not trained(third)
    assert observed(third) == observed(machines[0])
    server.close()


def test_a_missing_store_is_refused_with_a_message(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    suite(pytester.path)
    register_claims(pytester)
    result = run(pytester, "--store=s3://no-such-bucket/x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the store s3://no-such-bucket/x cannot be used *; check that it exists*"])
    server.close()


def test_a_missing_installation_of_ray_is_explained(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite(pytester.path)
    register_claims(pytester)
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run(pytester, "--executor=ray")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --executor ray needs Ray; install memkit with its extra*"])


def test_the_evidence_says_that_a_model_was_trained_on_another_device(pytester: pytest.Pytester) -> None:
    suite(pytester.path)
    register_claims(pytester)
    assert run(pytester, INLINE).ret == 0
    arms = evidence(pytester)["lab/hidden-layer"]["arms"]
    assert "trained_on" not in arms["hidden"]
    store = Store(pytester.path / ".memkit")
    stored = store.load(arms["hidden"]["digest"], 10000)
    assert stored is not None
    store.save(arms["hidden"]["digest"], {}, stored, made={"device": "cuda"})
    assert run(pytester, "-n0", "--fresh").ret == 0
    arms = evidence(pytester)["lab/hidden-layer"]["arms"]
    assert (arms["hidden"]["trained_on"], arms["linear"].get("trained_on")) == ("cuda", None)
    assert "trained on" in (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")
