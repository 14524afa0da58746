"""Causal tests within one model: how its answers change when its memory is edited."""

from fixtures.binding.causality import (
    other_emptied,
    own_emptied,
    share_apart,
    shuffled,
    swapped,
    unread_swapped,
)
from fixtures.binding.mutants import without_edit
from fixtures.binding.recipes import FACTORISED_SLOTS
from memkit import Arm, Contrast, claim, mutant, replicated
from memkit.tasks.scoring import accuracy

NEW = "not in the sources, which reported accuracies only"
APART = "share of commands whose variables have different slots"
OTHER = "share answered with the other variable's value"


@mutant("swap undone", arm="swapped", by=without_edit, sesoi=0.5)
@replicated("mlx")
@claim(
    "binding/the-answer-follows-the-slot",
    "If the slots of a command's two variables exchange their contents, the network answers with the other variable's "
    "value; if two slots that neither variable uses exchange theirs, it does not, and its answer stays right.",
    arms={
        "as trained": FACTORISED_SLOTS,
        "swapped": Arm(FACTORISED_SLOTS, swapped),
        "others swapped": Arm(FACTORISED_SLOTS, unread_swapped),
    },
    contrasts=[
        Contrast("swapped", over="others swapped", metric=OTHER, bounds=(0, 1), sesoi=0.1),
        Contrast("others swapped", over="swapped", metric="accuracy", bounds=(0, 1), sesoi=0.1),
    ],
    requires=[Contrast("as trained", over=0.5, metric=APART, bounds=(0, 1))],
    source=f"{NEW}. Scored on commands whose variables have different slots; in the others there is nothing to swap",
    headline=True,
)
def test_the_answer_follows_the_slot(arms, every_command, apart, apart_other):
    return {
        name: {
            OTHER: accuracy(model, apart_other),
            "accuracy": accuracy(model, apart),
            APART: share_apart(arms["as trained"], every_command),
        }
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/a-value-lies-in-its-variables-slot",
    "Emptying the slot of the variable that is asked for loses the answer; emptying the other variable's slot does "
    "not.",
    arms={
        "as trained": FACTORISED_SLOTS,
        "other emptied": Arm(FACTORISED_SLOTS, other_emptied),
        "own emptied": Arm(FACTORISED_SLOTS, own_emptied),
    },
    contrasts=[Contrast("other emptied", over="own emptied", metric="accuracy", bounds=(0, 1), sesoi=0.1)],
    source=NEW,
)
def test_a_value_lies_in_its_variables_slot(arms, apart):
    return {name: accuracy(model, apart) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/an-emptied-slot-answers-with-the-other-value",
    "A soft address reads a little of every slot: if the slot of the variable that is asked for is empty, the network "
    "answers with the other stored value more often than by chance.",
    arms={"as trained": FACTORISED_SLOTS, "own emptied": Arm(FACTORISED_SLOTS, own_emptied)},
    contrasts=[Contrast("own emptied", over=1 / 8, metric=OTHER, bounds=(0, 1))],
    source=f"{NEW}. An emptied slot therefore does not make a network say that it does not know",
)
def test_an_emptied_slot_answers_with_the_other_value(arms, apart_other):
    return {name: accuracy(model, apart_other) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/shuffled-memories-answer-by-chance",
    "A network that reads the memory of another command answers at chance level, one command in eight (sesoi: another "
    "eighth).",
    arms={"as trained": FACTORISED_SLOTS, "shuffled": Arm(FACTORISED_SLOTS, shuffled)},
    contrasts=[Contrast("shuffled", over=1 / 8, metric="accuracy", bounds=(0, 1), sesoi=1 / 8)],
    positive_control=Contrast("as trained", over=1 / 8, metric="accuracy", bounds=(0, 1)),
    expect="equivalent",
    source=f"{NEW}. The action that is asked for does not depend on the command whose memory is read",
)
def test_shuffled_memories_answer_by_chance(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}
