"""The record of the files of a project that a process opens, and of the code that opened them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memkit.opened_files import OpenedFiles, listener, unrecorded
from memkit.store.dependencies import ABSENT, ProjectFiles, recording_opened_files

NAME = "the test"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenedFiles]:
    made = OpenedFiles(tmp_path).listen()
    yield made
    made.close()


def recorded(opened: OpenedFiles) -> list[str]:
    """Return the files that were opened for NAME, relative to the project."""
    return sorted(os.path.relpath(file, opened.root) for file in opened.files([NAME], ()))


def test_every_way_of_opening_a_file_is_recorded(opened: OpenedFiles, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / name).write_text("")
    opened = OpenedFiles(tmp_path).listen()  # a new listener, which has not recorded the writing
    with opened.attributing_to(NAME):
        open(tmp_path / "a").close()
        (tmp_path / "b").read_bytes()
        os.close(os.open(tmp_path / "c", os.O_RDONLY))
        open(os.fsencode(tmp_path / "d"), "rb").close()
        open(os.path.relpath(tmp_path / "e")).close()
        sqlite3.connect(tmp_path / "e").close()
    opened.close()
    open(tmp_path / "a").close()
    assert recorded(opened) == ["a", "b", "c", "d", "e"]


def test_files_outside_the_project_and_written_files_do_not_count(
    opened: OpenedFiles, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a"
    elsewhere.write_text("")
    for name in (".git", "store", "venv/lib/site-packages"):
        (tmp_path / name).mkdir(parents=True)
        with unrecorded():
            (tmp_path / name / "a").write_text("")
    opened.ignore_folder(tmp_path / "store")
    with opened.attributing_to(NAME):
        elsewhere.read_text()
        for name in (".git", "store", "venv/lib/site-packages"):
            (tmp_path / name / "a").read_text()
        (tmp_path / "out").write_text("")
        (tmp_path / "out").read_text()
        os.close(os.open(tmp_path, os.O_RDONLY))
        with unrecorded(), pytest.raises(OSError):
            (tmp_path / "secret").read_text()
    assert recorded(opened) == []


def test_links_count_by_their_names_in_the_project(tmp_path: Path) -> None:
    project, data = tmp_path / "project", tmp_path / "data"
    for folder in (project, data):
        folder.mkdir()
    (data / "a").write_text("1")
    (project / "linked").symlink_to(data)
    (tmp_path / "by another name").symlink_to(project)
    (project / "b").write_text("2")
    opened = OpenedFiles(tmp_path / "by another name").listen()
    with opened.attributing_to(NAME):
        (project / "linked" / "a").read_text()
        (tmp_path / "by another name" / "b").read_text()
    opened.close()
    files = ProjectFiles(project)
    record = files.record(opened, opened.files([NAME], ()))
    assert list(record) == ["b", "linked/a"]
    (data / "a").write_text("one")
    assert files.changed(record) == "linked/a"


def test_a_missing_file_counts_until_it_exists(opened: OpenedFiles, tmp_path: Path) -> None:
    with opened.attributing_to(NAME), pytest.raises(FileNotFoundError):
        (tmp_path / "a").read_text()
    files = ProjectFiles(tmp_path)
    record = files.record(opened, opened.files([NAME], ()))
    assert record == {"a": ABSENT}
    assert not files.changed(record)
    (tmp_path / "a").write_text("")
    assert files.changed(record) == "a"


def test_file_arguments_of_a_command_count(opened: OpenedFiles, tmp_path: Path) -> None:
    with unrecorded():
        for name in ("a.py", "b.txt", "c.txt"):
            (tmp_path / name).write_text("")
    with opened.attributing_to(NAME):
        subprocess.run([sys.executable, "a.py", "--option"], cwd=tmp_path, check=True)
        subprocess.run(f"true {tmp_path / 'b.txt'}", shell=True, check=True)
        os.system(f"true {tmp_path / 'c.txt'}")
    assert recorded(opened) == ["a.py", "b.txt", "c.txt"]
    record = ProjectFiles(tmp_path).record(opened, opened.files([NAME], ()))
    assert {label: kind.partition(":")[0] for label, kind in record.items()} == {
        "a.py": "code",
        "b.txt": "sha256",
        "c.txt": "sha256",
    }


def test_a_file_counts_for_the_module_that_opened_it(
    opened: OpenedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module may keep the contents, and return them to another caller."""
    (tmp_path / "reader_of_a.py").write_text(
        "def read(path):\n    with open(path) as file:\n        return file.read()\n"
    )
    (tmp_path / "a").write_text("")
    opened = OpenedFiles(tmp_path).listen()
    monkeypatch.syspath_prepend(tmp_path)
    import reader_of_a  # type: ignore[import-not-found]

    def first() -> None:
        reader_of_a.read(tmp_path / "a")

    with opened.attributing_to("first", first.__code__):
        first()
    opened.close()
    monkeypatch.delitem(sys.modules, "reader_of_a")
    reader = str(tmp_path / "reader_of_a.py")
    assert opened.files(["second"], [reader]) == {str(tmp_path / "a")}
    assert opened.files(["second"], []) == set()


def test_files_do_not_count_for_the_code_that_runs_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a script of the project calls pytest, all test modules would otherwise count for each other."""
    (tmp_path / "runs_tests.py").write_text("def run(tests):\n    tests()\n")
    script = str(tmp_path / "runs_tests.py")
    monkeypatch.syspath_prepend(tmp_path)
    import runs_tests  # type: ignore[import-not-found]

    def tests() -> None:
        opened = OpenedFiles(tmp_path).listen()
        (tmp_path / "a").open("a+").close()
        opened.close()
        assert opened.files([], [script]) == set()

    runs_tests.run(tests)
    monkeypatch.delitem(sys.modules, "runs_tests")


def test_a_script_outside_the_project_does_not_count_however_its_path_is_spelt(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    script = f"{project}/../script.py"  # as a command line may name it
    called = compile("def call(path):\n    open(path).close()\n", script, "exec")
    exec(called, names := dict[str, Any]())
    (project / "a").write_text("")
    opened = OpenedFiles(project).listen()
    names["call"](project / "a")
    opened.close()
    assert opened.files([], [script]) == set()


def test_each_file_is_compared_with_its_own_kind_of_checksum(tmp_path: Path) -> None:
    files = ProjectFiles(tmp_path)
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "data.txt").write_text("1")
    record = {"code.py": files.checksum("code.py", "code"), "data.txt": files.checksum("data.txt")}
    (tmp_path / "code.py").write_text("# said otherwise\nx  =  1\n")
    assert not files.changed(record)
    (tmp_path / "code.py").write_text("x = 2\n")
    assert files.changed(record) == "code.py"
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "data.txt").write_text("2")
    assert files.changed(record) == "data.txt"
    (tmp_path / "code.py").write_text("x =\n")
    assert files.changed(record) == "code.py", "it is no Python any more"


def test_a_file_that_changes_after_it_was_read_counts_as_changed(opened: OpenedFiles, tmp_path: Path) -> None:
    with unrecorded():
        (tmp_path / "a").write_text("before")
    with opened.attributing_to(NAME):
        (tmp_path / "a").read_text()
    with unrecorded():
        (tmp_path / "a").write_text("and after")
    files = ProjectFiles(tmp_path)
    record = files.record(opened, opened.files([NAME], ()))
    assert files.changed(record) == "a"


def test_a_folder_counts_with_the_names_of_its_files(tmp_path: Path) -> None:
    files = ProjectFiles(tmp_path)
    (tmp_path / "data").mkdir()
    found = [files.folder_checksum("data")]
    for change in (
        lambda: (tmp_path / "data" / "a").write_text("1"),
        lambda: (tmp_path / "data" / "a").write_text("12"),
        lambda: (tmp_path / "data" / "a").rename(tmp_path / "data" / "b"),
        lambda: (tmp_path / "data" / "b").unlink(),
    ):
        change()
        found.append(files.folder_checksum("data"))
    assert len(set(found[:-1])) == 4
    assert found[-1] == found[0]


def test_nothing_is_recorded_without_a_listener(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert listener(tmp_path) is None
    with recording_opened_files(ProjectFiles(tmp_path), NAME, []) as record:
        (tmp_path / "a").read_text()
        assert record() == {}
    with recording_opened_files(None, NAME, []) as record:
        assert record() == {}


def test_files_opened_in_the_block_are_recorded(opened: OpenedFiles, tmp_path: Path) -> None:
    with unrecorded():
        (tmp_path / "a").write_text("")
    with recording_opened_files(ProjectFiles(tmp_path), NAME, []) as record:
        assert record() == {}
        (tmp_path / "a").read_text()
        assert list(record()) == ["a"]


def test_an_error_in_the_listener_does_not_affect_opening_files(
    opened: OpenedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("text")
    monkeypatch.setattr(opened, "record_opening", lambda *given: 1 / 0)
    assert (tmp_path / "a").read_text() == "text"
