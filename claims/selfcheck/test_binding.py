"""Checks of the engine against known truth: two arms that do not differ must not be told apart."""

from fixtures.binding.recipes import FACTORISED_SLOTS
from memkit import Contrast, claim
from memkit.tasks.scoring import accuracy

# Training stops early, while seeds still differ: if all seeds were perfect, the check could not fail.
HALF_TRAINED = FACTORISED_SLOTS.with_(steps=150)


@claim(
    "binding/a-a",
    "A recipe beats the same recipe with other initial values and other training data.",
    arms={"a": HALF_TRAINED, "b": HALF_TRAINED.with_(stream="b")},
    contrasts=[Contrast("a", over="b", metric="accuracy", bounds=(0, 1))],
    expect="not_supported",
    source="A/A control: false by construction",
)
def test_a_a(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}
