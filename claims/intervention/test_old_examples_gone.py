"""Classes added after training when no image of the old classes is left: only added classes can be remembered.

A gate suppresses the memory where the network is sure of its answer. Everything else is as in test_added_classes.py.
"""

from fixtures.intervention.interventions import emptied, fine_tuning, remembering, voting
from fixtures.intervention.recipes import ADDED, CAUTIOUS, GROUPS, OLD, OLD_NETWORK
from memkit import Arm, Contrast, claim, mutant
from memkit.tasks.images.classification import among
from memkit.tasks.images.scoring import accuracy, balanced_accuracy, flipped

BALANCED = {"metric": "balanced accuracy", "bounds": (0, 1)}
SMALL = {"metric": "balanced accuracy", "assume": "normal"}
ACTIVE = Arm(OLD_NETWORK, remembering(CAUTIOUS, old=0))
INACTIVE = Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(use="never"), old=0))


@mutant("memory emptied", arm="active", by=emptied)
@claim(
    "intervention/added-classes-without-old-examples",
    "If only images of the added classes can be remembered, a network with a memory of corrections has a higher mean "
    "accuracy over old and added classes than without it, with random entries, with other entries' values, or with a "
    "vote of those images.",
    arms={
        "active": ACTIVE,
        "inactive": INACTIVE,
        "random": Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(which="random"), old=0)),
        "shuffled": Arm(OLD_NETWORK, remembering(CAUTIOUS.with_(which="shuffled"), old=0)),
        "embedding_knn": Arm(OLD_NETWORK, voting(old=0)),
    },
    contrasts=[
        Contrast("active", over=control, **BALANCED) for control in ("inactive", "random", "shuffled", "embedding_knn")
    ],
    requires=[Contrast("active", over=0.0, metric="flipped", bounds=(0, 1), margin=0.01)],
    source="found on development seeds: this is where the memory has to know when not to act. By construction, "
    "inactive never predicts an added class and the vote never an old one, so neither can exceed a half",
    headline=True,
)
def test_added_classes_without_old_examples(arms, images):
    return {
        name: {
            "balanced accuracy": balanced_accuracy(model, images.test, GROUPS),
            "accuracy on old classes": accuracy(model, among(images.test, OLD)),
            "accuracy on added classes": accuracy(model, among(images.test, ADDED)),
            "flipped": flipped(model, model.network, images.test[0]),
        }
        for name, model in arms.items()
    }


@claim(
    "intervention/without-old-examples-over-fine-tuning",
    "If only images of the added classes can be remembered, a network with a memory of corrections has a higher mean "
    "accuracy over old and added classes than the network fine-tuned on the same images.",
    arms={"active": ACTIVE, "fine-tuned": Arm(OLD_NETWORK, fine_tuning(old=0, lr=3e-4, last=True))},
    contrasts=[Contrast("active", over="fine-tuned", **SMALL)],
    gate=True,
    source="as added-classes-without-old-examples; both are the best of 24 trials. But see "
    "fine-tuning-by-doubt-near-memory",
)
def test_without_old_examples_over_fine_tuning(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@claim(
    "intervention/fine-tuning-by-doubt-near-memory",
    "If the network is fine-tuned on the same images, and its answer is mixed with its earlier one by the memory's "
    "own gate, it is at most five points behind the memory.",
    arms={"mixed fine-tuning": Arm(OLD_NETWORK, fine_tuning(old=0, mixed=4.0)), "active": ACTIVE},
    contrasts=[Contrast("mixed fine-tuning", over="active", margin=-0.05, **SMALL)],
    gate=True,
    source="a sceptic's next question: is it the memory, or the gate?",
)
def test_fine_tuning_by_doubt_near_memory(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@claim(
    "intervention/mixed-vote-near-memory",
    "A vote in the same layer, mixed into the network's answer by the same gate, is at most five points behind the "
    "memory.",
    arms={"mixed vote": Arm(OLD_NETWORK, voting(old=0, placement="early", mixed=4.0)), "active": ACTIVE},
    contrasts=[Contrast("mixed vote", over="active", margin=-0.05, **SMALL)],
    gate=True,
    source="a sceptic's next question: are hidden states needed? Mixture: Khandelwal et al. 2020, equation 3",
)
def test_mixed_vote_near_memory(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}
