"""``memkit audit`` in real repositories: the history of a lock in git, as far as there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memkit.cli import main
from memkit.evidence import Arm, Claim, Contrast, Lock
from memkit.evidence.attempt import Outcome

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

OUTCOME = Outcome(verdict="REFUTED", n=8, date="2026-01-31", observations="0b5e", revision=0)


def make(name: str, test: str = "") -> Claim:
    over = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
    arms = {"a": Arm(), "b": Arm()}
    return Claim(id=f"study/{name}", statement="A beats B.", arms=arms, contrasts=(over,), test=f"{name} {test}")


def git(*arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def commit(lock: Lock | None, path: str = "claims.lock") -> None:
    if lock is None:
        Path(path).unlink()
    else:
        Path(path).parent.mkdir(exist_ok=True)
        lock.save(Path(path))
    git("add", "-A")
    git("commit", "-q", "-m", "A change.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    (root / "pytest.ini").touch()
    git("init", "-q", "-b", "main")
    return root


def audited(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["audit", *arguments])
    return code, capsys.readouterr().out.splitlines()


def first() -> Lock:
    lock = Lock().register([make("a"), make("b")])
    return replace(lock, claims={**lock.claims, "study/a": lock.claims["study/a"].recorded(OUTCOME)})


@pytest.mark.usefixtures("project")
def test_a_history_that_only_grows_passes(capsys: pytest.CaptureFixture[str]) -> None:
    lock = first()
    commit(Lock().register([make("a"), make("b")]))
    commit(lock)
    commit(lock.register([make("a", "another test"), make("c")]))
    lock.register([make("a", "another test"), make("c")]).remove(["study/b"]).save(Path("claims.lock"))
    code, lines = audited(capsys)
    assert (code, len(lines)) == (0, 1)
    assert lines[0].endswith("3 earlier versions compared, 0 facts missing from the present lock")


@pytest.mark.usefixtures("project")
def test_a_lock_that_was_deleted_and_made_anew_is_found_and_can_be_restored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commit(Lock().register([make("a"), make("b")]))
    commit(first())
    commit(None)
    commit(Lock().register([make("a")]))
    code, lines = audited(capsys)
    assert code == 1
    texts = [line.partition(" (commit")[0] for line in lines]
    assert "MISSING  study/b was registered, attempt 1, and is gone" in texts
    assert "the lock did not exist in commit" in " ".join(lines)
    lost = "study/a: attempt 1 was recorded as REFUTED, n = 8, 2026-01-31, which the lock no longer shows"
    assert f"MISSING  {lost}" in texts
    assert audited(capsys, "--restore")[0] == 0
    lock = Lock.load(Path("claims.lock"))
    assert list(lock.removed) == ["study/b"]
    assert lock.claims["study/a"].attempts[0].outcome == OUTCOME
    code, lines = audited(capsys)
    assert code == 0
    assert not any(line.startswith("MISSING") for line in lines)


@pytest.mark.usefixtures("project")
def test_a_merge_that_lost_one_side_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    commit(first())
    git("checkout", "-q", "-b", "other")
    commit(first().register([make("b", "another test")]))
    git("checkout", "-q", "main")
    commit(first().register([make("a", "another test")]))
    git("merge", "-q", "-s", "ours", "other", "-m", "A merge.")
    code, lines = audited(capsys)
    assert code == 1
    assert lines[0].startswith("MISSING  study/b was at attempt 2, and is at attempt 1 now (commit ")


@pytest.mark.usefixtures("project")
def test_the_history_goes_on_where_the_lock_was_moved(capsys: pytest.CaptureFixture[str]) -> None:
    commit(first())
    Path("claims.lock").unlink()
    commit(Lock().register([make("a")]), "claims/claims.lock")
    code, lines = audited(capsys)
    assert code == 1
    assert lines[0].startswith("MISSING  study/")
    assert "the lock did not exist" not in "".join(lines)


def test_a_project_below_the_root_of_its_repository(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "lab"
    below.mkdir()
    (below / "pytest.ini").touch()
    commit(first(), "lab/claims.lock")
    commit(Lock().register([make("a")]), "lab/claims.lock")
    monkeypatch.chdir(below)
    assert audited(capsys)[0] == 1


def test_a_shallow_clone_cannot_be_audited(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(first())
    commit(Lock().register([make("a")]))
    clone = project.parent / "clone"
    git("clone", "-q", "--depth=1", f"file://{project}", str(clone))
    monkeypatch.chdir(clone)
    for arguments, expected in (((), 0), (("--memkit-strict",), 1)):
        code, lines = audited(capsys, *arguments)
        assert code == expected
        assert lines[0].startswith("cannot be determined: the repository is a shallow clone")
        assert "git fetch --unshallow" in lines[0]


def _no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))


def _no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def _never_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("another").touch()
    git("add", "another")
    git("commit", "-q", "-m", "A change.")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_no_repository, "not a git repository"),
        (_no_git, "git could not be run"),
        (_never_committed, "was never committed"),
    ],
)
def test_without_a_history_nothing_can_be_determined(
    prepare: Any, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first().save(Path("claims.lock"))
    prepare(monkeypatch)
    for arguments, expected in (((), 0), (("--memkit-strict",), 1)):
        code, lines = audited(capsys, *arguments)
        assert code == expected
        assert lines[0].startswith("cannot be determined: ")
        assert reason in lines[0]


@pytest.mark.usefixtures("project")
def test_an_earlier_lock_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("claims.lock").write_text("{")
    git("add", "-A")
    git("commit", "-q", "-m", "A change.")
    commit(first())
    code, lines = audited(capsys, "--memkit-strict")
    assert code == 1
    assert lines[0].startswith("cannot be determined: the lock of commit ")
