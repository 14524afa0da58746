"""The effect of growth on what a network computes: just after it, and at the end of training.

The toolkit's networks lost what they had learnt when they grew: accuracy fell from 0.85 to 0.20. Here units are split
and layers are added so that the network's outputs do not change. For comparison, the toolkit's method draws new weights
at random, as at the start of training.
"""

from fixtures.growth.figures import accuracy_while_growing
from fixtures.growth.interventions import MOST, clipped_loss, grown, kept, permuted, rise_at_growth
from fixtures.growth.recipes import (
    BOTH,
    DEEPER,
    REMEMBERING,
    TUNED_DEEPER,
    TWICE_AS_WIDE,
    UNGROWN,
    WIDER,
    fresh,
    remembering,
)
from memkit import Arm, Contrast, claim, mutant
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy

TOOLKIT = "MNIST hybrid toolkit, rerun: growth lowered accuracy from 0.85 to 0.20"
BOUNDED = {"metric": "accuracy", "bounds": (0, 1)}
NORMAL = {"metric": "accuracy", "assume": "normal"}
RISE = {"metric": "rise of the loss", "bounds": (0, MOST), "direction": "lower"}


@mutant("the layer that is added permutes what it is given", arm="preserving", by=permuted)
@claim(
    "growth/preserves-the-function",
    "A network that grows fourfold in width and by a layer, and is not trained any further, still gives most digits "
    "the same class as before if units are split and the layer begins as the identity; if new units and the new "
    "layer are drawn at random, it has forgotten what it knew.",
    arms={
        "preserving": Arm(UNGROWN, grown("preserving")),
        "fresh": Arm(UNGROWN, grown("fresh")),
        "before": UNGROWN,
    },
    contrasts=[
        Contrast("preserving", over="fresh", **BOUNDED),
        Contrast("preserving", over="fresh", metric="loss", bounds=(0, MOST), direction="lower"),
        Contrast("preserving", over=0.7, metric="kept", bounds=(0, 1)),
    ],
    source=f"{TOOLKIT}. Here every image keeps its class; 70 % is what 16 seeds can show without further assumptions",
    headline=True,
)
def test_preserves_the_function(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "loss": clipped_loss(model, images.test),
            "kept": kept(model, arms["before"], images.test),
            "parameters": parameters_per_seed(model),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/just-after-as-just-before",
    "Just after its units are split and a layer is added as the identity, a network is as accurate as just before, to "
    "within fifteen points.",
    arms={"after": Arm(UNGROWN, grown("preserving")), "before": UNGROWN, "fresh": Arm(UNGROWN, grown("fresh"))},
    contrasts=[Contrast("after", over="before", sesoi=0.15, **BOUNDED)],
    positive_control=Contrast("before", over="fresh", **BOUNDED),
    expect="equivalent",
    source=f"{TOOLKIT}. A software test shows that the logits agree to 1e-5; every difference is 0, and the margin is "
    "what 32 seeds can show without further assumptions",
)
def test_just_after_as_just_before(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/new-layers-destroy-more-than-new-units",
    "In the middle of training, a new layer that is drawn at random raises the loss of a network by more than "
    "doubling the units of each of its layers at random does.",
    arms={"units": fresh(TWICE_AS_WIDE), "layer": fresh(DEEPER)},
    contrasts=[Contrast("units", over="layer", **RISE)],
    source=f"{TOOLKIT}; it does not say in which way its networks grew. In a first attempt, the units that the layer "
    "was compared with were added in three events",
)
def test_new_layers_destroy_more(arms, trained):
    return {name: rise_at_growth(run.validation) for name, run in trained.items()}


@claim(
    "growth/a-memory-is-carried-over",
    "In a growing network with a memory, the worst rise of the loss at growth is smaller if keys and values are "
    "carried over to the wider layer than if they are left as they were.",
    arms={"carried": REMEMBERING, "left": remembering(WIDER, carry=False)},
    contrasts=[Contrast("carried", over="left", **RISE)],
    source="the toolkit's growing networks with a memory have to do this as well; its page does not mention it. A "
    "software test shows that nothing changes for a memory that is carried over",
)
def test_a_memory_is_carried_over(arms, trained):
    return {name: rise_at_growth(run.validation) for name, run in trained.items()}


@claim(
    "growth/preserving-pays-where-layers-are-added",
    "After four epochs at a learning rate of 0.001, networks that preserved their function when they grew by a layer "
    "are more accurate than networks that drew the layer at random.",
    arms={"deeper": DEEPER, "deeper, fresh": fresh(DEEPER), "both": BOTH, "both, fresh": fresh(BOTH)},
    contrasts=[Contrast("deeper", over="deeper, fresh", **NORMAL), Contrast("both", over="both, fresh", **NORMAL)],
    gate=True,
    source=TOOLKIT,
    figures=[accuracy_while_growing],
)
def test_preserving_pays(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/random-units-do-as-well",
    "After four epochs at a learning rate of 0.001, networks that drew new units at random are at most a point behind "
    "networks that split their units.",
    arms={"fresh": fresh(WIDER), "preserving": WIDER},
    contrasts=[Contrast("fresh", over="preserving", margin=-0.01, **NORMAL)],
    gate=True,
    source=f"{TOOLKIT}; this asks whether random units caused that",
)
def test_random_units_do_as_well(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/preserving-pays-less-at-a-tuned-rate",
    "After four epochs at a learning rate that was tuned for function-preserving growth, 0.005, networks that drew "
    "their third layer at random are at most two points behind networks that preserved their function.",
    arms={"fresh": fresh(TUNED_DEEPER), "preserving": TUNED_DEEPER},
    contrasts=[Contrast("fresh", over="preserving", margin=-0.02, **NORMAL)],
    gate=True,
    source="sensitivity to the learning rate: best of 7 trials. On validation images of 16 development seeds they "
    "were 0.3 points behind",
)
def test_preserving_pays_less_at_a_tuned_rate(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}
