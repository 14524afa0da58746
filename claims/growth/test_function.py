"""What growth does to what a network computes: just after it, and in the end.

The toolkit grew its networks such that they lost what they had learnt, from 0.85 to 0.20 of accuracy. Here units are
split and layers are added such that nothing changes; beside it, its way: what is new is drawn as if training began.
"""

from fixtures.growth import MOST, clipped_loss, grown, permuted, rise_at_growth
from fixtures.growth_figures import accuracy_while_growing
from fixtures.growth_recipes import BOTH, DEEPER, REMEMBERING, UNGROWN, WIDER, fresh, remembering
from memkit import Arm, Contrast, claim, mutant
from memkit.models.parameters import parameters_per_seed
from memkit.tasks.images.scoring import accuracy

TOOLKIT = "MNIST hybrid toolkit, run again: growing took accuracy from 0.85 to 0.20"
ACCURACY = {"metric": "accuracy", "bounds": (0, 1)}
SMALL = {"metric": "accuracy", "assume": "normal"}
RISE = {"metric": "rise of the loss", "bounds": (0, MOST), "direction": "lower"}


@mutant("the layer that is added permutes what it is given", arm="preserving", by=permuted, seeds=16)
@claim(
    "growth/preserves-the-function",
    "Grown fourfold in width and by a layer, and not trained any further, a network classifies digits as before if "
    "units are split and the layer begins as the identity; if what is new is drawn at random, it has forgotten them.",
    arms={
        "preserving": Arm(UNGROWN, grown("preserving")),
        "fresh": Arm(UNGROWN, grown("fresh")),
        "before": UNGROWN,
    },
    contrasts=[
        Contrast("preserving", over="fresh", **ACCURACY),
        Contrast("preserving", over="fresh", metric="loss", bounds=(0, MOST), direction="lower"),
    ],
    source=TOOLKIT,
    headline=True,
)
def test_preserves_the_function(arms, images):
    return {
        name: {
            "accuracy": accuracy(model, images.test),
            "loss": clipped_loss(model, images.test),
            "parameters": parameters_per_seed(model),
        }
        for name, model in arms.items()
    }


@claim(
    "growth/just-after-as-just-before",
    "Just after growth a network is as accurate as just before.",
    arms={"after": Arm(UNGROWN, grown("preserving")), "before": UNGROWN, "fresh": Arm(UNGROWN, grown("fresh"))},
    contrasts=[Contrast("after", over="before", sesoi=0.15, **ACCURACY)],
    positive_control=Contrast("before", over="fresh", **ACCURACY),
    expect="equivalent",
    source=f"{TOOLKIT}. That the logits agree to 1e-5 is a software test; every difference is 0, and the margin is "
    "what 32 seeds can show without further assumptions",
)
def test_just_after_as_just_before(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/new-layers-destroy-new-units-do-not",
    "Of what is drawn at random while a network learns, it is the layer that raises the loss, not the units.",
    arms={"units": fresh(WIDER), "layer": fresh(DEEPER)},
    contrasts=[Contrast("units", over="layer", **RISE)],
    source=f"{TOOLKIT}; in which way it does not say",
)
def test_new_layers_destroy(arms, trained):
    return {name: rise_at_growth(run.validation) for name, run in trained.items()}


@claim(
    "growth/a-memory-is-carried-over",
    "A memory whose keys and values are carried over when the layer is widened leaves the loss as it is; one that is "
    "left as it was raises it.",
    arms={"carried": REMEMBERING, "left": remembering(WIDER, carry=False)},
    contrasts=[Contrast("carried", over="left", **RISE)],
    source="what the toolkit's growing networks with a memory have to do, and its page does not say",
)
def test_a_memory_is_carried_over(arms, trained):
    return {name: rise_at_growth(run.validation) for name, run in trained.items()}


@claim(
    "growth/preserving-pays-where-layers-are-added",
    "After four epochs, networks that preserved what they computed whenever they grew are more accurate than those "
    "that did not, if a layer was among what was new.",
    arms={"deeper": DEEPER, "deeper, fresh": fresh(DEEPER), "both": BOTH, "both, fresh": fresh(BOTH)},
    contrasts=[Contrast("deeper", over="deeper, fresh", **SMALL), Contrast("both", over="both, fresh", **SMALL)],
    gate=True,
    source=TOOLKIT,
    figures=[accuracy_while_growing],
)
def test_preserving_pays(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "growth/random-units-do-as-well",
    "If only units are new, networks that drew them at random are at most a point behind those that split them.",
    arms={"fresh": fresh(WIDER), "preserving": WIDER},
    contrasts=[Contrast("fresh", over="preserving", margin=-0.01, **SMALL)],
    gate=True,
    source=f"{TOOLKIT}; where it came from",
)
def test_random_units_do_as_well(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}
