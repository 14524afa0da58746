"""The binding tasks: the form of their commands, their number, and the guarantees of the split."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.tasks.binding import (
    BindingTask,
    Execution,
    History,
    Levels,
    Nesting,
    Rebinding,
    Recognition,
    Retrieval,
    Sequencing,
    Vocabulary,
)
from memkit.tasks.binding.vocabulary import END, PAD
from memkit.training.streams import generator

TASKS = [
    Recognition(),
    Retrieval(),
    Retrieval(stored=2),
    Retrieval(variables=8, actions=12, stored=2, held_out=1 / 3),
    Execution(),
    Rebinding(),
    Rebinding(rebindings=3, held_out=0.2),
    Sequencing(),
    Sequencing(connectives=("and", "or"), segments=False, held_out=0.2),
    Nesting(),
    Nesting(depth=2, most=9, trained=4, held_out=0.2),
    History(),
    History(rebindings=2, stored=2, back=2, asked=("past",), held_out=0.2),
    Levels(),
    Levels(levels=(2, 4), held_out=0.25),
]


def command_and_answer(task: BindingTask, row: int) -> tuple[str, str]:
    inputs, targets = task.commands(generator(0, "split"))
    words = task.vocabulary
    return words.decode(inputs[row].tolist()), words.decode_answer(targets[row].tolist())


@pytest.mark.parametrize(
    ("task", "row", "command", "answer"),
    [
        (Recognition(), 0, "X means walk Y means jump what is X", "X"),
        (Recognition(), -1, "Z means run Y means look X means turn what is X", "X"),
        (Retrieval(), 1, "X is jump recall X", "JUMP"),
        (Retrieval(stored=2), 1, "X is walk Y is jump recall Y", "JUMP"),
        (Execution(), 3, "X means jump do X", "JUMP END END"),
        (Execution(), 4, "X means jump do X twice", "JUMP JUMP END"),
        (Execution(), 5, "X means jump do X thrice", "JUMP JUMP JUMP"),
        (Rebinding(), 0, "X means walk do X then X means jump do X", "WALK JUMP"),
    ],
)
def test_a_task_has_the_commands_of_its_docstring(task: BindingTask, row: int, command: str, answer: str) -> None:
    assert command_and_answer(task, row) == (command, answer)


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (Recognition(most=2), 240),
        (Recognition(), 240 + 1080),
        (Retrieval(), 15),
        (Retrieval(stored=2), 240),
        (Retrieval(variables=8, actions=12, stored=2), 14_784),
        (Execution(), 45),
        (Rebinding(), 60),
        (Rebinding(rebindings=2), 180),
        (Rebinding(rebindings=3), 360),
    ],
)
def test_the_whole_input_space_is_enumerated_once(task: BindingTask, count: int) -> None:
    inputs, targets = task.commands(generator(0, "split"))
    assert len(inputs) == len(targets) == count
    assert len(inputs.unique(dim=0)) == count


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_indices_stay_in_their_spaces_and_padding_is_on_the_left(task: BindingTask) -> None:
    inputs, targets = task.commands(generator(0, "split"))
    sizes = task.sizes
    assert inputs.shape[1] == sizes["length"]
    assert targets.shape[1] == sizes["positions"]
    assert inputs.max() < sizes["tokens"] == len(task.vocabulary.words)
    assert targets.max() < sizes["answers"] == len(task.vocabulary.answers)
    assert targets.min() >= END
    assert (targets[:, 0] != END).all(), "every command has an answer"
    assert (inputs[:, -1] != PAD).all()
    padding = (inputs == PAD).int()
    assert (padding[:, 1:] <= padding[:, :-1]).all(), "there is a word before the padding"


def test_no_action_shares_an_index_with_padding_or_the_end() -> None:
    for variables in range(2, 9):
        for actions in range(2, 13):
            words = Vocabulary(variables, actions)
            tokens = {words.action(index) for index in range(actions)}
            assert PAD not in tokens
            assert not tokens & {words.variable(index) for index in range(variables)}
            answers = [words.action_answer(i) for i in range(actions)] + [
                words.variable_answer(i) for i in range(variables)
            ]
            assert sorted([END, *answers]) == list(range(len(words.answers)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    variables=st.integers(3, 8),
    actions=st.integers(3, 12),
    share=st.floats(0, 1 / 3),
    stored=st.integers(1, 2),
)
def test_held_out_combinations_are_never_trained_on(
    seed: int, variables: int, actions: int, share: float, stored: int
) -> None:
    share = min(share, ((variables - 1) * (actions - 1) - 1) / (variables * actions))
    task = Retrieval(variables=variables, actions=actions, held_out=share, stored=stored)
    words = task.vocabulary
    trained = task.trained_combinations(generator(seed, "split"))
    assert (~trained).sum() == round(share * variables * actions)
    assert trained.any(0).all()
    assert trained.any(1).all()

    def stated(inputs: torch.Tensor) -> set[tuple[int, int]]:
        first_variable, first_action = words.variable(0), words.action(0)
        positions = range(0, 3 * stored, 3)
        return {(int(r[p]) - first_variable, int(r[p + 2]) - first_action) for r in inputs for p in positions}

    train, _ = task.commands(generator(seed, "split"), "train")
    assert all(trained[pair] for pair in stated(train))
    inputs, _ = task.for_seed(generator(seed, "split"))(generator(seed, "data"), 64)
    known = {tuple(row) for row in train.tolist()}
    assert all(tuple(row) in known for row in inputs.tolist())
    if (~trained).any():
        held_out, targets = task.commands(generator(seed, "split"), "held_out")
        for row, target in zip(held_out.tolist(), targets.tolist(), strict=True):
            asked = row[-1] - words.variable(0), target[0] - words.action_answer(0)
            assert not trained[asked]


def test_the_split_and_the_batch_each_depend_on_their_own_generator() -> None:
    task = Retrieval(held_out=0.3)
    same = [task.trained_combinations(generator(3, "split")) for _ in range(2)]
    assert torch.equal(*same)
    assert any(not torch.equal(same[0], task.trained_combinations(generator(seed, "split"))) for seed in range(4, 8))
    sampler = task.for_seed(generator(3, "split"))
    first, again, other = (sampler(generator(seed, "data"), 32)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_draws_modifiers_in_their_share() -> None:
    sampler = Execution(modified=0.3).for_seed(generator(0, "split"))
    _, targets = sampler(generator(0, "data"), 40_000)
    shares = [float((targets[:, 1:] != END).sum(1).eq(extra).double().mean()) for extra in (0, 1, 2)]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.01)


def test_modifications_are_all_pairs_that_differ_in_one_binding() -> None:
    task = Execution()
    (before, answers_before), (after, answers_after) = task.modifications(generator(0, "split"))
    # 3 variables × 3 modifiers × 10 pairs of actions.
    assert len(before) == 90
    assert ((before != after).sum(1) == 1).all()
    assert (answers_before[:, 0] != answers_after[:, 0]).all()
    assert len(torch.cat([before, after], 1).unique(dim=0)) == 90


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_task_can_be_recreated_from_its_fields_as_json(task: BindingTask) -> None:
    fields = json.loads(json.dumps(dataclasses.asdict(task)))
    assert type(task)(**fields) == task


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retrieval(variables=1), "variables must be between 2 and 8"),
        (lambda: Retrieval(actions=13), "actions must be between 2 and 12"),
        (lambda: Retrieval(held_out=1.0), "held_out must be a share"),
        (lambda: Retrieval(held_out=0.9), "held_out must leave every variable"),
        (lambda: Retrieval(stored=4), "stored must be between 1"),
        (lambda: Recognition(most=4), "most must be 2 or 3"),
        (lambda: Execution(modified=0.0), "modified must be a share"),
        (lambda: Rebinding(rebindings=4), "rebindings must be 1 to 3"),
        (
            lambda: Retrieval().commands(generator(0), "test"),
            "subset must be one of train, held_out, beyond, held_out_beyond, all",
        ),  # type: ignore[arg-type]
        (lambda: Retrieval().commands(generator(0), "held_out"), "no command is in subset 'held_out'"),
        (lambda: Retrieval(variables=8, actions=12, stored=3).sizes, "more than 200000 commands"),
        (lambda: Vocabulary().encode("X is sleep"), "not in the vocabulary: sleep"),
    ],
)
def test_a_wrong_value_is_named(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


def test_encoding_and_decoding_are_inverse() -> None:
    words = Vocabulary(8, 12)
    command = "X means jump do X then T means fly do T thrice"
    assert words.decode(words.encode(command)) == command
