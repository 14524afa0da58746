"""A file is replaced completely: after an error, the old content is unchanged and no temporary file remains."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit import files
from memkit.cli import main
from memkit.evidence import Evidence, load
from memkit.evidence.accepted_verdicts import save_accepted
from memkit.evidence.lock_file import Lock
from memkit.evidence.output_files import write_all
from memkit.evidence.reports.gallery import Gallery, save_page
from memkit.files import replacing, write_whole
from tests.evidence.entries import entry
from tests.machines.killed import killed_at


def evidence(statement: str = "study/name") -> Evidence:
    return Evidence(created="2025-07-29T12:00:00+00:00", provenance={}, claims=(entry(statement),))


NO_SPACE = "No space left on device"


@pytest.fixture(params=["write", "replace", "fsync"])
def full_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the disk be full after three bytes, when the file is renamed, or when it is synced."""
    original = files.write

    def write_partly(path: Path, content: bytes, *, sync: bool = False) -> None:
        original(path, content[:3], sync=sync)
        no_space(path)

    def no_space(path: Any, *_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, NO_SPACE, str(path))

    faults = {
        "write": (files, "write", write_partly),
        "replace": (os, "replace", no_space),
        "fsync": (os, "fsync", no_space),
    }
    monkeypatch.setattr(*faults[request.param])
    return str(request.param)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@given(st.text(st.characters(exclude_categories=())) | st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_content_can_be_read(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "folder" / "file"
    write_whole(path, content)
    expected = content if isinstance(content, bytes) else re.sub("[\ud800-\udfff]", "\ufffd", content).encode()
    assert contents(tmp_path) == {"folder/file": expected}


def test_a_link_and_a_mode_are_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640
    write_whole(Path(os.devnull), "a device is not replaced")
    assert not Path(os.devnull).is_file()


SAVES = {
    "evidence": lambda path: evidence().save(path),
    "lock": lambda path: Lock().save(path),
    "accepted": lambda path: save_accepted(path, {}),
    "page": lambda path: save_page("<html>", Gallery(), path),
}


@pytest.mark.parametrize("what", SAVES)
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("full_disk", ["write", "replace"], indirect=True)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_content(tmp_path: Path, what: str, there: bool) -> None:
    path = tmp_path / "file"
    if there:
        path.touch()
        os.truncate(path, 5)
    before = contents(tmp_path)
    with pytest.raises(OSError, match=NO_SPACE) as raised:
        SAVES[what](path)
    assert raised.value.filename == str(path), "the error names the requested file, not the temporary one"
    assert contents(tmp_path) == before


def make_folder(target: Path, folder: Path, error: type[BaseException] | None = None) -> None:
    """Create a folder with one file; raise the error, if there is one, before the folder is complete."""
    existed = target.exists()
    with replacing(target, folder) as temporary:
        temporary.mkdir()
        files.write(temporary / "first", b"content", sync=True)
        assert target.exists() == existed
        if error:
            raise error


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_no_incomplete_folder(tmp_path: Path, full_disk: str, there: bool) -> None:
    target, folder = tmp_path / "target", tmp_path / "temporary"
    folder.mkdir()
    if there:
        target.mkdir()
    with pytest.raises(OSError, match=NO_SPACE):
        make_folder(target, folder)
    assert (target.exists(), list(folder.iterdir())) == (there, [])


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_leaves_no_incomplete_folder(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        make_folder(tmp_path / "target", tmp_path, error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_once_it_is_complete(tmp_path: Path) -> None:
    make_folder(tmp_path / "target", tmp_path)
    assert contents(tmp_path) == {"target/first": b"content"}


def test_a_link_that_is_not_followed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link", tmp_path) as temporary:
        files.write(temporary, b"new")
    assert not (tmp_path / "link").is_symlink()
    assert contents(tmp_path) == {"real": b"old", "link": b"new"}


@pytest.mark.parametrize("sync", [False, True])
def test_only_content_that_must_survive_a_power_failure_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((tmp_path / "file").read_bytes()))
    files.write(tmp_path / "file", b"content", sync=sync)
    assert synced == ([b"content"] if sync else []), "the content must be complete when it is synced"


@pytest.mark.parametrize("moment", ["write", "replace"])
def test_a_killed_process_leaves_the_old_content(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    victim = multiprocessing.get_context("spawn").Process(target=killed_at, args=(moment, path, b"after"))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert path.read_bytes() == b"before"
    assert len(contents(tmp_path)) == 2, "the temporary file stays, and causes no harm"
    write_whole(path, "after")
    assert path.read_bytes() == b"after"


def test_a_view_that_cannot_be_rendered_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evidence.json"
    write_all(evidence(), path)
    before = contents(tmp_path)

    def broken(*_: Any) -> str:
        raise RuntimeError("no page today")

    monkeypatch.setattr("memkit.evidence.reports.evidence_page.render_html", broken)
    monkeypatch.setattr(Evidence, "to_csv", broken)
    written, problems = write_all(evidence("study/other"), path)
    assert written == [path]
    assert [problem.partition(" could not be written: ")[2] for problem in problems] == 2 * ["no page today"]
    after = contents(tmp_path)
    assert after.pop("evidence.json") != before.pop("evidence.json")
    assert after == before


def test_a_summary_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    written, problems = write_all(evidence(), tmp_path / "evidence.json")
    assert (len(written), problems) == (4, [])
    assert summary.read_text(encoding="utf-8").startswith("before\n")


def test_an_undecodable_name_prevents_neither_the_evidence_nor_the_page(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    odd = Evidence(created="now", provenance={"command": "pytest caf\udce9"}, claims=(entry(),))
    _, problems = write_all(odd, path)
    assert problems == []
    assert load(path).provenance == {"command": "pytest caf\ufffd"}
    assert "caf\ufffd" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_memkit_report_leaves_the_earlier_page_if_it_cannot_render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "evidence.json"
    evidence().save(path)
    assert main(["report", str(path)]) == 0
    before = contents(tmp_path)
    monkeypatch.setattr("memkit.evidence.reports.gallery.Gallery.fill", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["report", str(path)])
    assert contents(tmp_path) == before
    assert json.loads(before["evidence.json"])["schema"] == 2
