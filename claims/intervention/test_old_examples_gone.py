"""Classes added after training where no image of the old classes is left: only the added ones can be remembered.

The memory is held back where the network is sure of its answer. Everything else is as in test_added_classes.py.
"""

from fixtures.intervention import (
    ADDED,
    CAUTIOUS,
    EXTRA_LAYER_OLD_NETWORK,
    GROUPS,
    LARGE_OLD_NETWORK,
    OLD,
    OLD_NETWORK,
    emptied,
    fine_tuning,
    remembering,
    voting,
)
from memkit import Arm, Contrast, claim, mutant
from memkit.tasks.images.classification import among
from memkit.tasks.images.scoring import accuracy, balanced_accuracy, flipped

BALANCED = {"metric": "balanced accuracy", "bounds": (0, 1)}
SMALL = {"metric": "balanced accuracy", "assume": "normal"}
ACTIVE = Arm(OLD_NETWORK, remembering(CAUTIOUS, old=0))
INACTIVE = Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(use="never"), old=0))


@mutant("memory emptied", arm="active", by=emptied, seeds=32)
@claim(
    "intervention/added-classes-without-old-examples",
    "Where only images of the added classes can be remembered, a network with a memory of corrections recognises old "
    "and added classes more often than without it, than with other entries' values, than any wider or deeper network, "
    "and than a vote of those images.",
    arms={
        "active": ACTIVE,
        "inactive": INACTIVE,
        "shuffled": Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(which="shuffled"), old=0)),
        "nn_large": LARGE_OLD_NETWORK,
        "nn_extra_layer": EXTRA_LAYER_OLD_NETWORK,
        "embedding_knn": Arm(OLD_NETWORK, voting(old=0)),
    },
    contrasts=[
        Contrast("active", over=control, **BALANCED)
        for control in ("inactive", "shuffled", "nn_large", "nn_extra_layer", "embedding_knn")
    ],
    requires=[Contrast("active", over="inactive", metric="flipped", bounds=(0, 1))],
    source="found on development seeds: where the memory has to know when to keep silent",
    headline=True,
)
def test_added_classes_without_old_examples(arms, images):
    return {
        name: {
            "balanced accuracy": balanced_accuracy(model, images.test, GROUPS),
            "accuracy on old classes": accuracy(model, among(images.test, OLD)),
            "accuracy on added classes": accuracy(model, among(images.test, ADDED)),
            "flipped": flipped(model, getattr(model, "network", model), images.test[0]),
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/without-old-examples-over-random-and-fine-tuned",
    "There, it also recognises more than with random entries, and than the network fine-tuned on the same images.",
    arms={
        "active": ACTIVE,
        "random": Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(which="random"), old=0)),
        "fine-tuned": Arm(OLD_NETWORK, fine_tuning(old=0, lr=3e-4, steps=200, last=True)),
    },
    contrasts=[Contrast("active", over=control, **SMALL) for control in ("random", "fine-tuned")],
    gate=True,
    source="the same; fine-tuning: and the memory: best of 24 trials each on development seeds",
)
def test_without_old_examples_over_random_and_fine_tuned(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@claim(
    "intervention/mixed-vote-as-good-as-memory",
    "A vote in the same layer, mixed into the network's answer the more the less sure it is, does as well as the "
    "memory, within five points.",
    arms={
        "active": ACTIVE,
        "mixed vote": Arm(OLD_NETWORK, voting(old=0, placement="early", mixed=4.0, k=3)),
        "off": INACTIVE,
    },
    contrasts=[Contrast("active", over="mixed vote", sesoi=0.05, **SMALL)],
    positive_control=Contrast("active", over="off", **SMALL),
    expect="equivalent",
    gate=True,
    source="what a sceptic asks next: does it take hidden states? Mixture: Khandelwal et al. 2020, equation 3",
)
def test_mixed_vote_as_good_as_memory(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}
