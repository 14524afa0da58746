"""Classes added after a network has grown: the regime in which a memory matters (see the intervention study).

The network has learnt the classes 0 to 6 while it grew, and has seen no image of 7, 8 and 9. Then a memory is filled
with twenty images of each class, and nothing is trained. All arms share weights, images and test set.
"""

from fixtures.growth.recipes import OLD_WIDER
from fixtures.intervention.interventions import emptied, fine_tuning, remembering, voting
from fixtures.intervention.recipes import ADDING, GROUPS, OLD_NETWORK
from memkit import Arm, Contrast, claim, mutant
from memkit.models.diagnostics import diagnose
from memkit.tasks.images.scoring import balanced_accuracy, flipped

TOOLKIT = "MNIST hybrid toolkit: growing with memory should beat inactive and random memory; «currently unsupported»"
BALANCED = {"metric": "balanced accuracy", "bounds": (0, 1)}
ACTIVE = Arm(OLD_WIDER, remembering(ADDING))


@mutant("memory emptied", arm="active", by=emptied, sesoi=0.2)
@claim(
    "growth/added-classes-need-their-own-entries",
    "In a network that has grown, a memory with twenty images per class recognises classes that the network was never "
    "trained on: more often than without it, with random entries, or with other entries' values.",
    arms={
        "active": ACTIVE,
        "inactive": Arm(OLD_WIDER, remembering(ADDING.with_(use="never"))),
        "random": Arm(OLD_WIDER, remembering(ADDING.with_(which="random"))),
        "shuffled": Arm(OLD_WIDER, remembering(ADDING.with_(which="shuffled"))),
    },
    contrasts=[Contrast("active", over=control, **BALANCED) for control in ("inactive", "random", "shuffled")],
    requires=[Contrast("active", over=0.0, metric="flipped", bounds=(0, 1), margin=0.01)],
    source=TOOLKIT,
    headline=True,
)
def test_added_classes_need_their_own_entries(arms, images):
    return {
        name: {
            "balanced accuracy": balanced_accuracy(model, images.test, GROUPS),
            "flipped": flipped(model, model.network, images.test[0]),
            **diagnose(model, images.test).summary(),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/added-classes-and-a-sceptic",
    "In a network that has grown, a vote of the same images by their raw pixels, and fine-tuning the network on them, "
    "recognise more than a memory of corrections; so does the memory in a network that had its size from the "
    "beginning.",
    arms={
        "active": ACTIVE,
        "raw pixels": Arm(OLD_WIDER, voting(placement="pixels")),
        "fine-tuned": Arm(OLD_WIDER, fine_tuning()),
        "active, not grown": Arm(OLD_NETWORK, remembering(ADDING)),
    },
    contrasts=[
        Contrast(other, over="active", metric="balanced accuracy", assume="normal")
        for other in ("raw pixels", "fine-tuned", "active, not grown")
    ],
    gate=True,
    source=f"{TOOLKIT}. The memory's settings were tuned in the network that does not grow; with other step sizes (5, "
    "30, 60) it does not improve, on validation images of development seeds",
)
def test_added_classes_and_a_sceptic(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}
