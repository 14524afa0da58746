"""Shifted inputs: every test image is rotated by 30 degrees, and the network was trained on upright images.

The memory is filled with twenty training images per class, rotated by the same angle or upright. The settings of the
memory and of fine-tuning are those of the added classes; nothing was tuned here. Results are conditional on this test
set.
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
    "If the memory is filled with a few rotated images, a network classifies rotated digits correctly more often than "
    "without the memory, with random entries, or with other entries' values.",
    arms={
        "active": ACTIVE,
        "inactive": INACTIVE,
        "random": Arm(TRAINED, remembering(ADDING.with_(which="random"), DIGITS, shift=turned)),
        "shuffled": Arm(TRAINED, remembering(ADDING.with_(which="shuffled"), DIGITS, shift=turned)),
    },
    contrasts=[Contrast("active", over=control, **BOUNDED) for control in ("inactive", "random", "shuffled")],
    requires=[Contrast("active", over=0.0, metric="flipped", bounds=(0, 1), margin=0.01)],
    source="the toolkit asks for shifted inputs, and reports no results",
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
    "If the memory is filled with upright images, it adds less than five points of accuracy on rotated digits.",
    arms={"inactive": INACTIVE, "upright": Arm(TRAINED, remembering(ADDING, DIGITS))},
    contrasts=[Contrast("inactive", over="upright", margin=-0.05, **SMALL)],
    gate=True,
    source="the toolkit asks for shifted inputs, and reports no results",
)
def test_upright_memories_do_not_help_turned_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/shifted-inputs-over-penultimate-vote",
    "The memory classifies more rotated digits correctly than a vote of the same images in the penultimate layer.",
    arms={"active": ACTIVE, "embedding_knn": Arm(TRAINED, voting(DIGITS, shift=turned))},
    contrasts=[Contrast("active", over="embedding_knn", **SMALL)],
    gate=True,
    source="the toolkit's embedding_knn, with the same entries",
)
def test_shifted_inputs_over_penultimate_vote(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/vote-of-raw-pixels-over-memory-on-shifted-inputs",
    "A vote of the same rotated images by their raw pixels, without any network, classifies more rotated digits "
    "correctly than the memory does.",
    arms={"raw pixels": Arm(TRAINED, voting(DIGITS, shift=turned, placement="pixels")), "active": ACTIVE},
    contrasts=[Contrast("raw pixels", over="active", **SMALL)],
    gate=True,
    source="a hostile reviewer's next question: on digits, pixels are enough",
)
def test_vote_of_raw_pixels_over_memory_on_shifted_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}


@claim(
    "intervention/fine-tuning-over-memory-on-shifted-inputs",
    "A network that is fine-tuned on the same rotated images classifies more rotated digits correctly than with the "
    "memory.",
    arms={
        "fine-tuned": Arm(TRAINED, fine_tuning(DIGITS, shift=turned)),
        "active": ACTIVE,
    },
    contrasts=[Contrast("fine-tuned", over="active", **SMALL)],
    gate=True,
    source="a sceptic's next question; neither was tuned here",
)
def test_fine_tuning_over_memory_on_shifted_inputs(arms, turned_images):
    return {name: accuracy(model, turned_images) for name, model in arms.items()}
