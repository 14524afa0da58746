"""Shifted inputs: every test image is turned by 30 degrees, and the network was trained on upright ones.

The memory is filled with twenty training images a class, turned alike, or upright; its settings are those of the
added classes, as are those of fine-tuning, and nothing was tuned here. Conditional on this test set.
"""

from fixtures.intervention.interventions import fine_tuning, remembering, turned, voting
from fixtures.intervention.recipes import ADDING, DIGITS, TRAINED
from memkit import Arm, Contrast, claim
from memkit.models.diagnostics import expected_calibration_error
from memkit.tasks.images.scoring import accuracy, flipped

BOUNDED = {"metric": "accuracy", "bounds": (0, 1)}
SMALL = {"metric": "accuracy", "assume": "normal"}
ACTIVE = Arm(TRAINED, remembering(ADDING, DIGITS, shift=turned))
INACTIVE = Arm(TRAINED, remembering(ADDING.with_(use="never"), DIGITS, shift=turned))


@claim(
    "intervention/shifted-inputs",
    "Filled with a few turned images, the memory lets a network classify turned digits: more often than without it, "
    "with random entries, or with other entries' values.",
    arms={
        "active": ACTIVE,
        "inactive": INACTIVE,
        "random": Arm(TRAINED, remembering(ADDING.with_(which="random"), DIGITS, shift=turned)),
        "shuffled": Arm(TRAINED, remembering(ADDING.with_(which="shuffled"), DIGITS, shift=turned)),
    },
    contrasts=[Contrast("active", over=control, **BOUNDED) for control in ("inactive", "random", "shuffled")],
    requires=[Contrast("active", over=0.0, metric="flipped", bounds=(0, 1), margin=0.01)],
    source="the toolkit asks for shifted inputs, and reports none",
)
def test_shifted_inputs(arms, turned_images):
    return {
        name: {
            "accuracy": accuracy(model, turned_images),
            "flipped": flipped(model, model.network, turned_images[0]),
            "ECE": expected_calibration_error(model, turned_images),
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/upright-memories-do-not-help-turned-inputs",
    "Filled with upright images, the memory adds less than five points of accuracy on turned digits.",
    arms={"inactive": INACTIVE, "upright": Arm(TRAINED, remembering(ADDING, DIGITS))},
    contrasts=[Contrast("inactive", over="upright", margin=-0.05, **SMALL)],
    gate=True,
    source="the toolkit asks for shifted inputs, and reports none",
)
def test_upright_memories_do_not_help_turned_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/shifted-inputs-over-penultimate-vote",
    "The memory classifies more turned digits than a vote of the same images in the penultimate layer.",
    arms={"active": ACTIVE, "embedding_knn": Arm(TRAINED, voting(DIGITS, shift=turned))},
    contrasts=[Contrast("active", over="embedding_knn", **SMALL)],
    gate=True,
    source="the toolkit's embedding_knn, with the same entries",
)
def test_shifted_inputs_over_penultimate_vote(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/vote-of-raw-pixels-over-memory-on-shifted-inputs",
    "A vote of the same turned images by their raw pixels, without any network, classifies more than the memory does.",
    arms={"raw pixels": Arm(TRAINED, voting(DIGITS, shift=turned, placement="pixels")), "active": ACTIVE},
    contrasts=[Contrast("raw pixels", over="active", **SMALL)],
    gate=True,
    source="what a hostile reviewer asks next: on digits, pixels are enough",
)
def test_vote_of_raw_pixels_over_memory_on_shifted_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/fine-tuning-over-memory-on-shifted-inputs",
    "Fine-tuned on the same turned images, the network classifies more turned digits than with the memory.",
    arms={
        "fine-tuned": Arm(TRAINED, fine_tuning(DIGITS, shift=turned)),
        "active": ACTIVE,
    },
    contrasts=[Contrast("fine-tuned", over="active", **SMALL)],
    gate=True,
    source="what a sceptic asks next; neither was tuned here",
)
def test_fine_tuning_over_memory_on_shifted_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}
