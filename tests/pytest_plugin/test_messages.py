"""Messages: every worker reads all that the controller posted, whenever it reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.pytest_plugin.messages import Messages
from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import Result

NET, TREE = (Training(digest, {}, digest, 10) for digest in ("net", "tree"))


def state(messages: Messages) -> dict[str, object]:
    names = ("open_seeds", "settled", "pending_runs", "training_errors", "close_reason")
    return {name: getattr(messages, name) for name in names}


def post_all(messages: Messages) -> None:
    messages.open("lab/one", [1, 2], [Cohort(NET, (1, 2)), Cohort(TREE, (2,))])
    messages.open("lab/two", [1])
    messages.open("lab/one", [3])
    messages.report_training(Cohort(NET, (1,)), Result("trained"))
    messages.report_training(Cohort(TREE, (2,)), Result("failed", "ValueError: größer als «1»", "Traceback:\n  …"))
    messages.settle("lab/two", "decided at n = 8")


POSTED = {
    "open_seeds": {"lab/one": {1, 2, 3}, "lab/two": {1}},
    "settled": {"lab/two": "decided at n = 8"},
    "pending_runs": {("net", 2)},
    "training_errors": {("tree", 2): "ValueError: größer als «1»\nTraceback:\n  …"},
    "close_reason": "",
}


def test_without_workers_messages_stay_in_memory() -> None:
    messages = Messages()
    post_all(messages)
    messages.refresh()
    assert state(messages) == POSTED
    messages.close("the end")
    assert messages.close_reason == "the end"


def test_workers_read_what_the_controller_posts(tmp_path: Path) -> None:
    controller, early, late = (Messages(tmp_path / "messages.jsonl") for _ in range(3))
    early.refresh()  # before there is anything
    assert state(early) == state(Messages())
    post_all(controller)
    early.refresh()
    assert state(early) == POSTED

    controller.close("the run was stopped")
    for messages in (early, late):
        messages.refresh()
        messages.refresh()
        assert state(messages) == {**POSTED, "close_reason": "the run was stopped"}


def test_closing_a_run_takes_effect_at_once(tmp_path: Path) -> None:
    """If the training thread fails, the later reports of workers say nothing about their seeds."""
    controller, worker = (Messages(tmp_path / "messages.jsonl") for _ in range(2))
    controller.close("training stopped with an error")
    assert controller.close_reason == "training stopped with an error"
    assert worker.close_reason == ""
    worker.refresh()
    assert worker.close_reason == controller.close_reason


@given(cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_a_line_that_is_still_being_written_is_read_later(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("messages")
    post_all(Messages(folder / "whole.jsonl"))
    whole = (folder / "whole.jsonl").read_bytes()
    reader = Messages(folder / "growing.jsonl")
    written = 0
    for cut in [*sorted(cuts), len(whole)]:
        with reader._file.open("ab") as file:  # type: ignore[union-attr]
            file.write(whole[written:cut])
        written = max(written, min(cut, len(whole)))
        reader.refresh()
        assert set(reader.open_seeds.get("lab/one", ())) <= {1, 2, 3}
    assert state(reader) == POSTED


def test_a_recipe_that_a_trainer_cannot_load_is_left_to_the_tests() -> None:
    messages = Messages()
    messages.open("lab/one", [1], [Cohort(NET, (1,))])
    messages.report_training(Cohort(NET, (1,)), Result("unloadable", "ModuleNotFoundError: nets"))
    assert not messages.pending_runs
    assert not messages.training_errors


def test_a_run_that_is_already_trained_is_not_waited_for() -> None:
    messages = Messages()
    messages.open("lab/one", [1], [Cohort(NET, (1,))])
    messages.report_training(Cohort(NET, (1,)), Result("trained"))
    messages.open("lab/two", [1])
    assert not messages.pending_runs
    assert messages.open_seeds == {"lab/one": {1}, "lab/two": {1}}
