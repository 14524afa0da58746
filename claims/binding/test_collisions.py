"""Collisions, two variables in one slot: their cost, remedies, and how many variables a slot can hold."""

from fixtures.binding.causality import (
    BALANCED_SLOTS,
    BLUNT_SLOTS,
    FEW_LEARNT_SLOTS,
    FEW_SLOTS,
    SHARP_SLOTS,
    addressed_apart,
    addressed_together,
    share_apart,
)
from fixtures.binding.figures import address_of_each_variable
from fixtures.binding.recipes import FACTORISED_SLOTS
from memkit import Arm, Contrast, claim, replicated
from memkit.tasks.scoring import accuracy

APART = "share of commands whose variables have different slots"


@replicated("mlx")
@claim(
    "binding/collisions-cost-answers",
    "On the same weights, two variables that share one address are recalled less often than two variables whose "
    "addresses are far apart.",
    arms={
        "apart": Arm(FACTORISED_SLOTS, addressed_apart),
        "together": Arm(FACTORISED_SLOTS, addressed_together),
    },
    contrasts=[Contrast("apart", over="together", metric="accuracy", bounds=(0, 1), sesoi=0.1)],
    source="the diary's dynamic model, rerun with two variables: 83, 50 and 83 %, depending on whether the variables "
    "shared a slot. Other differences between seeds may cause that; here only the addresses differ",
)
def test_collisions_cost_answers(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/sharper-addresses-avoid-collisions",
    "Networks whose addresses are sharp from the start of training give two variables different slots more often than "
    "networks with blunt addresses, and recall more values.",
    arms={"sharp": SHARP_SLOTS, "blunt": BLUNT_SLOTS},
    contrasts=[
        Contrast("sharp", over="blunt", metric=metric, bounds=(0, 1), sesoi=0.1) for metric in ("accuracy", APART)
    ],
    expect="refuted",
    figures=[address_of_each_variable],
    source="an obvious remedy for collisions. But sharp addresses keep the slots that their random initial values "
    "chose",
)
def test_sharper_addresses_avoid_collisions(arms, held_out):
    return {
        name: {"accuracy": accuracy(model, held_out), APART: share_apart(model, held_out)}
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/balance-avoids-collisions",
    "A network with sharp addresses gives two variables different slots more often, and recalls more values, if it is "
    "penalised for reading its slots unevenly.",
    arms={"balanced": BALANCED_SLOTS, "unbalanced": SHARP_SLOTS},
    contrasts=[
        Contrast("balanced", over="unbalanced", metric=metric, bounds=(0, 1), sesoi=0.1)
        for metric in ("accuracy", APART)
    ],
    source="a penalty from the training of mixtures of experts, instead of the orthogonality that was asked for",
    figures=[address_of_each_variable],
)
def test_balance_avoids_collisions(arms, held_out):
    return {
        name: {"accuracy": accuracy(model, held_out), APART: share_apart(model, held_out)}
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/capacity-of-slots",
    "If a rule says where to write, K slots hold K of four variables: accuracy is min(1, K/4).",
    arms={f"{count} slots": recipe for count, recipe in FEW_SLOTS.items()},
    contrasts=[
        Contrast(f"{count} slots", over=count / 4, metric="accuracy", bounds=(0, 1), sesoi=0.15) for count in (1, 2, 3)
    ],
    positive_control=Contrast("4 slots", over="3 slots", metric="accuracy", bounds=(0, 1)),
    expect="open",
    source="a law for slots that hold one value each",
)
def test_capacity_of_slots(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/learnt-addresses-exceed-the-slots",
    "If addresses, gates and reading times are learnt and soft, one slot answers for more than one of four variables, "
    "and three slots for more than three.",
    arms={f"{count} slots": FEW_LEARNT_SLOTS[count] for count in (1, 3)},
    contrasts=[Contrast(f"{count} slots", over=count / 4, metric="accuracy", bounds=(0, 1)) for count in (1, 3)],
    source="contradicts the law min(1, slots / variables)",
)
def test_learnt_addresses_exceed_the_slots(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}
