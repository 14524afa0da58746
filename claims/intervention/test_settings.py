"""One setting at a time, in both regimes, and the main findings on another data set."""

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
    **{f"k {k}": {"k": k} for k in (1, 3, 8, 16, 32, 64)},
    **{f"weights {weights}": {"weights": weights, "k": 8} for weights in ("uniform", "inverse", "softmax")},
    **{f"metric {metric}": {"metric": metric} for metric in ("l2", "cosine")},
    "normalised": {"metric": "l2", "normalise": True},
    **{f"step size {eta:g}": {"step_size": eta} for eta in (0.05, 0.5, 5.0, 50.0)},
    **{f"{steps} steps": {"steps": steps} for steps in (1, 5, 20, 80)},
    **{
        f"affected {n}, {chosen}": {"affected": n, "chosen": chosen}
        for n in (64, 128)
        for chosen in ("first", "random")
    },
    "query untouched": {"query": "untouched", "affected": 128},
    "query projection": {"query": "projection", "projection": 32},
    "target gradient, value absolute, gated": {"value": "absolute", "mode": "gated"},
    "target gradient, value absolute, overwrite": {"value": "absolute", "mode": "overwrite"},
    "target current, value absolute, gated": {"target": "current", "value": "absolute", "mode": "gated"},
    "target centroid, value delta": {"target": "centroid", "value": "delta"},
    "target centroid, value absolute, gated": {"target": "centroid", "value": "absolute", "mode": "gated"},
    "gated, alpha 0.4": {"mode": "gated", "alpha": 0.4},
    "gated, alpha 1, uncertain": {"mode": "gated", "gate": "uncertainty", "alpha": 1.0},
    "insertion hard": {"insertion": "hard"},
}
OF_THE_PUBLISHED_REGIME = {
    **{f"used in {use}": {"use": use} for use in ("both", "training", "inference")},
    **{f"insertion {insertion}": {"insertion": insertion} for insertion in ("always", "hard")},
    **{f"refresh {rate:g}": {"refresh": rate, "refresh_within": 2.0} for rate in (0.5, 1.0)},
    **{f"capacity {n}": {"capacity": n} for n in (100, 500, 3000)},
    **{f"mode {mode}": {"mode": mode} for mode in ("gated", "residual", "overwrite")},
    "gate warmup": {"gate": "warmup", "warmup": 1500},
    "gate uncertainty": {"gate": "uncertainty"},
    "gate learnt": {"gate": "learnt"},
    **{f"placement {layer}": {"placement": layer, "affected": None} for layer in ("early", "penultimate")},
    **{
        f"affected {n or 'all'}, {chosen}": {"affected": n, "chosen": chosen}
        for n, chosen in ((64, "random"), (None, "first"))
    },
    "value absolute": {"value": "absolute"},
    "target centroid": {"target": "centroid", "value": "delta"},
    **{f"step size {eta:g}": {"step_size": eta} for eta in (5.0, 20.0, 100.0, 250.0)},
}


MNIST_CONTROLS = {
    "inactive": remembering(ADDING.with_(use="never"), OLD_MNIST),
    "random entries": remembering(ADDING.with_(which="random"), OLD_MNIST),
    "shuffled values": remembering(ADDING.with_(which="shuffled"), OLD_MNIST),
    "a vote in the penultimate layer": voting(OLD_MNIST),
    "a vote in the same layer": voting(OLD_MNIST, placement="early"),
}
MNIST_MEMORIES = {
    "places for every image": PUBLISHED.with_(capacity=18048),
    "2000 places, first in, first out": PUBLISHED.with_(capacity=2000),
}


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
    "With {setting}, the memory recognises added classes more often than without it.",
    over={"setting": tuple(OF_ADDED_CLASSES)},
    arms=lambda setting: {
        "active": Arm(OLD_NETWORK, remembering(ADDING.with_(**OF_ADDED_CLASSES[setting]))),
        "inactive": OLD_NETWORK,
    },
    contrasts=[Contrast("active", over="inactive", **BALANCED)],
    source="the toolkit's ablation matrix; one setting at a time",
    seeds=16,
)
def test_settings_of_added_classes(arms, images):
    return {name: balanced_accuracy(model, images.test, GROUPS) for name, model in arms.items()}


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
    "With {setting}, networks with an active memory classify more digits than without it.",
    over={"setting": tuple(OF_THE_PUBLISHED_REGIME)},
    arms=lambda setting: {
        "active": hybrid(PUBLISHED.with_(**OF_THE_PUBLISHED_REGIME[setting])),
        "inactive": NETWORK,
    },
    contrasts=[Contrast("active", over="inactive", **SMALL)],
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
    "On MNIST, filled with twenty images of each class, the memory recognises more than {control}.",
    over={
        "control": (
            "inactive",
            "random entries",
            "shuffled values",
            "a vote in the penultimate layer",
            "a vote in the same layer",
        )
    },
    arms=lambda control: {
        "active": Arm(on_mnist(OLD_NETWORK, OLD_MNIST), remembering(ADDING, OLD_MNIST)),
        control: Arm(on_mnist(OLD_NETWORK, OLD_MNIST), MNIST_CONTROLS[control]),
    },
    contrasts=lambda control: [Contrast("active", over=control, **BALANCED)],
    source="replication of intervention/added-classes-need-their-own-entries",
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
