"""Growing against networks that have one size from the beginning to the end. No memory; small effects, normal theory.

A growing network ends with exactly as many parameters as its matched control has from the beginning. Conditional on
this test set.
"""

from fixtures.growth_recipes import (
    BOTH,
    DEEP,
    DEEPER,
    FIXED,
    LARGE,
    SMALL,
    TUNED_FIXED,
    TUNED_SMALL,
    TUNED_WIDER,
    WIDER,
    longer,
)
from memkit import Contrast, claim
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy, error_over_images

TOOLKIT = "MNIST hybrid toolkit: growing networks against fixed ones, which were said to match and had more parameters"
ACCURACY = {"metric": "accuracy", "assume": "normal"}


def sized(arms, images):
    """Accuracy, and parameters."""
    return {
        name: {"accuracy": accuracy(model, images.test), "parameters": parameters_per_seed(model)}
        for name, model in arms.items()
    }


@claim(
    "growth/growing-over-staying-small",
    "In four epochs a network that grows learns more than one that stays as small as it began.",
    arms={"growing": WIDER, "small": SMALL},
    contrasts=[Contrast("growing", over="small", **ACCURACY)],
    gate=True,
    source=TOOLKIT,
)
def test_growing_over_staying_small(arms, images):
    return sized(arms, images)


@claim(
    "growth/the-final-size-over-growing-to-it",
    "A network that has the final size from the beginning learns more than one that grows to it, in width alone or by "
    "a layer too.",
    arms={"final": FIXED, "growing": WIDER, "final, deep": DEEP, "growing, both": BOTH},
    contrasts=[
        Contrast("final", over="growing", **ACCURACY),
        Contrast("final, deep", over="growing, both", **ACCURACY),
    ],
    gate=True,
    source=TOOLKIT,
)
def test_the_final_size_over_growing(arms, images):
    return sized(arms, images)


@claim(
    "growth/large-over-growing",
    "So does one of twice the width.",
    arms={"nn_large": LARGE, "growing": WIDER},
    contrasts=[Contrast("nn_large", over="growing", **ACCURACY)],
    gate=True,
    source=TOOLKIT,
)
def test_large_over_growing(arms, images):
    return sized(arms, images)


@claim(
    "growth/deeper-by-growing",
    "A network that gets its third layer after two of four epochs learns more than one that has it from the beginning.",
    arms={"grown": DEEPER, "deep": DEEP},
    contrasts=[Contrast("grown", over="deep", **ACCURACY)],
    gate=True,
    source="growth in depth, held against a network of the same size",
)
def test_deeper_by_growing(arms, images):
    return {
        name: {"error over images": error_over_images(model, arms["deep"], images.test), **scores}
        for (name, model), scores in zip(arms.items(), sized(arms, images).values(), strict=True)
    }


@claim(
    "growth/final-size-over-growing-with-tuned-rates",
    "With every learning rate tuned, the network of the final size still learns more than the one that grows to it.",
    arms={"final": TUNED_FIXED, "growing": TUNED_WIDER},
    contrasts=[Contrast("final", over="growing", **ACCURACY)],
    gate=True,
    source="sensitivity to the learning rate: 7 trials each",
)
def test_final_size_with_tuned_rates(arms, images):
    return sized(arms, images)


@claim(
    "growth/growing-behind-staying-small-with-tuned-rates",
    "With every learning rate tuned, the network that stays small is at most two points behind the one that grows.",
    arms={"small": TUNED_SMALL, "growing": TUNED_WIDER},
    contrasts=[Contrast("small", over="growing", margin=-0.02, **ACCURACY)],
    gate=True,
    source="sensitivity to the learning rate: 7 trials each",
)
def test_staying_small_with_tuned_rates(arms, images):
    return sized(arms, images)


@claim(
    "growth/final-size-over-growing-for-longer",
    "With four times the epochs, growing at the same shares of them, the network of the final size still learns more.",
    arms={"final": longer(FIXED, 4), "growing": longer(WIDER, 4)},
    contrasts=[Contrast("final", over="growing", **ACCURACY)],
    gate=True,
    source="sensitivity to the budget",
)
def test_final_size_for_longer(arms, images):
    return sized(arms, images)
