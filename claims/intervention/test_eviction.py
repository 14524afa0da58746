"""Eviction: which entries a full memory should keep while the representation drifts.

1,000 training images pass three times through a memory of 500 places, at the penultimate layer of a network that is
being trained. The memory is applied at inference only, so all arms have the same weights, bit for bit, and differ only
in what their memories hold. The results are conditional on this test set.
"""

from fixtures.intervention.figures import ages_by_policy
from fixtures.intervention.interventions import measured, with_recomputed_entries
from fixtures.intervention.recipes import EVICTING, INACTIVE
from memkit import Arm, Contrast, claim
from memkit.tasks.images.scoring import accuracy

SMALL = {"metric": "accuracy", "assume": "normal"}
TOOLKIT = "MNIST hybrid toolkit: its policies gave identical rows, because its memory never filled"


@claim(
    "intervention/forgetting-over-keeping-what-came-first",
    "While a network learns, every policy that evicts entries to make room for new ones beats keeping the first "
    "entries.",
    arms=EVICTING,
    contrasts=[
        Contrast(policy, over="none", **SMALL)
        for policy in ("ttl", "fifo", "reservoir", "usage", "helpfulness", "helpfulness_age")
    ],
    requires=[
        Contrast(policy, over=0.0, metric=metric, bounds=(0, 1), margin=0.01)
        for metric in ("evicted", "other entries")
        for policy in EVICTING
        if policy != "none"
    ],
    gate=True,
    source=TOOLKIT,
    figures=[ages_by_policy],
)
def test_forgetting_over_keeping_what_came_first(arms, images):
    return measured(arms, images)


@claim(
    "intervention/recent-entries-over-a-uniform-sample",
    "First in, first out, a time to live, and helpfulness with age, which all keep recent entries, beat a uniform "
    "sample of all entries.",
    arms={name: EVICTING[name] for name in ("reservoir", "ttl", "fifo", "helpfulness_age")},
    contrasts=[Contrast(policy, over="reservoir", **SMALL) for policy in ("ttl", "fifo", "helpfulness_age")],
    requires=[
        Contrast(policy, over=0.0, metric="other entries", bounds=(0, 1), margin=0.01)
        for policy in ("ttl", "fifo", "helpfulness_age")
    ],
    gate=True,
    source=f"{TOOLKIT}. The entries that ttl keeps are the newest of those that fifo keeps",
)
def test_recent_entries_over_a_uniform_sample(arms, images):
    return measured(arms, images)


@claim(
    "intervention/recent-entries-over-used-and-helpful-ones",
    "First in, first out beats keeping the entries that are retrieved most often, and keeping those that lower the "
    "loss most.",
    arms={name: EVICTING[name] for name in ("fifo", "usage", "helpfulness")},
    contrasts=[Contrast("fifo", over=policy, **SMALL) for policy in ("usage", "helpfulness")],
    requires=[
        Contrast(policy, over=0.0, metric="other entries", bounds=(0, 1), margin=0.01)
        for policy in ("usage", "helpfulness")
    ],
    gate=True,
    source=TOOLKIT,
)
def test_recent_entries_over_used_and_helpful_ones(arms, images):
    return measured(arms, images)


@claim(
    "intervention/used-and-helpful-entries-against-a-uniform-sample",
    "Keeping the entries that are retrieved most often, or those that lower the loss most, is at most two points "
    "worse than a uniform sample.",
    arms={name: EVICTING[name] for name in ("reservoir", "usage", "helpfulness")},
    contrasts=[Contrast(policy, over="reservoir", margin=-0.02, **SMALL) for policy in ("usage", "helpfulness")],
    gate=True,
    source=TOOLKIT,
)
def test_used_and_helpful_entries_against_a_uniform_sample(arms, images):
    return measured(arms, images)


@claim(
    "intervention/old-entries-made-anew",
    "If keys and corrections are recomputed after training, a memory of the first entries is worth more, and is at "
    "most a point and a half behind a memory of the last ones: the age of the entries hurts, not which images they "
    "are.",
    arms={
        "none, made anew": Arm(EVICTING["none"], with_recomputed_entries),
        "fifo, made anew": Arm(EVICTING["fifo"], with_recomputed_entries),
        "none": EVICTING["none"],
    },
    contrasts=[
        Contrast("none, made anew", over="none", margin=0.02, **SMALL),
        Contrast("none, made anew", over="fifo, made anew", margin=-0.015, **SMALL),
    ],
    gate=True,
    source="this asks whether drift is the cause",
)
def test_old_entries_made_anew(arms, images):
    return {name: accuracy(model, images.test) for name, model in arms.items()}


@claim(
    "intervention/keeping-what-came-first-hurts",
    "A memory that keeps the first entries makes the network worse than no memory does.",
    arms={"inactive": INACTIVE, "none": EVICTING["none"]},
    contrasts=[Contrast("inactive", over="none", **SMALL)],
    gate=True,
    source=TOOLKIT,
)
def test_keeping_what_came_first_hurts(arms, images):
    return measured(arms, images)
