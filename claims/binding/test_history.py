"""Earlier values of a variable: `X means jump X means walk recall X before`."""

from fixtures.binding.causality import ONE_REBINDING_SLOTS, VERSIONED_SLOTS
from memkit import Contrast, claim, replicated
from memkit.tasks.scoring import accuracy

PRESENT_ALONE = VERSIONED_SLOTS.with_(memory="overwriting")
VERSIONED_OVER_OVERWRITING = Contrast("versioned", over="overwriting", metric="past", bounds=(0, 1), sesoi=0.1)


@replicated("mlx")
@claim(
    "binding/versions-answer-about-the-past",
    "Asked for a variable's earlier value, slots that keep what a write replaces are right more often than slots that "
    "do not; the positions of writing and reading are given by a rule.",
    arms={"versioned": VERSIONED_SLOTS, "overwriting": PRESENT_ALONE},
    contrasts=[
        VERSIONED_OVER_OVERWRITING,
        Contrast("versioned", over=1 / 4, metric="past", bounds=(0, 1)),
    ],
    source="memory network findings: «no temporal versioning of bindings», without a number",
)
def test_versions_answer_about_the_past(arms, about_the_past):
    return {name: {"past": accuracy(model, about_the_past)} for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/versions-cost-nothing-in-the-present",
    "Asked for a variable's present value, slots that keep what a write replaces are right as often as slots that do "
    "not.",
    arms={"versioned": VERSIONED_SLOTS, "overwriting": PRESENT_ALONE},
    contrasts=[Contrast("versioned", over="overwriting", metric="present", bounds=(0, 1), sesoi=0.15)],
    positive_control=VERSIONED_OVER_OVERWRITING,
    expect="equivalent",
    source="memory network findings: «no temporal versioning of bindings», without a number",
)
def test_versions_cost_nothing_in_the_present(arms, about_the_past, about_the_present):
    return {
        name: {"past": accuracy(model, about_the_past), "present": accuracy(model, about_the_present)}
        for name, model in arms.items()
    }


@replicated("mlx")
@claim(
    "binding/overwriting-loses-the-past",
    "Overwritten values are lost: a network with overwriting slots that is free to learn where and when it writes and "
    "reads answers at most half of the questions about the past correctly.",
    arms={"overwriting": ONE_REBINDING_SLOTS},
    contrasts=[Contrast("overwriting", over=0.5, metric="accuracy", bounds=(0, 1), direction="lower")],
    expect="refuted",
    source="what one would expect. But with two variables and one rebinding, only one variable has a past, and a "
    "network that reads a slot just before it is overwritten need not know which variable is asked for: a shortcut of "
    "the task",
)
def test_overwriting_loses_the_past(arms, about_the_past):
    return {name: accuracy(model, about_the_past) for name, model in arms.items()}
