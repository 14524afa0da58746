"""Growing networks with a memory: «currently unsupported», said the toolkit. What of it holds, and what does not.

The memory fills while the network learns and grows, 500 places, as in the published regime of the intervention study;
all of the layer's dimensions are affected. Small effects, normal theory; conditional on this test set.
"""

from fixtures.growth_figures import diagnostics_of_growing, learning_while_growing
from fixtures.growth_recipes import (
    FIXED,
    INACTIVE,
    LARGE,
    MEMORY,
    REMEMBERING,
    TUNED_FIXED,
    TUNED_REMEMBERING,
    TUNED_WIDER,
    WIDER,
    longer,
    remembering,
)
from fixtures.intervention import voting_on_training_images
from memkit import Arm, Contrast, claim
from memkit.models.diagnostics import diagnose
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy, error_over_images, flipped

TOOLKIT = "MNIST hybrid toolkit: growing with memory is «currently unsupported» under control and baseline separation"
ACCURACY = {"metric": "accuracy", "assume": "normal"}
FLIPS = Contrast("active", over=0.0, metric="flipped", assume="normal", margin=0.01)


def voting(placement):
    """As many stored images as the memory has places vote, in a growing network without a memory."""
    return Arm(WIDER, voting_on_training_images(MEMORY.capacity, placement))


@claim(
    "growth/memory-over-its-controls",
    "In a growing network an active memory is worth more than none, than random entries, and than the values of "
    "others.",
    arms={
        "active": REMEMBERING,
        "inactive": INACTIVE,
        "random": remembering(WIDER, MEMORY.with_(which="random")),
        "shuffled": remembering(WIDER, MEMORY.with_(which="shuffled")),
    },
    contrasts=[Contrast("active", over=control, **ACCURACY) for control in ("inactive", "random", "shuffled")],
    requires=[FLIPS],
    gate=True,
    source=f"{TOOLKIT}: over controls. An inactive memory is a growing network without one, to the bit (a software "
    "test)",
    figures=[diagnostics_of_growing, learning_while_growing],
)
def test_memory_over_its_controls(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "flipped": flipped(model, model.network, images.test[0]),
            "standard error over images": error_over_images(model, arms["inactive"], images.test),
            **diagnose(model, images.test).summary(),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/memory-makes-up-for-growing",
    "With a memory, a growing network is at most two points behind one that has its final size from the beginning, and "
    "no memory.",
    arms={"growing with memory": REMEMBERING, "final": FIXED},
    contrasts=[Contrast("growing with memory", over="final", margin=-0.02, **ACCURACY)],
    gate=True,
    source=f"{TOOLKIT}: over the matched fixed network. On 32 development seeds it is behind by 0.7 points",
)
def test_memory_makes_up_for_growing(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "numbers held": parameters_per_seed(model) + getattr(model, "state_size", 0),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/large-over-growing-with-memory",
    "A network of twice the width, that neither grows nor remembers, is better than both.",
    arms={"nn_large": LARGE, "growing with memory": REMEMBERING},
    contrasts=[Contrast("nn_large", over="growing with memory", **ACCURACY)],
    gate=True,
    source=f"{TOOLKIT}: over nn_large",
)
def test_large_over_growing_with_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/votes-over-growing-with-memory",
    "So is a vote of as many stored images in the first hidden layer of the growing network, or by their raw pixels.",
    arms={"first layer": voting("early"), "raw pixels": voting("pixels"), "growing with memory": REMEMBERING},
    contrasts=[Contrast(vote, over="growing with memory", **ACCURACY) for vote in ("first layer", "raw pixels")],
    gate=True,
    source=f"{TOOLKIT}: over embedding_knn",
)
def test_votes_over_growing_with_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/embedding-knn-near-growing-with-memory",
    "A vote of as many in the penultimate layer is at most two points behind.",
    arms={"embedding_knn": voting("penultimate"), "growing with memory": REMEMBERING},
    contrasts=[Contrast("embedding_knn", over="growing with memory", margin=-0.02, **ACCURACY)],
    gate=True,
    source=f"{TOOLKIT}: over embedding_knn",
)
def test_embedding_knn_near_growing_with_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/the-final-size-over-growing-both-with-memory",
    "With a memory, too, a network learns more if it has its final size from the beginning.",
    arms={"final with memory": remembering(FIXED), "growing with memory": REMEMBERING},
    contrasts=[Contrast("final with memory", over="growing with memory", **ACCURACY)],
    gate=True,
    source=f"{TOOLKIT}: growing with memory over memory alone",
)
def test_the_final_size_with_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/memory-is-worth-more-to-growing-networks",
    "A memory adds more to a growing network than to one of the final size: it makes up for what has not been learnt.",
    arms={
        "growing, active": REMEMBERING,
        "growing, inactive": INACTIVE,
        "final, active": remembering(FIXED),
        "final": FIXED,
    },
    derived=["gain growing", "gain final"],
    contrasts=[Contrast("gain growing", over="gain final", **ACCURACY)],
    gate=True,
    source="an interaction of growth and memory, which the toolkit's grid contains",
)
def test_memory_is_worth_more_to_growing_networks(arms, images):
    found = {name: accuracy(model, images.test) for name, model in arms.items()}
    return {
        **found,
        "gain growing": found["growing, active"] - found["growing, inactive"],
        "gain final": found["final, active"] - found["final"],
    }


@claim(
    "growth/tuned-rates-leave-little-to-gain",
    "With every learning rate tuned, a growing network without a memory is at most two points behind one with it.",
    arms={"growing": TUNED_WIDER, "growing with memory": TUNED_REMEMBERING, "final": TUNED_FIXED},
    contrasts=[Contrast("growing", over="growing with memory", margin=-0.02, **ACCURACY)],
    gate=True,
    source="sensitivity to the learning rate: 7 trials each, 15 for the memory",
)
def test_tuned_rates_leave_little_to_gain(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/memory-after-many-epochs",
    "With four times the epochs, the memory adds at most a point and a half.",
    arms={"inactive": longer(INACTIVE, 4), "active": longer(REMEMBERING, 4)},
    contrasts=[Contrast("inactive", over="active", margin=-0.015, **ACCURACY)],
    gate=True,
    source="sensitivity to the budget",
)
def test_memory_after_many_epochs(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}
