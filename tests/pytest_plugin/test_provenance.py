"""The provenance of evidence: a fact that cannot be determined is recorded as unknown, and nothing else fails."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memkit.evidence.reports import render_html
from memkit.pytest_plugin.provenance import provenance
from tests.evidence.reports import samples
from tests.inner import run
from tests.pytest_plugin.lab import canned, verdict, write_suite

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def provenance_of(root: Path, *, args: tuple[str, ...] = (), lock: Any = None) -> dict[str, Any]:
    config: Any = SimpleNamespace(invocation_params=SimpleNamespace(args=args), rootpath=Path("/"))
    lock = lock or root / "claims.lock"
    settings: Any = SimpleNamespace(
        root=str(root), device="cpu", shared="", seeds=8, gate="verdict", strict=False, lock=lock
    )
    plan: Any = SimpleNamespace(compute_platform={})
    return provenance(config, settings, plan)


def git(folder: Path, *arguments: str) -> None:
    user = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@needs_git
def test_the_commit_is_that_of_the_project(repository: Path) -> None:
    found = provenance_of(repository)
    assert (found["commit"], found["dirty"]) == (None, None)
    git(repository, "init")
    found = provenance_of(repository)
    assert found["commit"] == found["dirty"] == "unknown: there is no commit yet"
    (repository / "file").touch()
    git(repository, "add", "file")
    git(repository, "commit", "-m", "x")
    found = provenance_of(repository)
    assert (len(found["commit"]), found["dirty"]) == (40, False)
    (repository / "another").touch()
    assert provenance_of(repository)["dirty"] is True


@needs_git
def test_a_new_file_with_an_undecodable_name_is_a_change(repository: Path) -> None:
    git(repository, "init")
    git(repository, "config", "core.quotepath", "false")
    git(repository, "commit", "--allow-empty", "-m", "x")
    try:
        Path(os.fsdecode(bytes(repository) + b"/caf\xe9")).touch()
    except OSError:
        pytest.skip("this disk has no such names")
    assert provenance_of(repository)["dirty"] is True


def make_git_fail(monkeypatch: pytest.MonkeyPatch, command: str, error: Exception) -> None:
    """Let one git command, such as ``status``, raise an error, and let all others print a commit."""

    def fake_run(arguments: list[str], **_: Any) -> Any:
        if command in arguments:
            raise error
        return SimpleNamespace(stdout=b"3f9c\n")

    monkeypatch.setattr("memkit.git.subprocess.run", fake_run)


DUBIOUS = subprocess.CalledProcessError(
    128, "git", stderr=b"fatal: detected dubious ownership in repository at '/caf\xe9'\nTo add an exception\n"
)


@pytest.mark.parametrize(
    ("command", "error", "expected"),
    [
        ("status", subprocess.TimeoutExpired("git", 10), "unknown: git status took longer than 10 s"),
        ("status", subprocess.CalledProcessError(3, "git", stderr=b""), "unknown: git status ended with 3"),
        ("rev-parse", DUBIOUS, r"unknown: detected dubious ownership in repository at '/caf\xe9'"),
        ("rev-parse", FileNotFoundError(2, "No such file"), "unknown: git could not be run (No such file)"),
        ("rev-parse", RuntimeError(), "unknown: RuntimeError"),
    ],
)
def test_facts_that_git_does_not_give_are_unknown_on_the_page_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, error: Exception, expected: str
) -> None:
    make_git_fail(monkeypatch, command, error)
    found = provenance_of(tmp_path)
    assert found["dirty"] == expected
    assert found["commit"] == ("3f9c" if command == "status" else expected)
    facts = {name: found[name] for name in ("commit", "dirty")}
    page = " ".join(render_html(samples.evidence(samples.supported(), **facts)).replace("&#39;", "'").split())
    assert f"Whether the code that ran had uncommitted changes is {expected}." in page
    assert (f"3f9c; whether there are uncommitted changes is {expected}" in page) == (command == "status")
    assert "clean" not in page.partition("3f9c")[2][:200]


def test_facts_that_cannot_be_determined_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("no\nsuch thing")

    monkeypatch.setattr(importlib.metadata, "version", broken)
    monkeypatch.setattr(platform, "platform", broken)
    found = provenance_of(tmp_path, lock=SimpleNamespace(is_file=lambda: True, read_bytes=broken), args=("caf\udce9",))
    for name in ("memkit", "numpy", "platform", "lock"):
        assert found[name] == "unknown: no such thing"
    assert found["command"] == r"pytest caf\udce9"
    json.dumps(found, ensure_ascii=False).encode()


def test_a_run_with_unknown_provenance_writes_its_evidence(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(pytester, canned("a"))
    monkeypatch.setattr("memkit.pytest_plugin.provenance._command", lambda *_: 1 / 0)
    assert run(pytester).ret == 0
    assert verdict(pytester, "a") == "SUPPORTED"
