"""Memory management: `X means jump Y means walk protect X X means turn recall X`."""

from fixtures.binding.management import (
    ADDITIVE,
    AFTER_PROTECTING,
    LSTM,
    MANAGED,
    OVERWRITING,
    PROTECTED,
    TRANSFORMER,
    of,
    others,
    with_the_update,
)
from memkit import Arm, Contrast, claim, replicated
from memkit.models.managed_slots import uncleared, unprotected
from memkit.tasks.scoring import accuracy

DIARY = "research diary, next steps: «explicit memory management (clear, update, protect)», which it never reached"
LATER = "share answered with the later value"
BOUND_AGAIN = ("update/updated", "clear/bound again")
PROTECTION_PROTECTS = Contrast("managed", over="unprotected", metric="protected", bounds=(0, 1), sesoi=0.1)


@replicated("mlx")
@claim(
    "binding/protected-values-need-a-memory-that-protects",
    "One of two variables is protected, and then one of them is bound again. In unseen combinations, slots that can "
    "be protected are right more often than overwriting slots, an LSTM and a Transformer of their size and budget.",
    arms={"managed": MANAGED, "overwriting": OVERWRITING, "lstm": LSTM, "transformer": TRANSFORMER},
    contrasts=[
        Contrast("managed", over=control, metric="after protecting", bounds=(0, 1), sesoi=0.1)
        for control in ("overwriting", "lstm", "transformer")
    ],
    source=DIARY,
)
def test_protected_values_need_a_memory_that_protects(arms, unseen):
    return {name: {"after protecting": accuracy(model, of(unseen, *AFTER_PROTECTING))} for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/protection-keeps-updates-out",
    "If protection is switched off in a trained network, a protected variable that is bound again yields its later "
    "value, and no longer the protected one.",
    arms={"managed": MANAGED, "unprotected": Arm(MANAGED, unprotected)},
    contrasts=[PROTECTION_PROTECTS, Contrast("unprotected", over="managed", metric=LATER, bounds=(0, 1), sesoi=0.1)],
    source=DIARY,
)
def test_protection_keeps_updates_out(arms, task, unseen):
    protected = of(unseen, PROTECTED)
    return {
        name: {"protected": accuracy(model, protected), LATER: accuracy(model, with_the_update(task, protected))}
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/protection-costs-nothing-else",
    "Switching protection off in a trained network costs accuracy on commands that bind a protected variable again, "
    "and next to none on the others (sesoi: 0.15).",
    arms={"managed": MANAGED, "unprotected": Arm(MANAGED, unprotected)},
    contrasts=[Contrast("managed", over="unprotected", metric="others", bounds=(0, 1), sesoi=0.15)],
    positive_control=PROTECTION_PROTECTS,
    expect="equivalent",
    source=DIARY,
)
def test_protection_costs_nothing_else(arms, unseen):
    return {
        name: {
            "protected": accuracy(model, of(unseen, PROTECTED)),
            "others": accuracy(model, others(unseen, PROTECTED)),
        }
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/clearing-is-a-write",
    "Clearing needs nothing but overwriting: overwriting slots answer commands that clear a variable as well as slots "
    "with a gate for clearing, which answer them just as well with that gate switched off (sesoi: 0.15).",
    arms={"managed": MANAGED, "gate off": Arm(MANAGED, uncleared), "overwriting": OVERWRITING},
    contrasts=[
        Contrast("managed", over=control, metric="clear", bounds=(0, 1), sesoi=0.15)
        for control in ("gate off", "overwriting")
    ],
    positive_control=Contrast("overwriting", over=0.5, metric="clear", bounds=(0, 1)),
    expect="equivalent",
    source=f"{DIARY}. In unseen combinations; the correct answer to a third of these commands is empty",
)
def test_clearing_is_a_write(arms, unseen):
    return {name: {"clear": accuracy(model, of(unseen, "clear"))} for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/binding-again-needs-overwriting",
    "In unseen combinations, the new value of a variable that was cleared and bound again is recalled more often by "
    "slots that are overwritten than by slots that add up what is written.",
    arms={"overwriting": OVERWRITING, "additive": ADDITIVE},
    contrasts=[Contrast("overwriting", over="additive", metric="clear/bound again", bounds=(0, 1), sesoi=0.1)],
    source=DIARY,
)
def test_binding_again_needs_overwriting(arms, unseen):
    return {
        name: {pattern: accuracy(model, of(unseen, pattern)) for pattern in BOUND_AGAIN} for name, model in arms.items()
    }
