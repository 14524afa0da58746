"""One setting at a time, in both regimes, and the main findings on another data set."""

from dataclasses import replace

from fixtures.intervention import (
    ADDING,
    DEEP_OLD_NETWORK,
    GROUPS,
    MNIST,
    NETWORK,
    OLD_MNIST,
    OLD_NETWORK,
    POLICIES,
    PUBLISHED,
    evicting,
    groups,
    hybrid,
    on_mnist,
    remembering,
    voting,
)
from memkit import Arm, Contrast, sweep
from memkit.tasks.images.scoring import accuracy, balanced_accuracy

BALANCED = {"metric": "balanced accuracy", "bounds": (0, 1)}
SMALL = {"metric": "accuracy", "assume": "normal"}

OF_ADDED_CLASSES = {
    **{f"k {k}": {"k": k} for k in (1, 8, 16, 64)},
    **{f"weights {weights}": {"weights": weights} for weights in ("uniform", "softmax")},
    "metric l2": {"metric": "l2"},
    "metric l2, normalised": {"metric": "l2", "normalise": True},
    **{f"step size {eta:g}": {"step_size": eta} for eta in (0.05, 0.5, 5.0, 50.0)},
    **{f"{steps} steps": {"steps": steps} for steps in (1, 5, 80)},
    **{
        f"affected {n}, {chosen}": {"affected": n, "chosen": chosen}
        for n in (64, 128)
        for chosen in ("first", "random")
    },
    "query untouched": {"query": "untouched", "affected": 128},
    "query projection": {"query": "projection", "projection": 32},
    "value absolute, gated": {"value": "absolute", "mode": "gated"},
    "value absolute, overwrite": {"value": "absolute", "mode": "overwrite"},
    "target current, value absolute, gated": {"target": "current", "value": "absolute", "mode": "gated"},
    "target centroid, value delta": {"target": "centroid", "value": "delta"},
    "target centroid, value absolute, gated": {"target": "centroid", "value": "absolute", "mode": "gated"},
    "gated, alpha 0.4": {"mode": "gated", "alpha": 0.4},
    "gated by doubt, alpha 1": {"mode": "gated", "gate": "uncertainty", "alpha": 1.0},
    "insertion hard": {"insertion": "hard"},
}
OF_THE_PUBLISHED_REGIME = {
    "no memory": {"use": "never"},
    **{f"used in {use}": {"use": use} for use in ("training", "inference")},
    "insertion hard": {"insertion": "hard"},
    **{f"refresh {rate:g}": {"refresh": rate, "refresh_within": 2.0} for rate in (0.5, 1.0)},
    **{f"capacity {n}": {"capacity": n} for n in (100, 3000)},
    "mode residual": {"mode": "residual"},
    "gate warmup": {"gate": "warmup", "warmup": 1500},
    "gate uncertainty": {"gate": "uncertainty"},
    "gate learnt": {"gate": "learnt"},
    "placement early": {"placement": "early"},
    "affected 64, random": {"chosen": "random"},
    "affected all": {"affected": None},
    "value absolute": {"value": "absolute"},
    "target centroid": {"target": "centroid", "value": "delta"},
    **{f"step size {eta:g}": {"step_size": eta} for eta in (5.0, 20.0, 100.0)},
}


CONTROLS = {
    "inactive": lambda task: remembering(ADDING.with_(use="never"), task),
    "random entries": lambda task: remembering(ADDING.with_(which="random"), task),
    "shuffled values": lambda task: remembering(ADDING.with_(which="shuffled"), task),
    "a vote in the penultimate layer": lambda task: voting(task),
    "a vote in the same layer": lambda task: voting(task, placement="early"),
    "a vote of raw pixels": lambda task: voting(task, placement="pixels"),
}
MNIST_MEMORIES = {
    "places for every image": PUBLISHED.with_(capacity=18048),
    "2000 places, first in, first out": PUBLISHED.with_(capacity=2000),
}


def old_network_on(dataset):
    """The recipe of a network that has learnt the old classes of another data set."""
    return on_mnist(OLD_NETWORK, replace(OLD_MNIST, dataset=dataset))


def without(added, network):
    """The recipe of a network that is trained on all digits but some."""
    classes = tuple(label for label in range(10) if str(label) not in added)
    options = {"channels": (16, 32), "widths": (128,)} if network == "CNN" else {}
    return OLD_NETWORK.with_(task=replace(OLD_NETWORK.task, classes=classes), **options)


def mnist_control(settings, control):
    """The recipe of a control, but for the data."""
    memories = {
        "inactive": {"use": "never"},
        "random entries": {"which": "random"},
        "shuffled values": {"which": "shuffled"},
    }
    if control in memories:
        return hybrid(settings.with_(**memories[control]))
    return NETWORK.with_(widths=(512, 256) if control == "nn_large" else (256, 128, 128))


@sweep(
    "intervention/settings-of-added-classes",
    "With {setting}, the memory recognises more of old and added classes than with its default settings.",
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
    "A {network} that has learnt all digits but {added} recognises these with the memory.",
    over={"network": ("MLP", "CNN"), "added": ("7, 8, 9", "0, 1, 2", "1, 4, 8")},
    arms=lambda network, added: {
        "active": Arm(without(added, network), remembering(ADDING, without(added, network).task)),
        "inactive": without(added, network),
    },
    contrasts=[Contrast("active", over="inactive", **BALANCED)],
    source="robustness of intervention/added-classes-need-their-own-entries; its settings were chosen on an MLP and 7, "
    "8, 9",
    seeds=16,
)
def test_networks_and_classes(arms, images, task):
    return {name: balanced_accuracy(model, images.test, groups(task)) for name, model in arms.items()}


@sweep(
    "intervention/placement",
    "At the {placement} one of four hidden layers, the memory recognises added classes more often than without it.",
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
    "With {each} images of every class, {over} recognises more than the memory does.",
    over={"each": (1, 2, 5, 20, 50), "over": ("a vote in the same layer", "a vote in the penultimate layer")},
    arms=lambda each, over: {
        "vote": Arm(
            OLD_NETWORK,
            voting(old=each, added=each, placement="early" if "same" in over else "penultimate"),
        ),
        "active": Arm(OLD_NETWORK, remembering(ADDING, old=each, added=each)),
    },
    contrasts=[Contrast("vote", over="active", metric="balanced accuracy", assume="normal")],
    source="how few labels the memory needs",
    seeds=16,
)
def test_labels(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


@sweep(
    "intervention/settings-of-the-published-regime",
    "With {setting}, networks with a memory classify more digits than with the default settings.",
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
    "After {epochs} epochs, used {use}, the memory adds accuracy.",
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
    "With {capacity} places, {policy} beats a uniform sample of all that came.",
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
    "On {dataset}, filled with twenty images of each class, the memory recognises more than {control}.",
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
    "On MNIST at the published budget, with {memory}, networks classify more digits than {control}.",
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
