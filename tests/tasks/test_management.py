"""Commands that clear, update and protect: known ones, all of them against a reference, and the vocabulary."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from memkit.tasks.binding import Execution, Levels, Rebinding, Retrieval, Sequencing, Vocabulary
from memkit.tasks.binding.management import Management, ManagementVocabulary
from memkit.tasks.binding.table import BindingTask, table_of
from memkit.tasks.binding.vocabulary import ACTIONS, END, KEYWORDS, VARIABLES
from memkit.training.streams import generator

TASK = Management()
SMALL = Management(variables=3, actions=4, updates=1, held_out=0.25)
BOUND = "X means jump Y means walk"
KNOWN = [
    (f"{BOUND} recall Y", "WALK", "update/kept"),
    (f"{BOUND} X means turn recall X", "TURN", "update/updated"),
    (f"{BOUND} X means turn recall Y", "WALK", "update/kept"),
    (f"{BOUND} clear X recall X", "", "clear/cleared"),
    (f"{BOUND} clear X recall Y", "WALK", "clear/other"),
    (f"{BOUND} clear X X means turn recall X", "TURN", "clear/bound again"),
    (f"{BOUND} clear X Y means turn recall X", "", "clear/cleared"),
    (f"{BOUND} clear X Y means turn recall Y", "TURN", "clear/other updated"),
    (f"{BOUND} protect X clear X recall X", "", "clear/protected"),
    (f"{BOUND} protect X clear Y recall X", "JUMP", "protect/kept"),
    (f"{BOUND} protect X clear Y recall Y", "", "clear/cleared"),
    (f"{BOUND} protect X recall X", "JUMP", "protect/kept"),
    (f"{BOUND} protect X X means turn recall X", "JUMP", "protect/protected"),
    (f"{BOUND} protect X X means turn recall Y", "WALK", "protect/other"),
    (f"{BOUND} protect X Y means turn recall Y", "TURN", "protect/other updated"),
    (f"{BOUND} protect X Y means turn X means look recall X", "JUMP", "protect/protected"),
    (f"{BOUND} protect X Y means turn X means look recall Y", "TURN", "protect/other updated"),
]


def reference(command: str) -> tuple[str, set[tuple[str, str]], tuple[str, str]]:
    """Return the answer, the stated combinations, and the one that the answer needs, or would need if not cleared."""
    words, position = command.split(), 0
    meaning: dict[str, str] = {}
    last: dict[str, str] = {}
    protected: set[str] = set()
    stated = set()
    while words[position] != "recall":
        if words[position] == "clear":
            meaning.pop(words[position + 1], None)
            position += 2
        elif words[position] == "protect":
            protected.add(words[position + 1])
            position += 2
        else:
            variable, action = words[position], words[position + 2]
            stated.add((variable, action))
            if variable not in protected:
                meaning[variable] = last[variable] = action
            position += 3
    asked = words[position + 1]
    return meaning.get(asked, "").upper(), stated, (asked, last[asked])


@pytest.mark.parametrize(("command", "answer", "pattern"), KNOWN)
def test_known_commands(command: str, answer: str, pattern: str) -> None:
    tokens = TASK.vocabulary.encode(command)
    padded = torch.tensor([0] * (TASK.sizes["length"] - len(tokens)) + tokens)
    table = table_of(TASK)
    (row,) = (table.inputs == padded).all(1).nonzero().flatten().tolist()
    assert TASK.vocabulary.decode_answer(table.targets[row].tolist()) == (answer or "END")
    assert table.patterns[row] == pattern
    assert reference(command)[0] == answer, "the reference is wrong"


def test_every_pattern_has_a_known_command() -> None:
    assert {pattern for _, _, pattern in KNOWN} == set(TASK.patterns)


@pytest.mark.parametrize("task", [TASK, SMALL], ids=["default", "small"])
def test_every_answer_equals_the_reference(task: Management) -> None:
    words, table = task.vocabulary, table_of(task)
    names = [(v, a) for v in VARIABLES[: task.variables] for a in ACTIONS[: task.actions]]
    for row, tokens in enumerate(table.inputs.tolist()):
        answer, stated, needed = reference(words.decode(tokens))
        assert words.decode_answer(table.targets[row].tolist()) == (answer or "END")
        for mask, pairs in ((table.stated[row], stated), (table.asked[row], {needed})):
            assert {names[i] for i in mask.nonzero().flatten().tolist()} == pairs


def test_counts_are_as_stated() -> None:
    assert len(table_of(TASK).inputs) == len(table_of(TASK).inputs.unique(dim=0)) == 23_760
    assert len(table_of(Management(updates=1)).inputs) == 9_360


def test_training_draws_the_three_groups_equally() -> None:
    table = table_of(TASK)
    for name in ("update", "clear", "protect"):
        assert float(table.weights[table.has_pattern(name)].sum()) == pytest.approx(1, abs=1e-3)


def test_ignoring_protection_or_applying_it_to_all_variables_is_right_at_half() -> None:
    """This is about commands that bind a variable again after one was protected."""
    commands = TASK.by_pattern(generator(0, "split"))
    assert len(commands["protect/protected"][0]) == len(commands["protect/other updated"][0])


def test_held_out_commands_ask_for_what_training_never_states() -> None:
    names = [(v, a) for v in VARIABLES[:3] for a in ACTIONS[:4]]
    trained = SMALL.trained_combinations(generator(3, "split")).flatten().tolist()
    known = {name for name, is_trained in zip(names, trained, strict=True) if is_trained}
    for subset in ("train", "held_out"):
        for tokens in SMALL.commands(generator(3, "split"), subset)[0].tolist():  # type: ignore[arg-type]
            _, stated, needed = reference(SMALL.vocabulary.decode(tokens))
            assert stated <= known if subset == "train" else needed not in known


def test_modifications_change_an_action_and_no_word_of_management() -> None:
    (before, _), (after, _) = SMALL.modifications(generator(0, "split"))
    words = SMALL.vocabulary.words
    changed = before != after
    assert changed.sum(1).unique().tolist() == [1]
    for side in (before, after):
        assert {words[token] for token in side[changed].unique().tolist()} <= set(ACTIONS)


def test_no_other_task_has_the_words() -> None:
    plain = Vocabulary(3, 5)
    assert plain.words == (*KEYWORDS, "X", "Y", "Z", "walk", "jump", "turn", "look", "run")
    managing = ManagementVocabulary(3, 5)
    assert managing.words == (*plain.words, "clear", "protect")
    assert managing.answers == plain.answers
    assert [managing.words[managing.managing(word)] for word in ("clear", "protect")] == ["clear", "protect"]
    others: list[BindingTask] = [Retrieval(), Execution(), Rebinding(), Sequencing(), Levels()]
    assert [task.sizes["tokens"] for task in others] == [21, 21, 21, 21, 19]
    assert TASK.sizes == {"tokens": 23, "answers": 9, "positions": 1, "length": 16}


def test_the_answer_for_a_cleared_variable_is_end() -> None:
    _, targets = TASK.commands(generator(0, "split"), pattern="clear/cleared")
    assert Counter(targets.flatten().tolist()).keys() == {END}


@pytest.mark.parametrize("options", [{"updates": 0}, {"updates": 3}, {"actions": 3, "updates": 2}])
def test_a_wrong_option_is_named(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="updates must be 1 or 2"):
        Management(**options)  # type: ignore[arg-type]
