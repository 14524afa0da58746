"""The commands of every binding task: against answers written by hand, against an interpreter, and their number."""

from __future__ import annotations

from collections import Counter

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
)
from memkit.tasks.binding.table import table_of
from memkit.tasks.binding.vocabulary import END, PAD
from memkit.training.streams import generator
from tests.tasks.interpreter import interpret

BOUND = "X means jump Y means walk"
KNOWN = [
    (Recognition(), "X means jump Y means walk what is Y", "Y", ""),
    (Retrieval(stored=2), "X is jump Y is walk recall X", "JUMP", ""),
    (Execution(), "Y means turn do Y", "TURN", "once"),
    (Execution(), "Y means turn do Y twice", "TURN TURN", "twice"),
    (Execution(), "Z means look do Z thrice", "LOOK LOOK LOOK", "thrice"),
    (Rebinding(), "X means jump do X then X means walk do X", "JUMP WALK", ""),
    (Sequencing(), f"{BOUND} do X then Y", "JUMP WALK", "then/in order"),
    (Sequencing(), f"{BOUND} do Y then X", "WALK JUMP", "then/reversed"),
    (Sequencing(), f"{BOUND} do X and Y", "JUMP WALK", "and/in order"),
    (Sequencing(), f"{BOUND} do Y and X", "WALK JUMP", "and/reversed"),
    (Sequencing(), f"{BOUND} do X or Y", "JUMP", "or/in order"),
    (Sequencing(), f"{BOUND} do Y or X", "WALK", "or/reversed"),
    (Sequencing(), "Z means run do Z then X means look do X", "RUN LOOK", "segments"),
    (Nesting(), "X means jump do X", "JUMP", "1/once"),
    (Nesting(), "X means jump do X twice", "JUMP JUMP", "2/twice"),
    (Nesting(), "X means jump do X thrice", "JUMP JUMP JUMP", "3/thrice"),
    (Nesting(), "X means jump do X twice twice", "JUMP JUMP JUMP JUMP", "4/twice twice"),
    (Nesting(), "Y means turn do Y thrice twice", "TURN TURN TURN TURN TURN TURN", "6/thrice twice"),
    (Nesting(), "Y means turn do Y twice thrice", "TURN TURN TURN TURN TURN TURN", "6/twice thrice"),
    (Nesting(), "X means run do X twice twice twice", "RUN RUN RUN RUN RUN RUN RUN RUN", "8/twice twice twice"),
    (History(), "X means jump X means walk recall X", "WALK", "present"),
    (History(), "X means jump X means walk recall X before", "JUMP", "past/1"),
    (History(rebindings=2), "X means jump X means walk X means run recall X before", "WALK", "past/1"),
    (History(rebindings=2, back=2), "X means jump X means walk X means run recall X before before", "JUMP", "past/2"),
    (
        History(rebindings=3, back=3),
        "Z means jump Z means walk Z means run Z means look recall Z before before before",
        "JUMP",
        "past/3",
    ),
    (History(stored=2), "X means jump Y means turn X means walk recall X", "WALK", "present"),
    (History(stored=2), "X means jump Y means turn X means walk recall X before", "JUMP", "past/1"),
    (History(stored=2), "X means jump Y means turn X means walk recall Y", "TURN", "present"),
    (History(stored=2), "X means jump X means walk Y means turn recall X before", "JUMP", "past/1"),
    (
        History(stored=2, rebindings=2),
        "X means jump Y means turn Y means run X means walk recall Y before",
        "TURN",
        "past/1",
    ),
    (Levels(), "Y means walk do Y", "WALK", "L1/single"),
    (Levels(), f"{BOUND} do X and Y", "JUMP WALK", "L2/and"),
    (Levels(), f"{BOUND} do X then Y", "JUMP WALK", "L2/then"),
    (Levels(), f"{BOUND} do Y then X", "WALK JUMP", "L2/then reversed"),
    (Levels(), "X means jump do X then X means walk do X", "JUMP WALK", "L3/rebinding"),
    (Levels(), "X means jump do X twice", "JUMP JUMP", "L3/twice"),
    (Levels(), "X means jump do X twice then Y means walk do Y", "JUMP JUMP WALK", "L3/twice then"),
    (
        Levels(),
        "X means jump do X then Y means walk do Y then X means turn do X",
        "JUMP WALK TURN",
        "L3/rebinding across",
    ),
    (Levels(), "X means jump do X then Y means walk do Y and X", "JUMP WALK JUMP", "L4/back"),
    (Levels(), f"{BOUND} do X and Y then X", "JUMP WALK JUMP", "L4/and then"),
    (Levels(), f"{BOUND} do X or Y", "JUMP", "L4/or"),
    (
        Levels(),
        "X means jump do X then Y means walk do Y then do X and Y",
        "JUMP WALK JUMP WALK",
        "L4/segments",
    ),
]


def find(task: BindingTask, command: str) -> int:
    """Return the row of a command, which must occur exactly once in the table."""
    tokens = task.vocabulary.encode(command)
    table = table_of(task)
    padded = torch.tensor([PAD] * (table.inputs.shape[1] - len(tokens)) + tokens)
    (row,) = (table.inputs == padded).all(1).nonzero().flatten().tolist()
    return int(row)


def answer_of(task: BindingTask, row: int) -> list[str]:
    """Return the words of the answer, which only END may follow."""
    words = task.vocabulary.decode_answer(table_of(task).targets[row].tolist()).split()
    length = words.index("END") if "END" in words else len(words)
    assert set(words[length:]) <= {"END"}
    return words[:length]


@pytest.mark.parametrize(("task", "command", "answer", "pattern"), KNOWN)
def test_known_commands(task: BindingTask, command: str, answer: str, pattern: str) -> None:
    row = find(task, command)
    assert task.vocabulary.decode(table_of(task).inputs[row].tolist()) == command
    assert answer_of(task, row) == answer.split()
    assert table_of(task).patterns[row] == pattern
    assert interpret(command)[0] == answer.split(), "the interpreter is wrong"


def test_every_pattern_has_a_known_command() -> None:
    known = {(type(task), pattern) for task, _, _, pattern in KNOWN}
    for task in (Execution(), Sequencing(), Nesting(), History(rebindings=3, back=3), Levels()):
        assert {(type(task), pattern) for pattern in task.patterns} <= known


@pytest.mark.parametrize(
    ("task", "counts"),
    [
        (Recognition(), {"": 1320}),
        (Execution(), {"once": 15, "twice": 15, "thrice": 15}),
        (Sequencing(), {"then": 240, "and": 240, "or": 240, "segments": 120}),
        (Sequencing(connectives=("or",), segments=False), {"or": 240}),
        (Sequencing(connectives=()), {"segments": 120}),
        (Sequencing(variables=2, actions=4), {"then": 48, "and": 48, "or": 48, "segments": 24}),
        (Nesting(), {"1": 15, "2": 15, "3": 15, "4": 15, "6": 30, "8": 15}),
        (Nesting(depth=1), {"1": 15, "2": 15, "3": 15}),
        (
            Nesting(most=27),
            {"1": 15, "2": 15, "3": 15, "4": 15, "6": 30, "8": 15, "9": 15, "12": 45, "18": 45, "27": 15},
        ),
        (History(), {"present": 60, "past": 60}),
        (History(rebindings=2), {"present": 180, "past": 180}),
        (History(rebindings=3), {"present": 360, "past": 360}),
        (History(rebindings=3, back=3), {"present": 360, "past": 1080}),
        (History(rebindings=3, asked=("past",)), {"past": 360}),
        (History(stored=2), {"present": 2160, "past": 1080}),
        (History(stored=2, rebindings=2), {"present": 10_080, "past": 7_200}),
        (History(stored=2, rebindings=3), {"present": 21_600, "past": 18_000}),
        (Levels(), {"L1": 8, "L2": 72, "L3": 104, "L4": 96}),
        (Levels(levels=(3,)), {"L3": 104}),
    ],
    ids=repr,
)
def test_the_whole_input_space_is_counted_by_group(task: BindingTask, counts: dict[str, int]) -> None:
    found = task.by_pattern(generator(0, "split"), grouped=True)
    assert {name: len(inputs) for name, (inputs, _) in found.items()} == counts
    inputs, _ = task.commands(generator(0, "split"))
    assert len(inputs.unique(dim=0)) == len(inputs) == sum(counts.values())


def test_the_levels_patterns_are_counted() -> None:
    assert Counter(table_of(Levels()).patterns) == {
        "L1/single": 8,
        "L2/and": 24,
        "L2/then": 24,
        "L2/then reversed": 24,
        "L3/rebinding": 24,
        "L3/twice": 8,
        "L3/twice then": 24,
        "L3/rebinding across": 48,
        "L4/back": 24,
        "L4/and then": 24,
        "L4/or": 24,
        "L4/segments": 24,
    }


KINDS: list[type[BindingTask]] = [
    Recognition, Retrieval, Execution, Rebinding, Sequencing, Nesting, History, Levels,
]  # fmt: skip


@st.composite
def tasks(draw: st.DrawFn) -> BindingTask:
    """Draw a small task of any kind, with or without held-out combinations."""
    variables, actions = draw(st.integers(2, 4)), draw(st.integers(4, 5))
    most = (variables - 1) * (actions - 1) - 1
    held_out = draw(st.integers(0, most)) / (variables * actions)
    sizes = {"variables": variables, "actions": actions, "held_out": held_out}
    kind = draw(st.sampled_from(KINDS))
    options: dict[type[BindingTask], dict[str, st.SearchStrategy[object]]] = {
        Recognition: {"most": st.integers(2, min(3, variables))},
        Retrieval: {"stored": st.integers(1, 2)},
        Rebinding: {"rebindings": st.integers(1, 3)},
        Sequencing: {"connectives": st.permutations(["then", "and", "or"]), "segments": st.booleans()},
        Nesting: {
            "depth": st.integers(1, 3),
            "most": st.integers(4, 27),
            "trained": st.none() | st.integers(1, 4),
        },
        History: {
            "rebindings": st.just(2),
            "stored": st.integers(1, 2),
            "back": st.integers(1, 2),
            "asked": st.sampled_from([("present",), ("past",), ("present", "past")]),
        },
        Levels: {"levels": st.lists(st.integers(1, 4), min_size=1, unique=True)},
    }
    chosen = {name: draw(values) for name, values in options.get(kind, {}).items()}
    return kind(**sizes, **chosen)


@settings(max_examples=60, deadline=None)
@given(task=tasks(), seed=st.integers(0, 2**31))
def test_answers_equal_the_interpreters_and_subsets_are_as_defined(task: BindingTask, seed: int) -> None:
    words, table = task.vocabulary, table_of(task)
    if len(table.inputs) > 4000:
        checked = torch.randperm(len(table.inputs), generator=generator(seed))[:1000].tolist()
    else:
        checked = list(range(len(table.inputs)))
    held_out = (~task.trained_combinations(generator(seed, "split"))).nonzero().tolist()
    missing = {(words.words[words.variable(v)], words.words[words.action(a)]) for v, a in held_out}
    within: dict[str, set[int]] = {}
    for subset in ("train", "held_out", "beyond", "held_out_beyond"):
        try:
            within[subset] = set(task._subset(generator(seed, "split"), subset).tolist())
        except ValueError:
            within[subset] = set()
    assert sum(map(len, within.values())) == len(set().union(*within.values())), "subsets overlap"
    for row in checked:
        command = words.decode(table.inputs[row].tolist())
        answer, stated, asked = interpret(command)
        assert answer_of(task, row) == answer, command
        new, beyond = bool(asked & missing), bool(table.beyond[row])
        assert (row in within["train"]) == (not stated & missing and not beyond), command
        assert (row in within["held_out"]) == (new and not beyond), command
        assert (row in within["beyond"]) == (not stated & missing and beyond), command
        assert (row in within["held_out_beyond"]) == (new and beyond), command
        assert beyond == (isinstance(task, Nesting) and task.trained is not None and len(answer) > task.trained)


@pytest.mark.parametrize(
    "task", [task for task in dict.fromkeys(case[0] for case in KNOWN) if len(table_of(task).inputs) <= 3500], ids=repr
)
def test_every_answer_equals_the_interpreters(task: BindingTask) -> None:
    words, table = task.vocabulary, table_of(task)
    for row, (inputs, targets) in enumerate(zip(table.inputs.tolist(), table.targets.tolist(), strict=True)):
        answer, stated, asked = interpret(words.decode(inputs))
        assert answer_of(task, row) == answer
        assert all(target > END for target in targets[: len(answer)])
        for pairs, mask in ((stated, table.stated), (asked, table.asked)):
            indices = mask[row].reshape(task.variables, task.actions).nonzero().tolist()
            assert {(words.words[words.variable(v)], words.words[words.action(a)]) for v, a in indices} == pairs


def test_counts_larger_than_trained_are_in_the_subset_beyond() -> None:
    task = Nesting(trained=4, held_out=0.2)
    by_count = {
        subset: set(task.by_pattern(generator(1, "split"), subset, grouped=True))
        for subset in ("train", "held_out", "beyond", "held_out_beyond")
    }
    assert by_count["train"] == by_count["held_out"] == {"1", "2", "3", "4"}
    assert by_count["beyond"] == by_count["held_out_beyond"] == {"6", "8"}
    sizes = {subset: len(task.commands(generator(1, "split"), subset)[0]) for subset in by_count}
    # 12 combinations are trained on and 3 are not; 4 patterns are short and 3 long.
    assert sizes == {"train": 48, "held_out": 12, "beyond": 36, "held_out_beyond": 9}
    _, targets = task.for_seed(generator(1, "split"))(generator(1, "data"), 500)
    assert (targets[:, 4:] == END).all()
    assert task.sizes["positions"] == 8


def test_commands_of_one_pattern_or_group() -> None:
    task = History(rebindings=2, back=2, held_out=0.2)
    split = generator(5, "split").get_state()

    def rows(subset: str, pattern: str | None = None) -> set[tuple[int, ...]]:
        drawn = torch.Generator()
        drawn.set_state(split)
        return {tuple(row) for row in task.commands(drawn, subset, pattern=pattern)[0].tolist()}  # type: ignore[arg-type]

    assert task.patterns == ("present", "past/1", "past/2")
    for subset in ("all", "train", "held_out"):
        present, past = rows(subset, "present"), rows(subset, "past")
        assert present | past == rows(subset)
        assert not present & past
        assert past == rows(subset, "past/1") | rows(subset, "past/2")
    drawn = generator(5, "split")
    assert set(task.by_pattern(drawn)) == {"present", "past/1", "past/2"}
    assert Retrieval().patterns == ()


def test_training_draws_levels_and_their_patterns_equally() -> None:
    task = Levels()
    names = dict(zip(map(tuple, table_of(task).inputs.tolist()), table_of(task).patterns, strict=True))
    inputs, _ = task.for_seed(generator(0, "split"))(generator(0, "data"), 24_000)
    drawn = Counter(names[tuple(row)] for row in inputs.tolist())
    for name, count in drawn.items():
        patterns = sum(other[:2] == name[:2] for other in task.patterns)
        assert count / 24_000 == pytest.approx(1 / (4 * patterns), abs=0.01), name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequencing(connectives=("then", "xor")), "connectives must be some of then, and, or"),
        (lambda: Sequencing(connectives=("or", "or")), "connectives must be some of then, and, or, each once"),
        (lambda: Sequencing(connectives=(), segments=False), "connectives must not be empty if segments is False"),
        (lambda: Nesting(depth=0), "depth must be 1 to 4, not 0"),
        (lambda: Nesting(most=1), "most must be 2 or more"),
        (lambda: Nesting(trained=9), "trained must be between 1 and most=8, or None"),
        (lambda: History(rebindings=4), "rebindings must be 1 to 3"),
        (lambda: History(stored=4, rebindings=1), "stored must be between 1 and the number of variables"),
        (lambda: History(actions=4, stored=2, rebindings=3), "no more than the 4 actions"),
        (lambda: History(back=2), "back must be between 1 and rebindings=1"),
        (lambda: History(asked=()), "asked must be present or past or both"),
        (lambda: Levels(levels=(5,)), "levels must be some of 1, 2, 3, 4"),
        (lambda: Levels(actions=2), "actions must be 3 or more for level 3"),
        (
            lambda: Levels().commands(generator(0), pattern="L5"),
            "no command has pattern 'L5'; the patterns are: L1/single",
        ),
        (
            lambda: Retrieval().commands(generator(0), pattern="past"),
            "no command has pattern 'past'; the patterns are: none",
        ),
        (lambda: Nesting(trained=4).commands(generator(0), "train", pattern="8"), "'8' is in subset 'train'"),
        (lambda: Nesting().commands(generator(0), "beyond"), "no command is in subset 'beyond'"),
    ],
)
def test_a_wrong_option_is_named(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()
