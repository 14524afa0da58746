"""The published regime: an MLP is trained on ten classes for three epochs while its memory fills.

Digits, with 1,000 training images and 500 places, so that entries are evicted; the source had 6,000 images and a memory
that never filled. Effects are a few points, so normal theory is assumed, as declared beforehand. Results are
conditional on this test set.
"""

from fixtures.intervention.figures import diagnostics_of_digits, learning_curves
from fixtures.intervention.interventions import memory_off, voting_on_training_images
from fixtures.intervention.recipes import (
    ACTIVE,
    EVICTING,
    EXTRA_LAYER,
    INACTIVE,
    LARGE,
    NETWORK,
    OWN_GRADIENT_STEP,
    PUBLISHED,
    PUBLISHED_STEP,
    RANDOM,
    SHUFFLED,
    TUNED,
    TUNED_ACTIVE,
    TUNED_EXTRA_LAYER,
    TUNED_LARGE,
    epochs,
    hybrid,
)
from memkit import Arm, Contrast, claim
from memkit.models.diagnostics import cpu_seconds_per_image, diagnose, expected_calibration_error
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy, error_over_images, flipped

TOOLKIT = "MNIST hybrid toolkit"
SMALL = {"metric": "accuracy", "assume": "normal"}
FLIPS = Contrast("active", over=0.0, metric="flipped", assume="normal")


@claim(
    "intervention/published-step-is-inert",
    "With steps as small as the published ones, the memory changes accuracy by less than half a point, even where "
    "each step is taken along the image's own gradient and is therefore 128 times longer; with steps of 50 it changes "
    "accuracy by more.",
    arms={
        "published": hybrid(PUBLISHED.with_(step_size=PUBLISHED_STEP)),
        "own gradient": hybrid(PUBLISHED.with_(step_size=OWN_GRADIENT_STEP)),
        "inactive": INACTIVE,
        "step 50": ACTIVE,
    },
    contrasts=[Contrast(arm, over="inactive", sesoi=0.005, **SMALL) for arm in ("published", "own gradient")],
    positive_control=Contrast("step 50", over="inactive", margin=0.005, **SMALL),
    expect="equivalent",
    gate=True,
    source=f"{TOOLKIT}: active 0.929, inactive 0.929, random 0.930 (rerun, three seeds), magnitude 9e-6, no "
    "prediction changed. Deltas came from the gradient of the batch mean; the corrected code needs steps of about 50",
)
def test_published_step_is_inert(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "flipped": flipped(model, model.network, images.test[0]),
            "magnitude": diagnose(model, images.test).summary()["magnitude"],
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/published-regime-over-controls",
    "With the step corrected, networks with an active memory classify more digits correctly than with an inactive "
    "one, with random entries, or with other entries' values, at this learning rate.",
    arms={"active": ACTIVE, "inactive": INACTIVE, "random": RANDOM, "shuffled": SHUFFLED},
    contrasts=[Contrast("active", over=control, **SMALL) for control in ("inactive", "random", "shuffled")],
    requires=[FLIPS],
    gate=True,
    source=f"{TOOLKIT}: «unsupported»; rerun with the step corrected: +0.67 points over random",
    figures=[diagnostics_of_digits, learning_curves],
)
def test_published_regime_over_controls(arms, images):
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
    "intervention/published-regime-over-controls-on-the-same-weights",
    "The same holds if the memory is applied at inference only, so that all networks have the same weights.",
    arms={
        "active": EVICTING["fifo"],
        "inactive": INACTIVE,
        "random": hybrid(PUBLISHED.with_(use="inference", which="random")),
        "shuffled": hybrid(PUBLISHED.with_(use="inference", which="shuffled")),
    },
    contrasts=[Contrast("active", over=control, **SMALL) for control in ("inactive", "random", "shuffled")],
    requires=[Contrast("active", over=0.0, metric="flipped", assume="normal", margin=0.01)],
    gate=True,
    source=f"{TOOLKIT}, rerun with the step corrected: off to on 0.919 to 0.921, 0.930 to 0.936, 0.933 to 0.939; "
    "+0.67 points over random",
)
def test_published_regime_on_the_same_weights(arms, images):
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
    "intervention/tuned-learning-rates",
    "With every learning rate tuned, after the same three epochs, a network without a memory is at most two points "
    "behind one with a memory, and a network of twice the width at most one point.",
    arms={"nn": TUNED, "nn_large": TUNED_LARGE, "nn_extra_layer": TUNED_EXTRA_LAYER, "active": TUNED_ACTIVE},
    contrasts=[
        Contrast("nn", over="active", margin=-0.02, **SMALL),
        Contrast("nn_large", over="active", margin=-0.01, **SMALL),
    ],
    gate=True,
    source="sensitivity of the published regime to its learning rate: 7 trials each, 15 for the memory",
)
def test_tuned_learning_rates(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "standard error over images": error_over_images(model, arms["active"], images.test),
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/published-regime-over-another-layer",
    "After these three epochs, at this learning rate, the memory adds more accuracy than another layer does.",
    arms={"active": ACTIVE, "nn": NETWORK, "nn_extra_layer": EXTRA_LAYER},
    contrasts=[Contrast("active", over=baseline, **SMALL) for baseline in ("nn", "nn_extra_layer")],
    gate=True,
    source=f"{TOOLKIT}: hybrid 0.929, nn 0.927, nn_extra_layer 0.923 on MNIST",
)
def test_published_regime_over_another_layer(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/memory-or-capacity",
    "At this learning rate, the memory is at most a point worse than doubling every width, and takes more time per "
    "image.",
    arms={"active": ACTIVE, "nn_large": LARGE, "inactive": INACTIVE},
    contrasts=[
        Contrast("active", over="nn_large", margin=-0.01, **SMALL),
        Contrast("active", over="nn_large", metric="microseconds an image", assume="normal"),
    ],
    gate=True,
    source=f"{TOOLKIT}: hybrid 0.929, nn_large 0.940 on MNIST",
)
def test_memory_or_capacity(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "numbers held": parameters_per_seed(model) + getattr(model, "state_size", 0),
            "microseconds an image": 1e6 * cpu_seconds_per_image(model, images.test[0]),
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/embedding-knn-near-memory",
    "At this learning rate, a vote of as many stored training images in the penultimate layer is at most two points "
    "behind the memory.",
    arms={"embedding_knn": Arm(NETWORK, voting_on_training_images(PUBLISHED.capacity)), "active": ACTIVE},
    contrasts=[Contrast("embedding_knn", over="active", margin=-0.02, **SMALL)],
    gate=True,
    source=f"{TOOLKIT}: embedding_knn 0.946, hybrid 0.929 on MNIST, with all training images stored",
)
def test_embedding_knn_near_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/votes-over-the-published-regime",
    "A vote of as many stored training images classifies more digits correctly than the memory does, both in the "
    "first hidden layer and by raw pixels, without any network.",
    arms={
        "first layer": Arm(NETWORK, voting_on_training_images(PUBLISHED.capacity, placement="early")),
        "raw pixels": Arm(NETWORK, voting_on_training_images(PUBLISHED.capacity, placement="pixels")),
        "active": ACTIVE,
    },
    contrasts=[Contrast(vote, over="active", **SMALL) for vote in ("first layer", "raw pixels")],
    gate=True,
    source="a sceptic's next question",
)
def test_votes_over_the_published_regime(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/networks-come-to-lean-on-their-memory",
    "A network that was trained with its memory in use loses more than ten points of accuracy without it.",
    arms={"on": ACTIVE, "off": Arm(ACTIVE, memory_off)},
    contrasts=[Contrast("on", over="off", metric="accuracy", bounds=(0, 1), margin=0.1)],
    source="the toolkit's train-time and inference-time toggles",
)
def test_networks_come_to_lean_on_their_memory(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/memory-at-inference-alone",
    "The memory adds accuracy if it is applied to a network that was trained without it, and adds more if it is also "
    "used in training.",
    arms={
        "training and inference": ACTIVE,
        "inference": hybrid(PUBLISHED.with_(use="inference")),
        "neither": INACTIVE,
    },
    contrasts=[
        Contrast("inference", over="neither", **SMALL),
        Contrast("training and inference", over="inference", **SMALL),
    ],
    gate=True,
    source="the toolkit's train-time and inference-time toggles; off to on, rerun: 0.919 to 0.921, 0.930 to 0.936, "
    "0.933 to 0.939",
)
def test_memory_at_inference_alone(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/six-epochs-leave-nothing-to-gain",
    "After six epochs instead of three, a network without a memory is at most a point behind one with a memory.",
    arms={"inactive": hybrid(PUBLISHED.with_(use="never"), epochs(6)), "active": hybrid(PUBLISHED, epochs(6))},
    contrasts=[Contrast("inactive", over="active", margin=-0.01, **SMALL)],
    gate=True,
    source="sensitivity of the published regime to its budget of three epochs",
)
def test_six_epochs_leave_nothing_to_gain(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/memory-at-inference-after-long-training",
    "After twenty-four epochs, a memory that is applied at inference only adds less than half a point.",
    arms={
        "inactive": hybrid(PUBLISHED.with_(use="never"), epochs(24)),
        "inference": hybrid(PUBLISHED.with_(use="inference"), epochs(24)),
    },
    contrasts=[Contrast("inactive", over="inference", margin=-0.005, **SMALL)],
    gate=True,
    source="sensitivity of the published regime to its budget of three epochs",
)
def test_memory_at_inference_after_long_training(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/test-labels-leak-through-class-conditional-retrieval",
    "A memory whose retrieval is restricted to entries of the test image's own class looks better than it is.",
    arms={"class-conditional": ACTIVE, "honest": ACTIVE},
    contrasts=[Contrast("class-conditional", over="honest", **SMALL)],
    gate=True,
    source=f"{TOOLKIT}: class_conditional retrieval used test labels, worth 1.2 to 1.7 points there",
)
def test_test_labels_leak(arms, images, accuracy_by_leak):
    return {
        "class-conditional": accuracy_by_leak(arms["class-conditional"]),
        "honest": accuracy(arms["honest"], images.test),
    }


@claim(
    "intervention/calibration",
    "After three epochs, when networks are less confident than they might be, networks with an active memory are "
    "better calibrated (expected calibration error, 15 bins).",
    arms={"active": ACTIVE, "inactive": INACTIVE},
    contrasts=[
        Contrast("active", over="inactive", metric="ECE", direction="lower", assume="normal"),
    ],
    gate=True,
    source=f"{TOOLKIT}, which lists ECE among its diagnostics",
)
def test_calibration(arms, images):
    return {name: expected_calibration_error(model, images.test) for name, model in arms.items()}
