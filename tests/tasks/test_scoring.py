"""Scores of networks whose answers are known beforehand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit.tasks import scoring
from memkit.tasks.binding import Execution
from memkit.training.streams import generator


class Oracle(nn.Module):
    """A model that looks up the right answers, except at the position ``wrong``, where it answers END."""

    def __init__(self, task: Execution, wrong: int | None = None) -> None:
        super().__init__()
        inputs, targets = task.commands(generator(0, "split"))
        self.right = {tuple(row): target for row, target in zip(inputs.tolist(), targets, strict=True)}
        self.size, self.wrong = task.sizes["answers"], wrong

    def forward(self, tokens: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        answers = torch.stack([self.right[tuple(row)] for row in tokens[0].tolist()]).clone()
        if self.wrong is not None:
            answers[:, self.wrong] = 0
        return nn.functional.one_hot(answers, self.size).unsqueeze(0).float()


def test_an_oracle_scores_one_and_mode_is_restored() -> None:
    task = Execution()
    model = Oracle(task)
    commands = task.commands(generator(0, "split"))
    assert scoring.accuracy(model, commands) == 1.0
    assert scoring.pair_accuracy(model, task.modifications(generator(0, "split"))) == 1.0
    assert model.training


def test_a_command_is_right_only_if_all_positions_are() -> None:
    task = Execution()
    model = Oracle(task, wrong=2)  # wrong for commands with thrice, and right for all others, whose answer is END there
    commands = task.commands(generator(0, "split"))
    assert scoring.accuracy(model, commands) == pytest.approx(2 / 3)
    assert scoring.position_accuracy(model, commands, 1) == 1.0
    assert scoring.position_accuracy(model, commands, 2) == pytest.approx(2 / 3)
    assert scoring.pair_accuracy(model, task.modifications(generator(0, "split"))) == pytest.approx(2 / 3)


def test_exact_match_ignores_what_is_marked_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.eye(3)[torch.tensor([[[0, 1], [2, 1]]])]  # one seed, two commands
    targets = torch.tensor([[[0, 2], [2, -100]]])
    assert scoring.exact_match(logits, targets).tolist() == [[False, True]]


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Execution()
    inputs, _ = task.commands(generator(0, "split"))
    expected = scoring.answers(Oracle(task), inputs)
    monkeypatch.setattr(scoring, "CHUNK", 7)
    assert torch.equal(scoring.answers(Oracle(task), inputs), expected)
