"""The board: what the controller posts is what every worker reads, however far it has come."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.pytest_plugin.board import Board
from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import Result

NET, TREE = (Training(digest, {}, digest, 10) for digest in ("net", "tree"))


def state(board: Board) -> dict[str, object]:
    names = ("opened", "settled", "pending", "failed", "closed")
    return {name: getattr(board, name) for name in names}


def post_all(board: Board) -> None:
    board.open("lab/one", [1, 2], [Cohort(NET, (1, 2)), Cohort(TREE, (2,))])
    board.open("lab/two", [1])
    board.open("lab/one", [3])
    board.trained(Cohort(NET, (1,)), Result("trained"))
    board.trained(Cohort(TREE, (2,)), Result("failed", "ValueError: größer als «1»", "Traceback:\n  …"))
    board.settle("lab/two", "decided at n = 8")


POSTED = {
    "opened": {"lab/one": {1, 2, 3}, "lab/two": {1}},
    "settled": {"lab/two": "decided at n = 8"},
    "pending": {("net", 2)},
    "failed": {("tree", 2): "ValueError: größer als «1»\nTraceback:\n  …"},
    "closed": "",
}


def test_without_workers_the_board_is_the_object_itself() -> None:
    board = Board()
    post_all(board)
    board.refresh()
    assert state(board) == POSTED
    board.close("the end")
    assert board.closed == "the end"


def test_workers_read_what_the_controller_posts(tmp_path: Path) -> None:
    controller, early, late = (Board(tmp_path / "board.jsonl") for _ in range(3))
    early.refresh()  # before there is anything
    assert state(early) == state(Board())
    post_all(controller)
    early.refresh()
    assert state(early) == POSTED

    controller.close("the run was stopped")
    for board in (early, late):
        board.refresh()
        board.refresh()
        assert state(board) == {**POSTED, "closed": "the run was stopped"}


@given(cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_a_line_that_is_still_being_written_is_read_later(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("board")
    post_all(Board(folder / "whole.jsonl"))
    whole = (folder / "whole.jsonl").read_bytes()
    reader = Board(folder / "growing.jsonl")
    written = 0
    for cut in [*sorted(cuts), len(whole)]:
        with reader._file.open("ab") as file:  # type: ignore[union-attr]
            file.write(whole[written:cut])
        written = max(written, min(cut, len(whole)))
        reader.refresh()
        assert set(reader.opened.get("lab/one", ())) <= {1, 2, 3}
    assert state(reader) == POSTED


def test_what_could_not_be_loaded_elsewhere_is_left_to_the_tests() -> None:
    board = Board()
    board.open("lab/one", [1], [Cohort(NET, (1,))])
    board.trained(Cohort(NET, (1,)), Result("unloadable", "ModuleNotFoundError: nets"))
    assert not board.pending
    assert not board.failed


def test_a_run_that_is_there_already_is_not_waited_for() -> None:
    board = Board()
    board.open("lab/one", [1], [Cohort(NET, (1,))])
    board.trained(Cohort(NET, (1,)), Result("trained"))
    board.open("lab/two", [1])
    assert not board.pending
    assert board.opened == {"lab/one": {1}, "lab/two": {1}}
