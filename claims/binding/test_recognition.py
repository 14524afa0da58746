"""Recognition: `X means jump Y means walk what is X` asks for X."""

from fixtures.binding.recipes import RECOGNITION_SLOTS
from memkit import Contrast, claim, replicated
from memkit.tasks.scoring import accuracy


@replicated("mlx")
@claim(
    "binding/recognition",
    "Networks recognise which variable is asked for, with and without a memory that is written at run time.",
    arms={"dynamic": RECOGNITION_SLOTS, "static": RECOGNITION_SLOTS.with_(memory="static")},
    contrasts=[
        Contrast("dynamic", over=1 / 3, metric="accuracy", bounds=(0, 1)),
        Contrast("static", over=1 / 3, metric="accuracy", bounds=(0, 1)),
    ],
    source="research diary, 29 July 2025: 100 %. The answer is the command's last word, so this shows that a network "
    "reads its input, and nothing about binding",
)
def test_recognition(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/recognition-needs-no-dynamic-memory",
    "Networks recognise which variable is asked for as often without a memory that is written at run time as with one.",
    arms={"dynamic": RECOGNITION_SLOTS, "static": RECOGNITION_SLOTS.with_(memory="static")},
    contrasts=[Contrast("dynamic", over="static", metric="accuracy", bounds=(0, 1), sesoi=0.15)],
    positive_control=Contrast("dynamic", over=1 / 3, metric="accuracy", bounds=(0, 1)),
    expect="equivalent",
    source="research diary, 29 July 2025: 100 % with static slots and with dynamic slots",
)
def test_recognition_needs_no_dynamic_memory(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}
