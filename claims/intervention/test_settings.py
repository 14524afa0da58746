"""One setting at a time, in both regimes, and the main findings on another data set."""

from fixtures.intervention.interventions import remembering, voting
from fixtures.intervention.recipes import (
    ADDING,
    DEEP_OLD_NETWORK,
    GROUPS,
    MNIST,
    NETWORK,
    OLD_NETWORK,
    POLICIES,
    PUBLISHED,
    evicting,
    groups,
    hybrid,
    on_mnist,
)
from fixtures.intervention.sweeps import (
    CONTROLS,
    MNIST_MEMORIES,
    OF_ADDED_CLASSES,
    OF_THE_PUBLISHED_REGIME,
    mnist_control,
    old_network_on,
    without,
)
from memkit import Arm, Contrast, sweep
from memkit.tasks.images.scoring import accuracy, balanced_accuracy

BALANCED = {"metric": "balanced accuracy", "bounds": (0, 1)}
SMALL = {"metric": "accuracy", "assume": "normal"}


@sweep(
    "intervention/settings-of-added-classes",
    "With {setting}, the memory recognises more images of old and added classes than with its default settings.",
    over={"setting": ("no memory", *OF_ADDED_CLASSES)},
    arms=lambda setting: {
        "changed": Arm(OLD_NETWORK, remembering(ADDING.with_(**OF_ADDED_CLASSES.get(setting, {"use": "never"})))),
        "default": Arm(OLD_NETWORK, remembering(ADDING)),
    },
    contrasts=[Contrast("changed", over="default", metric="balanced accuracy", assume="normal")],
    source="the toolkit's ablation matrix; one setting at a time",
    seeds=16,
)
def test_settings_of_added_classes(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@sweep(
    "intervention/networks-and-classes",
    "A network ({network}) that has learnt all digits except {added} recognises these with the memory.",
    over={"network": ("MLP", "CNN"), "added": ("7, 8, 9", "0, 1, 2", "1, 4, 8")},
    arms=lambda network, added: {
        "active": Arm(without(added, network), remembering(ADDING, without(added, network).task)),
        "inactive": without(added, network),
    },
    contrasts=[Contrast("active", over="inactive", **BALANCED)],
    source="robustness of intervention/added-classes-need-their-own-entries, whose settings were chosen on an MLP and "
    "7, 8, 9",
    seeds=16,
)
def test_networks_and_classes(arms, images, task):
    return {name: balanced_accuracy(model, images.test, groups(task)) for name, model in arms.items()}


@sweep(
    "intervention/placement",
    "With the memory at the {placement} layer of four hidden layers, a network recognises added classes more often "
    "than without it.",
    over={"placement": ("early", "middle", "late", "penultimate")},
    arms=lambda placement: {
        "active": Arm(DEEP_OLD_NETWORK, remembering(ADDING.with_(placement=placement))),
        "inactive": DEEP_OLD_NETWORK,
    },
    contrasts=[Contrast("active", over="inactive", **BALANCED)],
    source="the toolkit's layer placement",
    seeds=16,
)
def test_placement(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@sweep(
    "intervention/labels",
    "With {each} images of every class, {over} recognises more images than the memory does.",
    over={"each": (1, 2, 5, 20, 50), "over": ("a vote in the same layer", "a vote in the penultimate layer")},
    arms=lambda each, over: {
        "vote": Arm(
            OLD_NETWORK,
            voting(old=each, added=each, placement="early" if "same" in over else "penultimate"),
        ),
        "active": Arm(OLD_NETWORK, remembering(ADDING, old=each, added=each)),
    },
    contrasts=[Contrast("vote", over="active", metric="balanced accuracy", assume="normal")],
    source="the number of labels that the memory needs",
    seeds=16,
)
def test_labels(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@sweep(
    "intervention/settings-of-the-published-regime",
    "With {setting}, networks with a memory classify more digits correctly than with the default settings.",
    over={"setting": tuple(OF_THE_PUBLISHED_REGIME)},
    arms=lambda setting: {
        "changed": hybrid(PUBLISHED.with_(**OF_THE_PUBLISHED_REGIME[setting])),
        "default": hybrid(PUBLISHED),
    },
    contrasts=[Contrast("changed", over="default", **SMALL)],
    source="the toolkit's ablation matrix; one setting at a time",
    seeds=16,
)
def test_settings_of_the_published_regime(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@sweep(
    "intervention/epochs",
    "After {epochs} epochs, the memory adds accuracy (use: {use}).",
    over={"use": ("both", "inference"), "epochs": (1, 3, 6, 12, 24)},
    arms=lambda use, epochs: {
        "active": hybrid(PUBLISHED.with_(use=use), NETWORK.with_(steps=round(epochs * 1000 / 32))),
        "inactive": NETWORK.with_(steps=round(epochs * 1000 / 32)),
    },
    contrasts=[Contrast("active", over="inactive", **SMALL)],
    source="sensitivity of the published regime to its budget of three epochs",
    seeds=16,
)
def test_epochs(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@sweep(
    "intervention/eviction-by-capacity",
    "With {capacity} places, {policy} beats a uniform sample of all entries.",
    over={"capacity": (100, 250, 500, 1000), "policy": tuple(p for p in POLICIES if p != "reservoir")},
    arms=lambda capacity, policy: {
        "policy": evicting(policy, capacity),
        "reservoir": evicting("reservoir", capacity),
    },
    contrasts=[Contrast("policy", over="reservoir", **SMALL)],
    source="the toolkit's forgetting policies, whose rows were identical",
    seeds=16,
)
def test_eviction_by_capacity(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@sweep(
    "intervention/added-classes-on-mnist",
    "On {dataset}, filled with twenty images per class, the memory recognises more images than {control}.",
    over={"dataset": ("mnist-10k", "fashion-mnist"), "control": tuple(CONTROLS)},
    arms=lambda dataset, control: {
        "active": Arm(old_network_on(dataset), remembering(ADDING, old_network_on(dataset).task)),
        control: Arm(old_network_on(dataset), CONTROLS[control](old_network_on(dataset).task)),
    },
    contrasts=lambda dataset, control: [Contrast("active", over=control, **BALANCED)],
    source="replication of intervention/added-classes-need-their-own-entries, with its settings",
    seeds=16,
)
def test_added_classes_on_mnist(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@sweep(
    "intervention/published-regime-on-mnist",
    "On MNIST at the published budget, with {memory}, networks classify more digits correctly than {control}.",
    over={
        "memory": ("places for every image", "2000 places, first in, first out"),
        "control": ("inactive", "random entries", "shuffled values", "nn_large", "nn_extra_layer"),
    },
    arms=lambda memory, control: {
        "active": on_mnist(hybrid(MNIST_MEMORIES[memory]), MNIST),
        control: on_mnist(mnist_control(MNIST_MEMORIES[memory], control), MNIST),
    },
    contrasts=lambda memory, control: [Contrast("active", over=control, **SMALL)],
    source="replication of the published regime: 6,000 images, three epochs, 47 steps of 128 each; the source's memory "
    "had a place for every image and never filled",
    seeds=16,
)
def test_published_regime_on_mnist(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}
