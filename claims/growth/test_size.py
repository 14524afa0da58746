"""Growing networks against networks of a fixed size, without a memory.

A growing network ends with exactly as many parameters as its matched control has from the beginning. All networks see
the same examples, unless a claim says otherwise. Effects are small, so normal theory is assumed. Results are
conditional on this test set.
"""

from fixtures.growth.recipes import (
    BOTH,
    DEEP,
    DEEPER,
    DEEPER_AT_ONCE,
    FIXED,
    FIXED_AT_EQUAL_COST,
    LARGE,
    SMALL,
    TUNED_DEEP,
    TUNED_DEEPER,
    TUNED_FIXED,
    TUNED_SMALL,
    TUNED_WIDER,
    WIDER,
    longer,
)
from memkit import Contrast, claim
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy, error_over_images

TOOLKIT = "MNIST hybrid toolkit: growing networks against fixed ones, which were called matched and had more parameters"
NORMAL = {"metric": "accuracy", "assume": "normal"}


def sized(arms, images):
    """Return accuracy, parameters, and the standard error over test images of the difference from the last arm."""
    *_, last = arms.values()
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "parameters": parameters_per_seed(model),
            "standard error over images": error_over_images(model, last, images.test),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/growing-over-staying-small",
    "After four epochs at a learning rate of 0.001, a network that grows in width is more accurate than one that "
    "keeps the small size it began with.",
    arms={"growing": WIDER, "small": SMALL},
    contrasts=[Contrast("growing", over="small", **NORMAL)],
    gate=True,
    source=TOOLKIT,
)
def test_growing_over_staying_small(arms, images):
    return sized(arms, images)


@claim(
    "growth/the-final-size-over-growing-to-it",
    "After four epochs at a learning rate of 0.001, a network that has the final size from the beginning is more "
    "accurate than one that grows to it, in width alone or also by a layer.",
    arms={"final": FIXED, "growing": WIDER, "final, deep": DEEP, "growing, both": BOTH},
    contrasts=[Contrast("final", over="growing", **NORMAL), Contrast("final, deep", over="growing, both", **NORMAL)],
    gate=True,
    source=TOOLKIT,
)
def test_the_final_size_over_growing(arms, images):
    return sized(arms, images)


@claim(
    "growth/large-over-growing",
    "After four epochs at a learning rate of 0.001, a network of twice the final width is more accurate than one that "
    "grows.",
    arms={"nn_large": LARGE, "growing": WIDER},
    contrasts=[Contrast("nn_large", over="growing", **NORMAL)],
    gate=True,
    source=TOOLKIT,
)
def test_large_over_growing(arms, images):
    return sized(arms, images)


@claim(
    "growth/growing-saves-nothing",
    "At a learning rate of 0.001, a network of the final size that is trained for fewer steps (52 %), so that it "
    "takes no more multiplications than growing does, is at most two points behind.",
    arms={"final, fewer steps": FIXED_AT_EQUAL_COST, "growing": WIDER},
    contrasts=[Contrast("final, fewer steps", over="growing", margin=-0.02, **NORMAL)],
    gate=True,
    source="the usual argument for growing. Multiplications are counted for tensors of the network's current size; "
    "ours have the final size throughout",
)
def test_growing_saves_nothing(arms, images):
    return sized(arms, images)


@claim(
    "growth/deeper-by-growing",
    "After four epochs at a learning rate of 0.001, a network whose third layer begins as the identity is more "
    "accurate than one whose third layer begins at random; adding the layer late is worth at most a point.",
    arms={"identity, late": DEEPER, "identity, at once": DEEPER_AT_ONCE, "random": DEEP},
    contrasts=[
        Contrast("identity, late", over="random", **NORMAL),
        Contrast("identity, at once", over="random", **NORMAL),
        Contrast("identity, at once", over="identity, late", margin=-0.01, **NORMAL),
    ],
    gate=True,
    source="growth in depth, compared with networks of the same size. A first attempt had no arm that has the layer "
    "at once, and was SUPPORTED: +0.017 for the layer that is added late",
)
def test_deeper_by_growing(arms, images):
    return sized(arms, images)


@claim(
    "growth/depth-at-tuned-rates",
    "With every learning rate tuned, a network of three layers that begin at random is at most two points behind a "
    "network whose third layer is added as the identity after two of four epochs.",
    arms={"random": TUNED_DEEP, "identity, late": TUNED_DEEPER},
    contrasts=[Contrast("random", over="identity, late", margin=-0.02, **NORMAL)],
    gate=True,
    source="sensitivity to the learning rate: 7 trials each, 0.005 chosen for both",
)
def test_depth_at_tuned_rates(arms, images):
    return sized(arms, images)


@claim(
    "growth/final-size-over-growing-with-tuned-rates",
    "With every learning rate tuned, a network of the final size is still more accurate after four epochs than one "
    "that grows to it.",
    arms={"final": TUNED_FIXED, "growing": TUNED_WIDER},
    contrasts=[Contrast("final", over="growing", **NORMAL)],
    gate=True,
    source="sensitivity to the learning rate: 7 trials each, 0.01 chosen for both",
)
def test_final_size_with_tuned_rates(arms, images):
    return sized(arms, images)


@claim(
    "growth/growing-behind-staying-small-with-tuned-rates",
    "With every learning rate tuned, a network that stays small is at most two points behind one that grows.",
    arms={"small": TUNED_SMALL, "growing": TUNED_WIDER},
    contrasts=[Contrast("small", over="growing", margin=-0.02, **NORMAL)],
    gate=True,
    source="sensitivity to the learning rate: 8 trials, 0.02 chosen, and 7, 0.01 chosen",
)
def test_staying_small_with_tuned_rates(arms, images):
    return sized(arms, images)


@claim(
    "growth/final-size-over-growing-for-longer",
    "After sixteen epochs at a learning rate of 0.001, with growth at the same fractions of the training, a network "
    "of the final size is still more accurate than one that grows to it.",
    arms={"final": longer(FIXED, 4), "growing": longer(WIDER, 4)},
    contrasts=[Contrast("final", over="growing", **NORMAL)],
    gate=True,
    source="sensitivity to the budget",
)
def test_final_size_for_longer(arms, images):
    return sized(arms, images)
