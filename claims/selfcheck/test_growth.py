"""Checks of the engine against known truth: two arms that do not differ must not be told apart."""

from fixtures.growth.recipes import WIDER, remembering
from memkit import Contrast, claim
from memkit.tasks.images.scoring import accuracy


@claim(
    "growth/a-a",
    "A growing network with a memory beats the same network with other initial values and another order of the "
    "training images.",
    arms={"a": remembering(WIDER), "b": remembering(WIDER.with_(stream="b"))},
    contrasts=[Contrast("a", over="b", metric="accuracy", bounds=(0, 1))],
    expect="not_supported",
    source="A/A control: false by construction",
)
def test_a_a(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}
